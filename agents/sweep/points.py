"""The points of a curve: one for each run and environment, and what the x axis is."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from agents.results.measures import METRICS, measure
from agents.results.rows import Cell
from agents.results.run import Run
from vlbench.errors import unknown_name
from vlbench.intervals import Interval
from vlbench.records import RunHeader
from vlbench.suites import LADDER


@dataclass(frozen=True, slots=True)
class Point:
    """A run's result on an environment, at one value of what the runs differ in."""

    env: str
    agent: str
    axis: str
    """What the runs differ in, e.g. "max_position" or "ladder"."""
    value: Any
    """Its value in this run."""
    suite: str
    episodes: int
    measures: Mapping[str, Interval | None]
    """Metric → its value with its 95 % interval; None where it is unknown."""
    floor: float | None
    ceiling: float | None

    def row(self) -> dict[str, Cell]:
        """Return the point as plain cells."""
        cells: dict[str, Cell] = {
            "env": self.env,
            "agent": self.agent,
            "axis": self.axis,
            "value": self.value if isinstance(self.value, (int, float, str)) else str(self.value),
            "suite": self.suite,
            "episodes": self.episodes,
        }
        for name in METRICS:
            measured = self.measures[name]
            for part, suffix in (("value", ""), ("low", "_low"), ("high", "_high")):
                cells[name + suffix] = getattr(measured, part) if measured else None
        return cells | {"floor": self.floor, "ceiling": self.ceiling}


def points(runs: Sequence[Run], axis: str = "") -> list[Point]:
    """Return the points of runs, by environment, agent and value.

    Args:
        runs: At least two.
        axis: What the runs differ in; "" to find it.

    Raises:
        ValueError: They differ in nothing that could be an axis, or in several things.
    """
    name = axis or _axis([run.header for run in runs])
    found = [_point(run, number, name) for run in runs for number in range(len(run.scorecards))]
    if any(point.value is None for point in found):
        known = [n for n, value in _values(runs[0].header).items() if value is not None]
        raise ValueError(unknown_name("axis", name, known) + "; every run must have it")
    return sorted(found, key=lambda p: (p.env, p.agent, _order(p.value)))


def _order(value: Any) -> tuple[bool, float, str]:
    is_number = isinstance(value, (int, float))
    return not is_number, float(value) if is_number else 0.0, str(value)


def _axis(headers: Sequence[RunHeader]) -> str:
    """Return the one property in which runs of the same agent differ."""
    tables: dict[str, list[dict[str, Any]]] = {}
    for header in headers:
        tables.setdefault(header.agent, []).append(_values(header))
    differing: dict[str, None] = {}
    for of_agent in tables.values():
        for name in dict.fromkeys(name for table in of_agent for name in table):
            if len({str(table.get(name)) for table in of_agent}) > 1:
                differing[name] = None
    if len(differing) == 1:
        return next(iter(differing))
    if not differing:
        raise ValueError(
            "a curve needs runs of one agent that differ, as `evaluate --sweep` makes them"
        )
    raise ValueError(f"the runs differ in {', '.join(differing)}; choose one with --axis")


def _values(header: RunHeader) -> dict[str, Any]:
    """Return what may be an axis, by name."""
    values: dict[str, Any] = {**header.settings, **header.env_kwargs, "history": header.history}
    values |= {"prompt": header.prompt, "theme": header.theme or None, "picture": header.picture}
    if header.suite.startswith(LADDER):
        rung = header.suite.removeprefix(LADDER)
        return values | {"ladder": int(rung) if rung.isdecimal() else rung}
    return values | {"suite": header.suite}


def _point(run: Run, number: int, axis: str) -> Point:
    card = run.scorecards[number]
    return Point(
        card.env,
        card.agent,
        axis,
        _values(run.header).get(axis),
        card.suite,
        card.episodes,
        {metric: measure(run, card, metric) for metric in METRICS},
        card.floor,
        card.ceiling,
    )
