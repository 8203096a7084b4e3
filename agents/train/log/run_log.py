"""Log a run's metrics to JSON lines, TensorBoard, Weights & Biases and the terminal."""

import importlib.util
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, TextIO

from agents.train.log.curves import write_curves
from agents.train.log.selection import read_selection
from agents.train.log.sinks import JsonLines, TensorBoard, WandB
from agents.train.metrics import Metrics
from vlbench.cli import erase_line, is_terminal
from vlbench.errors import unknown_name

LOGS = {"json": "", "tensorboard": "train", "wandb": "wandb"}
"""Name of a log, and of its package → the extra that installs it."""
METRICS = "metrics.jsonl"
"""Name of a run's file of metrics."""
STATUS_SECONDS = 20
"""Seconds between the lines of status where standard error is no terminal."""


def log_names(text: str) -> tuple[str, ...]:
    """Return the names in LOGS that an option lists; "json" is always one of them.

    Raises:
        ValueError: A name is unknown.
    """
    names = [name.strip() for name in text.split(",") if name.strip()]
    for name in names:
        if name not in LOGS:
            raise ValueError(unknown_name("log", name, LOGS))
    return tuple(dict.fromkeys(["json", *names]))


def check_log(text: str) -> None:
    """Check that the logs that an option lists exist and are installed.

    Raises:
        ValueError: A name is unknown, or its package isn't installed.
    """
    for name in log_names(text):
        # A folder with the package's name (W&B writes one) gives a spec too, but without origin.
        spec = importlib.util.find_spec(name) if LOGS[name] else None
        if LOGS[name] and (spec is None or spec.origin is None):
            raise ValueError(f'{name} isn\'t installed: pip install "vlbench[{LOGS[name]}]"')


class Sink(Protocol):
    """A destination of metrics."""

    def write(self, step: int, metrics: Metrics) -> None:
        """Record a step."""

    def close(self) -> None:
        """Write everything that is pending."""


class RunLog:
    """Logs the metrics of a run to files and to the terminal.

    Args:
        run: The run's folder.
        names: Names in LOGS; "json" appends to `metrics.jsonl`.
        step: The step that the run resumes from; the logs of later steps are dropped.
        options: The run's options, for logs that show them.
        silent: Write nothing, because another process of the run does.
        stream: Output for people; a terminal also shows a status line. By default standard error.

    Raises:
        ValueError: A log can't be opened.
        OSError: The folder can't be written.
    """

    def __init__(
        self,
        run: Path,
        names: Sequence[str],
        *,
        step: int,
        options: Mapping[str, Any] | None = None,
        silent: bool = False,
        stream: TextIO | None = None,
    ) -> None:
        self._stream = None if silent else stream or sys.stderr
        self._terminal = is_terminal(self._stream)
        self._status_length = 0
        self._start = self._next_status = time.monotonic()
        self._run = run
        self._sinks: list[Sink] = []
        self._previous_seconds = 0.0
        if silent:
            return
        lines = JsonLines(run / METRICS, step)
        self._previous_seconds = lines.seconds
        self._sinks.append(lines)
        if "tensorboard" in names:
            self._sinks.append(TensorBoard(run, step))
        if "wandb" in names:
            self._sinks.append(WandB(run, options or {}))

    @property
    def seconds(self) -> float:
        """Wall time of the run in seconds, including the time before it was resumed."""
        return self._previous_seconds + time.monotonic() - self._start

    def write(self, step: int, metrics: Metrics) -> None:
        """Record a step's metrics, with the run's wall time and the process's CPU time."""
        row = {
            "seconds": round(self.seconds, 3),
            "cpu_seconds": round(time.process_time(), 3),
            **metrics,
        }
        for sink in self._sinks:
            sink.write(step, row)

    def log_line(self, line: str) -> None:
        """Print a permanent line."""
        if self._stream is not None:
            self._clear()
            print(line, file=self._stream, flush=True)

    def log_summary(
        self, step: int, steps: int, columns: Mapping[str, str], metrics: Metrics
    ) -> None:
        """Print a step's main metrics; `columns` maps short names to metrics."""
        numbers = [f"{name} {metrics[key]:.3f}" for name, key in columns.items() if key in metrics]
        self.log_line(f"{step}/{steps} {self.seconds:.0f} s  " + "  ".join(numbers))

    def log_selection(self) -> None:
        """Print the run's first, last, val-chosen and peak success."""
        self.log_line(str(read_selection(self._run / METRICS)))

    def status(self, line: str) -> None:
        """Show a status: on a terminal until the next line, else as a line now and then."""
        if self._terminal and self._stream is not None:
            self._clear()
            print(line, end="", file=self._stream, flush=True)
            self._status_length = len(line)
        elif time.monotonic() >= self._next_status:
            self._next_status = time.monotonic() + STATUS_SECONDS
            self.log_line(f"{self.seconds:.0f} s  {line}")

    def close(self) -> None:
        """Write everything that is pending, and the learning curves."""
        self._clear()
        for sink in self._sinks:
            sink.close()
        if self._sinks and (picture := write_curves(self._run)):
            self.log_line(f"learning curves: {picture}")

    def _clear(self) -> None:
        if self._status_length and self._stream is not None:
            erase_line(self._stream, self._status_length)
            self._status_length = 0
