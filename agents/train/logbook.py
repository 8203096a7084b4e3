"""Metrics of a run: a JSON line and TensorBoard scalars each step, and a line for people."""

import json
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TextIO

Metrics = dict[str, float]


class Logbook:
    """Where a run's metrics go.

    Args:
        run: The run's folder; metrics are appended to `metrics.jsonl` in it.
        step: Steps after this one are forgotten: the run goes on from a checkpoint.
        tensorboard: Write TensorBoard events too, where it is installed.
        stream: For people; on a terminal the line of what is going on is refreshed.
        silent: Write and tell nothing: another process of the run does.
    """

    def __init__(
        self,
        run: Path,
        *,
        step: int,
        tensorboard: bool,
        stream: TextIO | None,
        silent: bool = False,
    ) -> None:
        self._path = Path(os.devnull) if silent else run / "metrics.jsonl"
        tensorboard, stream = tensorboard and not silent, None if silent else stream
        self._stream = stream
        self._terminal = stream is not None and stream.isatty()
        self._shown = 0
        self._begun = time.monotonic()
        self._before = self._forget_after(step)
        self._file = self._path.open("a", encoding="utf-8")
        self._board: Any = None
        if tensorboard:
            try:
                from torch.utils.tensorboard import SummaryWriter

                self._board = SummaryWriter(str(run / "tensorboard"), purge_step=step + 1)
            except ImportError:
                self.say("no TensorBoard here (pip install tensorboard); metrics go to JSON lines")

    @property
    def seconds(self) -> float:
        """Wall time of the run, with that before it was resumed."""
        return self._before + time.monotonic() - self._begun

    def write(self, step: int, metrics: Metrics) -> None:
        """Record a step's metrics, with the run's wall time and the process's CPU time."""
        row = {
            "step": step,
            "seconds": round(self.seconds, 3),
            "cpu_seconds": round(time.process_time(), 3),
            **metrics,
        }
        self._file.write(json.dumps(row) + "\n")
        self._file.flush()
        if self._board is not None:
            for name, value in metrics.items():
                self._board.add_scalar(name, value, step)

    def say(self, line: str) -> None:
        """Tell people something that stays."""
        if self._stream is not None:
            self._clear()
            print(line, file=self._stream, flush=True)

    def sum_up(self, step: int, steps: int, shown: Mapping[str, str], metrics: Metrics) -> None:
        """Tell people those of a step's metrics that are shown: a short name → a metric."""
        told = [f"{name} {metrics[key]:.3f}" for name, key in shown.items() if key in metrics]
        self.say(f"{step}/{steps} {self.seconds:.0f} s  " + "  ".join(told))

    def doing(self, line: str) -> None:
        """Tell people on a terminal what is going on, until the next line."""
        if self._terminal and self._stream is not None:
            self._clear()
            print(line, end="", file=self._stream, flush=True)
            self._shown = len(line)

    def close(self) -> None:
        """Write all that is left."""
        self._clear()
        self._file.close()
        if self._board is not None:
            self._board.close()

    def _clear(self) -> None:
        if self._shown and self._stream is not None:
            print("\r" + " " * self._shown + "\r", end="", file=self._stream, flush=True)
            self._shown = 0

    def _forget_after(self, step: int) -> float:
        """Drop the lines after a step, and a torn last line; return the seconds of the last."""
        if not self._path.is_file():
            return 0.0
        kept, seconds = [], 0.0
        for line in self._path.read_text("utf-8").splitlines():
            try:
                row = json.loads(line)
            except ValueError:
                continue
            if row["step"] <= step:
                kept.append(line)
                seconds = row["seconds"]
        self._path.write_text("".join(f"{line}\n" for line in kept), "utf-8")
        return float(seconds)
