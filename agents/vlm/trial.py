"""Try something out in a process of its own, with bounded time and memory.

A file can make its reader loop, fill the memory or crash: a chat template with endless loops, a
picture size of 10⁹, a damaged tokenizer. Such a reader runs here first, in a copy of this process
that is ended if it needs too much. Where a process can't be copied (Windows, macOS), it runs in
this process, without bounds.
"""

import contextlib
import faulthandler
import os
import re
import select
import signal
import sys
import threading
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

FORKS = sys.platform == "linux"
"""Whether trials run in a process of their own."""
MAX_REASON = 300
"""Longest reason, in characters."""
WAIT = 10
"""A trial may take this many times its CPU time, because the machine may be busy."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What a trial may use."""

    seconds: int = 15
    """CPU time."""
    memory: int = 4 << 30
    """Bytes, in addition to what this process holds."""


LIMITS = Limits()


def reason_to_refuse(action: Callable[[], object], limits: Limits = LIMITS) -> str:
    """Try an action, whose effects and output are lost.

    Args:
        action: It needs no other thread of this process, and no GPU.
        limits: What it may use.

    Returns:
        Why it failed, in one line; "" if it didn't.
    """
    if not FORKS:
        return _attempt(action)
    reader, writer = os.pipe()
    late: list[int] = []
    process = _fork(late)
    if not process:
        _run_and_exit(action, limits, writer)
    os.close(writer)
    try:
        for number in late:
            signal.raise_signal(number)
        reason = _read(reader, time.monotonic() + WAIT * limits.seconds)
    finally:
        os.close(reader)
        with contextlib.suppress(ProcessLookupError):
            os.kill(process, signal.SIGKILL)
        _, status = os.waitpid(process, 0)
    if reason is not None:
        return reason
    if not os.WIFSIGNALED(status) or os.WTERMSIG(status) in (signal.SIGKILL, signal.SIGXCPU):
        return f"it takes more than {limits.seconds} s"
    crash = signal.Signals(os.WTERMSIG(status)).name
    return f"its reader crashes ({crash}), or needs more than {limits.memory >> 30} GiB"


def _fork(late: list[int]) -> int:
    """Fork; return 0 in the copy, and its process id in this process.

    Python calls hooks around a fork and ignores what they raise. A handler that raises in one of
    them would stop nothing, and leave logging's lock held: other threads would wait for it forever.

    Args:
        late: Gets the signals that came meanwhile and would stop this process; raise them.
    """
    handlers = {}
    if threading.current_thread() is threading.main_thread():  # no other one handles signals
        for number in (signal.SIGINT, signal.SIGTERM):
            handlers[number] = signal.signal(number, lambda number, frame: late.append(number))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # Python warns if there are threads
            return os.fork()
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)


def one_line(error: BaseException) -> str:
    """Return the message of an exception as one printable line."""
    if isinstance(error, RecursionError):
        return "it is nested too deeply"
    text = " ".join(str(error).split()) or type(error).__name__
    if "can't allocate memory" in text or isinstance(error, MemoryError):
        return "it needs too much memory"
    if isinstance(error, (KeyError, AttributeError, TypeError, IndexError, ZeroDivisionError)):
        text = f"{type(error).__name__}: {text}"
    return re.sub(r"[^ -~\xa1-\uffff]", "?", text)[:MAX_REASON]


def _attempt(action: Callable[[], object]) -> str:
    try:
        action()
    # The boundary: a reader may raise anything, and Rust's panics are no Exceptions.
    except BaseException as error:
        if isinstance(error, KeyboardInterrupt):
            raise
        return one_line(error)
    return ""


def _read(reader: int, deadline: float) -> str | None:
    """Return what the process writes; None if it ends, or is late, without writing."""
    data = b""
    while True:
        ready, _, _ = select.select([reader], [], [], max(0.0, deadline - time.monotonic()))
        part = os.read(reader, 1 << 12) if ready else b""
        if not part:
            return data[1:].decode("utf-8", "replace") if data else None
        data += part


def _run_and_exit(action: Callable[[], object], limits: Limits, writer: int) -> None:
    """Run an action in this process, write "." and the reason for its failure, and exit."""
    import resource  # Linux has it

    import torch

    try:
        faulthandler.disable()
        nothing = os.open(os.devnull, os.O_RDWR)
        for stream in range(3):
            os.dup2(nothing, stream)
        sys.stdout = sys.stderr = os.fdopen(nothing, "w")
        os.environ["TOKENIZERS_PARALLELISM"] = "false"
        torch.set_num_threads(1)  # the threads of the original process aren't in its copy
        held = re.search(r"VmData:\s*(\d+) kB", Path("/proc/self/status").read_text("ascii"))
        memory = limits.memory + (int(held[1]) << 10 if held else 0)
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        resource.setrlimit(resource.RLIMIT_DATA, (memory, memory))
        resource.setrlimit(resource.RLIMIT_CPU, (limits.seconds, limits.seconds))
        os.write(writer, f".{_attempt(action)}".encode())
    finally:
        os._exit(0)
