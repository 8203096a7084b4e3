"""Log a run's metrics to JSON lines, TensorBoard, Weights & Biases and the terminal."""

import importlib.util
import json
import os
import secrets
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, TextIO

from agents.train.metrics import Metrics
from vlbench.cli import erase_line, is_terminal
from vlbench.errors import unknown_name
from vlbench.records.redaction import redact_data

LOGS = {"json": "", "tensorboard": "train", "wandb": "wandb"}
"""Name of a log, and of its package → the extra that installs it."""


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
        self._start = time.monotonic()
        self._sinks: list[Sink] = []
        self._previous_seconds = 0.0
        if silent:
            return
        lines = JsonLines(run / "metrics.jsonl", step)
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

    def status(self, line: str) -> None:
        """Show a status on a terminal until the next line."""
        if self._terminal and self._stream is not None:
            self._clear()
            print(line, end="", file=self._stream, flush=True)
            self._status_length = len(line)

    def close(self) -> None:
        """Write everything that is pending."""
        self._clear()
        for sink in self._sinks:
            sink.close()

    def _clear(self) -> None:
        if self._status_length and self._stream is not None:
            erase_line(self._stream, self._status_length)
            self._status_length = 0


class JsonLines:
    """A file with one JSON object per step.

    Args:
        path: The file; lines are appended.
        step: Lines of later steps are dropped, as is an incomplete last line.
    """

    def __init__(self, path: Path, step: int) -> None:
        rows: list[tuple[str, dict[str, Any]]] = []
        for line in path.read_text("utf-8").splitlines() if path.is_file() else ():
            try:
                rows.append((line, json.loads(line)))
            except ValueError:
                continue
        rows = [(line, row) for line, row in rows if row["step"] <= step]
        self.seconds = float(rows[-1][1]["seconds"]) if rows else 0.0
        """Wall time of the run up to the last line, in seconds."""
        path.write_text("".join(f"{line}\n" for line, _ in rows), "utf-8")
        self._file = path.open("a", encoding="utf-8")

    def write(self, step: int, metrics: Metrics) -> None:
        """Append a line."""
        self._file.write(json.dumps({"step": step, **metrics}) + "\n")
        self._file.flush()

    def close(self) -> None:
        """Close the file."""
        self._file.close()


class TensorBoard:
    """TensorBoard events in the run's folder `tensorboard`; events of later steps are dropped."""

    def __init__(self, run: Path, step: int) -> None:
        from torch.utils.tensorboard import SummaryWriter

        self._writer: Any = SummaryWriter(str(run / "tensorboard"), purge_step=step + 1)

    def write(self, step: int, metrics: Metrics) -> None:
        """Add the scalars."""
        for name, value in metrics.items():
            self._writer.add_scalar(name, value, step)

    def close(self) -> None:
        """Flush and close."""
        self._writer.close()


class WandB:
    """A run of Weights & Biases; the same folder continues the same run.

    W&B's environment variables apply: WANDB_PROJECT, and WANDB_MODE=offline for a folder that
    `wandb sync` uploads later.

    Args:
        run: The run's folder; W&B writes into its subfolder `wandb`.
        options: The run's options, logged as its configuration.

    Raises:
        ValueError: W&B refuses to start.
    """

    def __init__(self, run: Path, options: Mapping[str, Any]) -> None:
        import wandb

        # W&B prints many lines of its own, and takes our package `agents` for OpenAI's.
        settings = wandb.Settings(silent=True, console="off")
        wandb.setup(settings)
        identity = run / "wandb-id.txt"
        if not identity.is_file():
            identity.write_text(secrets.token_hex(4) + "\n", "utf-8")
        try:
            self._run: Any = wandb.init(
                project=os.environ.get("WANDB_PROJECT", "vlbench"),
                name=run.name,
                id=identity.read_text("utf-8").strip(),
                resume="allow",
                dir=str(run),
                config=redact_data({name: _plain(value) for name, value in options.items()}),
                settings=settings,
            )
        except wandb.Error as error:
            raise ValueError(f"W&B can't start: {' '.join(str(error).split())}") from error
        # W&B's own step counter would drop steps that are repeated after a crash.
        self._run.define_metric("*", step_metric="step")

    def write(self, step: int, metrics: Metrics) -> None:
        """Record a step."""
        self._run.log({"step": step, **metrics})

    def close(self) -> None:
        """Finish the run; online, wait until everything is uploaded."""
        self._run.finish()


def _plain(value: Any) -> Any:
    return str(value) if isinstance(value, Path) else value
