"""Compare two runs in pairs, by the starts that both played; an errored episode is a failure."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import vlbench
from vlbench.intervals import Interval, mean
from vlbench.records import Episode
from vlbench.scoring import normalized_mean


@dataclass(frozen=True, slots=True)
class Comparison:
    """The difference between two runs on the rows that both played."""

    env: str
    """The environment's id."""
    rows: int
    """Rows that both runs played."""
    success: Interval
    """Difference of success rates, second minus first, with its paired 95 % interval."""
    mean_return: Interval
    """Difference of mean returns, second minus first, with its paired 95 % interval."""
    only_first: int
    """Rows that only the first run solved."""
    only_second: int
    """Rows that only the second run solved."""
    errored_first: int
    """Rows on which the first run's episode errored; it counts as a failure."""
    errored_second: int
    """Rows on which the second run's episode errored; it counts as a failure."""

    @property
    def separated(self) -> bool:
        """Whether the interval of the success difference excludes 0."""
        return self.success.low > 0 or self.success.high < 0


def compare(first: Sequence[Episode], second: Sequence[Episode]) -> list[Comparison]:
    """Compare two runs per environment, paired by the starts that both played.

    Raises:
        ValueError: They have no start in common.
    """
    pairs = _pairs(first, second)
    if not pairs:
        raise ValueError("the two runs have no row in common; play the same suite with both")
    return [_comparison(env_id, matched) for env_id, matched in pairs.items()]


Pair = tuple[Episode, Episode]
"""The episodes of two agents from one start."""


def _pairs(first: Sequence[Episode], second: Sequence[Episode]) -> dict[str, list[Pair]]:
    """Return env id → pairs for the starts that both played, in the first run's order."""
    others = {_start(episode): episode for episode in second}
    pairs: dict[str, list[Pair]] = {}
    for episode in first:
        if _start(episode) in others:
            pairs.setdefault(episode.env_id, []).append((episode, others[_start(episode)]))
    return pairs


def _gain(one: Episode, other: Episode) -> float:
    return float(other.is_success) - float(one.is_success)


def _comparison(env_id: str, pairs: Sequence[Pair]) -> Comparison:
    clusters = [one.instance for one, _ in pairs]
    gains = [_gain(one, other) for one, other in pairs]
    returns = [other.total - one.total for one, other in pairs]
    return Comparison(
        env_id,
        len(pairs),
        mean(gains, clusters, span=1.0),
        mean(returns, clusters),
        only_first=sum(gain < 0 for gain in gains),
        only_second=sum(gain > 0 for gain in gains),
        errored_first=sum(one.is_errored for one, _ in pairs),
        errored_second=sum(other.is_errored for _, other in pairs),
    )


def _start(episode: Episode) -> tuple[Any, ...]:
    presented = ("prompt", "theme", "picture")  # pairs may differ in these: it is compared
    rules = {name: str(value) for name, value in episode.kwargs.items() if name not in presented}
    arguments = tuple(sorted(rules.items()))
    start = (episode.env_id, arguments, episode.instance, episode.presentation)
    return (*start, episode.seed, episode.repeat)


def headline_difference(
    first: Sequence[Episode], second: Sequence[Episode], suite: str, table: str
) -> Interval:
    """Return the difference between two agents' headlines, with its paired 95 % interval.

    Args:
        first: Episodes of one agent.
        second: Episodes of another agent, on the same starts.
        suite: The set that both played.
        table: A key of `HEADLINES`.

    Returns:
        Second minus first, over the starts that both played.

    Raises:
        ValueError: In one of the table's environments they have no start in common.
    """
    pairs = _pairs(first, second)
    if missing := [env_id for env_id in vlbench.HEADLINES[table] if env_id not in pairs]:
        raise ValueError(f"the two runs have no row of {missing[0]} in common")
    gains = {
        env_id: [(one.instance, _gain(one, other)) for one, other in pairs[env_id]]
        for env_id in vlbench.HEADLINES[table]
    }
    return normalized_mean(gains, suite, floors=False)
