"""The engine's process, seen from here: started when it is needed, asked under a deadline.

An engine that dies or hangs is an `EngineError` within the deadline, never a hang; the next request
starts a new one, which plays the commands again.
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
"""Seconds that the engine may take to start."""
ANSWER = 60.0
"""Seconds that a request may take; a slow machine needs one."""
CURSORS = 64
"""Games that one engine keeps in the middle, at about 2 MB each; others are played again from their
beginnings."""

Fact = tuple[str, ...]
"""A predicate's name, and the ids that it holds of."""


class EngineError(ChildProcessError):
    """The engine died or hung."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What the engine says after some commands."""

    feedback: str
    commands: tuple[str, ...]
    """The admissible commands, sorted."""
    won: bool
    facts: tuple[Fact, ...]
    """Of the facts that steps can change, those that hold; sorted."""


@dataclass(frozen=True, slots=True)
class Description:
    """What of a game never changes."""

    facts: tuple[Fact, ...]
    names: dict[str, str]
    """Id → name as commands use it, e.g. "apple 1"."""


class EngineClient:
    """One engine in one process; several environments and threads may share it.

    Args:
        answer: Seconds that a request may take.
        cursors: Games that the engine keeps in the middle.
    """

    def __init__(self, answer: float = ANSWER, cursors: int = CURSORS) -> None:
        check_installed()
        self._answer = answer
        self._cursors = cursors
        self._lock = threading.Lock()
        self._owner = 0
        self._running: _Running | None = None

    def play(self, game: GameData, commands: tuple[str, ...]) -> Snapshot:
        """Return what holds after these commands, from the game's beginning.

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
        """Return what of a game never changes.

        Raises:
            EngineError: The engine failed.
        """
        with self._lock:
            if self._ask("play", game.sha256, ()) is None:
                self._ask("play", game.sha256, (), (game.domain, game.grammar, game.problem))
            facts, names = self._ask("describe", game.sha256)
        return Description(tuple(facts), names)

    def plan(self, game: GameData) -> tuple[str, ...]:
        """Return the planner's plan from the game's beginning; () where it finds none.

        Raises:
            EngineError: The engine failed.
        """
        with self._lock:
            plan: tuple[str, ...] = self._ask("plan", (game.domain, game.grammar, game.problem))
        return plan

    def close(self) -> None:
        """End the engine's process; the next request starts a new one."""
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
            if not answered:  # after Ctrl-C too: its answer would be taken for the next one's
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
        """Leave the process behind: a copy starts its own."""
        return {"answer": self._answer, "cursors": self._cursors}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Rebuild without a process."""
        self.__init__(**state)  # type: ignore[misc]


@lru_cache(maxsize=1)
def shared_engine() -> EngineClient:
    """Return the host that this process's environments share."""
    return EngineClient()


class _Silent(Exception):
    """No answer came in time."""


class _Running:
    """A running engine."""

    def __init__(self, cursors: int, answer: float) -> None:
        folder = tempfile.mkdtemp(prefix="vlbench-alfworld-")
        self._errors = tempfile.TemporaryFile()
        local, remote = socketpair()
        # An engine that hangs in the middle of a request or an answer fills or starves the socket.
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
                start_new_session=True,  # Ctrl-C is for us alone; the engine ends when we do
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
            _Silent: None came in time.
        """
        if not self.connection.poll(seconds):
            raise _Silent
        return self.connection.recv()

    def last_words(self) -> str:
        """Return the last line that the process wrote, or how it ended."""
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
