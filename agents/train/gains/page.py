"""What the page of the study may name: tables and numbers from the result lines."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from agents.results.paired import paired_difference
from agents.results.study_lines import Line, markdown_table
from agents.train.gains.plan import METHODS, Plan
from vlbench.intervals import Interval

TITLES = {"start": "the start: SFT on the other half", **METHODS}


@dataclass(frozen=True)
class Results:
    """The result lines of one task."""

    task: str
    lines: tuple[Line, ...]

    def of(self, **fields: Any) -> list[Line]:
        """Return the lines with these values, in order of seeds."""
        own = [line for line in self.lines if all(line.get(k) == v for k, v in fields.items())]
        return sorted(own, key=lambda line: int(line["seed"]))

    def exams(self, name: str, suite: str) -> list[Line]:
        """Return the examinations of a unit on a suite."""
        return self.of(unit="test", of=name, suite=suite)


def gain(start: str, others: Sequence[str]) -> Interval:
    """Return the gain in success over a start, with a 95 % interval over seeds and rows.

    Args:
        start: For each row, "1" if the start reached the goal, else "0".
        others: The same of the trained models, one for each seed; at least two.
    """
    return paired_difference([start] * len(others), others).interval()


def values(plan: Plan, lines: Sequence[Line]) -> dict[str, str]:
    """Return the values that a template may name."""
    numbers = {"tables": ""}
    for task in plan.tasks:
        own = Results(task, tuple(line for line in lines if line["task"] == task))
        suites = dict.fromkeys(line["suite"] for line in own.of(unit="test"))
        table = [line for suite in suites for line in (*_suite_table(own, suite), "")]
        numbers[f"{task}.table"] = "\n".join([*_training_table(own), "", *table])
        if any(line["unit"] != "start" for line in own.lines):  # a base alone has nothing to show
            numbers["tables"] += f"## {task}\n\n{numbers[f'{task}.table']}\n"
        for suite in suites:
            for name in TITLES:
                for key, value in _numbers(own, suite, name).items():
                    numbers[f"{task}.{suite}.{name}.{key}"] = value
    return numbers


def _numbers(own: Results, suite: str, name: str) -> dict[str, str]:
    exams = own.exams(name, suite)
    if not exams:
        return {}
    numbers = {
        "success": _percent(_mean([exam["success"] for exam in exams])),
        "regret": f"{_mean([exam['regret'] for exam in exams]):.4f}",
        "seeds": str(len(exams)),
        "rows": str(len(exams[0]["won"])),
    }
    starts = own.exams("start", suite)
    if name != "start" and starts and len(exams) > 1:
        interval = gain(starts[0]["won"], [exam["won"] for exam in exams])
        numbers["gain"] = (
            f"{100 * interval.value:+.1f} ({100 * interval.low:+.1f} to {100 * interval.high:+.1f})"
        )
    return numbers


def _suite_table(own: Results, suite: str) -> list[str]:
    head = [f"`{suite}`", "seeds", "success", "gain over the start, points (95 %)", "mean regret"]
    rows = []
    for name, title in TITLES.items():
        numbers = _numbers(own, suite, name)
        if numbers:
            cells = [title, numbers["seeds"], numbers["success"]]
            rows.append([*cells, numbers.get("gain", ""), numbers["regret"]])
    return markdown_table(head, rows)


def _training_table(own: Results) -> list[str]:
    head = ["on `val`, in training", "seeds", "last", "chosen", "examples", "CPU minutes"]
    rows = []
    for name, title in TITLES.items():
        lines = own.of(unit=name)
        if not lines:
            continue
        chosen = _percent(_mean([line["val"]["success"] for line in lines]))
        if name == "start":
            rows.append([title, "1", chosen, "", "", ""])
            continue
        last = _percent(_mean([line["last_val"]["success"] for line in lines]))
        minutes = _mean([line["cpu_seconds"] for line in lines]) / 60
        cost = f"{lines[0]['examples']:,}"
        rows.append([title, str(len(lines)), last, chosen, cost, f"{minutes:.1f}"])
    return markdown_table(head, rows)


def _mean(numbers: Sequence[float]) -> float:
    return sum(numbers) / len(numbers)


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"
