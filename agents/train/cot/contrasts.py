"""The statistics of the study: differences between arms, Holm's correction, equivalence.

Arms are compared in pairs of seeds and rows; see `agents.results.paired`.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from agents.results.paired import paired_difference
from vlbench.intervals import Interval

LEVEL = 0.05
STEPS = 2_000
"""Intervals of Simpson's rule; even."""


@dataclass(frozen=True, slots=True)
class Contrast:
    """An arm against the reference."""

    difference: Interval
    """Of success, from −1 to 1, with its 95 % interval."""
    p: float
    """Two-sided p that the difference is 0, not corrected."""
    p_equivalent: float
    """p that the difference is outside ± margin: the larger of two one-sided tests (TOST)."""


def contrast(reference: Sequence[str], other: Sequence[str], margin: float) -> Contrast:
    """Compare an arm with the reference.

    Args:
        reference: For each seed, a "1" or "0" for each row.
        other: The same of the arm, with the same seeds and rows; at least two seeds.
        margin: Success that counts as equivalent.
    """
    result = paired_difference(reference, other)
    return Contrast(
        result.interval(),
        2 * _tail(abs(result.mean), result.error, result.freedom),
        max(_tail(margin - sign * result.mean, result.error, result.freedom) for sign in (-1, 1)),
    )


def holm(ps: Mapping[str, float]) -> dict[str, float]:
    """Return p-values corrected by Holm's step-down procedure (Holm 1979)."""
    corrected, largest = {}, 0.0
    for rank, name in enumerate(sorted(ps, key=lambda name: ps[name])):
        largest = max(largest, min(1.0, (len(ps) - rank) * ps[name]))
        corrected[name] = largest
    return {name: corrected[name] for name in ps}


def verdict(result: Contrast, corrected: float) -> str:
    """Say what a contrast shows, with Holm's p."""
    if corrected < LEVEL:
        return "better" if result.difference.value > 0 else "worse"
    return "equivalent" if result.p_equivalent < LEVEL else "undecided"


def student_tail(t: float, freedom: int) -> float:
    """Return P(T > t) of Student's distribution, to about 1e-9."""
    if t < 0:
        return 1 - student_tail(-t, freedom)
    # x = √ν tan θ turns the density into cos^(ν−1) θ on a finite range.
    end = math.atan(t / math.sqrt(freedom))
    width = end / STEPS
    weights = (1 if i in (0, STEPS) else 4 if i % 2 else 2 for i in range(STEPS + 1))
    area = sum(w * math.cos(i * width) ** (freedom - 1) for i, w in enumerate(weights)) * width / 3
    scale = math.exp(math.lgamma((freedom + 1) / 2) - math.lgamma(freedom / 2)) / math.sqrt(math.pi)
    return max(0.0, 0.5 - scale * area)


def _tail(distance: float, error: float, freedom: int) -> float:
    """Return P(T > distance / error); without error, 0 or 1 by the sign."""
    if error == 0:
        return 0.0 if distance > 0 else 0.5 if distance == 0 else 1.0
    return student_tail(distance / error, freedom)
