"""Means over runs that are seeds of one method, with Student's interval over the seeds."""

from collections.abc import Sequence
from dataclasses import dataclass

from vlbench.intervals import Interval, student
from vlbench.scoring import Scorecard


@dataclass(frozen=True, slots=True)
class SeedMean:
    """A method's mean over seeds, on one environment."""

    env: str
    """The environment's id."""
    suite: str
    """The set that all seeds played."""
    seeds: int
    """Number of runs."""
    success: Interval
    """Mean success rate, with its 95 % interval (Student's, over seeds)."""
    normalized: Interval | None
    """Mean normalised success; None where a run has none."""
    mean_return: Interval
    """Mean of the mean returns."""


def seed_means(runs: Sequence[Sequence[Scorecard]]) -> list[SeedMean]:
    """Return the means over runs, for each environment and set that all of them played.

    Args:
        runs: The scorecards of each seed's run; at least two.

    Raises:
        ValueError: There are fewer than two runs, or no environment that all played.
    """
    if len(runs) < 2:
        raise ValueError(f"a mean over seeds needs at least 2 runs, got {len(runs)}")
    tables = [{(card.env, card.suite): card for card in cards} for cards in runs]
    shared = [key for key in tables[0] if all(key in table for table in tables)]
    if not shared:
        raise ValueError("the runs have no environment in common; play the same suite with all")
    return [_mean([table[key] for table in tables]) for key in shared]


def _mean(cards: Sequence[Scorecard]) -> SeedMean:
    normalized = [card.normalized for card in cards if card.normalized is not None]
    return SeedMean(
        cards[0].env,
        cards[0].suite,
        len(cards),
        student([card.success for card in cards]),
        student(normalized) if len(normalized) == len(cards) else None,
        student([card.mean_return for card in cards]),
    )
