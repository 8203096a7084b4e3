"""Write a sweep's points as a CSV file and as a figure."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from agents.results.measures import LABELS
from agents.results.plots import curve, save
from agents.results.rows import write_csv
from agents.sweep.points import Point
from vlbench.intervals import Interval
from vlbench.registry import short_name


def write_curves(
    points: Sequence[Point], csv: Path | None, figure: Path | None, metric: str
) -> None:
    """Write points.

    Args:
        points: From `agents.sweep.points.points`.
        csv: The table; None for none.
        figure: The figure (.png, .pdf or .svg); None for none.
        metric: What the figure shows: one of `agents.results.measures.METRICS`.

    Raises:
        ValueError: No point has the metric, or matplotlib isn't installed.
        OSError: A file can't be written.
    """
    if csv:
        write_csv(csv, [point.row() for point in points])
    if figure is None:
        return
    lines: dict[str, list[tuple[Any, Interval]]] = {}
    tasks = {point.env for point in points}
    agents = {point.agent for point in points}
    for point in points:
        names = [point.agent] * (len(agents) > 1) + [short_name(point.env)] * (len(tasks) > 1)
        if (value := point.measures[metric]) is not None:
            lines.setdefault(", ".join(names) or point.agent, []).append((point.value, value))
    if not lines:
        raise ValueError(f"no run has a {LABELS[metric]}; success has one always")
    floors = [(p.value, p.floor) for p in points if p.floor is not None] if len(tasks) == 1 else []
    shown = list(dict(floors).items()) if metric == "success" else []
    save(curve(lines, points[0].axis, LABELS[metric], shown), figure)
