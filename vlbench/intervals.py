"""95 % intervals: Wilson's for rates, cluster bootstrap for repeated starts, Student's for seeds.

The bootstrap draws raw words of PCG64, whose stream numpy guarantees, so that an interval is the
same under every version of numpy.
"""

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

RESAMPLES = 2000
FEW = 20
"""With fewer clusters a percentile bootstrap is too narrow (with 7 clusters it covers 89 %)."""
DRAWN_AT_ONCE = 1 << 20
"""Clusters that the bootstrap draws at once; bounds its memory."""
Z95 = 1.959963984540054
T95 = (12.7062, 4.3027, 3.1824, 2.7764, 2.5706, 2.4469, 2.3646, 2.3060, 2.2622, 2.2281)
"""Student's 97.5 % quantiles for 1 to 10 degrees of freedom."""


@dataclass(frozen=True, slots=True)
class Interval:
    """An estimate with its 95 % interval."""

    value: float
    """The estimate."""
    low: float
    """Lower end."""
    high: float
    """Upper end."""


def wilson(successes: float, trials: int) -> Interval:
    """Return a rate with Wilson's 95 % interval (Wilson 1927).

    Args:
        successes: Number of successful trials, 0..trials.
        trials: Number of trials, at least 1.
    """
    rate = successes / trials
    center = (rate + Z95**2 / (2 * trials)) / (1 + Z95**2 / trials)
    spread = math.sqrt(rate * (1 - rate) / trials + Z95**2 / (4 * trials**2))
    half = Z95 * spread / (1 + Z95**2 / trials)
    low, high = min(center - half, rate), max(center + half, rate)
    return Interval(rate, max(0.0, low), min(1.0, high))


def rate_difference(first: Interval, second: Interval) -> Interval:
    """Return the difference of two independent rates, second minus first, with its 95 % interval.

    The interval follows from those of the rates (Newcombe 1998, method 10).
    """
    value = second.value - first.value
    below = math.hypot(second.value - second.low, first.high - first.value)
    above = math.hypot(second.high - second.value, first.value - first.low)
    return Interval(value, value - below, value + above)


def rate(outcomes: Sequence[bool], clusters: Sequence[Hashable]) -> Interval:
    """Return a success rate with its 95 % interval.

    If every cluster occurs once, the interval is Wilson's. If clusters repeat (one instance in
    several pictures), it is bootstrapped over clusters. A bootstrap is too narrow with fewer than
    FEW clusters or when all outcomes are equal; the interval is then at least as wide as Wilson's
    for one trial per cluster.
    """
    distinct = len(set(clusters))
    successes = sum(outcomes)
    if distinct == len(outcomes):
        return wilson(successes, distinct)
    narrowest = wilson(successes * distinct / len(outcomes), distinct)
    if successes in (0, len(outcomes)):
        return narrowest
    means = resampled_means([float(outcome) for outcome in outcomes], clusters)
    return percentile_interval(narrowest.value, means, narrowest if distinct < FEW else None)


def mean(
    values: Sequence[float], clusters: Sequence[Hashable], span: float | None = None
) -> Interval:
    """Return a mean with its 95 % percentile interval, bootstrapped over clusters.

    Args:
        values: One number per observation, at least one.
        clusters: The cluster of each observation.
        span: Largest absolute value possible. With fewer than FEW clusters, or if all values are
            equal, it widens the interval to allow for values not observed: a share
            1 − 0.025^(1/clusters) of them, at either end of the span. None widens nothing.
    """
    value = sum(values) / len(values)
    distinct = len(set(clusters))
    room = None
    if span is not None and (distinct < FEW or len(set(values)) == 1):
        unseen = 1 - 0.025 ** (1 / distinct)
        room = Interval(value, value - unseen * (value + span), value + unseen * (span - value))
    return percentile_interval(value, resampled_means(values, clusters), room)


def student(values: Sequence[float]) -> Interval:
    """Return a mean with Student's 95 % interval, for a few independent values such as seeds.

    Args:
        values: At least two values, assumed normally distributed.

    Raises:
        ValueError: There are fewer than two values.
    """
    if len(values) < 2:
        raise ValueError(f"an interval over seeds needs at least 2 of them, got {len(values)}")
    value = math.fsum(values) / len(values)
    freedom = len(values) - 1
    variance = math.fsum((v - value) ** 2 for v in values) / freedom
    half = student_quantile(freedom) * math.sqrt(variance / len(values))
    return Interval(value, value - half, value + half)


def student_quantile(freedom: int) -> float:
    """Return the 97.5 % quantile; beyond T95, by an expansion in 1/freedom (error below 0.001)."""
    if freedom <= len(T95):
        return T95[freedom - 1]
    z = Z95
    first = (z**3 + z) / (4 * freedom)
    second = (5 * z**5 + 16 * z**3 + 3 * z) / (96 * freedom**2)
    return z + first + second


def percentile_interval(
    value: float, means: npt.NDArray[np.float64], room: Interval | None = None
) -> Interval:
    """Return the interval from the 2.5th to the 97.5th percentile of resampled estimates.

    Args:
        value: The estimate.
        means: Shape (R,), float64, R ≥ 1; see `resampled_means`.
        room: An interval that the result must cover; None for no such bound.
    """
    ordered = np.sort(means)
    last = max(0, int(0.975 * len(ordered)) - 1)
    low, high = float(ordered[int(0.025 * len(ordered))]), float(ordered[last])
    if room is not None:
        low, high = min(low, room.low), max(high, room.high)
    return Interval(value, low, high)


def resampled_means(
    values: Sequence[float], clusters: Sequence[Hashable], seed: int = 0
) -> npt.NDArray[np.float64]:
    """Return the means of RESAMPLES cluster-bootstrap samples.

    Args:
        values: One number per observation, at least one.
        clusters: The cluster of each observation.
        seed: Seed of the raw PCG64 stream.

    Returns:
        Shape (RESAMPLES,), float64.
    """
    columns = np.stack([np.asarray(values, np.float64), np.ones(len(clusters))], axis=1)
    sums = resampled_sums(columns, clusters, seed)
    means: npt.NDArray[np.float64] = sums[:, 0] / sums[:, 1]
    return means


def resampled_sums(
    columns: npt.NDArray[np.float64], clusters: Sequence[Hashable], seed: int = 0
) -> npt.NDArray[np.float64]:
    """Return the sums of RESAMPLES cluster-bootstrap samples.

    Args:
        columns: Shape (N, K), float64, N ≥ 1; K numbers per observation.
        clusters: The cluster of each observation.
        seed: Seed of the raw PCG64 stream.

    Returns:
        Shape (RESAMPLES, K), float64.
    """
    numbers = {cluster: number for number, cluster in enumerate(dict.fromkeys(clusters))}
    index = [numbers[cluster] for cluster in clusters]
    totals = [np.bincount(index, weights=column) for column in columns.T]
    sums = np.empty((RESAMPLES, len(totals)))
    stream = np.random.PCG64(seed)
    rows = max(1, DRAWN_AT_ONCE // len(numbers))
    for start in range(0, RESAMPLES, rows):
        part = sums[start : start + rows]
        raw = stream.random_raw(len(part) * len(numbers))
        drawn = (raw % len(numbers)).astype(np.intp).reshape(len(part), len(numbers))
        for number, total in enumerate(totals):
            part[:, number] = total[drawn].sum(1)
    return sums
