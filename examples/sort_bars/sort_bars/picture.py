"""The picture: six bars on a common ground line, drawn with numpy alone."""

from sort_bars.game import BARS, Bars
from vlbench.errors import unknown_name
from vlbench.instances import Presentation
from vlbench.task import SIZE, Fact, Frame

Colour = tuple[int, int, int]

THEMES: dict[str, tuple[tuple[Colour, Colour], ...]] = {
    "train": (
        ((250, 248, 240), (40, 90, 160)),
        ((235, 240, 235), (150, 50, 40)),
        ((255, 255, 255), (60, 60, 60)),
    ),
    "heldout": (
        ((20, 24, 38), (240, 200, 80)),
        ((30, 50, 40), (200, 240, 220)),
    ),
}
"""Theme → pairs of paper and ink, RGB."""

GROUND = 270
"""Row below the bars."""
STEP = 40
"""Height of a bar of height 1, in pixels."""
CELL = 46
"""Distance between the left sides of neighbours, in pixels."""
MARGIN = 12
"""Least column of the first bar."""


class SortBarsPicture:
    """Draws bars; the presentation picks colours, width and shift.

    Args:
        theme: One of THEMES.
    """

    def __init__(self, theme: str = "train") -> None:
        if theme not in THEMES:
            raise ValueError(unknown_name("theme", theme, THEMES))
        self.colours = THEMES[theme]

    def style(self, start: Bars, presentation: Presentation) -> tuple[Colour, Colour, int, int]:
        """Return paper, ink, width and left margin, all of which stay for an episode."""
        paper, ink = self.colours[presentation.pick("colours", len(self.colours))]
        return (
            paper,
            ink,
            20 + presentation.pick("width", 19),
            MARGIN + presentation.pick("left", 8),
        )

    def paint(self, frame: Frame, state: Bars, style: tuple[Colour, Colour, int, int]) -> None:
        """Draw the bars and the ground."""
        paper, ink, width, margin = style
        frame[:] = paper
        frame[GROUND : GROUND + 4, 6 : SIZE - 6] = ink
        for place in range(BARS):
            left = margin + CELL * place
            frame[GROUND - STEP * state.heights[place] : GROUND, left : left + width] = ink

    def facts(self, state: Bars, style: tuple[Colour, Colour, int, int]) -> dict[str, Fact]:
        """Return the heights, from the left."""
        return {"heights": state.heights}
