"""ALFWorld's pictures: their content, without anything hidden, covered or unreadable.

`python -m pytest tests/tasks/alfworld_tests/test_alfworld_pictures.py --rewrite-goldens` writes the
goldens anew; look at each of them before committing: a change of pixels is a change of the
benchmark.
"""

import itertools
from dataclasses import replace

import numpy as np
import pytest
from support.alfworld_rooms import (
    KITCHEN,
    OPENABLE,
    PLACES,
    STUDY,
    THINGS,
    State,
    every_theme,
    painted,
    room_of,
    some_things,
    standing_at,
    walk,
)
from support.cli_process import printed_by_two_processes
from support.pictures import check_golden, every_size

from vlbench.instances import Presentation
from vlbench.tasks.alfworld.drawing.picture import AlfworldPicture
from vlbench.tasks.alfworld.scene import Thing
from vlbench.themes import SIZE, SIZES, THEME_GROUPS, THEMES, ThemeChoice

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
    *itertools.product(("room", "open"), (*THEMES, "varied-0", "varied-7"), (SIZE,)),
    *itertools.product(("kitchen", "full"), ("classic", "comic"), (SIZE,)),
    *itertools.product(("surface", "closed"), ("classic",), (SIZE,)),
    *itertools.product(
        ("kitchen", "open"), ("classic", "comic"), [size for size in SIZES if size != SIZE]
    ),
]


@pytest.mark.parametrize(("sight", "theme", "size"), GOLDEN_SIGHTS)
def test_pictures_are_those_of_the_goldens(
    sight: str, theme: str, size: int, request: pytest.FixtureRequest
) -> None:
    frame = painted(AlfworldPicture(ThemeChoice(theme, size=size)), SIGHTS[sight])
    name = f"alfworld_{sight}" + (f"-{size}" if size != SIZE else "")
    check_golden(name, theme, frame, request.config.getoption("--rewrite-goldens"))


@pytest.mark.parametrize("jitter", [0, 5])
@every_theme
@every_size
def test_painting_only_what_changed_gives_the_same_pixels(
    theme: str, jitter: int, size: int
) -> None:
    picture = AlfworldPicture(ThemeChoice(theme, jitter, size))
    for seed, counts in enumerate((KITCHEN, STUDY)):
        states = list(walk(room_of(counts, seed), seed))
        style = picture.style(states[0], Presentation("alfworld/x", seed))
        frame = painted(picture, states[0], style)
        for before, state in itertools.pairwise(states):
            assert picture.repaint(frame, state, style, before, style)
            assert np.array_equal(frame, painted(picture, state, style)), (before, state)


@every_theme
@every_size
def test_every_state_can_be_seen(theme: str, size: int) -> None:
    picture = AlfworldPicture(ThemeChoice(theme, size=size))
    room = room_of(KITCHEN)
    states = [frozenset(), *({s} for s in ("hot", "cold", "clean")), {"hot", "clean"}]
    for count in (1, 12, 20):
        frames = []
        for combination in states:
            rest = some_things(count, 5)[1:]
            contents = (Thing("apple 9", frozenset(combination)), *rest)
            frames.append(painted(picture, standing_at(room, "countertop 1", contents)))
        for one, other in itertools.combinations(frames, 2):
            differing = (one != other).any(axis=-1).sum()
            assert differing >= (20 if count > 1 else 200) * (size / SIZE) ** 2
    for lamp in ("desklamp 1", "floorlamp 1"):
        dark, lit = (
            painted(picture, standing_at(room_of(STUDY), "desk 1", (Thing(lamp, frozenset(s)),)))
            for s in ((), ("lit",))
        )
        assert (dark != lit).any(axis=-1).sum() > 200 * (size / SIZE) ** 2


@every_theme
@pytest.mark.parametrize("kind", OPENABLE)
def test_open_and_closed_can_be_told(theme: str, kind: str) -> None:
    room = room_of({kind: 2, "sofa": 1})
    picture = AlfworldPicture(ThemeChoice(theme))
    closed = painted(picture, standing_at(room, f"{kind} 2", None))
    empty = painted(picture, standing_at(room, f"{kind} 2", (), opened=True))
    filled = painted(picture, standing_at(room, f"{kind} 2", some_things(1), opened=True))
    for one, other in itertools.combinations((closed, empty, filled), 2):
        assert (one != other).any(axis=-1).sum() > 1000


def test_what_lies_elsewhere_is_not_shown() -> None:
    room = room_of(KITCHEN)
    picture = AlfworldPicture(ThemeChoice("train", 5))
    for at in ("", "drawer 3"):
        here = standing_at(room, at, (), opened=True).scene
        hidden = tuple(
            replace(place, opened=True, contents=some_things(3)) if place.name != at else place
            for place in here.places
        )
        style = picture.style(State(room), Presentation("alfworld/x", 3))
        one, other = State(here), State(replace(here, places=hidden))
        assert np.array_equal(painted(picture, one, style), painted(picture, other, style))
        assert picture.facts(one, style) == picture.facts(other, style)


@every_theme
@every_size
def test_every_place_and_thing_is_told_apart(theme: str, size: int) -> None:
    picture = AlfworldPicture(ThemeChoice(theme, size=size))
    style = picture.style(State(room_of(STUDY)), Presentation("alfworld/x", 1))
    room = room_of(dict.fromkeys(PLACES, 1))
    frames = {
        painted(picture, standing_at(room, f"{kind} 1", None), style).tobytes() for kind in PLACES
    }
    assert len(frames) == len(PLACES)
    for labels in ("names", "numbers"):
        picture = AlfworldPicture(ThemeChoice(theme, size=size), labels=labels)
        held = {
            painted(picture, State(replace(room, holding=Thing(f"{kind} 1"))), style).tobytes()
            for kind in THINGS
        }
        assert len(held) == len(THINGS)


def test_facts_are_what_the_picture_shows() -> None:
    picture = AlfworldPicture(ThemeChoice())
    room = room_of({"fridge": 1, "sofa": 1})
    style = picture.style(State(room), Presentation("alfworld/x", 0))
    assert picture.facts(State(room), style) == {
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
    facts = picture.facts(State(scene), style)
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
    assert picture.facts(closed, style)["door"] == "closed"
    assert picture.facts(State(scene), style) is not picture.facts(State(scene), style)


def test_names_can_be_left_off_but_numbers_stay() -> None:
    room = room_of(KITCHEN)
    full, bare = AlfworldPicture(ThemeChoice()), AlfworldPicture(ThemeChoice(), labels="numbers")
    one, other = (standing_at(room, "countertop 1", (Thing(f"mug {n}"),)) for n in (1, 2))
    assert not np.array_equal(painted(full, one), painted(bare, one))
    assert not np.array_equal(painted(bare, one), painted(bare, other))
    assert np.array_equal(painted(full, State(room)), painted(bare, State(room)))


@every_size
def test_unknown_kinds_are_drawn_with_their_names(size: int) -> None:
    room = room_of({"sofa": 1, "hammock": 2})
    picture = AlfworldPicture(ThemeChoice(size=size))
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
            one = AlfworldPicture(ThemeChoice(members[number % len(members)]))
            frames = [
                painted(p, SIGHTS["open"], number=number)
                for p in (AlfworldPicture(ThemeChoice(group)), one)
            ]
            assert np.array_equal(*frames)


def test_jitter_moves_the_parts_and_nothing_else() -> None:
    state = SIGHTS["surface"]
    plain, moved = AlfworldPicture(ThemeChoice()), AlfworldPicture(ThemeChoice(jitter=5))
    assert np.array_equal(painted(plain, state, number=1), painted(plain, state, number=2))
    frames = {painted(moved, state, number=number).tobytes() for number in range(20)}
    assert len(frames) == 20


def test_unknown_labels_are_refused_in_one_line() -> None:
    with pytest.raises(ValueError) as error:
        AlfworldPicture(ThemeChoice(), labels="number")
    message = str(error.value)
    assert message.startswith('unknown labels "number"; did you mean "numbers"?')
    assert "\n" not in message


PROGRAM = """
import hashlib, sys
import numpy as np
from vlbench.instances import Presentation
from vlbench.tasks.alfworld.drawing.picture import AlfworldPicture
from vlbench.tasks.alfworld.scene import Place, Scene, Thing
from vlbench.themes import ThemeChoice
class State:
    scene = Scene(1, (Place("bed 1", 0, 0), Place("desk 1", 1, 2, contents=(
        Thing("apple 1", frozenset({"hot", "clean"})), Thing("book 1")))), "desk 1", Thing("cd 1"))
digest = hashlib.sha256()
for number in range(7):
    picture = AlfworldPicture(ThemeChoice("heldout" if number % 2 else "train", 5))
    frame = np.empty((300, 300, 3), np.uint8)
    style = picture.style(State, Presentation("alfworld/3", number))
    picture.paint(frame, State, style)
    digest.update(frame)
assert "PIL.ImageFont" not in sys.modules and "PIL.ImageDraw" not in sys.modules
assert "alfworld" not in sys.modules
print(digest.hexdigest())
"""


def test_two_processes_draw_the_same_and_open_no_font() -> None:
    assert len(printed_by_two_processes(PROGRAM)) == 1
