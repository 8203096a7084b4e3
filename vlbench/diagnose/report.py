"""What the rollouts of each task show, as numbers."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from vlbench.diagnose.behaviour import (
    Thoughts,
    TurnRegret,
    Variety,
    assess_thoughts,
    assess_variety,
    first_errors,
    optimal_share,
    regret_by_turn,
)
from vlbench.diagnose.credit import Credit, assess_credit, correlation
from vlbench.diagnose.replayed import ReplayedTurn, replay_turns
from vlbench.diagnose.rollouts import SCHEMA, Rollouts, read_rollouts
from vlbench.intervals import FEW, Interval, mean
from vlbench.suites import frozen_rows, suites


@dataclass(frozen=True, slots=True)
class Leaks:
    """Instances of the rollouts that training must not see."""

    test_instances: int | None
    """Distinct instances of the test split; None if the task holds none out."""
    val_instances: int | None
    """Distinct instances of the split val, by which checkpoints are chosen; None likewise."""
    frozen: dict[str, int]
    """Frozen set → its rows (instance and presentation) that the rollouts play."""


@dataclass(frozen=True, slots=True)
class TaskReport:
    """The rollouts of one task."""

    env: str
    """The environment's id."""
    turns: int
    """Number of turns."""
    episodes: int
    """Episodes, or parts of episodes that were cut off at the end of a rollout."""
    instances: int
    """Distinct instances."""
    differences: int
    """Turns whose recorded reward or state isn't the environment's."""
    first_difference: str
    """The first of them, for a message; "" if there is none."""
    optimal: float | None
    """Share of optimal replies; None if the environment has no values."""
    regret: Interval | None
    """Mean regret of a turn, with its 95 % interval over episodes."""
    regret_by_turn: tuple[TurnRegret, ...]
    """The mean regret of each turn number, ascending."""
    first_errors: dict[str, int]
    """Cause of the first suboptimal turn → episodes; "none" if no turn is suboptimal."""
    credit: Credit | None
    """None without advantages, or if the environment has no values."""
    advantages: int
    """Turns with an advantage."""
    value_pearson: Interval | None
    """Correlation of the critic's value with the optimal return V*; None without a critic."""
    thoughts: Thoughts
    """Whether thoughts are true, and whether actions follow from them."""
    variety: Variety
    """Signs of a collapse."""
    leaks: Leaks
    """Instances that training must not see."""
    notes: tuple[str, ...]
    """Caveats that belong beside these numbers."""


@dataclass(frozen=True, slots=True)
class Report:
    """All tasks of an input."""

    source: str
    """The folder or file."""
    suite: str
    """The frozen set that an evaluation run played; "" for rollouts of training."""
    schema: int
    """Version of the lines of turns."""
    tasks: tuple[TaskReport, ...]
    """One for each environment, in the order of the input."""
    notes: tuple[str, ...]
    """What was left out of the input."""


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """A report, and the turns that it is about."""

    report: Report
    turns: dict[str, list[ReplayedTurn]]
    """env id → its turns."""


def diagnose(path: Path) -> Diagnosis:
    """Read rollouts, replay them and report.

    Args:
        path: A run folder, the folder of a training run, or a JSONL file of turns.

    Raises:
        ValueError: They can't be read or played; the message is one line.
        OSError: A file can't be read.
    """
    rollouts = read_rollouts(path)
    turns: dict[str, list[ReplayedTurn]] = {}
    for turn in replay_turns(rollouts.episodes):
        turns.setdefault(turn.record.env_id, []).append(turn)
    if not turns:
        raise ValueError(f"{path} has no turns")
    tasks = tuple(_task_report(env_id, rollouts, of_env) for env_id, of_env in turns.items())
    return Diagnosis(Report(rollouts.source, rollouts.suite, SCHEMA, tasks, rollouts.notes), turns)


def _task_report(env_id: str, rollouts: Rollouts, turns: Sequence[ReplayedTurn]) -> TaskReport:
    regrets = [-turn.exact for turn in turns if turn.exact is not None]
    clusters = [turn.record.episode for turn in turns if turn.exact is not None]
    different = [turn for turn in turns if turn.differs]
    with_advantage = [turn for turn in turns if turn.record.advantage is not None]
    episodes = len({turn.record.episode for turn in turns})
    causes = first_errors(turns)
    return TaskReport(
        env=env_id,
        turns=len(turns),
        episodes=episodes,
        instances=len({turn.record.instance for turn in turns}),
        differences=len(different),
        first_difference=_difference(different[0]) if different else "",
        optimal=optimal_share(turns),
        regret=mean(regrets, clusters) if regrets else None,
        regret_by_turn=regret_by_turn(turns),
        first_errors=causes,
        credit=_credit(with_advantage),
        advantages=len(with_advantage),
        value_pearson=_value_correlation(turns),
        thoughts=assess_thoughts(turns),
        variety=assess_variety(turns),
        leaks=_leaks(env_id, turns),
        notes=_notes(episodes, rollouts, turns, with_advantage),
    )


def _difference(turn: ReplayedTurn) -> str:
    record = turn.record
    place = f"episode {record.episode:.100} turn {record.turn}"
    if record.state_hash not in ("", turn.turn.state_hash):
        return f"{place}: the state isn't the recorded one"
    return f"{place}: recorded reward {record.reward}, replay gives {turn.turn.reward}"


def _credit(turns: Sequence[ReplayedTurn]) -> Credit | None:
    """Compare the advantages of turns that have one with the exact ones."""
    pairs = [
        (turn.record, turn.record.advantage, turn.exact, turn.turn.state_hash)
        for turn in turns
        if turn.exact is not None and turn.record.advantage is not None
    ]
    if not pairs:
        return None
    records, advantages, exact, states = zip(*pairs, strict=True)
    return assess_credit(
        advantages,
        exact,
        [turn.turn for turn in records],
        [turn.instance for turn in records],
        [turn.episode for turn in records],
        states,
    )


def _value_correlation(turns: Sequence[ReplayedTurn]) -> Interval | None:
    pairs = [
        (turn.record.value, turn.best, turn.record.episode)
        for turn in turns
        if turn.record.value is not None and turn.best is not None
    ]
    if not pairs:
        return None
    values, best, episodes = zip(*pairs, strict=True)
    return correlation(np.asarray(values, float), np.asarray(best, float), episodes)


def _leaks(env_id: str, turns: Sequence[ReplayedTurn]) -> Leaks:
    splits = {turn.record.instance: turn.split for turn in turns}
    rows = {(turn.record.instance, turn.record.presentation) for turn in turns}
    frozen = {
        suite: len(rows & {(row.instance, row.presentation) for row in frozen_rows(env_id, suite)})
        for suite in suites(env_id)
    }
    held_out = any(splits.values())
    counts = Counter(splits.values())
    if not held_out:
        return Leaks(None, None, frozen)
    return Leaks(counts["test"], counts["val"], frozen)


def _notes(
    episodes: int,
    rollouts: Rollouts,
    turns: Sequence[ReplayedTurn],
    with_advantage: Sequence[ReplayedTurn],
) -> tuple[str, ...]:
    notes = []
    if episodes < FEW:
        notes.append(f"fewer than {FEW} episodes: the intervals are too narrow")
    if all(turn.exact is None for turn in turns):
        notes.append("the environment has no exact values")
    if with_advantage and len(with_advantage) < len(turns):
        notes.append(f"{len(turns) - len(with_advantage)} turns have no advantage")
    if any(turn.record.oracle for turn in turns):
        notes.append("the advantages are an oracle's, from the environment's own exact values")
    iterations = {turn.record.iteration for turn in turns} - {None}
    if len(iterations) > 1:
        notes.append(f"{len(iterations)} iterations, so several policies, are taken together")
    if rollouts.suite:
        notes.append(f"an evaluation of the suite {rollouts.suite}, so its rows aren't leaks")
    return tuple(notes)
