"""The contract of a task: its rules, its picture, the fields of a reply, and its common options.

A `Game` is pure: immutable states in, immutable states out. It has no pixels, no language and no
turn counter, and no randomness except the generator passed to `deal`. A `Picture` draws its states.
A reply has `Field`s before its action: `Statements` is the check of a model's fields, and a
`Demonstration` holds an expert's. `CommonOptions` are the keyword arguments of all the benchmark's
tasks.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import (
    Any,
    Generic,
    Literal,
    NamedTuple,
    Protocol,
    TypedDict,
    TypeVar,
    runtime_checkable,
)

import numpy as np
import numpy.typing as npt

from vlbench.instances import Presentation, split_of, unit_of
from vlbench.parsing import Json
from vlbench.themes import SIZE as SIZE
from vlbench.themes import ThemeChoice

S = TypeVar("S")
SC = TypeVar("SC", contravariant=True)
Style = TypeVar("Style")


class Move(NamedTuple, Generic[S]):
    """The result of a legal action."""

    state: S
    """The state after the action."""
    reward: float
    """Reward of this turn, as in RL4VLM."""
    terminated: bool = False
    """Whether the episode has ended by the task's rules."""
    success: bool = False
    """Whether the goal was reached; False until the end."""


class Game(Protocol[S]):
    """Rules of a task, for states of type `S` (a frozen, hashable dataclass)."""

    name: str
    """Folder name and prefix of the instances, e.g. "points24"."""
    vocabulary: tuple[str, ...]
    """Every action text of the task, in a fixed order."""
    max_turns: int
    """Number of turns after which an unfinished episode is truncated."""
    test_share: float
    """Share of the units in the `test` split; 0 if there are too few instances to hold any out."""
    val_share: float
    """Share of the units in the `val` split, by which training is watched."""

    def deal(self, rng: np.random.Generator) -> str:
        """Draw an instance, e.g. "points24/3-3-8-8", from the task's distribution."""

    def start(self, instance: str) -> S:
        """Return the first state of an instance.

        Raises:
            ValueError: The instance isn't one of this game; the message gives an example.
        """

    def legal(self, state: S) -> tuple[str, ...]:
        """Return the legal actions, in the order of the vocabulary."""

    def step(self, state: S, action: str) -> Move[S]:
        """Play a legal action. The environment, not the game, counts the turns."""


@runtime_checkable
class UnitGame(Protocol):
    """A game that says itself which of its instances a split keeps together."""

    def unit(self, instance: str) -> str:
        """Return the unit of an instance. The rules belong to it if they decide the episode."""


def split_in(game: Game[Any], instance: str) -> str:
    """Return the split of a game's instance; "" if the game holds none out.

    The unit is the game's, or `vlbench.instances.unit_of` where the game has none.
    """
    if not game.test_share:
        return ""
    return split_of(unit_in(game, instance), game.test_share, game.val_share)


def unit_in(game: Game[Any], instance: str) -> str:
    """Return what splits and shares keep together with an instance of a game."""
    return game.unit(instance) if isinstance(game, UnitGame) else unit_of(instance)


class SolvedGame(Game[S], Protocol[S]):
    """Rules of a task with an exact solution."""

    def values(self, state: S, turns: int) -> Mapping[str, float]:
        """Return the optimal undiscounted return after each legal action.

        Args:
            state: A state that hasn't terminated.
            turns: Number of turns that remain, including this one; at least 1.
        """

    def expert(self, state: S, turns: int) -> str:
        """Return an action with the optimal return; ties go to the shortest solution."""


def instance_body(instance: str, name: str, form: str) -> str:
    """Return the part of an instance after "name/".

    Args:
        instance: The instance as the user wrote it.
        name: The game's name.
        form: An example of an instance, for the message.

    Raises:
        ValueError: The instance belongs to another game, or nothing follows the "/".
    """
    prefix, _, body = str(instance).partition("/")
    if not isinstance(instance, str) or prefix != name or not body:
        raise ValueError(f'unknown instance "{instance}"; wanted one like "{form}"')
    return body


def checked_int(name: str, value: object, least: int) -> int:
    """Return the value of a rule as an int.

    Raises:
        ValueError: The value isn't an integer, or it is less than `least`.
    """
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < least:
        raise ValueError(f"{name} must be an integer of at least {least}, got {value!r}")
    return int(value)


def checked_bool(name: str, value: object) -> bool:
    """Return the value of a rule as a bool.

    Raises:
        ValueError: The value isn't a bool.
    """
    if not isinstance(value, bool):
        raise ValueError(f"{name} must be a bool, got {value!r}")
    return value


Frame = npt.NDArray[np.uint8]
"""(s, s, 3) uint8, RGB, rows from the top; s is SIZE unless its picture is a `SizedPicture`."""

Fact = int | str | bool | tuple[str, ...] | tuple[int, ...]
"""One fact of a picture, as plain data."""


class Picture(Protocol[SC, Style]):
    """Draws states. A `Style` stays the same from an episode's first frame to its last.

    These three methods are enough. A picture that can also update a frame is a
    `RepaintablePicture`.
    """

    def style(self, start: SC, presentation: Presentation) -> Style:
        """Return everything that the presentation fixes; called once per episode."""

    def paint(self, frame: Frame, state: SC, style: Style) -> None:
        """Draw a state.

        Args:
            frame: Overwritten in place, every pixel; its earlier content doesn't matter.
            state: The state to draw.
            style: The style of the episode.
        """

    def facts(self, state: SC, style: Style) -> dict[str, Fact]:
        """Return everything that the frame of this state shows, and nothing that it hides.

        Each call returns a new dict. Its keys and types are the same in every state.
        """


@runtime_checkable
class RepaintablePicture(Picture[SC, Style], Protocol[SC, Style]):
    """A picture that can also update a frame, which is faster than `paint`."""

    def repaint(
        self, frame: Frame, state: SC, style: Style, previous: SC, previous_style: Style
    ) -> bool:
        """Draw only the differences; the result has the same pixels as `paint`.

        Args:
            frame: Shows `previous` in `previous_style`; updated in place.
            state: The state to draw.
            style: The style of the episode.
            previous: The state that the frame shows, of this episode or an earlier one.
            previous_style: The style of that episode.

        Returns:
            Whether the frame now shows `state`; if not, the environment calls `paint`.
        """


@runtime_checkable
class HidingPicture(Picture[SC, Style], Protocol[SC, Style]):
    """A picture that may show things once and hide them in later turns, to ask for memory.

    The style of an episode then changes after each turn. What was shown once is still known to the
    environment's expert and to the check of statements.
    """

    def later_style(self, state: SC, style: Style) -> Style:
        """Return the style of the turn after one whose picture showed a state.

        Args:
            state: The state that the picture showed.
            style: The style in which it did.

        Returns:
            The same object if nothing more is hidden.
        """


@runtime_checkable
class SizedPicture(Picture[SC, Style], Protocol[SC, Style]):
    """A picture that may have another size than SIZE."""

    size: int
    """Width and height of its frames, in pixels."""


def frame_shape(picture: Picture[Any, Any]) -> tuple[int, int, int]:
    """Return the shape of a picture's frames."""
    size = picture.size if isinstance(picture, SizedPicture) else SIZE
    return size, size, 3


@dataclass(frozen=True, slots=True)
class Field:
    """A field of a reply, before its action."""

    name: str
    """Its name in prompts and replies, e.g. "target number"."""
    kind: Literal["perception", "prompt", "reasoning", "plan"]
    """"perception": facts that only the picture shows; "prompt": facts that the prompt also states;
    "reasoning": conclusions from those; "plan": the actions to come."""
    in_prompt: bool = True
    """Whether the prompts ask for it; an expert may write fields that they don't ask for."""


def perception_names(fields: Iterable[Field]) -> frozenset[str]:
    """Return the names of the fields of kind "perception"."""
    return frozenset(field.name for field in fields if field.kind == "perception")


@dataclass(frozen=True, slots=True)
class Statements:
    """The fields of a reply, checked against the state."""

    perception: bool | None = None
    """Whether all the reply's statements about the picture are true; None if it makes none."""
    plan: str | None = None
    """The next action of the reply's plan; None if it has no readable plan."""


@dataclass(frozen=True, slots=True)
class Demonstration:
    """An expert's reply to a state."""

    fields: Mapping[str, Fact]
    """The fields before the action, in the order of the reply; perception comes first."""
    action: str
    """A return-optimal action, the one that the fields argue for."""


def read_number(stated: Json) -> float | None:
    """Return the number in a field of a reply; None if it holds none."""
    if isinstance(stated, bool) or not isinstance(stated, (int, float, str)):
        return None
    number = re.fullmatch(r"-?\d{1,9}(\.\d{1,9})?", str(stated).strip())
    return float(number[0]) if number else None


class EnvOptions(TypedDict, total=False):
    """Keyword arguments that every environment takes; see `VLEnv`."""

    split: str
    """The instances to draw from: "all", "train", "val" or "test". Default: "all"."""
    share: str
    """Deal only share I of N disjoint shares of the split, as "I/N". Default: "", all of it."""
    render_mode: str | None
    """"rgb_array", "human" (needs the extra `play`) or None. Default: None."""
    picture: str
    """"true", or a control: "blank", "shuffled" (of another episode) or "stale" (one turn old).
    Default: "true"."""


class CommonOptions(EnvOptions, total=False):
    """Keyword arguments that all of the benchmark's tasks take."""

    theme: str
    """A theme, or a group of themes: "train", "heldout", "sealed", or "varied", which draws one of
    1,024 generated looks for each presentation. Default: "classic"."""
    jitter: int
    """Largest shift of an element, 0..5 pixels of a picture of 300. Default: 0."""
    picture_size: int
    """Width and height of the pictures, each drawn for its size: 224, 300, 448 or 672 pixels.
    Boards show 300. Default: 300."""
    prompt: str
    """"cot", "action_only" or "cot_facts". Default: "cot"."""


class CommonParts(NamedTuple):
    """The common keyword arguments of an environment, by destination."""

    themes: ThemeChoice
    """For the picture."""
    prompt: str
    """For `Prompt.load`."""
    rest: EnvOptions
    """For `VLEnv`, including unknown arguments."""


def split_options(options: CommonOptions) -> CommonParts:
    """Split the keyword arguments of an environment by destination.

    Raises:
        ValueError: The theme is unknown (the message suggests the nearest), jitter is out of range,
            or there is no such size.
    """
    rest: Any = dict(options)
    return CommonParts(ThemeChoice.pop(rest), rest.pop("prompt", "cot"), rest)


def same_style(state: object, style: Style) -> Style:
    """Stand for the `later_style` of a picture that has none."""
    return style


def repaint_nothing(*_: object) -> bool:
    """Stand for the `repaint` of a picture that has none."""
    return False
