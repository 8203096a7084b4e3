"""Checkpoints that are whole or not there, and runs that stop at a safe point."""

import os
import pickle
import re
import shutil
import signal
from collections.abc import Callable
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any

import torch
from safetensors import SafetensorError

STATE = "trainer.pt"
"""Optimizer, random states and environments, beside the model's own files."""
LATEST = "latest"
"""Link to the newest checkpoint."""

_STEP = re.compile(r"step-(\d{6,})")


class Checkpoints:
    """The checkpoints of a run: each is a model's folder (`step-000012`) with the trainer's state.

    A checkpoint is written beside and renamed when it is on the disk, so a crash or a full disk
    leaves the last good one as it was.

    Args:
        run: The run's folder.
        keep: How many are kept, at least 1.
    """

    def __init__(self, run: Path, keep: int = 2) -> None:
        self._run = run
        self._keep = max(1, keep)

    def found(self) -> list[Path]:
        """Return the whole checkpoints, oldest first."""
        named = [path for path in self._run.glob("step-*") if _STEP.fullmatch(path.name)]
        return sorted(named, key=step_of)

    def latest(self) -> Path | None:
        """Return the newest checkpoint; None where there is none."""
        found = self.found()
        return found[-1] if found else None

    def save(self, step: int, write: Callable[[Path], None], state: dict[str, Any]) -> Path:
        """Write a checkpoint.

        Args:
            step: Its number.
            write: Writes the model's files into a folder.
            state: The trainer's state: tensors and plain data.

        Raises:
            OSError: It couldn't be written; earlier ones are as they were.
        """
        target = self._run / f"step-{step:06d}"
        partial = self._run / f".partial-{target.name}"
        shutil.rmtree(partial, ignore_errors=True)
        try:
            partial.mkdir(parents=True)
            write(partial)
            torch.save(state, partial / STATE)
            for file in partial.rglob("*"):
                if file.is_file():
                    _sync(file)
            if target.exists():
                shutil.rmtree(target)
            partial.rename(target)
            _sync(self._run)
        except (OSError, RuntimeError, SafetensorError) as error:  # torch's on a full disk
            shutil.rmtree(partial, ignore_errors=True)
            kept = self.latest()
            raise OSError(
                f"checkpoint {target} can't be written ({_reason(error)}); "
                + (f"the last good one is {kept}" if kept else "there is none before it")
            ) from error
        self._point_at(target)
        for old in self.found()[: -self._keep]:
            shutil.rmtree(old, ignore_errors=True)
        return target

    def _point_at(self, target: Path) -> None:
        link = self._run / f".{LATEST}"
        try:
            link.unlink(missing_ok=True)
            link.symlink_to(target.name)
            link.replace(self._run / LATEST)
        except OSError:  # a file system without links; `latest()` doesn't need it
            link.unlink(missing_ok=True)


def step_of(checkpoint: Path) -> int:
    """Return the number of a checkpoint."""
    return int(checkpoint.name.partition("-")[2])


def load_state(checkpoint: Path) -> dict[str, Any]:
    """Return the trainer's state of a checkpoint.

    Raises:
        ValueError: It is damaged.
    """
    try:
        state: dict[str, Any] = torch.load(
            checkpoint / STATE, map_location="cpu", weights_only=True
        )
    except (OSError, EOFError, RuntimeError, ValueError, pickle.UnpicklingError) as error:
        raise ValueError(
            f"{checkpoint / STATE} can't be read ({_reason(error)}); delete {checkpoint} to go on "
            "from the one before"
        ) from error
    return state


def _reason(error: BaseException) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


class Interruption:
    """Within it, the first Ctrl-C (or SIGTERM) asks the run to stop; the second one kills it.

    Args:
        launched: Whether a launcher hears the same signals: it passes them on, so that the first
            one comes twice, and kills the run itself when it takes too long.
    """

    def __init__(self, launched: bool = False) -> None:
        self.asked = False
        self._launched = launched
        self._before: dict[int, Any] = {}

    def __enter__(self) -> "Interruption":
        """Start to listen; in other threads than the main one there is nothing to hear."""
        for number in (signal.SIGINT, signal.SIGTERM):
            try:
                self._before[number] = signal.signal(number, self._ask)
            except ValueError:
                break
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Restore what listened before."""
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _ask(self, number: int, frame: FrameType | None) -> None:
        if self.asked and not self._launched:
            raise KeyboardInterrupt
        self.asked = True
