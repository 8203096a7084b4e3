"""Comparisons as texts for a terminal: what differs, repeats, and means over seeds."""

from collections.abc import Sequence

from agents.tables import table
from vlbench.comparison import Difference, Repeats, SeedMean
from vlbench.display.formatting import MISSING, number, number_range, percent_interval
from vlbench.intervals import Interval

SAME = "The runs differ in nothing that is recorded."


def differences_table(differing: Sequence[Difference], names: Sequence[str]) -> str:
    """Return what differs between runs as a table with a column for each run.

    Args:
        differing: From `vlbench.comparison.differences`.
        names: The runs, in their order.
    """
    if not differing:
        return f"{', '.join(dict.fromkeys(names))}: {SAME}"
    head = ("differs", *(f"run {number}" for number in range(1, len(names) + 1)))
    return table(head, [(each.name, *each.values) for each in differing])


def repeats_table(runs: Sequence[Sequence[Repeats]]) -> str:
    """Return pass^k and flip rates of runs as a table; "" where no row was played twice."""
    numbered = [(number, each) for number, run in enumerate(runs, 1) for each in run]
    if not numbered:
        return ""
    tries = sorted({k for _, each in numbered for k in each.passes})
    head = ("repeats", "run", "rows", "tries", *(f"pass^{k}" for k in tries), "flip rate")
    rows = [
        (
            each.env,
            str(run),
            str(each.rows),
            str(each.repeats),
            *(_share(each.passes.get(k)) for k in tries),
            _share(each.flips),
        )
        for run, each in numbered
    ]
    return table(head, rows)


def seeds_table(means: Sequence[SeedMean]) -> str:
    """Return means over seeds as a table; "" for none."""
    if not means:
        return ""
    head = ("mean over seeds", "suite", "seeds", "success (95 %)", "normalized (95 %)", "return")
    rows = [
        (
            each.env,
            each.suite,
            str(each.seeds),
            _share(each.success),
            _number(each.normalized),
            _number(each.mean_return),
        )
        for each in means
    ]
    return table(head, rows)


def _share(value: Interval | None) -> str:
    return MISSING if value is None else percent_interval(value.value, value.low, value.high)


def _number(value: Interval | None) -> str:
    if value is None:
        return MISSING
    return f"{number(value.value)} ({number_range(value.low, value.high)})"
