"""Compare two runs in pairs, by the starts that both played; an errored episode is a failure.

A start that was played several times counts with the mean of its repeats. A run with a blank
picture is compared with the same agent's run with the true one: the difference is its visual gain.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

import vlbench
from vlbench.intervals import Interval, mean, percentile_interval, resampled_sums
from vlbench.records import Episode, RunHeader, Tally, tally
from vlbench.scoring import Scorecard, normalized_mean

Episodes = Sequence[Episode | Tally]
"""What a run played, in full or in tallies."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """The difference between two runs on the rows that both played."""

    env: str
    """The environment's id."""
    rows: int
    """Rows that both runs played, repeats apart."""
    success: Interval
    """Difference of success rates, second minus first, with its paired 95 % interval."""
    mean_return: Interval
    """Difference of mean returns, second minus first, with its paired 95 % interval."""
    regret: Interval | None
    """Difference of mean regrets of a turn, second minus first, with its paired 95 % interval; None
    where the environment has no values. It has no luck in it, and less is better."""
    only_first: int
    """Rows that only the first run solved; of repeats, those that it solved more often."""
    only_second: int
    """Rows that only the second run solved; of repeats, those that it solved more often."""
    errored_first: int
    """Episodes of the first run that errored; they count as failures."""
    errored_second: int
    """Episodes of the second run that errored; they count as failures."""

    @property
    def separated(self) -> bool:
        """Whether the interval of the success difference excludes 0."""
        return self.success.low > 0 or self.success.high < 0


def compare(first: Episodes, second: Episodes) -> list[Comparison]:
    """Compare two runs per environment, paired by the starts that both played.

    Raises:
        ValueError: They have no start in common.
    """
    pairs = _pairs(first, second)
    if not pairs:
        raise ValueError("the two runs have no row in common; play the same suite with both")
    return [_comparison(env_id, matched) for env_id, matched in pairs.items()]


@dataclass(frozen=True, slots=True)
class Pair:
    """The episodes of two agents from one start, with all repeats; at least one each."""

    first: tuple[Tally, ...]
    second: tuple[Tally, ...]

    @property
    def instance(self) -> str:
        """The instance that both played."""
        return self.first[0].instance

    @property
    def gain(self) -> float:
        """Difference of the success rates over the repeats, second minus first."""
        return _success(self.second) - _success(self.first)

    @property
    def is_same(self) -> bool:
        """Whether both hold the same replies, as where a run is compared with itself."""
        first, second = (sorted(each.mark for each in side) for side in (self.first, self.second))
        return first == second


def _success(episodes: Sequence[Tally]) -> float:
    return sum(episode.is_success for episode in episodes) / len(episodes)


def _return(episodes: Sequence[Tally]) -> float:
    return sum(episode.total for episode in episodes) / len(episodes)


def _pairs(first: Episodes, second: Episodes) -> dict[str, list[Pair]]:
    """Return env id → pairs for the starts that both played, in the first run's order."""
    sides: list[dict[tuple[Any, ...], list[Tally]]] = [{}, {}]
    for side, episodes in zip(sides, (first, second), strict=True):
        for episode in map(tally, episodes):
            side.setdefault(_start(episode), []).append(episode)
    pairs: dict[str, list[Pair]] = {}
    for start, played in sides[0].items():
        if others := sides[1].get(start):
            pairs.setdefault(played[0].env_id, []).append(Pair(tuple(played), tuple(others)))
    return pairs


def _comparison(env_id: str, pairs: Sequence[Pair]) -> Comparison:
    clusters = [pair.instance for pair in pairs]
    gains = [pair.gain for pair in pairs]
    returns = [_return(pair.second) - _return(pair.first) for pair in pairs]
    nothing = Interval(0.0, 0.0, 0.0)
    is_same = all(pair.is_same for pair in pairs)
    regret = _regret_difference(pairs)
    return Comparison(
        env_id,
        len(pairs),
        nothing if is_same else mean(gains, clusters, span=1.0),
        nothing if is_same else mean(returns, clusters),
        nothing if is_same and regret else regret,
        only_first=sum(gain < 0 for gain in gains),
        only_second=sum(gain > 0 for gain in gains),
        errored_first=sum(episode.is_errored for pair in pairs for episode in pair.first),
        errored_second=sum(episode.is_errored for pair in pairs for episode in pair.second),
    )


def _regret_difference(pairs: Sequence[Pair]) -> Interval | None:
    """Return the difference of mean regrets of a turn, bootstrapped over instances."""
    columns = np.array([[*_regrets(pair.first), *_regrets(pair.second)] for pair in pairs])
    sums = columns.sum(0)
    if not (sums[1] and sums[3]):
        return None
    resampled = resampled_sums(columns, [pair.instance for pair in pairs])
    means = [sums[None], resampled]
    first, second = ([part[:, i] / np.maximum(part[:, i + 1], 1) for part in means] for i in (0, 2))
    return percentile_interval(float(second[0][0] - first[0][0]), second[1] - first[1])


def _regrets(episodes: Sequence[Tally]) -> tuple[float, int]:
    """Return the sum of the episodes' regrets and their number."""
    return sum(each.regret for each in episodes), sum(each.regrets for each in episodes)


def check_blind(header: RunHeader, blind: RunHeader) -> None:
    """Check that a run is another's with a blank picture, and differs in nothing else.

    Raises:
        ValueError: It isn't; says why.
    """
    if header.picture != "true" or blind.picture != "blank":
        raise ValueError(
            f'a visual gain needs a run with the picture "true" and one with "blank", got '
            f'"{header.picture}" and "{blind.picture}"'
        )
    if conflict := header.conflict(replace(blind, picture=header.picture)):
        raise ValueError(f"the blind run is of another agent or other rows: {conflict}")


def with_visual_gain(
    cards: Sequence[Scorecard],
    episodes: Episodes,
    blind: Episodes,
) -> list[Scorecard]:
    """Return scorecards with their visual gains: success less that with a blank picture.

    Args:
        cards: The scorecards of a run.
        episodes: The run's episodes.
        blind: Those of the same agent with a blank picture; rows that it lacks are left out.
    """
    gains = {
        env_id: _comparison(env_id, pairs) for env_id, pairs in _pairs(blind, episodes).items()
    }
    return [
        replace(card, visual_gain=gains[card.env].success) if card.env in gains else card
        for card in cards
    ]


PRESENTED = ("prompt", "theme", "jitter", "picture", "picture_size")
"""Keyword arguments in which episodes of a pair may differ: this is what is compared."""


def _start(episode: Tally) -> tuple[Any, ...]:
    rules = {name: str(value) for name, value in episode.kwargs.items() if name not in PRESENTED}
    arguments = tuple(sorted(rules.items()))
    start = (episode.env_id, arguments, episode.instance, episode.presentation)
    return (*start, episode.seed)


def headline_difference(first: Episodes, second: Episodes, suite: str, table: str) -> Interval:
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
        env_id: [(pair.instance, pair.gain) for pair in pairs[env_id]]
        for env_id in vlbench.HEADLINES[table]
    }
    return normalized_mean(gains, suite, floors=False)
