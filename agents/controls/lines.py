"""The results of a player on a suite under one kind of picture, one JSON line each."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

from agents.results.line_file import regret_of
from vlbench.comparison import Comparison, compare
from vlbench.intervals import Interval
from vlbench.limits import OneOf
from vlbench.observation import PICTURES
from vlbench.records import Episode
from vlbench.scoring import Scorecard


@dataclass(frozen=True, slots=True)
class Unit:
    """What one line is about."""

    player: str
    """Name of the agent."""
    env: str
    """The environment's id."""
    suite: str
    """The frozen set."""
    picture: Annotated[str, OneOf(PICTURES)]
    """What the pictures showed."""
    rows: int
    """Number of rows that were asked for, from the first; 0 for all."""
    set_hash: str
    """sha256 of the frozen set."""


@dataclass(frozen=True, slots=True)
class Line:
    """The result of a unit."""

    unit: Unit
    episodes: int
    distinct: int
    """Number of distinct instances."""
    success: Interval
    regret: Interval | None
    """Mean regret of a turn; None if the task has no values."""
    gain: Interval | None
    """Success with the true picture, minus success with this one, in pairs; None for "true"."""
    regret_gain: Interval | None
    """Mean regret with this picture, minus that with the true one, in pairs; None for "true"."""
    model: str
    """sha256 of the weights of a local model; "" for others."""
    commit: str
    """Commit that played it."""


def line_of(
    unit: Unit,
    card: Scorecard,
    episodes: Sequence[Episode],
    true: Sequence[Episode],
    model: str,
    commit: str,
) -> Line:
    """Return the line of a run.

    Args:
        unit: What was played.
        card: Its scorecard.
        episodes: Its episodes.
        true: The player's episodes with true pictures, on the same rows.
        model: As in `Line`.
        commit: As in `Line`.
    """
    gain = regret_gain = None
    if unit.picture != PICTURES[0]:
        (difference,) = compare(episodes, true)
        gain, regret_gain = difference.success, _less(difference)
    return Line(
        unit,
        card.episodes,
        card.distinct,
        Interval(card.success, card.success_low, card.success_high),
        regret_of(card),
        gain,
        regret_gain,
        model,
        commit,
    )


def _less(difference: Comparison) -> Interval | None:
    """Return by how much the second run's regret is less than the first's."""
    regret = difference.regret
    return None if regret is None else Interval(-regret.value, -regret.high, -regret.low)
