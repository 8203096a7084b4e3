"""The look of ALFWorld's pictures in each theme: colours, fonts and zones."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import numpy as np

from vlbench.sprites import Font, Sprite, load_font, place
from vlbench.tasks.alfworld.drawing.icons import Tint, compose, icon, tinted
from vlbench.tasks.alfworld.drawing.lengths import Lengths, lengths_of
from vlbench.themes import Colour, Theme

NATURAL: Tint = ((256, 0, 0), (0, 256, 0), (0, 0, 256))
FLOORS: Mapping[str, tuple[Colour, Tint]] = {
    "classic": ((236, 222, 196), NATURAL),
    "midnight": ((168, 184, 220), ((180, 40, 36), (30, 190, 36), (20, 60, 200))),
    "parchment": ((222, 190, 140), ((250, 20, 0), (20, 220, 0), (20, 40, 170))),
    "slate": ((204, 211, 216), ((170, 60, 26), (60, 160, 46), (56, 60, 140))),
    "typewriter": ((250, 248, 240), ((77, 150, 29), (77, 150, 29), (77, 150, 29))),
    "storybook": ((244, 206, 216), ((210, 40, 20), (20, 120, 110), (60, 60, 150))),
    "comic": ((255, 226, 120), ((100, 20, 140), (130, 60, 70), (140, 110, 20))),
    "gazette": ((250, 214, 190), ((200, 60, 10), (40, 200, 20), (30, 60, 190))),
    "circuit": ((190, 240, 214), ((120, 60, 40), (20, 190, 50), (70, 40, 180))),
}
"""Theme → colour of the floor and tint of the furniture; `generated_floor` has those of others."""

MATERIALS: Mapping[str, Colour] = {
    **dict.fromkeys(("fridge", "toilet"), (214, 236, 246)),
    **dict.fromkeys(("sinkbasin", "bathtubbasin"), (196, 226, 238)),
    **dict.fromkeys(("microwave", "safe", "garbagecan", "toaster"), (196, 202, 206)),
    **dict.fromkeys(("stoveburner", "coffeemachine", "cart"), (184, 190, 196)),
    **dict.fromkeys(("countertop", "towelholder", "handtowelholder"), (206, 214, 214)),
    **dict.fromkeys(("bed", "ottoman", "laundryhamper"), (206, 212, 240)),
    **dict.fromkeys(("sofa", "armchair"), (226, 204, 192)),
}
"""Kind of receptacle → colour behind its contents; others are of wood."""
WOOD: Final[Colour] = (224, 190, 144)


Point = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Zone:
    """A rectangle of the frame, in pixels."""

    x: int
    y: int
    width: int
    height: int

    @property
    def place(self) -> tuple[slice, slice]:
        """Its rows and columns."""
        return place(self.x, self.y, self.width, self.height)


@dataclass(frozen=True, slots=True)
class Zones:
    """The parts of a frame; together they cover it."""

    location: Zone
    hand: Zone
    view: Zone
    """The room, or the receptacle in front of the player."""
    roll: Zone
    """The list of the room's receptacles."""


@dataclass(frozen=True, slots=True, eq=False)
class RoomTheme:
    """The part of a theme that ALFWorld's pictures use."""

    layout: str
    paper: Colour
    ink: Colour
    floor: Colour
    tint: Tint
    title: Font
    name: Font
    lengths: Lengths


@lru_cache(maxsize=256)
def material(theme: RoomTheme, kind: str) -> Colour:
    """Return the background colour of a receptacle's contents."""
    colour = np.asarray(MATERIALS.get(kind, WOOD), np.int32)
    mixed = (np.asarray(theme.tint, np.int32) @ colour + 128) // 256
    red, green, blue = (min(int(shade), 255) for shade in mixed)
    return red, green, blue


def generated_floor(theme: Theme) -> tuple[Colour, Tint]:
    """Return the colour of the floor and the tint of the furniture of a generated look.

    The floor is the table in a light shade. The furniture is seen in the light of the card's back.
    """
    red, green, blue = (255 - (255 - part) // 4 for part in theme.table)
    warm, fresh, cool = (256 - (255 - part) // 3 for part in theme.back)
    return (red, green, blue), ((warm, 0, 0), (0, fresh, 0), (0, 0, cool))


@lru_cache
def room_theme(theme: Theme) -> RoomTheme:
    """Return the part of a theme that ALFWorld's pictures use, loaded once per process."""
    floor, tint = FLOORS.get(theme.name) or generated_floor(theme)
    return RoomTheme(
        layout=theme.layout,
        paper=theme.paper,
        ink=theme.paper_ink,
        floor=floor,
        tint=tint,
        title=load_font(theme, "title", paper=True),
        name=load_font(theme, "name", paper=True),
        lengths=lengths_of(theme.size),
    )


def solid(width: int, height: int, colour: Colour) -> Sprite:
    """Return a rectangle of one colour, to draw on."""
    sprite = np.empty((height, width, 3), np.uint8)
    sprite[:] = colour
    return sprite


def beneath(upper: Sprite, lower: Sprite, ground: Colour) -> Sprite:
    """Return two sprites, one above the other, centred."""
    (top, wide, _), (bottom, wide_too, _) = upper.shape, lower.shape
    sprite = solid(max(wide, wide_too), top + bottom, ground)
    sprite[:top, (sprite.shape[1] - wide) // 2 :][:, :wide] = upper
    sprite[top:, (sprite.shape[1] - wide_too) // 2 :][:, :wide_too] = lower
    return sprite


def beside(left: Sprite, right: Sprite, ground: Colour) -> Sprite:
    """Return two sprites side by side, centred."""
    (high, wide, _), (high_too, wide_too, _) = left.shape, right.shape
    sprite = solid(wide + wide_too, max(high, high_too), ground)
    sprite[(sprite.shape[0] - high) // 2 :, :wide][:high] = left
    sprite[(sprite.shape[0] - high_too) // 2 :, wide:][:high_too] = right
    return sprite


def broken(widths: Sequence[int], room: int, gap: int) -> list[list[int]]:
    """Return indices of boxes, broken into lines like words of a text."""
    lines: list[list[int]] = []
    free = 0
    for i, width in enumerate(widths):
        if not lines or free < width:
            lines.append([])
            free = room
        lines[-1].append(i)
        free -= width + gap
    return lines


@lru_cache(maxsize=1024)
def slip(theme: RoomTheme, text: str) -> Sprite:
    """Return a name on a slip of paper."""
    words = theme.name.draw(text)
    height, width, _ = words.shape
    side, edge = theme.lengths.slip_side, theme.lengths.slip_edge
    sprite = solid(width + 2 * side, height + 2 * edge, theme.paper)
    sprite[edge:-edge, side:-side] = words
    return sprite


@lru_cache(maxsize=1024)
def place_icon(theme: RoomTheme, kind: str, opened: bool, size: int) -> Sprite:
    """Return a receptacle's icon on a tile of floor."""
    name = f"place/{kind}-open" if opened else f"place/{kind}"
    return compose(solid(size, size, theme.floor), tinted(icon(name, size), theme.tint))


def zones(lengths: Lengths, layout: str, roll_height: int, jitter: int) -> Zones:
    """Return the zones of a frame.

    Args:
        lengths: The lengths of the picture.
        layout: A theme's layout.
        roll_height: Height of the list of receptacles if it spans the frame, in pixels.
        jitter: The largest shift of the bar's content, in pixels.
    """
    size, side, bar = lengths.frame, lengths.hand, lengths.bar + jitter
    if layout == "columns":
        width = size - lengths.column - jitter
        view, roll = (
            Zone(0, bar, width, size - bar),
            Zone(width, bar, size - width, size - bar),
        )
        return Zones(Zone(side, 0, size - side, bar), Zone(0, 0, side, bar), view, roll)
    middle = size - bar - roll_height
    if layout == "mirrored":
        top = size - bar
        location, hand = Zone(0, top, size - side, bar), Zone(size - side, top, side, bar)
        view, roll = Zone(0, 0, size, middle), Zone(0, middle, size, roll_height)
        return Zones(location, hand, view, roll)
    if layout == "inverted":
        top = size - bar
        location, hand = Zone(side, top, size - side, bar), Zone(0, top, side, bar)
        return Zones(
            location, hand, Zone(0, roll_height, size, middle), Zone(0, 0, size, roll_height)
        )
    location, hand = Zone(0, 0, size - side, bar), Zone(size - side, 0, side, bar)
    if layout == "offset":
        location, hand = Zone(side, 0, size - side, bar), Zone(0, 0, side, bar)
    if layout == "roomy":
        view, roll = Zone(0, bar + roll_height, size, middle), Zone(0, bar, size, roll_height)
    else:
        view, roll = Zone(0, bar, size, middle), Zone(0, bar + middle, size, roll_height)
    return Zones(location, hand, view, roll)
