"""Write a sweep's points as a CSV file and as a figure."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from agents.results.measures import LABELS
from agents.results.plots import curve, save
from agents.results.rows import write_csv
from agents.results.run import Run
from agents.sweep.points import Point, points
from vlbench.intervals import Interval
from vlbench.registry import short_name


def write_curves(
    measured: Sequence[Point], csv: Path | None, figure: Path | None, metric: str
) -> None:
    """Write points.

    Args:
        measured: From `agents.sweep.points.points`.
        csv: The table; None for none.
        figure: The figure (.png, .pdf or .svg); None for none.
        metric: What the figure shows: one of `agents.results.measures.METRICS`.

    Raises:
        ValueError: No point has the metric, or matplotlib isn't installed.
        OSError: A file can't be written.
    """
    if csv:
        write_csv(csv, [point.row() for point in measured])
    if figure is None:
        return
    lines: dict[str, list[tuple[Any, Interval]]] = {}
    tasks = {point.env for point in measured}
    agents = {point.agent for point in measured}
    for point in measured:
        names = [point.agent] * (len(agents) > 1) + [short_name(point.env)] * (len(tasks) > 1)
        if (value := point.measures[metric]) is not None:
            lines.setdefault(", ".join(names) or point.agent, []).append((point.value, value))
    if not lines:
        raise ValueError(f"no run has a {LABELS[metric]}; success has one always")
    floors = (
        [(p.value, p.floor) for p in measured if p.floor is not None] if len(tasks) == 1 else []
    )
    shown = list(dict(floors).items()) if metric == "success" else []
    save(curve(lines, measured[0].axis, LABELS[metric], shown), figure)


def draw_sweep(runs: Sequence[Run], folder: Path, axis: str) -> str:
    """Write the curve of `evaluate --sweep`; return a line that says where it is.

    Where matplotlib isn't installed, only the points are written, and the line says so. Runs whose
    headers don't hold what was swept, as those of an agent that records no settings, have no curve.

    Args:
        runs: A run for each value.
        folder: The sweep's folder.
        axis: What was swept.
    """
    table, figure = (folder / "curve" / f"curve.{kind}" for kind in ("csv", "png"))
    try:
        found = points(runs, axis)
    except ValueError as error:
        return f"no curve: {error}"
    try:
        write_curves(found, table, figure, "success")
    except ValueError as error:
        return f"curve: {table}; {error}"
    return f"curve: {figure} and {table}"
