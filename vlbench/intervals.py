"""Intervals: Wilson's for a rate, the cluster bootstrap where starts repeat, Student's for seeds.

Resampling draws raw words of PCG64, whose stream numpy guarantees, so that an interval is the same
under every version of numpy.
"""

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

RESAMPLES = 2000
FEW = 20
"""Below so many clusters a percentile bootstrap is too narrow (7 clusters: it covers 89 %)."""
Z95 = 1.959963984540054
T95 = (12.7062, 4.3027, 3.1824, 2.7764, 2.5706, 2.4469, 2.3646, 2.3060, 2.2622, 2.2281)
"""Student's 97.5 % quantile by degrees of freedom, 1 to 10."""


@dataclass(frozen=True, slots=True)
class Interval:
    """An estimate with its 95 % interval."""

    value: float
    low: float
    high: float


def wilson(successes: float, trials: int) -> Interval:
    """Return a rate with Wilson's 95 % interval (Wilson 1927).

    Args:
        successes: How many trials succeeded, 0..trials.
        trials: At least 1.
    """
    rate = successes / trials
    center = (rate + Z95**2 / (2 * trials)) / (1 + Z95**2 / trials)
    spread = math.sqrt(rate * (1 - rate) / trials + Z95**2 / (4 * trials**2))
    half = Z95 * spread / (1 + Z95**2 / trials)
    low, high = min(center - half, rate), max(center + half, rate)
    return Interval(rate, max(0.0, low), min(1.0, high))


def rate(outcomes: Sequence[bool], clusters: Sequence[Hashable]) -> Interval:
    """Return a success rate with its 95 % interval.

    Where every cluster stands once, the interval is Wilson's. Where clusters repeat (one instance
    in many pictures), it is bootstrapped over clusters; and where there are fewer than FEW of them
    or all outcomes are equal, which a bootstrap takes for more certain than it is, it is no
    narrower than Wilson's for as many trials as there are clusters.
    """
    distinct = len(set(clusters))
    successes = sum(outcomes)
    if distinct == len(outcomes):
        return wilson(successes, distinct)
    sure = wilson(successes * distinct / len(outcomes), distinct)
    if successes in (0, len(outcomes)):
        return sure
    means = resampled_means([float(outcome) for outcome in outcomes], clusters)
    return percentile_interval(sure.value, means, sure if distinct < FEW else None)


def mean(
    values: Sequence[float], clusters: Sequence[Hashable], span: float | None = None
) -> Interval:
    """Return a mean with its 95 % percentile interval, bootstrapped over clusters.

    Args:
        values: One number an observation, at least one.
        clusters: The cluster of each observation.
        span: How far a value may lie from 0 either way. Where it is given and there are fewer than
            FEW clusters, or all values are equal, the interval leaves room for what so few can't
            have shown: a share 1 − 0.025^(1/clusters) of others, at the ends of the span.
    """
    value = sum(values) / len(values)
    distinct = len(set(clusters))
    room = None
    if span is not None and (distinct < FEW or len(set(values)) == 1):
        unseen = 1 - 0.025 ** (1 / distinct)
        room = Interval(value, value - unseen * (value + span), value + unseen * (span - value))
    return percentile_interval(value, resampled_means(values, clusters), room)


def student(values: Sequence[float]) -> Interval:
    """Return a mean with Student's 95 % interval: for few independent numbers, as of seeds.

    Args:
        values: At least two numbers, of which the interval takes a normal distribution.

    Raises:
        ValueError: There are fewer.
    """
    if len(values) < 2:
        raise ValueError(f"an interval over seeds needs at least 2 of them, got {len(values)}")
    value = math.fsum(values) / len(values)
    freedom = len(values) - 1
    variance = math.fsum((v - value) ** 2 for v in values) / freedom
    half = _student_quantile(freedom) * math.sqrt(variance / len(values))
    return Interval(value, value - half, value + half)


def _student_quantile(freedom: int) -> float:
    """Return the 97.5 % quantile; beyond the table by its expansion in 1/freedom (to 0.001)."""
    if freedom <= len(T95):
        return T95[freedom - 1]
    z = Z95
    first = (z**3 + z) / (4 * freedom)
    second = (5 * z**5 + 16 * z**3 + 3 * z) / (96 * freedom**2)
    return z + first + second


def percentile_interval(
    value: float, means: npt.NDArray[np.float64], room: Interval | None = None
) -> Interval:
    """Return the interval from the 2.5th to the 97.5th percentile of RESAMPLES means.

    Args:
        value: What was measured.
        means: Shape (RESAMPLES,), float64; see `resampled_means`.
        room: The interval is no narrower than this one.
    """
    ordered = np.sort(means)
    low, high = float(ordered[int(0.025 * RESAMPLES)]), float(ordered[int(0.975 * RESAMPLES) - 1])
    if room is not None:
        low, high = min(low, room.low), max(high, room.high)
    return Interval(value, low, high)


def resampled_means(
    values: Sequence[float], clusters: Sequence[Hashable], seed: int = 0
) -> npt.NDArray[np.float64]:
    """Return the means of RESAMPLES cluster-bootstrap samples.

    Args:
        values: One number an observation, at least one.
        clusters: The cluster of each observation.
        seed: Seed of the raw PCG64 stream.

    Returns:
        Shape (RESAMPLES,), float64.
    """
    numbers = {cluster: number for number, cluster in enumerate(dict.fromkeys(clusters))}
    index = [numbers[cluster] for cluster in clusters]
    totals = np.bincount(index, weights=np.asarray(values, np.float64))
    counts = np.bincount(index).astype(np.float64)
    raw = np.random.PCG64(seed).random_raw(RESAMPLES * len(numbers))
    drawn = (raw % len(numbers)).astype(np.intp).reshape(RESAMPLES, len(numbers))
    means: npt.NDArray[np.float64] = totals[drawn].sum(1) / counts[drawn].sum(1)
    return means
