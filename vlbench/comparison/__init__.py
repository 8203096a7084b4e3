"""Compare runs: in pairs, over repeats of a row, over seeds, and by what differs between them."""

from vlbench.comparison.differences import Difference, differences
from vlbench.comparison.pairs import (
    Comparison,
    check_blind,
    compare,
    headline_difference,
    with_visual_gain,
)
from vlbench.comparison.repeats import Repeats, repeats_of
from vlbench.comparison.seeds import SeedMean, seed_means

__all__ = [
    "Comparison",
    "Difference",
    "Repeats",
    "SeedMean",
    "check_blind",
    "compare",
    "differences",
    "headline_difference",
    "repeats_of",
    "seed_means",
    "with_visual_gain",
]
