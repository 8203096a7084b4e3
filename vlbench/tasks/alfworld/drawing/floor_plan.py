"""The view from the middle of the room: a plan with a marker per receptacle, and a list of names.

A marker shows a receptacle's kind as an icon and its name or, in a crowded room, its number. In the
most crowded rooms neighbours of a kind share a marker. The list gives each kind's name and numbers
("cabinet 1-28"), so every name can be read.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Final

import numpy as np
import numpy.typing as npt

from vlbench.sprites import Sprite
from vlbench.tasks.alfworld.drawing.lengths import Lengths
from vlbench.tasks.alfworld.drawing.style import (
    Point,
    RoomTheme,
    beneath,
    beside,
    broken,
    place_icon,
    slip,
    solid,
)
from vlbench.tasks.alfworld.scene import Place

FULL: Final = 0.5
"""Largest fraction of the plan that markers may cover, so that they stay near their places."""
NUMBERS_IN_A_LINE: Final = 4
SHARED: Final = 8
"""Most receptacles that share a marker."""


@dataclass(frozen=True, slots=True)
class Form:
    """A size, label and grouping of markers."""

    size: int
    """Size of the icons, in pixels."""
    with_name: bool
    """Whether the name goes under the icon, instead of the number beside it."""
    reach: float
    """Neighbours of a kind closer than this share a marker, in metres."""


FORMS: Final = (
    Form(48, True, 0),
    Form(32, True, 0),
    Form(24, True, 0),
    Form(32, False, 0),
    Form(24, False, 0),
    Form(24, False, 0.5),
    Form(16, False, 0),
    Form(16, False, 0.5),
    Form(16, False, 0.8),
    Form(16, False, 1.2),
    Form(16, False, 2),
    Form(16, False, 1000),
)
"""Forms by preference, in pixels of SIZE: the first in which a room's markers fit."""


@lru_cache
def sized_forms(lengths: Lengths) -> tuple[Form, ...]:
    """Return `FORMS` in the pixels of a picture."""
    return tuple(replace(form, size=lengths.px(form.size)) for form in FORMS)


@dataclass(frozen=True, slots=True)
class Group:
    """Receptacles that share a marker."""

    kind: str
    numbers: tuple[int, ...]
    x: float
    """Mean position to the right, in metres."""
    z: float
    """Mean position up, in metres."""


@lru_cache(maxsize=1024)
def marker(
    theme: RoomTheme, kind: str, numbers: tuple[int, ...], icon_size: int, with_name: bool
) -> Sprite:
    """Return the marker of receptacles of a kind."""
    icon_sprite = place_icon(theme, kind, False, icon_size)
    if with_name:
        (number,) = numbers
        return beneath(icon_sprite, slip(theme, f"{kind} {number}"), theme.floor)
    lines = [
        slip(theme, " ".join(map(str, numbers[i : i + NUMBERS_IN_A_LINE])))
        for i in range(0, len(numbers), NUMBERS_IN_A_LINE)
    ]
    line_height, width = lines[0].shape[0], max(line.shape[1] for line in lines)
    number_panel = solid(width, line_height * len(lines), theme.paper)
    for i, line in enumerate(lines):
        number_panel[i * line_height :][:line_height, : line.shape[1]] = line
    return beside(icon_sprite, number_panel, theme.floor)


@lru_cache(maxsize=16)
def grouped(places: tuple[Place, ...], reach: float) -> tuple[Group, ...]:
    """Return groups of receptacles of a kind, each within `reach` metres of another one."""
    groups: dict[str, list[list[Place]]] = {}
    for place in places:
        kin = groups.setdefault(place.kind, [])
        for group in kin:
            if len(group) < SHARED and any(
                (place.x - other.x) ** 2 + (place.z - other.z) ** 2 < reach**2 for other in group
            ):
                group.append(place)
                break
        else:
            kin.append([place])
    return tuple(
        Group(
            kind,
            tuple(sorted(int(parts(place.name)[1]) for place in group)),
            sum(place.x for place in group) / len(group),
            sum(place.z for place in group) / len(group),
        )
        for kind, kin in groups.items()
        for group in kin
    )


@lru_cache(maxsize=32)
def room(theme: RoomTheme, places: tuple[Place, ...], width: int, height: int) -> Sprite:
    """Return a room's plan with walls; markers don't overlap and stay near their places.

    Args:
        theme: The theme.
        places: The receptacles; a plan shows neither their doors nor their contents.
        width: Width with the walls, in pixels.
        height: Height with the walls, in pixels.

    Raises:
        ValueError: The frame has no room for so many kinds of receptacles.
    """
    gap, wall, lattice = theme.lengths.gap, theme.lengths.wall, theme.lengths.lattice
    edge = wall + gap
    across, down = width - 2 * edge, height - 2 * edge
    forms = sized_forms(theme.lengths)
    for form in forms:
        groups = grouped(places, form.reach)
        sprites = [
            marker(theme, group.kind, group.numbers, form.size, form.with_name) for group in groups
        ]
        sizes = [(sprite.shape[1] + gap, sprite.shape[0] + gap) for sprite in sprites]
        covered = sum(wide * high for wide, high in sizes)
        if covered > FULL * across * down and form is not forms[-1]:
            continue
        corners = spread_markers(groups, sizes, across + gap, down + gap, lattice)
        if corners:
            break
    else:
        raise ValueError(f"no room for {len(places)} receptacles in a picture")
    sprite = solid(width, height, theme.ink)
    sprite[wall:-wall, wall:-wall] = theme.floor
    for stamp, (x, y) in zip(sprites, corners, strict=True):
        sprite[edge + y :, edge + x :][: stamp.shape[0], : stamp.shape[1]] = stamp
    return sprite


def spread_markers(
    groups: Sequence[Group], sizes: Sequence[Point], width: int, height: int, lattice: int
) -> tuple[Point, ...]:
    """Return corners of disjoint rectangles, each as near its site as earlier ones allow.

    The tallest come first, then rare kinds, since they are landmarks. All stand on a lattice
    of this step, in pixels. Empty if there is no room.
    """
    kinds = [group.kind for group in groups]
    order = sorted(
        range(len(groups)), key=lambda i: (-sizes[i][1], kinds.count(kinds[i]), kinds[i], i)
    )
    across = _share([group.x for group in groups])
    down = _share([-group.z for group in groups])
    columns, rows = width // lattice + 1, height // lattice + 1
    x, y = np.arange(columns) * lattice, np.arange(rows) * lattice
    corners: list[Point] = [(0, 0)] * len(groups)
    done: list[int] = []
    for i in order:
        wide, high = sizes[i]
        if wide > width or high > height:
            return ()
        want_x, want_y = round(across[i] * (width - wide)), round(down[i] * (height - high))
        far: npt.NDArray[np.int64] = (y - want_y)[:, None] ** 2 + (x - want_x) ** 2
        far[y + high > height] = far[:, x + wide > width] = _BLOCKED
        for other in done:
            (left, top), (other_wide, other_high) = corners[other], sizes[other]
            rows_met = slice(max((top - high) // lattice + 1, 0), -(-(top + other_high) // lattice))
            columns_met = slice(
                max((left - wide) // lattice + 1, 0), -(-(left + other_wide) // lattice)
            )
            far[rows_met, columns_met] = _BLOCKED
        nearest = int(far.argmin())
        if far.flat[nearest] == _BLOCKED:
            return ()
        corners[i] = int(x[nearest % columns]), int(y[nearest // columns])
        done.append(i)
    return tuple(corners)


_BLOCKED: Final = 2**40


def _share(values: Sequence[float]) -> list[float]:
    """Return each value rescaled so that the smallest is 0 and the largest 1."""
    least, span = min(values), max(values) - min(values)
    return [(value - least) / span if span else 0.5 for value in values]


def parts(name: str) -> tuple[str, str]:
    """Return a name's kind and number."""
    kind, _, number = name.rpartition(" ")
    return kind, number


def numbers_of(names: Sequence[str]) -> dict[str, str]:
    """Return each kind's numbers as ranges, e.g. {"cabinet": "1-4", "shelf": "1-2 5"}."""
    kinds: dict[str, list[int]] = {}
    for name in names:
        kind, number = parts(name)
        kinds.setdefault(kind, []).append(int(number))
    texts = {}
    for kind, numbers in sorted(kinds.items()):
        runs: list[list[int]] = []
        for one in sorted(numbers):
            if runs and runs[-1][1] == one - 1:
                runs[-1][1] = one
            else:
                runs.append([one, one])
        texts[kind] = " ".join(f"{a}-{b}" if a < b else str(a) for a, b in runs)
    return texts


@lru_cache(maxsize=256)
def roll(theme: RoomTheme, names: tuple[str, ...], width: int) -> Sprite:
    """Return the list of a room's receptacles: each kind's icon, name and numbers."""
    gap, high = theme.lengths.gap, theme.lengths.line
    entries = [
        beside(place_icon(theme, kind, False, high), slip(theme, f"{kind} {numbers}"), theme.paper)
        for kind, numbers in numbers_of(names).items()
    ]
    lines = broken([entry.shape[1] for entry in entries], width, gap)
    sheet = solid(width, high * len(lines), theme.paper)
    for row, members in enumerate(lines):
        x = 0
        for i in members:
            part = entries[i][:, : width - x]
            sheet[high * row :, x:][:high, : part.shape[1]] = part
            x += part.shape[1] + gap
    return sheet
