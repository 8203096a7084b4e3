"""Run a command: one-line errors on stderr, exit codes, and SIGTERM as Ctrl-C."""

import signal
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from types import FrameType

from vlbench.cli.terminal import plain_output, printable
from vlbench.records.redaction import redact


def print_error(command: str, error: Exception) -> None:
    """Print an error as one line on stderr, in one write, so that processes don't mix lines."""
    sys.stderr.write(printable(f"{command}: {' '.join(str(error).split())}") + "\n")


@plain_output()
def run_main(
    command: str,
    run: Callable[[], int | None],
    *,
    stopped: str = "stopped",
    failure: int = 2,
    quiet: bool = False,
) -> int:
    """Run a command; turn its exceptions into one line on stderr and an exit code.

    All that it prints passes through `vlbench.cli.terminal`. SIGTERM, which a cluster or a
    container sends, stops the command as Ctrl-C does.

    Args:
        command: Name of the command, printed before errors.
        run: Parses the command line and does the work. It raises ValueError on a wrong call, and
            OSError, FloatingPointError or MemoryError if it fails. It may return its own exit code.
        stopped: Message to print on Ctrl-C or SIGTERM.
        failure: Exit code of a run that fails.
        quiet: Don't print that message; errors are always printed.

    Returns:
        0 or the run's own code; 2 on a wrong call; `failure` if it failed; 130 on
        Ctrl-C or SIGTERM.
    """
    try:
        with _sigterm_as_ctrl_c():
            return run() or 0
    except ValueError as error:
        print_error(command, error)
        return 2
    except (OSError, FloatingPointError, MemoryError) as error:
        print_error(command, error if str(error) else MemoryError("out of memory"))
        return failure
    except KeyboardInterrupt:
        if not quiet:
            print(f"{command}: {stopped}", file=sys.stderr)
        return 130
    except Exception as error:  # a defect: Python shows it, unless it holds a secret
        text = "".join(traceback.format_exception(error))
        if redact(text) == text:
            raise
        sys.stderr.write(text)
        return 1


@contextmanager
def _sigterm_as_ctrl_c() -> Iterator[None]:
    """Within it, SIGTERM does what Ctrl-C does at that time; only the main thread has signals."""

    def stop(number: int, frame: FrameType | None) -> None:
        handle = signal.getsignal(signal.SIGINT)
        if not callable(handle):  # Ctrl-C is ignored, as in a shell's background job
            raise KeyboardInterrupt
        handle(signal.SIGINT, frame)

    try:
        previous = signal.signal(signal.SIGTERM, stop)
    except ValueError:
        yield
        return
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, previous)


def exit_without(packages: Sequence[str], command: str, *, extra: str) -> None:
    """Exit with one line and code 2 if a package isn't installed.

    A module that runs as a program calls this before it imports the packages of its extra.
    """
    if missing := [name for name in packages if find_spec(name) is None]:
        names = ", ".join(missing)
        reason = f'{names} not installed; install with: pip install "vlbench[{extra}]"'
        print_error(command, ValueError(reason))
        sys.exit(2)
