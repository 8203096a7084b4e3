"""ALFWorld's pictures: what they show, that nothing is hidden or covered, and that it can be read.

`python -m pytest tests/test_alfworld_pictures.py --rewrite-goldens` writes the goldens anew; look
at each of them before committing: a change of pixels is a change of the benchmark.
"""

import importlib.util
import itertools
import json
import random
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from PIL import Image

from vlbench.instances import Presentation
from vlbench.picture import SIZE, Frame
from vlbench.tasks.alfworld.bar import TEXT
from vlbench.tasks.alfworld.icons import SIZES, has_icon, icon
from vlbench.tasks.alfworld.picture import MARGIN, AlfworldPicture
from vlbench.tasks.alfworld.receptacle_view import things
from vlbench.tasks.alfworld.room_style import COLUMN, HAND, room_style, slip, zones
from vlbench.tasks.alfworld.room_view import FORMS, grouped, numbers_of, roll, spread
from vlbench.tasks.alfworld.scene import Place, Scene, Thing
from vlbench.themes import THEME_GROUPS, THEMES

GOLDENS = Path(__file__).parent / "goldens"
every_theme = pytest.mark.parametrize("theme", THEMES)

THINGS = tuple(
    """alarmclock apple applesliced baseballbat basketball book bowl box bread breadsliced
    butterknife candle cd cellphone cloth creditcard cup desklamp dishsponge egg floorlamp fork
    glassbottle handtowel kettle keychain knife ladle laptop lettuce lettucesliced mug newspaper
    pan papertowel pen pencil peppershaker pillow plate plunger pot potato potatosliced
    remotecontrol saltshaker soapbar soapbottle spatula spoon spraybottle statue tennisracket
    tissuebox toiletpaper toiletpaperroll tomato tomatosliced towel vase watch wateringcan
    winebottle""".split()
)
"""What the engine's constants let lie in receptacles, and the lamps."""
PLACES = tuple(
    """armchair bathtubbasin bed box cabinet cart coffeemachine coffeetable countertop desk
    diningtable drawer dresser fridge garbagecan handtowelholder laundryhamper microwave ottoman
    safe shelf sidetable sinkbasin sofa stoveburner toaster toilet toiletpaperhanger towelholder
    tvstand""".split()
)
OPENABLE = ("box", "cabinet", "drawer", "fridge", "microwave", "safe")
KITCHEN = {
    "cabinet": 28,
    "coffeemachine": 1,
    "countertop": 3,
    "diningtable": 1,
    "drawer": 11,
    "fridge": 1,
    "garbagecan": 1,
    "microwave": 1,
    "sinkbasin": 1,
    "stoveburner": 4,
    "toaster": 1,
}
"""What stands in the fullest of THOR's rooms."""
STUDY = {"bed": 1, "desk": 1, "drawer": 3, "laundryhamper": 1, "shelf": 2, "sidetable": 1}


@dataclass(frozen=True)
class State:
    """As much of a game's state as its picture sees."""

    scene: Scene


def room_of(counts: dict[str, int], seed: int = 0) -> Scene:
    """A room whose receptacles stand anywhere along its walls."""
    choose = random.Random(seed)
    places = []
    for kind, count in counts.items():
        for number in range(1, count + 1):
            along, wall = choose.randrange(-12, 12) / 4, choose.choice((-2.5, 2.5))
            x, z = (along, wall) if choose.random() < 0.6 else (wall, along)
            places.append(Place(f"{kind} {number}", x, z, openable=kind in OPENABLE))
    return Scene(1, tuple(sorted(places, key=lambda place: place.name)))


def standing_at(
    scene: Scene, at: str, contents: tuple[Thing, ...] | None, opened: bool = False
) -> State:
    """The room with its player at a receptacle."""
    places = tuple(
        replace(place, contents=contents, opened=opened) if place.name == at else place
        for place in scene.places
    )
    return State(replace(scene, places=places, at=at))


def painted(picture: Any, state: State, look: Any = None, number: int = 7) -> Frame:
    slab = np.random.default_rng(0).integers(0, 256, (2, SIZE, SIZE, 3), np.uint8)
    look = look or picture.look(state, Presentation("alfworld/x", number))
    picture.paint(slab[1], state, look, None)
    frame: Frame = slab[1]
    return frame


def some_things(count: int, seed: int = 0) -> tuple[Thing, ...]:
    choose = random.Random(seed)
    kinds = [choose.choice(THINGS) for _ in range(count)]
    names = [f"{kind} {kinds[:i].count(kind) + 1}" for i, kind in enumerate(kinds)]
    states = [frozenset(choose.sample(("hot", "clean", "cold"), choose.choice((0, 0, 1, 2))))]
    return tuple(Thing(name, choose.choice([frozenset(), *states])) for name in sorted(names))


def walk(scene: Scene, seed: int) -> Iterator[State]:
    """The scenes of an episode in which a player goes, looks, opens, takes and comes back."""
    choose = random.Random(seed)
    inside = {place.name: some_things(choose.randrange(6), seed) for place in scene.places}
    yield State(scene)
    holding: Thing | None = None
    opened: set[str] = set()
    at = ""
    for _ in range(40):
        action = choose.choice(("go", "go", "open", "take", "put", "change", "leave"))
        if action == "leave":
            at = ""
        elif action == "go" or not at:
            at = choose.choice(scene.places).name
        elif action == "open" and at.split()[0] in OPENABLE:
            opened ^= {at}
        elif action == "take" and inside[at] and holding is None:
            holding, inside[at] = inside[at][0], inside[at][1:]
        elif action == "put" and holding is not None:
            inside[at], holding = (*inside[at], holding), None
        elif action == "change" and holding is not None:
            holding = replace(holding, states=frozenset({choose.choice(("hot", "cold"))}))
        places = tuple(
            replace(
                place,
                opened=place.name in opened,
                contents=inside[at]
                if place.name == at and (at in opened or not place.openable)
                else None,
            )
            for place in scene.places
        )
        yield State(replace(scene, places=places, at=at, holding=holding))


SIGHTS = {
    "room": State(room_of(STUDY)),
    "kitchen": State(room_of(KITCHEN)),
    "surface": State(
        replace(
            standing_at(
                room_of(STUDY),
                "desk 1",
                (
                    Thing("alarmclock 1"),
                    Thing("book 2"),
                    Thing("desklamp 1", frozenset({"lit"})),
                    Thing("mug 1"),
                    Thing("pencil 1"),
                ),
            ).scene,
            holding=Thing("cd 3"),
        )
    ),
    "open": State(
        replace(
            standing_at(
                room_of(KITCHEN),
                "fridge 1",
                (
                    Thing("apple 1", frozenset({"cold"})),
                    Thing("egg 1"),
                    Thing("lettuce 1", frozenset({"clean", "cold"})),
                    Thing("potato 2", frozenset({"hot"})),
                ),
                opened=True,
            ).scene,
            holding=Thing("tomato 1", frozenset({"clean"})),
        )
    ),
    "closed": standing_at(room_of(KITCHEN), "cabinet 12", None),
    "full": standing_at(room_of(KITCHEN), "countertop 2", some_things(20)),
}
GOLDEN_SIGHTS = [
    *itertools.product(("room", "open"), THEMES),
    *itertools.product(("kitchen", "full"), ("classic", "comic")),
    *itertools.product(("surface", "closed"), ("classic",)),
]


@pytest.mark.parametrize(("sight", "theme"), GOLDEN_SIGHTS)
def test_pictures_are_those_of_the_goldens(
    sight: str, theme: str, request: pytest.FixtureRequest
) -> None:
    frame = painted(AlfworldPicture(theme), SIGHTS[sight])
    path = GOLDENS / f"alfworld_{sight}-{theme}.png"
    if request.config.getoption("--rewrite-goldens"):
        Image.fromarray(frame).save(path, optimize=True)
    with Image.open(path) as golden:
        assert np.array_equal(np.asarray(golden), frame), f"{path} differs from what is drawn"


@pytest.mark.parametrize("jitter", [0, 5])
@every_theme
def test_painting_only_what_changed_gives_the_same_pixels(theme: str, jitter: int) -> None:
    picture = AlfworldPicture(theme, jitter)
    for seed, counts in enumerate((KITCHEN, STUDY)):
        states = list(walk(room_of(counts, seed), seed))
        look = picture.look(states[0], Presentation("alfworld/x", seed))
        frame = painted(picture, states[0], look)
        for before, state in itertools.pairwise(states):
            picture.paint(frame, state, look, (before, look))
            assert np.array_equal(frame, painted(picture, state, look)), (before, state)


@pytest.mark.parametrize("name", THINGS)
def test_every_thing_has_an_icon_of_its_own(name: str) -> None:
    assert has_icon(f"thing/{name}"), name
    for size in (size for size, groups in SIZES.items() if "thing" in groups):
        drawn = icon(f"thing/{name}", size)
        assert drawn.shape == (size, size, 4) and (drawn[..., 3] > 127).mean() > 0.1
        others = [icon(f"thing/{other}", size) for other in THINGS if other != name]
        assert not any(np.array_equal(drawn, other) for other in others)


@pytest.mark.parametrize("name", PLACES)
def test_every_receptacle_has_an_icon_of_its_own_and_an_open_one_if_it_opens(name: str) -> None:
    names = [f"place/{kind}" for kind in PLACES] + [f"place/{kind}-open" for kind in OPENABLE]
    for size in (size for size, groups in SIZES.items() if "place" in groups):
        assert has_icon(f"place/{name}", size)
        assert has_icon(f"place/{name}-open", size) == (name in OPENABLE)
        drawn = icon(f"place/{name}", size)
        assert sum(np.array_equal(drawn, icon(other, size)) for other in names) == 1


def engine_constants() -> ModuleType:
    """The engine's constants, without importing the engine, which writes to the home folder."""
    found = importlib.util.find_spec("alfworld")
    if found is None or not found.submodule_search_locations:
        pytest.skip("needs the extra `alfworld`")
    path = Path(found.submodule_search_locations[0]) / "gen" / "constants.py"
    spec = importlib.util.spec_from_file_location("alfworld_constants", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.extra
def test_the_lists_of_this_test_are_those_of_the_engine() -> None:
    constants = engine_constants()
    may_lie = {
        name.lower() for names in constants.VAL_RECEPTACLE_OBJECTS.values() for name in names
    }
    lamps = {name.lower() for name in constants.VAL_ACTION_OBJECTS["Toggleable"]}
    assert may_lie | lamps == set(THINGS)
    movable = {name.lower() for name in constants.MOVABLE_RECEPTACLES}
    holders = {name.lower() for name in constants.VAL_RECEPTACLE_OBJECTS}
    assert holders - (movable - {"box"}) == set(PLACES)
    assert {name.lower() for name in constants.OPENABLE_CLASS_LIST} == set(OPENABLE)


@pytest.mark.extra
@pytest.mark.parametrize("theme", ["classic", "typewriter", "comic"])
def test_all_120_floor_plans_have_room_for_their_receptacles(theme: str) -> None:
    constants = engine_constants()
    folder = Path(constants.__file__ or "").parent / "layouts"
    plans = sorted(folder.glob("FloorPlan*-openable.json"))
    assert len(plans) == 120
    for path in plans:
        sites: dict[str, list[tuple[float, float]]] = {}
        for key in json.loads(path.read_text()):
            kind, x, _, z, *part = key.split("|")
            sites.setdefault((part or [kind])[0].lower(), []).append((float(x), float(z)))
        # What the layouts leave out stands near something.
        for kind in ("garbagecan", "coffeemachine", "toaster"):
            sites.setdefault(kind, sites[min(sites)][:1])
        sites["stoveburner"] = sites[min(sites)][:1] * 4
        places = tuple(
            Place(f"{kind} {number}", *site)
            for kind, found in sites.items()
            for number, site in enumerate(found, 1)
        )
        for jitter in (0, 5):
            painted(AlfworldPicture(theme, jitter), State(Scene(1, places)))


def test_numbers_of_kinds_are_shortened_to_runs() -> None:
    names = ["shelf 2", "cabinet 3", "cabinet 1", "cabinet 2", "shelf 5", "fridge 1", "shelf 6"]
    assert numbers_of(names) == {"cabinet": "1-3", "fridge": "1", "shelf": "2 5-6"}


@every_theme
def test_no_name_is_cut(theme: str) -> None:
    style = room_style(theme)
    spread_out = {"cabinet": 28, "drawer": 27, "shelf": 14, "stoveburner": 6}
    for kind in PLACES:
        names = tuple(f"{kind} {n}" for n in range(1, spread_out.get(kind, 2) + 1))
        wide = roll(style, names, 300)
        width = (COLUMN if style.layout == "columns" else SIZE) - 2 * MARGIN
        assert np.array_equal(wide[:, :width], roll(style, names, width))
        assert not (wide[:, width:] != style.paper).any(), f"{names[-1]} is cut"
        assert style.name.draw(names[-1]).shape[1] <= SIZE - HAND - TEXT - 5
    assert style.title.draw("middle of the room").shape[1] <= SIZE - HAND - TEXT
    for thing in THINGS:
        assert slip(style, f"{thing} 3").shape[1] <= HAND - 5


def test_only_neighbours_of_a_kind_share_a_marker() -> None:
    places = (
        Place("cabinet 1", 0.0, 0.0),
        Place("cabinet 2", 1.0, 0.0),
        Place("cabinet 3", 2.0, 0.0),
        Place("drawer 1", 0.5, 0.0),
        Place("cabinet 4", 9.0, 0.0),
    )
    assert [(g.kind, g.numbers) for g in grouped(places, 0)] == [
        ("cabinet", (1,)),
        ("cabinet", (2,)),
        ("cabinet", (3,)),
        ("cabinet", (4,)),
        ("drawer", (1,)),
    ]
    shared = grouped(places, 1.5)
    assert sorted((g.kind, g.numbers) for g in shared) == [
        ("cabinet", (1, 2, 3)),
        ("cabinet", (4,)),
        ("drawer", (1,)),
    ]
    assert next(g.x for g in shared if g.numbers == (1, 2, 3)) == 1.0
    crowd = tuple(Place(f"shelf {n}", 0.0, 0.0) for n in range(1, 12))
    assert [g.numbers for g in grouped(crowd, 1)] == [tuple(range(1, 9)), (9, 10, 11)]


def apart(boxes: list[tuple[int, int, int, int]], width: int, height: int) -> None:
    """Check that rectangles (x, y, width, height) lie in a larger one and apart."""
    for x, y, wide, high in boxes:
        assert x >= 0 and y >= 0 and x + wide <= width and y + high <= height, (x, y, wide, high)
    for (x, y, wide, high), (x2, y2, wide2, high2) in itertools.combinations(boxes, 2):
        assert x + wide <= x2 or x2 + wide2 <= x or y + high <= y2 or y2 + high2 <= y


@pytest.mark.parametrize("seed", range(20))
def test_markers_lie_apart_and_alone_ones_at_their_places(seed: int) -> None:
    groups = grouped(room_of(KITCHEN, seed).places, 0)
    sizes = [(24, 14)] * len(groups)
    corners = spread(groups, sizes, 290, 150)
    apart([(x, y, *size) for (x, y), size in zip(corners, sizes, strict=True)], 290, 150)
    alone = spread(groups[:1], sizes[:1], 290, 150)
    assert alone == ((132, 68),)
    assert spread(groups, [(60, 40)] * len(groups), 290, 150) == ()


def test_what_is_right_stands_right_and_what_is_up_stands_up() -> None:
    groups = grouped(
        (
            Place("bed 1", -1, 2),
            Place("desk 1", 3, 2),
            Place("safe 1", 3, -4),
            Place("sofa 1", 1, -1),
        ),
        0,
    )
    assert spread(groups, [(20, 10)] * 4, 120, 110) == ((0, 0), (100, 0), (100, 100), (50, 50))


@pytest.mark.parametrize("count", [1, 2, 5, 9, 12, 16, 20])
@every_theme
def test_things_lie_apart_and_in_view_in_the_fullest_kitchen(theme: str, count: int) -> None:
    style = room_style(theme)
    view = zones(style.layout, 16 * 5 + 6 + 5, 5).view
    for seed in range(10):
        contents = some_things(count, seed)
        place = Place("countertop 1", 0, 0, contents=contents)
        labels = [thing.name for thing in contents]
        blits = things(style, place, labels, replace(view, x=0, y=0), (5, 5), 5)
        boxes = [(c.start, r.start, sprite.shape[1], sprite.shape[0]) for (r, c), sprite in blits]
        assert len(boxes) == count
        apart(boxes, view.width, view.height)


@every_theme
def test_every_state_can_be_seen(theme: str) -> None:
    picture = AlfworldPicture(theme)
    room = room_of(KITCHEN)
    states = [frozenset(), *({s} for s in ("hot", "cold", "clean")), {"hot", "clean"}]
    for count in (1, 12, 20):
        frames = []
        for shown in states:
            rest = some_things(count, 5)[1:]
            contents = (Thing("apple 9", frozenset(shown)), *rest)
            frames.append(painted(picture, standing_at(room, "countertop 1", contents)))
        for one, other in itertools.combinations(frames, 2):
            differing = (one != other).any(axis=-1).sum()
            assert differing >= (20 if count > 1 else 200)
    for lamp in ("desklamp 1", "floorlamp 1"):
        dark, lit = (
            painted(picture, standing_at(room_of(STUDY), "desk 1", (Thing(lamp, frozenset(s)),)))
            for s in ((), ("lit",))
        )
        assert (dark != lit).any(axis=-1).sum() > 200


@every_theme
@pytest.mark.parametrize("kind", OPENABLE)
def test_open_and_closed_can_be_told(theme: str, kind: str) -> None:
    room = room_of({kind: 2, "sofa": 1})
    picture = AlfworldPicture(theme)
    closed = painted(picture, standing_at(room, f"{kind} 2", None))
    empty = painted(picture, standing_at(room, f"{kind} 2", (), opened=True))
    filled = painted(picture, standing_at(room, f"{kind} 2", some_things(1), opened=True))
    for one, other in itertools.combinations((closed, empty, filled), 2):
        assert (one != other).any(axis=-1).sum() > 1000


def test_what_lies_elsewhere_is_not_shown() -> None:
    room = room_of(KITCHEN)
    picture = AlfworldPicture("train", 5)
    for at in ("", "drawer 3"):
        here = standing_at(room, at, (), opened=True).scene
        hidden = tuple(
            replace(place, opened=True, contents=some_things(3)) if place.name != at else place
            for place in here.places
        )
        look = picture.look(State(room), Presentation("alfworld/x", 3))
        one, other = State(here), State(replace(here, places=hidden))
        assert np.array_equal(painted(picture, one, look), painted(picture, other, look))
        assert picture.facts(one, look) == picture.facts(other, look)


@every_theme
def test_every_place_and_thing_is_told_apart(theme: str) -> None:
    picture = AlfworldPicture(theme)
    look = picture.look(State(room_of(STUDY)), Presentation("alfworld/x", 1))
    room = room_of(dict.fromkeys(PLACES, 1))
    frames = {
        painted(picture, standing_at(room, f"{kind} 1", None), look).tobytes() for kind in PLACES
    }
    assert len(frames) == len(PLACES)
    for labels in ("names", "numbers"):
        picture = AlfworldPicture(theme, labels=labels)
        held = {
            painted(picture, State(replace(room, holding=Thing(f"{kind} 1"))), look).tobytes()
            for kind in THINGS
        }
        assert len(held) == len(THINGS)


def test_facts_are_what_the_picture_shows() -> None:
    picture = AlfworldPicture()
    room = room_of({"fridge": 1, "sofa": 1})
    look = picture.look(State(room), Presentation("alfworld/x", 0))
    assert picture.facts(State(room), look) == {
        "location": "middle of the room",
        "door": "none",
        "visible": (),
        "holding": "nothing",
        "hot": (),
        "cold": (),
        "clean": (),
        "lit": (),
        "receptacles": ("fridge 1", "sofa 1"),
    }
    held = Thing("egg 2", frozenset({"clean", "hot"}))
    contents = (Thing("apple 1", frozenset({"cold"})), Thing("cup 3", frozenset({"clean"})))
    scene = replace(standing_at(room, "fridge 1", contents, opened=True).scene, holding=held)
    facts = picture.facts(State(scene), look)
    assert facts == {
        "location": "fridge 1",
        "door": "open",
        "visible": ("apple 1", "cup 3"),
        "holding": "egg 2",
        "hot": ("egg 2",),
        "cold": ("apple 1",),
        "clean": ("cup 3", "egg 2"),
        "lit": (),
        "receptacles": ("fridge 1", "sofa 1"),
    }
    closed = standing_at(room, "fridge 1", None)
    assert picture.facts(closed, look)["door"] == "closed"
    assert picture.facts(State(scene), look) is not picture.facts(State(scene), look)


def test_names_can_be_left_off_but_numbers_stay() -> None:
    room = room_of(KITCHEN)
    full, bare = AlfworldPicture(), AlfworldPicture(labels="numbers")
    one, other = (standing_at(room, "countertop 1", (Thing(f"mug {n}"),)) for n in (1, 2))
    assert not np.array_equal(painted(full, one), painted(bare, one))
    assert not np.array_equal(painted(bare, one), painted(bare, other))
    assert np.array_equal(painted(full, State(room)), painted(bare, State(room)))


def test_unknown_kinds_are_drawn_with_their_names() -> None:
    room = room_of({"sofa": 1, "hammock": 2})
    picture = AlfworldPicture()
    frames = [
        painted(picture, standing_at(room, "hammock 2", (Thing(name),)))
        for name in ("gizmo 1", "widget 1")
    ]
    assert not np.array_equal(*frames)
    empty = [painted(picture, standing_at(room, place, ())) for place in ("hammock 1", "sofa 1")]
    assert not np.array_equal(*empty)


def test_a_group_shows_its_themes_in_turn() -> None:
    for group, members in THEME_GROUPS.items():
        for number in range(2 * len(members)):
            one = AlfworldPicture(members[number % len(members)])
            frames = [
                painted(p, SIGHTS["open"], number=number) for p in (AlfworldPicture(group), one)
            ]
            assert np.array_equal(*frames)


def test_jitter_moves_the_parts_and_nothing_else() -> None:
    state = SIGHTS["surface"]
    plain, moved = AlfworldPicture(), AlfworldPicture(jitter=5)
    assert np.array_equal(painted(plain, state, number=1), painted(plain, state, number=2))
    frames = {painted(moved, state, number=number).tobytes() for number in range(20)}
    assert len(frames) == 20


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"theme": "slat"}, 'unknown theme "slat"; did you mean "slate"?'),
        ({"jitter": 6}, "jitter must be a whole number of pixels, 0..5, got 6"),
        ({"labels": "number"}, 'unknown labels "number"; did you mean "numbers"?'),
    ],
)
def test_bad_arguments_are_refused_in_one_line(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError) as error:
        AlfworldPicture(**arguments)
    assert str(error.value).startswith(message) and "\n" not in str(error.value)


PROGRAM = """
import hashlib, sys
import numpy as np
from vlbench.instances import Presentation
from vlbench.tasks.alfworld.picture import MARGIN, AlfworldPicture
from vlbench.tasks.alfworld.scene import Place, Scene, Thing
class State:
    scene = Scene(1, (Place("bed 1", 0, 0), Place("desk 1", 1, 2, contents=(
        Thing("apple 1", frozenset({"hot", "clean"})), Thing("book 1")))), "desk 1", Thing("cd 1"))
digest = hashlib.sha256()
for number in range(7):
    picture = AlfworldPicture("heldout" if number % 2 else "train", 5)
    frame = np.empty((300, 300, 3), np.uint8)
    look = picture.look(State, Presentation("alfworld/3", number))
    picture.paint(frame, State, look, None)
    digest.update(frame)
assert "PIL.ImageFont" not in sys.modules and "PIL.ImageDraw" not in sys.modules
assert "alfworld" not in sys.modules
print(digest.hexdigest())
"""


def test_two_processes_draw_the_same_and_open_no_font() -> None:
    digests = {
        subprocess.run(
            [sys.executable, "-c", PROGRAM],
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": str(GOLDENS.parent.parent)},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in "12"
    }
    assert len(digests) == 1


def test_the_smallest_markers_group_the_whole_room() -> None:
    assert FORMS[-1].reach > 100, "the last form must fit in any room"
