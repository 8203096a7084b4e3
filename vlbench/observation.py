"""Observations: a picture and a text, and controls that show another picture."""

import base64
import io
from collections.abc import Callable, Iterator, Mapping
from copy import copy, deepcopy
from typing import Any, Generic, NamedTuple, TypedDict, TypeVar

import numpy as np
import numpy.typing as npt

from vlbench.errors import unknown_name
from vlbench.instances import hashed
from vlbench.task import Frame, Picture, frame_shape

S = TypeVar("S")
Style = TypeVar("Style")

PICTURES = ("true", "blank", "shuffled", "stale")
"""What the picture of an observation may show. `true`: the current state; `blank`: one grey;
`shuffled`: another episode after the same replies; `stale`: the state one turn ago, and on the
first turn the first state."""

BLANK = 128
"""Value of every channel of a blank picture."""


class Observation(TypedDict):
    """The picture and the text that an agent receives."""

    image: npt.NDArray[np.uint8]
    """(300, 300, 3) uint8, RGB, or of another `picture_size`; a new array every time."""
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


def data_url(image: npt.NDArray[np.uint8]) -> str:
    """Return a picture as the data URL of a PNG.

    Args:
        image: (height, width, 3) uint8, RGB.
    """
    return "data:image/png;base64," + base64.b64encode(png(image)).decode()


class Seen(NamedTuple, Generic[S, Style]):
    """What a picture shows."""

    state: S
    style: Style


def paint(
    frame: Frame,
    picture: Picture[S, Style],
    repaint: Callable[..., bool],
    seen: Seen[S, Style] | None,
    previous: Seen[S, Style] | None = None,
) -> None:
    """Paint a picture.

    Args:
        frame: The memory to paint into; shows `previous`.
        picture: Draws states.
        repaint: Its `repaint`, or a function that returns False.
        seen: What to draw; None for a blank picture.
        previous: What the frame shows; None if unknown or blank.
    """
    if seen is None:
        frame[:] = BLANK
    elif previous is None or previous[0] is not seen[0] or previous[1] is not seen[1]:
        if previous is None or not repaint(frame, *seen, *previous):
            picture.paint(frame, *seen)


class View(Generic[S, Style]):
    """Decides what the pictures of an episode's observations show.

    The other episode of `shuffled` follows from the instance and the presentation alone. It has
    another instance, dealt from the same split under the same rules. If these have one instance
    only, it is dealt from all splits, and then under the task's usual rules.

    Args:
        kind: One of PICTURES.

    Raises:
        ValueError: `kind` isn't one of them.
    """

    def __init__(self, kind: object) -> None:
        if kind not in PICTURES:
            raise ValueError(unknown_name("picture", str(kind), PICTURES))
        self.kind = str(kind)
        self._before: Seen[S, Style] | None = None
        """The picture of the turn before; None on the first turn."""
        self._other: Any = None
        """The environment of the other episode."""
        self._others: list[Any] = []
        """Environments that may deal it, in the order in which they are tried."""

    def begin(self, env: Any) -> None:
        """Begin an episode of an environment."""
        self._before = None
        if self.kind == "shuffled":
            presentation = env.presentation
            for place in range(TWINS):
                if place == len(self._others):
                    self._others.append(_twin(env, place))
                self._other = self._others[place]
                for number in range(MOST_TRIES):
                    key = f"{presentation.instance}|{presentation.number}|shuffled|{number}"
                    self._other.begin(hashed(key) % 2**32, None)
                    if self._other.presentation.instance != presentation.instance:
                        return
            raise ValueError(f"no other instance than {presentation.instance} to show instead")

    def follow(self, current: Seen[S, Style], reply: str) -> None:
        """Follow a reply that is going to be played in the current state."""
        self._before = current
        if self._other is not None and not self._other.is_over:
            self._other.advance(reply)

    def seen(self, current: Seen[S, Style]) -> Seen[S, Style] | None:
        """Return what the picture shows; None for a blank one.

        Args:
            current: The current state and style.
        """
        if self.kind == "blank":
            return None
        if self._other is not None:
            other: Seen[S, Style] = self._other.seen
            return other
        return self._before if self.kind == "stale" and self._before else current

    def first_style(self, style: Style) -> Style:
        """Return the style of the first picture of the episode that is shown.

        Args:
            style: That of the environment's own episode.
        """
        return style if self._other is None else self._other.first_style


MOST_TRIES = 100
"""Deals of another episode, before an environment counts as having one instance only."""


TWINS = 3
"""Environments that are tried as the source of another episode."""


def _twin(env: Any, place: int) -> Any:
    """Return an environment like `env` whose own observations are true.

    Args:
        env: The environment.
        place: 0 deals from the same split under the same rules, 1 from all splits, and 2 under the
            task's usual rules.
    """
    twin = copy(env)
    twin.action_space = deepcopy(env.action_space)
    twin._view = View("true")
    if place > 0:
        twin.split, twin.share = "all", None
    if place == TWINS - 1:
        twin.game = type(env)().game
    return twin


class LastObservation(Mapping[str, Any]):
    """The last observation of an episode; its picture is drawn on first access.

    Its keys are "image" and "text". The last picture is rarely needed, and drawing it costs more
    than the turn did. `dict(last)` is a plain observation; pickling or deep-copying gives one too.

    Args:
        picture: Draws the state.
        seen: What to draw; None for a blank picture.
        text: The prompt.
    """

    __slots__ = ("_draw", "_frame", "_text")

    def __init__(self, picture: Picture[S, Style], seen: Seen[S, Style] | None, text: str) -> None:
        def draw() -> Frame:
            frame = np.empty(frame_shape(picture), np.uint8)
            paint(frame, picture, lambda *_: False, seen)
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
