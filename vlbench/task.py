"""The contract of a task: its rules, its picture, what a reply states, and its common options.

A `Game` is pure: immutable states in, immutable states out. It knows no pixels, no language, no
turn counting and no randomness but the generator that `deal` is handed. A `Picture` draws its
states. The `Field`s of a reply stand before its action; `Statements` are those of a model, held
against the truth, and a `Demonstration` has those of an expert. `CommonOptions` are the keyword
arguments that all of the benchmark's tasks take.
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

from vlbench.instances import Presentation
from vlbench.parsing import Json
from vlbench.themes import ThemeChoice

S = TypeVar("S")
SC = TypeVar("SC", contravariant=True)
Style = TypeVar("Style")


class Move(NamedTuple, Generic[S]):
    """What a legal action does to a state."""

    state: S
    """The state after the action."""
    reward: float
    """Reward of this turn, as RL4VLM pays it."""
    terminated: bool = False
    """The task has ended by its own rules."""
    success: bool = False
    """The task's goal was reached; False until the end."""


class Game(Protocol[S]):
    """Rules of a task, for states of type `S` (a frozen, hashable dataclass)."""

    name: str
    """Folder name and prefix of the instances, e.g. "points24"."""
    vocabulary: tuple[str, ...]
    """Every action text of the task, in a fixed order."""
    max_turns: int
    """Turns after which an episode that hasn't terminated is truncated."""
    held_out: bool
    """Whether instances are enough for some to be held out from training."""
    test_share: float
    """Share of the instances in the `test` split (0 where none are held out)."""

    def deal(self, rng: np.random.Generator) -> str:
        """Draw an instance, e.g. "points24/3-3-8-8", from the task's law."""

    def start(self, instance: str) -> S:
        """Return the first state of an instance.

        Raises:
            ValueError: The instance isn't one of this game; says what was wanted.
        """

    def legal(self, state: S) -> tuple[str, ...]:
        """Return the actions that the state allows, in the order of the vocabulary."""

    def step(self, state: S, action: str) -> Move[S]:
        """Play a legal action. Whether the turns are used up is the environment's to say."""


class SolvedGame(Game[S], Protocol[S]):
    """Rules of a task whose best play is known exactly."""

    def values(self, state: S, turns: int) -> Mapping[str, float]:
        """Return the best undiscounted return that can follow each legal action.

        Args:
            state: A state that hasn't terminated.
            turns: Turns left, this one included; at least 1.
        """

    def expert(self, state: S, turns: int) -> str:
        """Return the action of a return-optimal player; ties go to the shortest way."""


def instance_body(instance: str, name: str, form: str) -> str:
    """Return what stands after "name/" in an instance.

    Args:
        instance: The instance as the user wrote it.
        name: The game's name.
        form: An example of a right instance, for the message.

    Raises:
        ValueError: The instance belongs to another game or has no body.
    """
    prefix, _, body = str(instance).partition("/")
    if not isinstance(instance, str) or prefix != name or not body:
        raise ValueError(f'unknown instance "{instance}"; wanted one like "{form}"')
    return body


def checked_int(name: str, value: object, least: int) -> int:
    """Return a rule's integer.

    Raises:
        ValueError: It is no integer, or less than `least`.
    """
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < least:
        raise ValueError(f"{name} must be an integer of at least {least}, got {value!r}")
    return int(value)


SIZE = 300
"""Width and height of every frame, in pixels."""

Frame = npt.NDArray[np.uint8]
"""(SIZE, SIZE, 3) uint8, RGB, rows from the top."""

Fact = int | str | bool | tuple[str, ...] | tuple[int, ...]
"""One thing that a picture shows, as plain data."""


class Picture(Protocol[SC, Style]):
    """Draws states; a `Style` is what an episode keeps from its first frame to its last.

    These three methods are enough. A picture that can also update a frame is a
    `RepaintablePicture`.
    """

    def style(self, start: SC, presentation: Presentation) -> Style:
        """Fix everything that the presentation decides, once an episode."""

    def paint(self, frame: Frame, state: SC, style: Style) -> None:
        """Draw a state.

        Args:
            frame: Every pixel is written, in place; the earlier content doesn't matter.
            state: The state to draw.
            style: What `style` returned for this episode.
        """

    def facts(self, state: SC, style: Style) -> dict[str, Fact]:
        """Return what the frame of this state truly shows, and nothing that it hides.

        A new dict each time, with the same keys and types in every state.
        """


@runtime_checkable
class RepaintablePicture(Picture[SC, Style], Protocol[SC, Style]):
    """A picture that can also change a frame into the next one, which is faster than `paint`."""

    def repaint(
        self, frame: Frame, state: SC, style: Style, previous: SC, previous_style: Style
    ) -> bool:
        """Draw only what differs; the pixels that result are those of `paint`.

        Args:
            frame: Shows `previous` in `previous_style`; written in place.
            state: The state to draw.
            style: What `style` returned for this episode.
            previous: The state that the frame shows, of this episode or an earlier one.
            previous_style: The style of that episode.

        Returns:
            Whether the frame shows `state` now; if False, `paint` is called next.
        """


@dataclass(frozen=True, slots=True)
class Field:
    """A field of a reply, before its action."""

    name: str
    """As prompts and replies spell it, e.g. "target number"."""
    kind: Literal["perception", "prompt", "reasoning", "plan"]
    """What it states: "perception" what the picture alone shows, "prompt" what the prompt says too,
    "reasoning" what follows from those, "plan" the actions to come."""
    in_prompt: bool = True
    """Whether prompts ask for it; an expert may write one that they don't ask for."""


def perception_names(fields: Iterable[Field]) -> frozenset[str]:
    """Return the names of the fields that state what the picture alone shows."""
    return frozenset(field.name for field in fields if field.kind == "perception")


@dataclass(frozen=True, slots=True)
class Statements:
    """What a reply's fields state, held against the truth."""

    perception: bool | None = None
    """Whether all that the reply says of the picture is true; None if it says nothing."""
    plan: str | None = None
    """The action that the reply's plan leads to; None if it states no readable plan."""


@dataclass(frozen=True, slots=True)
class Demonstration:
    """What an expert writes in a state."""

    fields: Mapping[str, Fact]
    """What stands before the action, in the order in which it is written; the perception first."""
    action: str
    """A return-optimal action, and the one that the fields argue for."""


def read_number(stated: Json) -> float | None:
    """Return the number that a reply's field states; None if it states none."""
    if isinstance(stated, bool) or not isinstance(stated, (int, float, str)):
        return None
    number = re.fullmatch(r"-?\d{1,9}(\.\d{1,9})?", str(stated).strip())
    return float(number[0]) if number else None


class EnvOptions(TypedDict, total=False):
    """Keyword arguments that every environment takes; see `VLEnv`."""

    split: str
    """Which instances are dealt: "all", "train" or "test". By default "all"."""
    render_mode: str | None
    """"rgb_array", "human" (needs the extra `play`) or None. By default None."""


class CommonOptions(EnvOptions, total=False):
    """Keyword arguments that each of the benchmark's tasks takes besides its own."""

    theme: str
    """A theme or a group of themes; see `vlbench.themes`. By default "classic"."""
    jitter: int
    """Largest shift of an element, in pixels, 0..5. By default 0."""
    prompt: str
    """"cot", "action_only" or "cot_facts". By default "cot"."""


class CommonParts(NamedTuple):
    """The common keyword arguments of an environment, by who takes them."""

    themes: ThemeChoice
    """For its picture."""
    prompt: str
    """For `Prompt.load`."""
    rest: EnvOptions
    """For `VLEnv`, unknown ones included."""


def split_options(options: CommonOptions) -> CommonParts:
    """Return the common keyword arguments of an environment, by who takes them.

    Raises:
        ValueError: A theme or a jitter isn't known; the message names the nearest.
    """
    rest: Any = dict(options)
    themes = ThemeChoice(rest.pop("theme", "classic"), rest.pop("jitter", 0))
    return CommonParts(themes, rest.pop("prompt", "cot"), rest)
