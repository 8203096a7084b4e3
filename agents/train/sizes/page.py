"""The page of the study of sizes: a template, whose table and figure come from the lines."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from agents.results.study_lines import Line, markdown_table
from agents.results.study_page import write_page
from agents.train.gains.page import gain
from agents.train.gains.plan import Plan
from vlbench.intervals import Interval


@dataclass(frozen=True)
class Cell:
    """A size on a line, after PPO."""

    size: str
    line: str
    start: float
    """Success of the start."""
    success: float
    """Mean success of the seeds after PPO."""
    seeds: int
    gain: Interval | None
    """Over the start, in pairs; None with a single seed."""


def cells(plans: Mapping[str, Plan], lines: Sequence[Line]) -> list[Cell]:
    """Return the cells that have run, in the order of the plans."""
    results = []
    for size, plan in plans.items():
        for name in plan.tasks:
            exams = [
                line
                for line in lines
                if (line["size"], line["task"], line["unit"]) == (size, name, "test")
            ]
            starts = [line for line in exams if line["of"] == "start"]
            others = [line for line in exams if line["of"] == "ppo"]
            if not starts or not others:
                continue
            wins = [line["won"] for line in others]
            interval = gain(starts[0]["won"], wins) if len(wins) > 1 else None
            success = sum(line["success"] for line in others) / len(others)
            start = starts[0]["success"]
            results.append(Cell(size, name, start, success, len(others), interval))
    return results


def table(results: Sequence[Cell]) -> str:
    """Return the cells as a Markdown table."""
    head = ["model", "line", "start", "after PPO", "gain, points (95 %)", "seeds"]
    rows = []
    for cell in results:
        points = f"{100 * (cell.success - cell.start):+.1f}"
        if cell.gain:
            points += f" ({100 * cell.gain.low:+.1f} to {100 * cell.gain.high:+.1f})"
        success = [f"{100 * value:.1f} %" for value in (cell.start, cell.success)]
        rows.append([cell.size, cell.line, *success, points, str(cell.seeds)])
    return "\n".join(markdown_table(head, rows))


def draw(results: Sequence[Cell], path: Path) -> None:
    """Draw the gain over the sizes, a line for each length."""
    from matplotlib.figure import Figure

    sizes = list(dict.fromkeys(cell.size for cell in results))
    figure = Figure(figsize=(7, 4))
    figure.set_layout_engine("constrained")
    axes = figure.add_subplot()
    names = list(dict.fromkeys(cell.line for cell in results))
    for number, name in enumerate(names):
        own = [cell for cell in results if cell.line == name]
        places = [sizes.index(cell.size) + 0.08 * (number - len(names) / 2) for cell in own]
        gains = [100 * (cell.success - cell.start) for cell in own]
        reach = [100 * (c.gain.high - c.gain.value) if c.gain else 0 for c in own]
        label = f"0 to {name.partition('-')[2]}"
        axes.errorbar(places, gains, reach, fmt="o-", label=label, capsize=3, linewidth=1.2)
        for place, cell, value in zip(places, own, gains, strict=True):
            axes.annotate(f"{100 * cell.start:.0f}", (place, value), fontsize=7)
    axes.axhline(0, color="grey", linewidth=0.8)
    axes.set_xticks(range(len(sizes)), sizes)
    axes.set_xlabel("parameters; beside a point: success of its start, in percent")
    axes.set_ylabel("gain of PPO, points")
    axes.legend(title="line", frameon=False)
    figure.savefig(path, dpi=110)


def make_page(plans: Mapping[str, Plan], lines: Sequence[Line], results: Path) -> Path:
    """Render the template beside the lines, and draw the figure; return the page."""
    grid = cells(plans, lines)
    if grid:
        draw(grid, results.with_suffix(".png"))
    return write_page(results, {"tables": table(grid)})
