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
    blit,
    checked_jitter,
    lettering,
    offsets,
    place,
    word,
)
from vlbench.task import Fact, Frame
from vlbench.tasks.number_line.game import NumberLineState
from vlbench.themes import THEMES, themes_named

RIGHT = 295
"""No text without jitter reaches further."""


@dataclass(frozen=True, slots=True)
class Layout:
    """Upper left corners of the labels, in pixels."""

    target: tuple[int, int]
    current: tuple[int, int]
    below: bool
    """Numbers stand under their labels, not behind them."""


CLASSIC = Layout((30, 60), (30, 180), below=False)
LAYOUTS = {
    "classic": CLASSIC,
    "roomy": CLASSIC,
    "inverted": Layout((12, 186), (24, 30), below=False),
    "columns": Layout((24, 160), (60, 18), below=True),
}


@dataclass(frozen=True, slots=True, eq=False)
class Scene:
    """What all pictures in a theme share."""

    empty: Frame
    font: Font
    layout: Layout


@dataclass(frozen=True, slots=True, eq=False)
class Slot:
    """Where a number goes: behind its label, or under it where it is too wide for that.

    Its sprite fills the place, so as to cover any other number there.
    """

    font: Font
    behind: Place
    room: int
    """Width behind the label; 0 if numbers never go there."""
    under: Place
    under_room: int


class NumberLineLook(NamedTuple):
    """An episode's theme and target, and where the current number goes."""

    scene: Scene
    titles: tuple[Blit, Blit]
    target: Blit
    current: Slot


@lru_cache
def scene(theme: str) -> Scene:
    """Return a theme's scene, loaded once a process."""
    colours = THEMES[theme]
    font = lettering(colours, "display", paper=True)
    return Scene(background(colours.paper), font, LAYOUTS[colours.layout])


class NumberLinePicture:
    """Draws NumberLine.

    Args:
        theme: A theme, or a group whose themes take turns by presentation.
        jitter: Largest shift of a line, in pixels.
    """

    def __init__(self, theme: str = "classic", jitter: int = 0) -> None:
        self._themes = themes_named(theme)
        self._jitter = checked_jitter(jitter)

    def look(self, start: NumberLineState, presentation: Presentation) -> NumberLineLook:
        """Choose the theme and where the lines stand."""
        view = scene(self._themes[presentation.number % len(self._themes)].name)
        shifts = offsets(presentation, "lines", 2, self._jitter)
        title, target = line(view, "Target:", view.layout.target, shifts[0])
        other_title, current = line(view, "Current:", view.layout.current, shifts[1])
        return NumberLineLook(view, (title, other_title), written(target, start.target), current)

    def paint(
        self,
        frame: Frame,
        state: NumberLineState,
        look: NumberLineLook,
        shown: tuple[NumberLineState, NumberLineLook] | None,
    ) -> None:
        """Draw the numbers that the frame doesn't show yet, or everything."""
        place, sprite = written(look.current, state.current)
        target = look.target
        if shown is None or not _fits(shown, look, place):
            frame[:] = look.scene.empty
            for title_place, title in look.titles:
                frame[title_place] = title
            frame[target.place] = target.sprite
        elif shown[1].target is not target:
            frame[target.place] = target.sprite
        frame[place] = sprite

    def facts(self, state: NumberLineState, look: NumberLineLook) -> dict[str, Fact]:
        """Return both numbers."""
        return {"target": state.target, "current": state.current}


def _fits(
    shown: tuple[NumberLineState, NumberLineLook], look: NumberLineLook, current: Place
) -> bool:
    """Whether both numbers stand where the frame shows others, and the titles are the same."""
    before, worn = shown
    return (
        worn.titles[0] is look.titles[0]
        and worn.current is look.current
        and worn.target.place is look.target.place
        and written(worn.current, before.current).place is current
    )


@lru_cache(maxsize=1024)
def written(slot: Slot, number: int) -> Blit:
    """Return a number's sprite and its place in a slot."""
    sprite = word(slot.font, str(number), slot.room)
    if sprite.shape[1] <= slot.room:
        return Blit(slot.behind, sprite)
    return Blit(slot.under, word(slot.font, str(number), slot.under_room))


@lru_cache(maxsize=1024)
def line(
    view: Scene, label: str, corner: tuple[int, int], shift: tuple[int, int]
) -> tuple[Blit, Slot]:
    """Return a label's blit and the slot of its number."""
    font, title = view.font, word(view.font, label)
    x, y = corner[0] + shift[0], corner[1] + shift[1] + font.top
    indent = title.shape[1] + font.space
    room = 0 if view.layout.below else RIGHT - corner[0] - indent
    under_room = RIGHT - corner[0]
    behind = place(x + indent, y, room, font.height)
    under = place(x, y + font.height + font.height // 4, under_room, font.height)
    return blit(title, x, y), Slot(font, behind, room, under, under_room)
