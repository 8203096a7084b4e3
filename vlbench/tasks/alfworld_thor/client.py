"""The simulator's process, seen from here: started when it is needed, asked under a deadline.

A simulator that dies or hangs is an `EngineError` within the deadline, never a hang; the next
episode starts a new one.
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
"""Seconds that the simulator has to stop Unity in an orderly way."""

WORDS = 3
"""Lines of the log that an error quotes: Unity's reason comes before ai2thor's."""

TAIL = 1 << 14
"""Bytes of the log that they are looked for in."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What the simulator gives after a command."""

    number: int
    """Counts what this simulator gave, from 1."""
    feedback: str
    commands: tuple[str, ...]
    """The commands that ALFWorld's controller offers, sorted."""
    won: bool
    rate: float
    """The goal's conditions that hold, 0..1."""
    scene: Scene
    frame: Frame


class ThorClient:
    """One Unity under one controller.

    Args:
        program: Unity's program.
        timeout: Seconds that a request may take; the first one starts Unity.
    """

    def __init__(self, program: Path, timeout: float) -> None:
        self._program = program
        self.timeout = timeout
        self._running: _Running | None = None
        self.last_number = 0
        """Number of the last glimpse."""

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
            EngineError: The simulator failed, or failed before.
        """
        if (running := self._own_process()) is None:
            raise EngineError("AI2-THOR isn't running any more; reset() starts it again")
        return self._ask(running, "step", command)

    def close(self) -> None:
        """Stop Unity and end the process; the next `reset` starts new ones."""
        if running := self._own_process():
            running.end()
        self._running = None

    def _own_process(self) -> "_Running | None":
        """Return what runs, unless a fork's parent started it."""
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
        self._log = tempfile.TemporaryFile()  # without a name: nothing is left, however we end
        local, remote = socketpair()
        engine = Path(__file__).with_name("server.py")
        with remote:
            self._process = subprocess.Popen(
                [sys.executable, "-P", str(engine), str(remote.fileno()), str(program)],
                stdin=subprocess.PIPE,  # never written to: it ends when we do
                stdout=subprocess.DEVNULL,
                stderr=self._log,
                pass_fds=(remote.fileno(),),
                start_new_session=True,  # a group with Unity; Ctrl-C is for us alone
                env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
            )
        self.connection = Connection(local.detach())
        self.kill = weakref.finalize(
            self, _kill, self.owner, self._process, self.connection, self._log
        )

    def end(self) -> None:
        """Have Unity stopped, then end the process."""
        if self.kill.alive:
            self.connection.close()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(GOODBYE)
        self.kill()

    def last_words(self) -> str:
        """Return the last lines that the process and Unity wrote, as one."""
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
