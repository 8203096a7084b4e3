"""Whether an engine's advantages see what a turn was worth: correlations, signs, variance.

The exact advantage of a turn is A* = Q* − V*: the optimal return after the reply, minus the optimal
return before it; that is, minus the turn's regret. It is 0 for an optimal reply and negative for
any other, it has no luck in it, and it doesn't depend on the policy.
"""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from vlbench.intervals import Interval, percentile_interval, resampled_sums

Array = npt.NDArray[np.float64]

TOLERANCE = 1e-9
"""What counts as 0, relative to the largest number, or to the total sum of squares."""


@dataclass(frozen=True, slots=True)
class Shares:
    """The parts of a variance, which add up to 1; see `variance_shares`."""

    turn: float | None
    """The part of the turn's number; None if no number has several turns."""
    instance: float | None
    """The part of the instance, beyond the turn's number; None if no instance has several turns."""
    action: float | None
    """The part of the rest that is linear in the exact advantage; None if that is constant."""
    rest: float
    """Everything else: other turns, chance, noise."""


@dataclass(frozen=True, slots=True)
class Credit:
    """An engine's advantages beside the exact ones."""

    turns: int
    """Turns that have both."""
    episodes: int
    """Episodes with such turns."""
    pearson: Interval | None
    """Pearson's correlation, with its 95 % interval over episodes; None if either is constant."""
    spearman: Interval | None
    """Spearman's rank correlation, likewise."""
    same_state: Interval | None
    """Pearson's correlation within states: of both numbers less their means over all turns in the
    same state. None if no state has replies of different worth."""
    sign_agreement: Interval
    """Share of turns whose advantage is at least 0 if the reply is optimal, else below 0."""
    optimal_agreement: float | None
    """Share of the optimal replies with an advantage of at least 0; None if there are none."""
    other_agreement: float | None
    """Share of the other replies with an advantage below 0; None if there are none."""
    shares: Shares | None
    """The parts of the advantages' variance; None if they are constant."""
    exact_shares: Shares | None
    """The parts of the exact advantages' variance, for comparison."""


def assess_credit(
    advantages: Sequence[float],
    exact: Sequence[float],
    turns: Sequence[int],
    instances: Sequence[Hashable],
    episodes: Sequence[Hashable],
    states: Sequence[Hashable],
) -> Credit:
    """Compare advantages with the exact ones.

    Args:
        advantages: The engine's, one for each of N turns, N ≥ 1.
        exact: A* of each turn, at most 0.
        turns: The turn's number in its episode.
        instances: The turn's instance.
        episodes: The turn's episode; intervals are bootstrapped over episodes.
        states: The turn's state.
    """
    x, y = np.asarray(advantages, np.float64), np.asarray(exact, np.float64)
    optimal, raised = y >= 0, x >= -TOLERANCE * np.abs(x).max()
    return Credit(
        turns=len(x),
        episodes=len(set(episodes)),
        pearson=correlation(x, y, episodes),
        spearman=correlation(ranks(x), ranks(y), episodes),
        same_state=correlation(_without_means(x, states), _without_means(y, states), episodes),
        sign_agreement=_share(raised == optimal, episodes),
        optimal_agreement=float(raised[optimal].mean()) if optimal.any() else None,
        other_agreement=float((~raised)[~optimal].mean()) if (~optimal).any() else None,
        shares=variance_shares(x, y, turns, instances),
        exact_shares=variance_shares(y, y, turns, instances),
    )


def correlation(x: Array, y: Array, clusters: Sequence[Hashable]) -> Interval | None:
    """Return Pearson's correlation with a 95 % percentile interval, bootstrapped over clusters.

    With a single cluster the interval is −1 to 1.

    Args:
        x: (N,).
        y: (N,).
        clusters: The cluster of each observation.

    Returns:
        None if x or y is constant.
    """
    x, y = _standardized(x), _standardized(y)
    if not (x.any() and y.any()):
        return None
    columns = np.stack([np.ones_like(x), x, y, x * x, y * y, x * y], axis=1)
    value = float(np.clip(_pearson(columns.sum(0)[None])[0], -1, 1))
    if len(set(clusters)) < 2:
        return Interval(value, -1.0, 1.0)
    resampled = _pearson(resampled_sums(columns, clusters))
    resampled = np.clip(resampled[np.isfinite(resampled)], -1, 1)  # some may be constant
    return percentile_interval(value, resampled)


def _standardized(values: Array) -> Array:
    """Return values less their mean, in deviations; zeros if they are constant."""
    centered: Array = values - values.mean()
    scale = np.abs(centered).max()
    if scale <= TOLERANCE * np.abs(values).max():
        return np.zeros_like(values)
    result: Array = centered / scale
    return result


def _pearson(sums: Array) -> Array:
    """Return correlations (R,) from the sums (R, 6) of 1, x, y, x², y², x·y; NaN if constant."""
    count, x, y, xx, yy, xy = sums.T
    with np.errstate(divide="ignore", invalid="ignore"):
        x_spread, y_spread = xx - x * x / count, yy - y * y / count
        varied = (x_spread > TOLERANCE * xx) & (y_spread > TOLERANCE * yy)
        spread = np.sqrt(np.where(varied, x_spread * y_spread, np.nan))
        result: Array = (xy - x * y / count) / spread
    return result


def ranks(values: Array) -> Array:
    """Return the rank of each value, from 1; equal values share the mean of their ranks."""
    _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    result: Array = (last - (counts - 1) / 2)[place.reshape(-1)]
    return result


def _share(flags: npt.NDArray[np.bool_], clusters: Sequence[Hashable]) -> Interval:
    """Return the share of flags that are set, bootstrapped over clusters."""
    value = float(flags.mean())
    if len(set(clusters)) < 2:
        return Interval(value, 0.0, 1.0)
    sums = resampled_sums(np.stack([flags, np.ones_like(flags)], axis=1).astype(float), clusters)
    return percentile_interval(value, sums[:, 0] / sums[:, 1])


def variance_shares(
    values: Array, exact: Array, turns: Sequence[int], instances: Sequence[Hashable]
) -> Shares | None:
    """Split a variance into the parts of the turn's number, the instance and the action.

    The parts are taken out one after the other: first each turn number's mean, then each
    instance's mean of what remains. A part is

        ε² = (SS_between − d_between · SS_within / d_within) / SS_total,

    at least 0, where d counts degrees of freedom, because even noise has different group means.
    What remains is divided between `action` and `rest` by the squared correlation with the exact
    advantage, from which the same means have been taken.

    Args:
        values: (N,), whose variance is split.
        exact: (N,), A* of the turns.
        turns: N turn numbers.
        instances: N instances.

    Returns:
        None if the values are constant.
    """
    values, exact = _standardized(values), _standardized(exact)
    total = float(values @ values)
    if total == 0:
        return None
    worth = exact
    freedom = len(values) - 1
    parts: list[float | None] = []
    for groups in (turns, instances):
        between = len(set(groups)) - 1
        if freedom - between < 1:  # each group has one turn, so that its mean says nothing
            parts.append(None)
            continue
        freedom -= between
        after, worth = _without_means(values, groups), _without_means(worth, groups)
        noise = between * float(after @ after) / freedom
        explained = float(values @ values) - float(after @ after)
        parts.append(max(0.0, explained - noise) / total)
        values = after
    left_over = max(0.0, 1 - sum(part or 0.0 for part in parts))
    action = None
    if exact.any():
        squares = float(values @ values), float(worth @ worth)
        varied = squares[0] > TOLERANCE * total and squares[1] > TOLERANCE
        product = float(values @ worth)
        action = left_over * product**2 / (squares[0] * squares[1]) if varied else 0.0
    return Shares(parts[0], parts[1], action, max(0.0, left_over - (action or 0.0)))


def _without_means(values: Array, groups: Sequence[Hashable]) -> Array:
    """Return the values less the mean of their group."""
    numbers = {group: number for number, group in enumerate(dict.fromkeys(groups))}
    index = np.array([numbers[group] for group in groups])
    means: Array = np.bincount(index, weights=values) / np.bincount(index)
    result: Array = values - means[index]
    result[np.abs(result) <= TOLERANCE * np.abs(values).max()] = 0
    return result
