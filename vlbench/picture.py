"""The contract of a task's picture: state → pixels, and what those pixels truly show.

A picture draws no randomness: all that may vary without changing the game (theme, suits, order,
offsets) follows from the presentation.
"""

from typing import Protocol, TypeVar

import numpy as np
import numpy.typing as npt

from vlbench.instances import Presentation

S = TypeVar("S", contravariant=True)
L = TypeVar("L")

SIZE = 300
"""Width and height of every frame, in pixels."""

Frame = npt.NDArray[np.uint8]
"""(SIZE, SIZE, 3) uint8, RGB, rows from the top."""

Fact = int | str | bool | tuple[str, ...] | tuple[int, ...]
"""One thing that a picture shows, as plain data."""


class Picture(Protocol[S, L]):
    """Draws states of type `S`; `L` is the look that an episode keeps from its first frame on."""

    def look(self, start: S, presentation: Presentation) -> L:
        """Fix all that the presentation decides, once an episode: no work is left for the steps."""

    def paint(self, frame: Frame, state: S, look: L, shown: tuple[S, L] | None) -> None:
        """Make `frame` show `state`.

        Args:
            frame: Written in place; its earlier content doesn't matter unless `shown` is given.
            state: What to show.
            look: From `look`, for this episode.
            shown: The state and the look that `frame` shows now, this episode's or an earlier
                one's, so that only what differs need be drawn; None to draw everything. The pixels
                that result are the same.
        """

    def facts(self, state: S, look: L) -> dict[str, Fact]:
        """Return what the frame of this state truly shows, and nothing that it hides.

        A new dict each time, with the same keys and types in every state.
        """
