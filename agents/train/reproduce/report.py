"""The page of a study: a table of its arms, its comparisons, and its learning curves."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agents.results.study_lines import Line
from agents.results.study_page import write_page
from agents.train.reproduce.study import Comparison, Study
from vlbench import intervals
from vlbench.intervals import Interval


@dataclass(frozen=True)
class Measure:
    """A number from the result of an (arm, seed)."""

    title: str
    of: Callable[[Line], float]


def _mean_success(line: Line) -> float:
    later: list[float] = [point["success"] for point in line["curve"] if point["turns"]]
    return sum(later) / len(later)


MEASURES = (
    Measure("greedy success at the end", lambda line: line["end"]["success"]),
    Measure("greedy success, mean of the evaluations in training", _mean_success),
    Measure("sampled success at the end", lambda line: line["sampled_end"]["success"]),
    Measure("optimal actions in the last rollout", lambda line: line["rollouts"][-1]),
)
"""The measures that arms are compared by; the first is the main one."""


def of_arm(lines: Sequence[Line], name: str) -> dict[int, Line]:
    """Return seed → line of an arm, in order of seeds."""
    own = [line for line in lines if line["arm"] == name]
    return {line["seed"]: line for line in sorted(own, key=lambda line: int(line["seed"]))}


def gain_over_rows(lines: Sequence[Line]) -> Interval:
    """Return an arm's gain in success, with an interval over the instances of the rows."""
    instances = lines[0]["instances"]
    assert all(line["instances"] == instances for line in lines)
    gains = [
        sum(line["end"]["won"][i] - line["start"]["won"][i] for line in lines) / len(lines)
        for i in range(len(instances))
    ]
    return intervals.mean(gains, instances)


def _percent(value: float) -> str:
    return f"{100 * value:.1f}"


def _difference(interval: Interval) -> str:
    return f"{100 * interval.value:+.1f} ({100 * interval.low:+.1f} to {100 * interval.high:+.1f})"


def _over_seeds(values: Sequence[float]) -> str:
    if len(values) < 2:
        return f"{100 * values[0]:+.1f} (one seed)"
    return _difference(intervals.student(values))


def _mean(values: Iterable[float]) -> str:
    numbers = list(values)
    return _percent(sum(numbers) / len(numbers))


def _row(cells: Iterable[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _table(head: Sequence[str], body: Iterable[Sequence[str]]) -> list[str]:
    return [_row(head), "|" + "---|" * len(head), *map(_row, body)]


def _arm_cells(title: str, lines: Sequence[Line]) -> list[str]:
    return [
        title,
        str(len(lines)),
        _mean(line["start"]["success"] for line in lines),
        *(_mean(map(measure.of, lines)) for measure in MEASURES),
        _over_seeds([line["end"]["success"] - line["start"]["success"] for line in lines]),
        _difference(gain_over_rows(lines)),
        f"{_mean(line['start']['perceived'] for line in lines)} → "
        f"{_mean(line['end']['perceived'] for line in lines)}",
    ]


def _comparison_cells(
    study: Study, comparison: Comparison, lines: Sequence[Line], measure: Measure
) -> list[str] | None:
    first, second = of_arm(lines, comparison.first), of_arm(lines, comparison.second)
    seeds = [seed for seed in first if seed in second]
    if len(seeds) < 2:
        return None
    interval = intervals.student([measure.of(first[s]) - measure.of(second[s]) for s in seeds])
    clear = "yes" if interval.low > 0 or interval.high < 0 else "no"
    arms = " − ".join(study.arms[name].title for name in (comparison.first, comparison.second))
    return [comparison.question, arms, measure.title, str(len(seeds)), _difference(interval), clear]


def tables(study: Study, lines: Sequence[Line], picture: str) -> str:
    """Return the picture and the tables."""
    arms = {name: list(of_arm(lines, name).values()) for name in study.arms}
    head = [
        "arm",
        "seeds",
        "greedy success at the start",
        *(m.title for m in MEASURES),
        "gain in greedy success (95 % over seeds)",
        "the same (95 % over instances)",
        "true statements about the picture, greedy",
    ]
    rows = (_arm_cells(study.arms[name].title, some) for name, some in arms.items() if some)
    parts = [
        f"![Learning curves]({picture})",
        "",
        "Means over seeds, in percent; differences in points.",
        "",
        *_table(head, rows),
        *_comparisons(study, lines),
        *_equal_starts(study, arms),
    ]
    return "\n".join(parts)


def _comparisons(study: Study, lines: Sequence[Line]) -> list[str]:
    rows = [
        cells
        for comparison in study.comparisons
        for measure in MEASURES
        if (cells := _comparison_cells(study, comparison, lines, measure))
    ]
    head = ["question", "difference", "measure", "seeds", "95 % over seeds", "clear of 0"]
    title = "Pairs of one seed, Student's interval, not corrected for their number."
    return ["", title, "", *_table(head, rows)] if rows else []


def _equal_starts(study: Study, arms: Mapping[str, Sequence[Line]]) -> list[str]:
    rows = [
        [
            study.arms[name].title,
            str(line["seed"]),
            str(line["start"]["step"]),
            _percent(line["start"]["success"]),
            _percent(line["start"]["optimal"]),
            _percent(line["start"]["perceived"]),
            _percent(line["start"]["missed_by"]),
        ]
        for name, some in arms.items()
        if study.starts[study.arms[name].start].equal_to
        for line in some
    ]
    head = [
        "arm",
        "seed",
        "SFT steps",
        "success",
        "optimal actions",
        "true statements",
        "outside the band by",
    ]
    title = "Starts that were chosen to equal another's greedy success."
    return ["", title, "", *_table(head, rows)] if rows else []


def draw(study: Study, lines: Sequence[Line], picture: Path) -> None:
    """Plot each arm's mean and range over seeds."""
    from matplotlib.figure import Figure  # slow to import

    figure = Figure(figsize=(11, 4.6), layout="constrained")
    greedy, rollouts = figure.subplots(1, 2)
    for name in study.arms:
        some = list(of_arm(lines, name).values())
        if not some:
            continue
        points = [[point["success"] for point in line["curve"]] for line in some]
        title = study.arms[name].title
        _band(greedy, [point["turns"] for point in some[0]["curve"]], points, title)
        size = some[0]["turns"] / len(some[0]["rollouts"])
        at = [size * (i + 1) for i in range(len(some[0]["rollouts"]))]
        _band(rollouts, at, [line["rollouts"] for line in some], title)
    greedy.set_ylabel("greedy success, %")
    rollouts.set_ylabel("optimal actions in rollouts, %")
    for axes in (greedy, rollouts):
        axes.set_xlabel("turns played")
        axes.set_ylim(0, 102)
        axes.grid(alpha=0.3)
    figure.legend(*greedy.get_legend_handles_labels(), ncols=4, loc="outside lower center")
    figure.savefig(picture, dpi=110, metadata={"Software": None})


def _band(axes: Any, at: Sequence[float], series: Sequence[Sequence[float]], title: str) -> None:
    columns = [[100 * value for value in column] for column in zip(*series, strict=True)]
    (curve,) = axes.plot(at, [sum(c) / len(c) for c in columns], label=title)
    low, high = map(min, columns), map(max, columns)
    axes.fill_between(at, list(low), list(high), alpha=0.12, color=curve.get_color())


def make_page(study: Study, lines: Sequence[Line], results: Path) -> Path:
    """Write the page and the picture beside the results; return the page.

    Raises:
        ValueError: The template asks for what there isn't.
    """
    picture = results.with_suffix(".png")
    draw(study, lines, picture)
    return write_page(results, {"tables": tables(study, lines, picture.name)})
