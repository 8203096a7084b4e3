"""The client of the simulator's process: starts it on demand and sends requests with a deadline.

A simulator that dies or hangs raises an `EngineError` within the deadline; the client never hangs.
The next episode starts a new simulator.
"""

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import weakref
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from socket import socketpair
from typing import IO, Any

import numpy as np

from vlbench.task import SIZE, Frame
from vlbench.tasks.alfworld.engine.client import EngineError
from vlbench.tasks.alfworld.scene import Place, Scene, Thing

GOODBYE = 10.0
"""Time limit for stopping Unity in an orderly way, in seconds."""

WORDS = 3
"""Log lines that an error quotes: Unity's reason precedes ai2thor's."""

TAIL = 1 << 14
"""Bytes at the end of the log to search for these lines."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The simulator's state after a command."""

    number: int
    """Number of this snapshot, from 1."""
    feedback: str
    commands: tuple[str, ...]
    """The commands that ALFWorld's controller offers, sorted."""
    won: bool
    rate: float
    """Fraction of the goal's conditions that hold, 0..1."""
    scene: Scene
    frame: Frame


class ThorClient:
    """One Unity with one controller.

    Args:
        program: Path of Unity's program.
        timeout: Time limit of a request in seconds; the first one starts Unity.
    """

    def __init__(self, program: Path, timeout: float) -> None:
        self._program = program
        self.timeout = timeout
        self._running: _Running | None = None
        self.last_number = 0
        """Number of the latest snapshot; 0 before the first."""

    def reset(self, trajectory: Path, instance: str) -> Snapshot:
        """Start an episode.

        Raises:
            EngineError: The simulator failed.
        """
        self._running = self._own_process() or _Running(self._program)
        return self._ask(self._running, "reset", str(trajectory), instance)

    def step(self, command: str) -> Snapshot:
        """Play a command.

        Raises:
            EngineError: The simulator failed, now or before.
        """
        if (running := self._own_process()) is None:
            raise EngineError("AI2-THOR isn't running any more; reset() starts it again")
        return self._ask(running, "step", command)

    def close(self) -> None:
        """Stop Unity and the process; the next `reset` starts new ones."""
        if running := self._own_process():
            running.end()
        self._running = None

    def _own_process(self) -> "_Running | None":
        """Return the running simulator, unless a fork's parent started it."""
        return self._running if self._running and self._running.owner == os.getpid() else None

    def _ask(self, running: "_Running", *request: Any) -> Snapshot:
        try:
            running.connection.send(request)
            if not running.connection.poll(self.timeout):
                reason = f"gave no answer in {self.timeout:g} s and was stopped"
                raise self._failed(running, reason)
            status, value = running.connection.recv()
        except (EOFError, OSError) as error:
            if isinstance(error, EngineError):
                raise
            raise self._failed(running, "ended by itself") from None
        if status != "ok":
            raise self._failed(running, f"failed at {request[0]}: {value}")
        shape = tuple(value["shape"])
        if shape != (SIZE, SIZE, 3):
            raise self._failed(running, f"gave a frame of {shape}, wanted {(SIZE, SIZE, 3)}")
        self.last_number += 1
        frame = np.frombuffer(value["frame"], np.uint8).reshape(shape)
        return Snapshot(
            self.last_number,
            value["feedback"],
            tuple(value["commands"]),
            value["won"],
            value["rate"],
            _scene(value),
            frame,
        )

    def _failed(self, running: "_Running", reason: str) -> EngineError:
        words = running.last_words()
        running.kill()
        self._running = None
        return EngineError(f"AI2-THOR {reason}{f'; its last words: {words}' if words else ''}")


def _scene(value: dict[str, Any]) -> Scene:
    visible = tuple(Thing(name) for name in sorted(value["visible"]))
    places = [
        Place(
            name,
            x,
            z,
            openable,
            opened,
            visible if name == value["at"] and (opened or not openable) else None,
        )
        for name, x, z, openable, opened in sorted(value["places"])
    ]
    holding = Thing(value["holding"]) if value["holding"] else None
    return Scene(value["floor_plan"], tuple(places), value["at"], holding)


class _Running:
    """A running simulator."""

    def __init__(self, program: Path) -> None:
        self.owner = os.getpid()
        self._log = tempfile.TemporaryFile()  # unnamed, so nothing remains on disk
        local, remote = socketpair()
        engine = Path(__file__).with_name("server.py")
        with remote:
            self._process = subprocess.Popen(
                [sys.executable, "-P", str(engine), str(remote.fileno()), str(program)],
                stdin=subprocess.PIPE,  # never written; closes when this process ends
                stdout=subprocess.DEVNULL,
                stderr=self._log,
                pass_fds=(remote.fileno(),),
                start_new_session=True,  # a group with Unity; no Ctrl-C for it
                env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
            )
        self.connection = Connection(local.detach())
        self.kill = weakref.finalize(
            self, _kill, self.owner, self._process, self.connection, self._log
        )

    def end(self) -> None:
        """Let the process stop Unity, then end it."""
        if self.kill.alive:
            self.connection.close()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(GOODBYE)
        self.kill()

    def last_words(self) -> str:
        """Return the last output lines of the process and Unity, joined."""
        log = self._log.fileno()
        start = max(os.fstat(log).st_size - TAIL, 0)
        lines = os.pread(log, TAIL, start).decode("utf-8", "replace").splitlines()
        return " / ".join([line.strip() for line in lines if line.strip()][-WORDS:])


def _kill(
    owner: int, process: "subprocess.Popen[bytes]", connection: Connection, log: IO[bytes]
) -> None:
    connection.close()
    log.close()
    if owner == os.getpid():
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        assert process.stdin is not None
        process.stdin.close()
