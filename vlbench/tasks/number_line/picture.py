"""The picture of NumberLine: two labelled numbers."""

from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

from vlbench.instances import Presentation
from vlbench.sprites import (
    Blit,
    Font,
    Place,
    background,
    draw_text,
    load_font,
    offsets,
    paste,
    place,
    text_blit,
)
from vlbench.task import Fact, Frame
from vlbench.tasks.number_line.game import NumberLineState
from vlbench.themes import Theme, ThemeChoice

RIGHT = 295
"""Right edge of all text without jitter, in pixels of SIZE."""


@dataclass(frozen=True, slots=True)
class Layout:
    """Top-left corners of the labels, in pixels of SIZE."""

    target: tuple[int, int]
    current: tuple[int, int]
    below: bool
    """Whether numbers go under their labels instead of to the right of them."""


CLASSIC = Layout((30, 60), (30, 180), below=False)
LAYOUTS = {
    "classic": CLASSIC,
    "roomy": CLASSIC,
    "inverted": Layout((12, 186), (24, 30), below=False),
    "columns": Layout((24, 160), (60, 18), below=True),
    "offset": Layout((14, 24), (48, 164), below=False),
    "mirrored": Layout((46, 8), (18, 158), below=True),
}


@dataclass(frozen=True, slots=True, eq=False)
class ThemeAssets:
    """The assets that all pictures of a theme share."""

    empty: Frame
    font: Font
    below: bool
    """As in `Layout`."""
    target: tuple[int, int]
    """Top-left corner of a label, in pixels."""
    current: tuple[int, int]
    right: int
    """Right edge of all text without jitter, in pixels."""


@dataclass(frozen=True, slots=True, eq=False)
class Slot:
    """The area of a number: to the right of its label, or under it if the number is too wide.

    A number's sprite fills the area and so overwrites any earlier number.
    """

    font: Font
    behind: Place
    room: int
    """Width to the right of the label, in pixels; 0 if numbers never go there."""
    under: Place
    under_room: int


class NumberLineStyle(NamedTuple):
    """An episode's theme, labels and target, and the slot of the current number."""

    assets: ThemeAssets
    titles: tuple[Blit, Blit]
    target: Blit
    current: Slot


@lru_cache
def theme_assets(theme: Theme) -> ThemeAssets:
    """Return a theme's shared assets, loaded once per process."""
    font = load_font(theme, "display", paper=True)
    layout, px = LAYOUTS[theme.layout], theme.px
    (x, y), (other_x, other_y) = layout.target, layout.current
    corners = (px(x), px(y)), (px(other_x), px(other_y))
    return ThemeAssets(
        background(theme.paper, theme.size), font, layout.below, *corners, right=px(RIGHT)
    )


class NumberLinePicture:
    """Draws NumberLine.

    Args:
        themes: The themes, and the largest shift of a line in pixels.
    """

    def __init__(self, themes: ThemeChoice) -> None:
        self._themes = themes
        self.size = themes.size

    def style(self, start: NumberLineState, presentation: Presentation) -> NumberLineStyle:
        """Choose the theme and the positions of both lines."""
        assets = theme_assets(self._themes.of(presentation))
        shifts = offsets(presentation, "lines", 2, self._themes.jitter, self.size)
        title, target = line(assets, "Target:", assets.target, shifts[0])
        other_title, current = line(assets, "Current:", assets.current, shifts[1])
        titles = title, other_title
        return NumberLineStyle(assets, titles, number_blit(target, start.target), current)

    def paint(self, frame: Frame, state: NumberLineState, style: NumberLineStyle) -> None:
        """Draw both labels and both numbers."""
        frame[:] = style.assets.empty
        current = number_blit(style.current, state.current)
        paste(frame, (*style.titles, style.target, current))

    def repaint(
        self,
        frame: Frame,
        state: NumberLineState,
        style: NumberLineStyle,
        previous: NumberLineState,
        previous_style: NumberLineStyle,
    ) -> bool:
        """Draw the numbers that differ; False if they are in other places than in the frame."""
        current = number_blit(style.current, state.current)
        if not _same_layout(style, current.place, previous, previous_style):
            return False
        if previous_style.target is not style.target:
            frame[style.target.place] = style.target.sprite
        frame[current.place] = current.sprite
        return True

    def facts(self, state: NumberLineState, style: NumberLineStyle) -> dict[str, Fact]:
        """Return both numbers."""
        return {"target": state.target, "current": state.current}


def _same_layout(
    style: NumberLineStyle,
    current: Place,
    previous: NumberLineState,
    previous_style: NumberLineStyle,
) -> bool:
    """Whether both numbers and both labels are in the same places as in the frame."""
    return (
        previous_style.titles[0] is style.titles[0]
        and previous_style.current is style.current
        and previous_style.target.place is style.target.place
        and number_blit(previous_style.current, previous.current).place is current
    )


@lru_cache(maxsize=1024)
def number_blit(slot: Slot, number: int) -> Blit:
    """Return a number's sprite and its place in the slot."""
    sprite = draw_text(slot.font, str(number), slot.room)
    if sprite.shape[1] <= slot.room:
        return Blit(slot.behind, sprite)
    return Blit(slot.under, draw_text(slot.font, str(number), slot.under_room))


@lru_cache(maxsize=1024)
def line(
    assets: ThemeAssets, label: str, corner: tuple[int, int], shift: tuple[int, int]
) -> tuple[Blit, Slot]:
    """Return a label's blit and the slot of its number."""
    font, x, y = assets.font, corner[0] + shift[0], corner[1] + shift[1]
    title, top = text_blit(font, label, x, y), y + font.top
    indent = title.sprite.shape[1] + font.space
    room = 0 if assets.below else assets.right - corner[0] - indent
    under_room = assets.right - corner[0]
    behind = place(x + indent, top, room, font.height)
    under = place(x, top + font.height + font.height // 4, under_room, font.height)
    return title, Slot(font, behind, room, under, under_room)
