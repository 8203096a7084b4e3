"""Differences in success between models that several seeds trained, in pairs of seeds and rows."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import variance

from vlbench.intervals import Interval, student_quantile


@dataclass(frozen=True, slots=True)
class PairedDifference:
    """A mean difference in success, over seeds and rows."""

    mean: float
    error: float
    """Standard error: its square is the sum of the variances of the means over seeds and over rows,
    each with the other averaged out (a two-way layout without replication, so that it errs to the
    wide side)."""
    freedom: int
    """Degrees of freedom of Student's t: one less than there are seeds."""

    def interval(self) -> Interval:
        """Return the mean with its 95 % interval."""
        reach = student_quantile(self.freedom) * self.error
        return Interval(self.mean, self.mean - reach, self.mean + reach)


def paired_difference(before: Sequence[str], after: Sequence[str]) -> PairedDifference:
    """Compare two models of each of several seeds on the same rows.

    Args:
        before: For each seed, a "1" for each row whose goal was reached, and a "0" for each other.
        after: The same of the other models; at least two seeds.
    """
    differences = [
        [int(new) - int(old) for old, new in zip(first, second, strict=True)]
        for first, second in zip(before, after, strict=True)
    ]
    seeds, rows = len(differences), len(differences[0])
    by_seed = [sum(row) / rows for row in differences]
    by_row = [sum(column) / seeds for column in zip(*differences, strict=True)]
    error = math.sqrt(variance(by_seed) / seeds + variance(by_row) / rows)
    return PairedDifference(sum(by_seed) / seeds, error, seeds - 1)
