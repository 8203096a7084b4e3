"""Intervals: Wilson's for a rate, the cluster bootstrap where starts repeat, and paired ones.

Resampling draws raw words of PCG64, whose stream numpy guarantees, so that an interval is the same
under every version of numpy.
"""

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

RESAMPLES = 2000
Z95 = 1.959963984540054


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
    in many pictures), it is bootstrapped over clusters; if all outcomes are equal, which leaves a
    bootstrap nothing to resample, it is Wilson's for as many trials as there are clusters.
    """
    distinct = len(set(clusters))
    successes = sum(outcomes)
    if distinct == len(outcomes):
        return wilson(successes, len(outcomes))
    if successes in (0, len(outcomes)):
        return wilson(successes * distinct / len(outcomes), distinct)
    return mean([float(outcome) for outcome in outcomes], clusters)


def mean(values: Sequence[float], clusters: Sequence[Hashable]) -> Interval:
    """Return a mean with its 95 % percentile interval, bootstrapped over clusters."""
    means = np.sort(resampled_means(values, clusters))
    low, high = means[int(0.025 * RESAMPLES)], means[int(0.975 * RESAMPLES) - 1]
    return Interval(sum(values) / len(values), float(low), float(high))


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
