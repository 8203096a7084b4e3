"""The receptacle in front of the player: its kind, whether it is open, and its contents."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from vlbench.sprites import Blit, Sprite, blit
from vlbench.tasks.alfworld.drawing.icons import compose, has_icon, icon
from vlbench.tasks.alfworld.drawing.style import (
    GAP,
    Point,
    RoomTheme,
    Zone,
    beneath,
    beside,
    broken,
    material,
    place_icon,
    slip,
    solid,
)
from vlbench.tasks.alfworld.scene import Place, Thing
from vlbench.themes import Colour

CUES: Final = ("hot", "cold", "clean")
"""States drawn as signs over an object; "lit" has its own icon."""
LARGE: Final = 112
"""Size of a closed or empty receptacle, in pixels."""
RIM: Final = 8
"""Thickness of a receptacle's sides, in pixels."""
FRAME: Final = 2
"""Thickness of a surface's outline, in pixels."""
EDGE: Final = 10
"""Height of a surface's front edge, in pixels."""
BOARDED: Final = frozenset({"cabinet", "cart", "fridge", "shelf"})
"""Kinds of receptacles with boards under their contents."""
CLEAR: Final = 1
"""Least space above and below a line of objects, in pixels."""
BOARD: Final = 1
"""Thickness of a board, in pixels."""


@dataclass(frozen=True, slots=True)
class Form:
    """A size and label position for objects."""

    size: int
    """Size of the icons, in pixels."""
    beside: bool
    """Whether the label goes beside the icon instead of under it."""

    def width(self, label: int) -> int:
        """Return the width of an object with a label of this width."""
        return self.size + label if self.beside else max(self.size, label)

    def height(self, label: int) -> int:
        """Return the height of an object with a label of this height."""
        return max(self.size, label) if self.beside else self.size + label


FORMS: Final = (
    Form(72, beside=False),
    Form(48, beside=False),
    Form(32, beside=False),
    Form(32, beside=True),
    Form(24, beside=False),
    Form(24, beside=True),
    Form(16, beside=False),
    Form(16, beside=True),
)
"""Forms by preference: the first that fits all objects, else the last."""


@dataclass(frozen=True, slots=True)
class Arrangement:
    """The layout of some objects."""

    form: Form
    corners: tuple[Point, ...]
    """Top-left corners, in pixels."""


def thing_icon(thing: Thing, size: int, ground: Colour) -> Sprite:
    """Return an object's icon with the signs of its states."""
    name = f"thing/{thing.kind}"
    if "lit" in thing.states and has_icon(f"{name}-lit"):
        name += "-lit"
    cues = [icon(f"cue/{cue}", size) for cue in CUES if cue in thing.states]
    return compose(solid(size, size, ground), icon(name, size), *cues)


@lru_cache(maxsize=1024)
def thing_sprite(theme: RoomTheme, thing: Thing, text: str, ground: Colour, form: Form) -> Sprite:
    """Return an object's icon with the signs of its states and a label."""
    join = beside if form.beside else beneath
    return join(thing_icon(thing, form.size, ground), slip(theme, text), ground)


@lru_cache(maxsize=1024)
def arrange(widths: tuple[int, ...], line: int, width: int, height: int) -> Arrangement:
    """Return the layout of objects with labels of these widths.

    Args:
        widths: Widths of the labels, in pixels.
        line: Height of a label, in pixels.
        width: Width of the area, in pixels.
        height: Height of the area, in pixels.
    """
    fits = (form for form in FORMS if _height(form, widths, line, width) <= height)
    form = next(fits, FORMS[-1])
    boxes = [form.width(label) for label in widths]
    lines = broken(boxes, width, GAP)
    down = form.height(line)
    pitch = min((height - down) // max(len(lines) - 1, 1), down + 4 * GAP)
    top = (height - pitch * (len(lines) - 1) - down) // 2
    corners = []
    for row, members in enumerate(lines):
        free = width - sum(boxes[i] for i in members)
        gap = min(max(free // len(members), GAP), 8 * GAP)
        x = (free - gap * (len(members) - 1)) // 2
        for i in members:
            corners.append((x, top + row * pitch))
            x += boxes[i] + gap
    return Arrangement(form, tuple(corners))


def _height(form: Form, widths: Sequence[int], line: int, width: int) -> int:
    """Return the height of all objects in a form, in pixels."""
    lines = len(broken([form.width(label) for label in widths], width, GAP))
    return lines * (form.height(line) + CLEAR) - CLEAR


def things(
    theme: RoomTheme, place: Place, labels: Sequence[str], view: Zone, shift: Point, jitter: int
) -> tuple[Blit, ...]:
    """Return the blits of a receptacle's visible contents.

    Args:
        theme: The theme.
        place: The receptacle.
        labels: The label of each object.
        view: The area of the receptacle.
        shift: Shift of the objects to the right and down, in pixels.
        jitter: The largest shift, in pixels.
    """
    if not place.contents:
        return ()
    ground = material(theme, place.kind)
    slips = [slip(theme, text).shape for text in labels]
    line = slips[0][0]
    side = (RIM if is_open(place) else FRAME) + CLEAR
    foot = (RIM if is_open(place) else EDGE) + CLEAR
    width, height = view.width - 2 * side - jitter, view.height - side - foot - jitter
    stand = arrange(tuple(shape[1] for shape in slips), line, width, height)
    left, top = view.x + side + shift[0], view.y + side + shift[1]
    stood = [
        blit(thing_sprite(theme, thing, text, ground, stand.form), x + left, y + top)
        for thing, text, (x, y) in zip(place.contents, labels, stand.corners, strict=True)
    ]
    if place.kind in BOARDED:
        plank = board(theme, place.kind, width)
        feet = sorted({y + stand.form.height(line) for _, y in stand.corners})
        stood += [blit(plank, left, y + top) for y in feet]
    return tuple(stood)


def is_open(place: Place) -> bool:
    """Return whether a receptacle has a door and it is open."""
    return place.openable and place.opened


@lru_cache(maxsize=64)
def board(theme: RoomTheme, kind: str, width: int) -> Sprite:
    """Return a board for objects to stand on."""
    return solid(width, BOARD, sides(theme, kind))


def sides(theme: RoomTheme, kind: str) -> Colour:
    """Return the colour of a receptacle's sides."""
    red, green, blue = (shade * 5 // 9 for shade in material(theme, kind))
    return red, green, blue


@lru_cache(maxsize=64)
def backdrop(
    theme: RoomTheme, kind: str, opened: bool, filled: bool, width: int, height: int
) -> Sprite:
    """Return the background of the objects, or the whole receptacle if it is closed or empty."""
    if not filled:
        sprite = solid(width, height, theme.floor)
        x, y = (width - LARGE) // 2, (height - LARGE) // 2
        sprite[y : y + LARGE, x : x + LARGE] = place_icon(theme, kind, opened, LARGE)
        return sprite
    sprite = solid(width, height, sides(theme, kind))
    side, foot = (RIM, RIM) if opened else (FRAME, EDGE)
    sprite[side:-foot, side:-side] = material(theme, kind)
    return sprite
