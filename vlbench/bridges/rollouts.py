"""What an engine plays, as run folders that replay."""

import itertools
import os
import socket
from collections.abc import Callable
from pathlib import Path
from threading import Lock
from typing import Any

from vlbench.bridges.engines import EnginePlayer
from vlbench.records import Episode
from vlbench.records.run_spec import RunSpec
from vlbench.run_folder import HEADER, RunFolder, run_header
from vlbench.suites import ROLLOUTS, Row


def process_name() -> str:
    """Return a name of this process that no other process of a cluster has."""
    return f"{socket.gethostname()}-{os.getpid()}"


def rank() -> str:
    """Return this process's number under torchrun or Accelerate; "0" without them."""
    return os.environ.get("RANK", "0")


class RolloutRecord:
    """The episodes of one process, one run folder for each environment.

    Args:
        folder: Folder of the run folders; None to record nothing.
        engine: Name of the engine, as the run's player.
        process: Returns the name of this process.
    """

    def __init__(
        self, folder: Path | None, engine: str, process: Callable[[], str] = process_name
    ) -> None:
        self._folder = folder
        self._engine = engine
        self._process = process
        self._runs: dict[str, RunFolder] = {}
        self._numbers = itertools.count()
        self._lock = Lock()  # SkyRL's environments run in threads

    def __getstate__(self) -> dict[str, Any]:
        """Leave the folders out of pickles; each process opens its own."""
        return {**vars(self), "_runs": {}, "_lock": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Restore a pickle."""
        vars(self).update(state, _lock=Lock())

    def next_number(self) -> int:
        """Return the number of a new episode."""
        return next(self._numbers)

    def add(self, episode: Episode) -> None:
        """Write an episode.

        Raises:
            ValueError: The folder can't be written, or holds a run of another process.
        """
        if self._folder is None:
            return
        key = Row(episode.env_id, episode.kwargs, "", 0).env_key
        with self._lock:
            if key not in self._runs:
                self._runs[key] = self._start(episode)
            self._runs[key].add(episode)
            self._runs[key].close()  # nothing says which episode is the last

    def _start(self, episode: Episode) -> RunFolder:
        assert self._folder is not None
        suffix = f"-{len(self._runs) + 1}" if self._runs else ""
        path = self._folder / f"process-{self._process()}{suffix}"
        if (path / HEADER).exists():
            raise ValueError(f"{path} holds a run; choose another folder")
        kwargs = dict(episode.kwargs)
        spec = RunSpec(ROLLOUTS, str(kwargs.pop("prompt", "cot")), env_kwargs=kwargs)
        return RunFolder.start(path, run_header(EnginePlayer(self._engine), spec, [episode.env_id]))
