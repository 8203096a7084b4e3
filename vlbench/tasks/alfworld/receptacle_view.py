"""What the player stands at, from the front, and what is in hand."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import numpy as np

from vlbench.atlas import Blit, Sprite, blit
from vlbench.tasks.alfworld.icons import has_icon, icon, laid
from vlbench.tasks.alfworld.room_style import GAP, RoomStyle, padded, solid
from vlbench.tasks.alfworld.room_view import Point, parts, place_icon
from vlbench.tasks.alfworld.scene import Place, Thing
from vlbench.themes import Colour


@dataclass(frozen=True, slots=True)
class Form:
    """A way of drawing things."""

    size: int
    """Of the icons, in pixels; 0 for labels alone."""
    beside: bool
    """Whether the label stands beside the icon, or under it."""

    def width(self, label: int) -> int:
        """Return the width of a thing whose label has some width."""
        return self.size + label if self.beside else max(self.size, label)

    def height(self, label: int) -> int:
        """Return the height of a thing whose label has some height."""
        return max(self.size, label) if self.beside else self.size + label


FORMS: Final = (
    Form(48, beside=False),
    Form(32, beside=False),
    Form(32, beside=True),
    Form(24, beside=False),
    Form(24, beside=True),
    Form(16, beside=False),
    Form(16, beside=True),
)
"""The first in which all things fit is taken; or the last, if there are very many."""
CUES: Final = ("hot", "cold", "clean")
"""States that a sign laid over a thing shows; "lit" things have an icon of their own."""
LARGE: Final = 112
"""Size of a receptacle that is closed or empty."""
RIM: Final = 8
"""Thickness of a receptacle's sides."""


@lru_cache(maxsize=1024)
def thing_sprite(style: RoomStyle, thing: Thing, text: str, ground: Colour, form: Form) -> Sprite:
    """Return a thing with the signs of its states and a label."""
    label, size = style.label(text), form.size
    height, width, _ = label.shape
    drawing = thing_icon(thing, size, ground)
    sprite = solid(form.width(width), form.height(height), ground)
    if form.beside:
        sprite[(sprite.shape[0] - size) // 2 :, :size][:size] = drawing
        sprite[(sprite.shape[0] - height) // 2 :, size:][:height] = label
    else:
        sprite[:size, (sprite.shape[1] - size) // 2 :][:, :size] = drawing
        sprite[size:, (sprite.shape[1] - width) // 2 :][:, :width] = label
    return sprite


def thing_icon(thing: Thing, size: int, ground: Colour) -> Sprite:
    """Return a thing's icon with the signs of its states."""
    name = f"thing/{thing.kind}"
    if "lit" in thing.states and has_icon(f"{name}-lit"):
        name += "-lit"
    cues = [icon(f"cue/{cue}", size) for cue in CUES if cue in thing.states]
    return laid(solid(size, size, ground), icon(name, size), *cues)


@dataclass(frozen=True, slots=True)
class Arrangement:
    """How some things stand."""

    form: Form
    corners: tuple[Point, ...]
    """Upper left, in pixels."""


@lru_cache(maxsize=1024)
def arrange(widths: tuple[int, ...], line: int, width: int, height: int) -> Arrangement:
    """Return how things stand that have labels of some widths.

    Args:
        widths: Of their labels, in pixels.
        line: Height of a label.
        width: Of where they go.
        height: The same.
    """
    fits = (form for form in FORMS if _height(form, widths, line, width) <= height)
    form = next(fits, FORMS[-1])
    boxes = [form.width(label) for label in widths]
    lines = _lines(boxes, width)
    down = form.height(line)
    pitch = min((height - down) // max(len(lines) - 1, 1), down + 4 * GAP)
    top = (height - pitch * (len(lines) - 1) - down) // 2
    corners = []
    for row, members in enumerate(lines):
        free = width - sum(boxes[i] for i in members)
        gap = min(free // len(members), 8 * GAP)
        x = (free - gap * (len(members) - 1)) // 2
        for i in members:
            corners.append((x, top + row * pitch))
            x += boxes[i] + gap
    return Arrangement(form, tuple(corners))


def _height(form: Form, widths: Sequence[int], line: int, width: int) -> int:
    """Return how high things stand in a form."""
    lines = len(_lines([form.width(label) for label in widths], width))
    return lines * (form.height(line) + GAP) - GAP


def _lines(boxes: Sequence[int], width: int) -> list[list[int]]:
    """Return the indices of boxes, in as many lines as they need."""
    lines: list[list[int]] = []
    free = 0
    for i, box in enumerate(boxes):
        if not lines or free < box:
            lines.append([])
            free = width
        lines[-1].append(i)
        free -= box + GAP
    return lines


def things(
    style: RoomStyle, place: Place, labels: Sequence[str], width: int, height: int, inset: Point
) -> tuple[Blit, ...]:
    """Return what is seen in or on a receptacle.

    Args:
        style: How things look.
        place: The receptacle.
        labels: What to write at each thing.
        width: Of where the things go, in pixels.
        height: The same.
        inset: Where the upper left corner of that is.
    """
    contents = place.contents or ()
    if not contents:
        return ()
    ground = style.material(place.kind)
    slips = [style.label(text).shape for text in labels]
    stand = arrange(tuple(slip[1] for slip in slips), slips[0][0], width, height)
    return tuple(
        blit(
            thing_sprite(style, thing, text, ground, stand.form),
            x + inset[0],
            y + inset[1],
        )
        for thing, text, (x, y) in zip(contents, labels, stand.corners, strict=True)
    )


@lru_cache(maxsize=64)
def backdrop(
    style: RoomStyle, kind: str, opened: bool, filled: bool, width: int, height: int
) -> Sprite:
    """Return what stands behind the things, or the whole receptacle if it is closed or empty."""
    sprite = solid(width, height, style.floor)
    if not filled:
        x, y = (width - LARGE) // 2, (height - LARGE) // 2
        floor = sprite[y : y + LARGE, x : x + LARGE]
        sprite[y : y + LARGE, x : x + LARGE] = place_icon(style, kind, opened, LARGE, floor)
        return sprite
    ground = np.asarray(style.material(kind), np.uint16)
    sprite[:] = ground * 5 // 9
    if opened:
        sprite[RIM:-RIM, RIM:-RIM] = ground
    else:
        sprite[2 : -RIM - 4, 2:-2] = ground
    return sprite


@lru_cache(maxsize=256)
def location_sprite(
    style: RoomStyle, name: str, kind: str, state: str, width: int, height: int
) -> Sprite:
    """Return the bar's part that names where the player is.

    Args:
        style: How things look.
        name: The receptacle's name, or other words.
        kind: Its kind.
        state: "open", "closed" or "".
        width: In pixels.
        height: In pixels.
    """
    sprite = solid(width, height, style.paper)
    sprite[3:51, 3:51] = place_icon(style, kind, state == "open", 48, sprite[3:51, 3:51])
    title = style.title.draw(name)
    if title.shape[1] > width - 56:
        title = style.name.draw(name)
    top = 8 if state else 20
    sprite[top : top + title.shape[0], 56 : 56 + title.shape[1]] = title
    if state:
        word = style.name.draw(state)
        sprite[30 : 30 + word.shape[0], 56 : 56 + word.shape[1]] = word
    return sprite


@lru_cache(maxsize=256)
def hand_sprite(
    style: RoomStyle, thing: Thing | None, text: str, width: int, height: int
) -> Sprite:
    """Return the bar's part that shows what is in hand."""
    sprite = solid(width, height, style.paper)
    hand = icon("place/hand", 32)
    if thing is None:
        drawing = padded(laid(solid(32, 32, style.paper), hand), style.paper, 0, 0)
    else:
        drawing = solid(68, 32, style.paper)
        drawing[:, :32] = laid(drawing[:, :32], hand)
        drawing[:, 36:] = thing_icon(thing, 32, style.paper)
    label = style.label(text)
    left = (width - drawing.shape[1]) // 2
    sprite[3:35, left : left + drawing.shape[1]] = drawing
    left = (width - label.shape[1]) // 2
    sprite[36 : 36 + label.shape[0], left : left + label.shape[1]] = label
    return sprite


def label_of(thing: Thing, labels: str) -> str:
    """Return what is written at a thing: its name, or its number only."""
    return thing.name if labels == "names" else parts(thing.name)[1]
