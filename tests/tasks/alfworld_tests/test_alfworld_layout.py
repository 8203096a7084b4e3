"""ALFWorld's layouts: icons, markers and names fit without overlap or clipping."""

import importlib.util
import itertools
import json
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from support.alfworld_rooms import (
    KITCHEN,
    OPENABLE,
    PLACES,
    THINGS,
    State,
    every_theme,
    painted,
    room_of,
    some_things,
)
from support.pictures import every_look_and_size, every_size

from vlbench.tasks.alfworld.drawing.close_up import things
from vlbench.tasks.alfworld.drawing.floor_plan import (
    FORMS,
    grouped,
    numbers_of,
    roll,
    spread_markers,
)
from vlbench.tasks.alfworld.drawing.icons import SIZES, has_icon, icon
from vlbench.tasks.alfworld.drawing.picture import AlfworldPicture
from vlbench.tasks.alfworld.drawing.style import room_theme, slip, zones
from vlbench.tasks.alfworld.scene import Place, Scene
from vlbench.themes import THEMES, ThemeChoice, find_theme
from vlbench.themes.theme import resized


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
    spec = importlib.util.find_spec("alfworld")
    if spec is None or not spec.submodule_search_locations:
        pytest.skip("needs the extra `alfworld`")
    path = Path(spec.submodule_search_locations[0]) / "gen" / "constants.py"
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
@every_size
def test_all_120_floor_plans_have_room_for_their_receptacles(theme: str, size: int) -> None:
    constants = engine_constants()
    folder = Path(constants.__file__ or "").parent / "layouts"
    plans = sorted(folder.glob("FloorPlan*-openable.json"))
    assert len(plans) == 120
    for path in plans:
        sites: dict[str, list[tuple[float, float]]] = {}
        for key in json.loads(path.read_text()):
            kind, x, _, z, *part = key.split("|")
            sites.setdefault((part or [kind])[0].lower(), []).append((float(x), float(z)))
        # A receptacle without a position goes near another one.
        for kind in ("garbagecan", "coffeemachine", "toaster"):
            sites.setdefault(kind, sites[min(sites)][:1])
        sites["stoveburner"] = sites[min(sites)][:1] * 4
        places = tuple(
            Place(f"{kind} {number}", *site)
            for kind, places in sites.items()
            for number, site in enumerate(places, 1)
        )
        for jitter in (0, 5):
            painted(AlfworldPicture(ThemeChoice(theme, jitter, size)), State(Scene(1, places)))


def test_numbers_of_kinds_are_shortened_to_runs() -> None:
    names = ["shelf 2", "cabinet 3", "cabinet 1", "cabinet 2", "shelf 5", "fridge 1", "shelf 6"]
    assert numbers_of(names) == {"cabinet": "1-3", "fridge": "1", "shelf": "2 5-6"}


@every_look_and_size
def test_no_name_is_cut(theme: str, picture_size: int) -> None:
    style = room_theme(resized(find_theme(theme), picture_size))
    lengths = style.lengths
    shift, bar = lengths.px(5), picture_size - lengths.hand - lengths.text
    spread_out = {"cabinet": 28, "drawer": 27, "shelf": 14, "stoveburner": 6}
    for kind in PLACES:
        names = tuple(f"{kind} {n}" for n in range(1, spread_out.get(kind, 2) + 1))
        wide = roll(style, names, picture_size)
        width = lengths.column if style.layout == "columns" else picture_size - shift
        width -= 2 * lengths.margin
        assert np.array_equal(wide[:, :width], roll(style, names, width))
        assert not (wide[:, width:] != style.paper).any(), f"{names[-1]} is cut"
        assert style.name.draw(names[-1]).shape[1] <= bar - shift
    assert style.name.draw("middle of the room").shape[1] <= bar - shift
    for thing in THINGS:
        assert slip(style, f"{thing} 3").shape[1] <= lengths.hand - shift


@every_look_and_size
def test_no_line_of_text_is_cut_or_touches_the_next(theme: str, picture_size: int) -> None:
    style = room_theme(resized(find_theme(theme), picture_size))
    lengths, high = style.lengths, slip(style, "q 1").shape[0]
    assert high <= lengths.line
    assert lengths.title + style.title.height <= lengths.words
    assert lengths.words + style.name.height <= lengths.bar
    assert lengths.alone + style.title.height <= lengths.bar
    assert lengths.top + lengths.held <= lengths.label
    assert lengths.label + high <= lengths.bar


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
    """Check that rectangles (x, y, width, height) are disjoint and inside a larger one."""
    for x, y, wide, high in boxes:
        assert x >= 0 and y >= 0 and x + wide <= width and y + high <= height, (x, y, wide, high)
    for (x, y, wide, high), (x2, y2, wide2, high2) in itertools.combinations(boxes, 2):
        assert x + wide <= x2 or x2 + wide2 <= x or y + high <= y2 or y2 + high2 <= y


@pytest.mark.parametrize("seed", range(20))
def test_markers_lie_apart_and_alone_ones_at_their_places(seed: int) -> None:
    groups = grouped(room_of(KITCHEN, seed).places, 0)
    sizes = [(24, 14)] * len(groups)
    corners = spread_markers(groups, sizes, 290, 150, 2)
    apart([(x, y, *size) for (x, y), size in zip(corners, sizes, strict=True)], 290, 150)
    alone = spread_markers(groups[:1], sizes[:1], 290, 150, 2)
    assert alone == ((132, 68),)
    assert spread_markers(groups, [(60, 40)] * len(groups), 290, 150, 2) == ()


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
    assert spread_markers(groups, [(20, 10)] * 4, 120, 110, 2) == (
        (0, 0),
        (100, 0),
        (100, 100),
        (50, 50),
    )


@pytest.mark.parametrize("count", [1, 2, 5, 9, 12, 16, 20])
@every_theme
@every_size
def test_things_lie_apart_and_in_view_in_the_fullest_kitchen(
    theme: str, count: int, size: int
) -> None:
    style = room_theme(resized(THEMES[theme], size))
    lengths, shift = style.lengths, style.lengths.px(5)
    high = lengths.line * 5 + 2 * lengths.margin + shift
    view = zones(lengths, style.layout, high, shift).view
    for seed in range(10):
        contents = some_things(count, seed)
        place = Place("countertop 1", 0, 0, contents=contents)
        labels = [thing.name for thing in contents]
        blits = things(style, place, labels, replace(view, x=0, y=0), (shift, shift), shift)
        boxes = [(c.start, r.start, sprite.shape[1], sprite.shape[0]) for (r, c), sprite in blits]
        assert len(boxes) == count
        apart(boxes, view.width, view.height)


def test_the_smallest_markers_group_the_whole_room() -> None:
    assert FORMS[-1].reach > 100, "the last form must fit in any room"
