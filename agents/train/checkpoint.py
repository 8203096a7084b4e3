"""Atomic checkpoints: each is complete or absent."""

import json
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError

STATE = "trainer.pt"
"""File of the trainer's state, beside the model's own files."""
LATEST = "latest"
"""Symbolic link to the newest checkpoint."""
CHOSEN = "chosen"
"""Folder of the model that is best on `val`, beside the checkpoints."""

_STEP = re.compile(r"step-(\d{6,})")


class Checkpoints:
    """The checkpoints of a run: each is a model folder (`step-000012`) with the trainer's state.

    A checkpoint is written under a temporary name, synced and renamed, so a crash or a full disk
    leaves the previous one intact.

    Args:
        run: The run's folder.
        keep: Number of checkpoints to keep, the newest ones; at least 1.
    """

    def __init__(self, run: Path, keep: int = 2) -> None:
        self._run = run
        self._keep = max(1, keep)

    def all(self) -> list[Path]:
        """Return the complete checkpoints, oldest first."""
        paths = [path for path in self._run.glob("step-*") if _STEP.fullmatch(path.name)]
        return sorted(paths, key=step_of)

    def latest(self) -> Path | None:
        """Return the newest checkpoint; None if there is none."""
        paths = self.all()
        return paths[-1] if paths else None

    def save(self, step: int, write_model: Callable[[Path], None], state: dict[str, Any]) -> Path:
        """Write a checkpoint.

        Args:
            step: Number of its step.
            write_model: Writes the model's files into a folder.
            state: The trainer's state: tensors and plain data.

        Raises:
            OSError: The checkpoint can't be written; earlier ones are intact.
        """
        target = self._run / f"step-{step:06d}"
        partial = self._run / f".partial-{target.name}"
        shutil.rmtree(partial, ignore_errors=True)
        try:
            partial.mkdir(parents=True)
            write_model(partial)
            torch.save(state, partial / STATE)
            for file in partial.rglob("*"):
                if file.is_file():
                    _sync(file)
            if target.exists():
                shutil.rmtree(target)
            partial.rename(target)
            _sync(self._run)
        except (OSError, RuntimeError, SafetensorError) as error:  # three ways to meet a full disk
            shutil.rmtree(partial, ignore_errors=True)
            previous = self.latest()
            raise OSError(
                f"checkpoint {target} can't be written ({_reason(error)}); "
                + (f"the last good one is {previous}" if previous else "there is no earlier one")
            ) from error
        self._link(target)
        for old in self.all()[: -self._keep]:
            shutil.rmtree(old, ignore_errors=True)
        return target

    def choose(self, step: int, success: float, write_model: Callable[[Path], None]) -> None:
        """Keep a model in the folder `chosen` if its success is above that of the one there.

        Args:
            step: Number of its step.
            success: Its success on the split `val`.
            write_model: Writes the model's files into a folder.

        Raises:
            OSError: It can't be written.
        """
        about, target = self._run / f"{CHOSEN}.json", self._run / CHOSEN
        if about.exists() and json.loads(about.read_text("utf-8"))["success"] >= success:
            return
        partial = self._run / f".partial-{CHOSEN}"
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        write_model(partial)
        shutil.rmtree(target, ignore_errors=True)
        partial.rename(target)
        about.write_text(json.dumps({"step": step, "success": success}) + "\n", "utf-8")

    def _link(self, target: Path) -> None:
        link = self._run / f".{LATEST}"
        try:
            link.unlink(missing_ok=True)
            link.symlink_to(target.name)
            link.replace(self._run / LATEST)
        except OSError:  # no links on this file system; `latest()` doesn't need them
            link.unlink(missing_ok=True)


def step_of(checkpoint: Path) -> int:
    """Return the step number of a checkpoint."""
    return int(checkpoint.name.partition("-")[2])


def load_state(checkpoint: Path) -> dict[str, Any]:
    """Return the trainer's state of a checkpoint.

    Raises:
        ValueError: The file is missing or damaged.
    """
    try:
        state = torch.load(checkpoint / STATE, map_location="cpu", weights_only=True)
        if not isinstance(state, dict) or not all(isinstance(name, str) for name in state):
            raise ValueError("it isn't the state of a trainer")
    # The boundary to torch's reader, which raises anything for a damaged file.
    except Exception as error:
        raise ValueError(
            f"{checkpoint / STATE} can't be read ({_reason(error)}); delete {checkpoint} to resume "
            "from the previous checkpoint"
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
