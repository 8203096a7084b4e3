"""Observations: a picture and a text."""

import io
from collections.abc import Iterator, Mapping
from typing import Any, TypedDict, TypeVar

import numpy as np
import numpy.typing as npt

from vlbench.task import SIZE, Frame, Picture

S = TypeVar("S")
Style = TypeVar("Style")


class Observation(TypedDict):
    """The picture and the text that an agent receives."""

    image: npt.NDArray[np.uint8]
    """(300, 300, 3) uint8, RGB; a new array every time."""
    text: str
    """The whole prompt for this state."""


def png(image: npt.NDArray[np.uint8], compress_level: int = 1) -> bytes:
    """Encode a picture as PNG.

    Args:
        image: (height, width, 3) uint8, RGB.
        compress_level: zlib's level 0..9, or −1 for its default. Level 1 takes half the time of
            the default and makes the file a sixth larger.
    """
    from PIL import Image  # slow to import, and environments don't need it

    file = io.BytesIO()
    Image.fromarray(image).save(file, "PNG", compress_level=compress_level)
    return file.getvalue()


class LastObservation(Mapping[str, Any]):
    """The last observation of an episode; its picture is drawn on first access.

    Its keys are "image" and "text". The last picture is rarely needed, and drawing it costs more
    than the turn did. `dict(last)` is a plain observation; pickling or deep-copying gives one too.

    Args:
        picture: Draws the state.
        state: The state to draw.
        style: The style of the episode.
        text: The prompt.
    """

    __slots__ = ("_draw", "_frame", "_text")

    def __init__(self, picture: Picture[S, Style], state: S, style: Style, text: str) -> None:
        def draw() -> Frame:
            frame = np.empty((SIZE, SIZE, 3), np.uint8)
            picture.paint(frame, state, style)
            return frame

        self._draw = draw
        self._frame: Frame | None = None
        self._text = text

    def __getitem__(self, key: str) -> Any:
        """Return the picture (the same array every time) or the text."""
        if key == "text":
            return self._text
        if key != "image":
            raise KeyError(key)
        if self._frame is None:
            self._frame = self._draw()
        return self._frame

    def __iter__(self) -> Iterator[str]:
        """Yield "image" and "text"."""
        return iter(("image", "text"))

    def __len__(self) -> int:
        """Return 2."""
        return 2

    def __reduce__(self) -> tuple[type[dict[str, Any]], tuple[dict[str, Any]]]:
        """Pickle as a `dict`, without the picture's sprites."""
        return dict, (dict(self),)
