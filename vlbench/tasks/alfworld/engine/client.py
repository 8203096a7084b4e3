"""The client of the engine's process: starts it on demand and sends requests with a deadline.

An engine that dies or hangs raises an `EngineError` within the deadline; the client never hangs.
The next request starts a new engine, which replays the commands.
"""

import os
import shutil
import struct
import subprocess
import sys
import tempfile
import threading
import weakref
from dataclasses import dataclass
from functools import lru_cache
from multiprocessing.connection import Connection
from pathlib import Path
from socket import SO_RCVTIMEO, SO_SNDTIMEO, SOL_SOCKET, socketpair
from typing import IO, Any

from vlbench.tasks.alfworld.games.generator import GameData
from vlbench.tasks.alfworld.games.package_data import check_installed

START = 120.0
"""Time limit for starting the engine, in seconds."""
ANSWER = 60.0
"""Time limit of a request, in seconds; a slow machine may need 1 s."""
CURSORS = 64
"""Games that an engine keeps in progress, at about 2 MB each; it replays others from the start."""

Fact = tuple[str, ...]
"""A predicate's name and its arguments' ids."""


class EngineError(ChildProcessError):
    """The engine died or hung."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The engine's state after some commands."""

    feedback: str
    commands: tuple[str, ...]
    """The admissible commands, sorted."""
    won: bool
    facts: tuple[Fact, ...]
    """The changeable facts that hold, sorted."""


@dataclass(frozen=True, slots=True)
class Description:
    """The fixed part of a game."""

    facts: tuple[Fact, ...]
    names: dict[str, str]
    """Id → name in commands, e.g. "apple 1"."""


class EngineClient:
    """One engine in one process; several environments and threads may share it.

    Args:
        answer: Time limit of a request, in seconds.
        cursors: Number of games that the engine keeps in progress.
    """

    def __init__(self, answer: float = ANSWER, cursors: int = CURSORS) -> None:
        check_installed()
        self._answer = answer
        self._cursors = cursors
        self._lock = threading.Lock()
        self._owner = 0
        self._running: _Running | None = None

    def play(self, game: GameData, commands: tuple[str, ...]) -> Snapshot:
        """Return the state after these commands from the start of the game.

        Raises:
            EngineError: The engine failed.
        """
        with self._lock:
            answer = self._ask("play", game.sha256, commands)
            if answer is None:
                texts = (game.domain, game.grammar, game.problem)
                answer = self._ask("play", game.sha256, commands, texts)
        feedback, admissible, won, facts = answer
        return Snapshot(feedback, admissible, bool(won), tuple(facts))

    def describe(self, game: GameData) -> Description:
        """Return the fixed part of a game.

        Raises:
            EngineError: The engine failed.
        """
        with self._lock:
            if self._ask("play", game.sha256, ()) is None:
                self._ask("play", game.sha256, (), (game.domain, game.grammar, game.problem))
            facts, names = self._ask("describe", game.sha256)
        return Description(tuple(facts), names)

    def plan(self, game: GameData) -> tuple[str, ...]:
        """Return the planner's plan from the start of the game; () if it finds none.

        Raises:
            EngineError: The engine failed.
        """
        with self._lock:
            plan: tuple[str, ...] = self._ask("plan", (game.domain, game.grammar, game.problem))
        return plan

    def close(self) -> None:
        """Stop the engine's process; the next request starts a new one."""
        with self._lock:
            self._stop()

    def _ask(self, *request: Any) -> Any:
        running = self._started()
        answered = False
        try:
            running.connection.send(request)
            answer = running.receive(self._answer)
            answered = True
            return answer
        except (_Silent, BlockingIOError):
            raise EngineError(
                f"ALFWorld's engine gave no answer in {self._answer:g} s and was stopped"
            ) from None
        except (EOFError, OSError):
            reason = running.last_words()
            raise EngineError(f"ALFWorld's engine ended by itself: {reason}") from None
        finally:
            if not answered:  # also after Ctrl-C: a late answer would match the next request
                self._stop()

    def _started(self) -> "_Running":
        if self._owner != os.getpid():  # a fork's parent keeps its own engine
            self._running, self._owner = None, os.getpid()
        if self._running is None:
            running = _Running(self._cursors, self._answer)
            try:
                running.receive(START)
                self._running = running
            except (_Silent, EOFError, OSError) as error:
                reason = "no answer" if isinstance(error, _Silent) else running.last_words()
                raise EngineError(f"ALFWorld's engine didn't start: {reason}") from None
            finally:
                if self._running is None:
                    running.end()
        return self._running

    def _stop(self) -> None:
        if self._running is not None and self._owner == os.getpid():
            self._running.end()
        self._running = None

    def __getstate__(self) -> dict[str, Any]:
        """Return the arguments without the process; a copy starts its own."""
        return {"answer": self._answer, "cursors": self._cursors}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Rebuild without a process."""
        self.__init__(**state)  # type: ignore[misc]


@lru_cache(maxsize=1)
def shared_engine() -> EngineClient:
    """Return the engine that this process's environments share."""
    return EngineClient()


class _Silent(Exception):
    """No answer came in time."""


class _Running:
    """A running engine."""

    def __init__(self, cursors: int, answer: float) -> None:
        folder = tempfile.mkdtemp(prefix="vlbench-alfworld-")
        self._errors = tempfile.TemporaryFile()
        local, remote = socketpair()
        # An engine that hangs amid a request or an answer blocks the socket.
        patience = struct.pack("@ll", int(answer), int(answer % 1 * 1e6))
        for direction in (SO_SNDTIMEO, SO_RCVTIMEO):
            local.setsockopt(SOL_SOCKET, direction, patience)
        program = Path(__file__).with_name("server.py")
        paths = [str(program.parent), *filter(None, sys.path)]
        with remote:
            self._process = subprocess.Popen(
                [sys.executable, "-P", str(program), str(remote.fileno()), str(cursors)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=self._errors,
                pass_fds=(remote.fileno(),),
                start_new_session=True,  # no Ctrl-C for the engine; it ends with this process
                env={
                    **os.environ,
                    "ALFWORLD_DATA": folder,
                    "TMPDIR": folder,
                    "PYTHONPATH": os.pathsep.join(paths),
                },
            )
        self.connection = Connection(local.detach())
        self._finalizer = weakref.finalize(
            self, _end, os.getpid(), self._process, self.connection, self._errors, folder
        )

    def receive(self, seconds: float) -> Any:
        """Return the next answer.

        Raises:
            _Silent: No answer came in time.
        """
        if not self.connection.poll(seconds):
            raise _Silent
        return self.connection.recv()

    def last_words(self) -> str:
        """Return the last line of the process's output, or its exit code."""
        try:
            code = self._process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            code = None
        self._errors.seek(0)
        lines = self._errors.read().decode("utf-8", "replace").strip().splitlines()
        return lines[-1] if lines else f"exit code {code}"

    def end(self) -> None:
        """Kill the process and remove its folder."""
        self._finalizer()


def _end(
    owner: int,
    process: "subprocess.Popen[bytes]",
    connection: Connection,
    errors: IO[bytes],
    folder: str,
) -> None:
    connection.close()
    errors.close()
    if owner == os.getpid():  # not in a fork
        process.kill()
        process.wait()
        shutil.rmtree(folder, ignore_errors=True)
