"""What a training run reports of itself: its first, last, val-chosen and peak success.

Only the checkpoint chosen on `val` may be compared with others. The last one is shown beside it.
The peak of the success of training episodes is no yardstick: it is the luckiest moment of a policy
that samples, on instances that it trains on.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vlbench.display.formatting import percent

VAL, TRAINING = "eval/success", "rollout/success"
"""Metrics: greedy success on `val`, and the running success of training episodes."""


@dataclass(frozen=True, slots=True)
class Selection:
    """The successes of a run, 0..1; None where they weren't measured."""

    start: float | None = None
    """On `val`, of the model that training starts from, which isn't kept as `chosen`."""
    last: float | None = None
    """On `val`, at the last measurement after a step."""
    chosen: float | None = None
    """On `val`, of the checkpoint that is best there; the first of several."""
    chosen_step: int | None = None
    """The step of that checkpoint."""
    peak: float | None = None
    """Highest running success of training episodes."""

    def __str__(self) -> str:
        """Return one line that says of each number what it is."""
        step = "" if self.chosen_step is None else f" (step {self.chosen_step})"
        if self.start is not None and self.chosen is not None and self.chosen <= self.start:
            step = f"{step}, no better than the start"
        return (
            f"success on val: start {percent(self.start)}, last {percent(self.last)}, "
            f"val-chosen {percent(self.chosen)}{step}; "
            f"peak of training episodes {percent(self.peak)}, which is no yardstick"
        )


def selection_of(metrics: Iterable[Mapping[str, Any]]) -> Selection:
    """Return the selection of a run from its lines of metrics, in the order of steps."""
    start = last = chosen = peak = None
    chosen_step = None
    for line in metrics:
        if VAL in line and not line["step"]:
            start = float(line[VAL])
        elif VAL in line:
            last = float(line[VAL])
            if chosen is None or last > chosen:
                chosen, chosen_step = last, int(line["step"])
        if TRAINING in line:
            peak = max(float(line[TRAINING]), -1.0 if peak is None else peak)
    return Selection(start, last, chosen, chosen_step, peak)


def read_selection(path: Path) -> Selection:
    """Return the selection of a run from its file of metrics; an empty one if there is no file."""
    if not path.exists():
        return Selection()
    return selection_of(json.loads(line) for line in path.read_text("utf-8").splitlines())
