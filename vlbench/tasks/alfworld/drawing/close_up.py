"""The receptacle in front of the player: its kind, whether it is open, and its contents."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Final

from vlbench.sprites import Blit, Sprite, blit
from vlbench.tasks.alfworld.drawing.icons import compose, has_icon, icon
from vlbench.tasks.alfworld.drawing.lengths import Lengths
from vlbench.tasks.alfworld.drawing.style import (
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
BOARDED: Final = frozenset({"cabinet", "cart", "fridge", "shelf"})
"""Kinds of receptacles with boards under their contents."""


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
"""Forms by preference, in pixels of SIZE: the first that fits all objects, else the last."""


@lru_cache
def sized_forms(lengths: Lengths) -> tuple[Form, ...]:
    """Return `FORMS` in the pixels of a picture."""
    return tuple(replace(form, size=lengths.px(form.size)) for form in FORMS)


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
def arrange(
    lengths: Lengths, widths: tuple[int, ...], line: int, width: int, height: int
) -> Arrangement:
    """Return the layout of objects with labels of these widths.

    Args:
        lengths: The lengths of the picture.
        widths: Widths of the labels, in pixels.
        line: Height of a label, in pixels.
        width: Width of the area, in pixels.
        height: Height of the area, in pixels.
    """
    gap, forms = lengths.gap, sized_forms(lengths)
    fits = (form for form in forms if _height(lengths, form, widths, line, width) <= height)
    form = next(fits, forms[-1])
    boxes = [form.width(label) for label in widths]
    lines = broken(boxes, width, gap)
    down = form.height(line)
    pitch = min((height - down) // max(len(lines) - 1, 1), down + 4 * gap)
    top = (height - pitch * (len(lines) - 1) - down) // 2
    corners = []
    for row, members in enumerate(lines):
        free = width - sum(boxes[i] for i in members)
        step = min(max(free // len(members), gap), 8 * gap)
        x = (free - step * (len(members) - 1)) // 2
        for i in members:
            corners.append((x, top + row * pitch))
            x += boxes[i] + step
    return Arrangement(form, tuple(corners))


def _height(lengths: Lengths, form: Form, widths: Sequence[int], line: int, width: int) -> int:
    """Return the height of all objects in a form, in pixels."""
    lines = len(broken([form.width(label) for label in widths], width, lengths.gap))
    return lines * (form.height(line) + lengths.clear) - lengths.clear


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
    ground, lengths = material(theme, place.kind), theme.lengths
    slips = [slip(theme, text).shape for text in labels]
    line = slips[0][0]
    side, foot = (part + lengths.clear for part in borders(lengths, is_open(place)))
    width, height = view.width - 2 * side - jitter, view.height - side - foot - jitter
    stand = arrange(lengths, tuple(shape[1] for shape in slips), line, width, height)
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


def borders(lengths: Lengths, opened: bool) -> tuple[int, int]:
    """Return the thickness of a receptacle's top and sides, and of its lower side, in pixels."""
    return (lengths.rim, lengths.rim) if opened else (lengths.outline, lengths.edge)


def is_open(place: Place) -> bool:
    """Return whether a receptacle has a door and it is open."""
    return place.openable and place.opened


@lru_cache(maxsize=64)
def board(theme: RoomTheme, kind: str, width: int) -> Sprite:
    """Return a board for objects to stand on."""
    return solid(width, theme.lengths.board, sides(theme, kind))


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
        large = theme.lengths.large
        x, y = (width - large) // 2, (height - large) // 2
        sprite[y : y + large, x : x + large] = place_icon(theme, kind, opened, large)
        return sprite
    sprite = solid(width, height, sides(theme, kind))
    side, foot = borders(theme.lengths, opened)
    sprite[side:-foot, side:-side] = material(theme, kind)
    return sprite
