"""Running a command: errors as one line on stderr, and exit codes."""

import sys
from collections.abc import Callable, Sequence
from importlib.util import find_spec


def print_error(command: str, error: Exception) -> None:
    """Print an error in one line on stderr."""
    print(f"{command}: {' '.join(str(error).split())}", file=sys.stderr)


def run_main(
    command: str,
    run: Callable[[], int | None],
    *,
    stopped: str = "stopped",
    failure: int = 2,
    quiet: bool = False,
) -> int:
    """Run a command, and turn what it raises into a line and an exit code.

    Args:
        command: What errors are said to come from.
        run: Reads the command line and does what it says. It raises ValueError on a wrong call, and
            OSError or FloatingPointError if it fails; it may return an exit code of its own.
        stopped: What is printed on Ctrl-C.
        failure: The exit code of a run that fails.
        quiet: Whether a stop is not printed; errors always are.

    Returns:
        0 when done, or the run's own code; 2 on a wrong call; `failure` if it failed; 130 on
        Ctrl-C.
    """
    try:
        return run() or 0
    except ValueError as error:
        print_error(command, error)
        return 2
    except (OSError, FloatingPointError) as error:
        print_error(command, error)
        return failure
    except KeyboardInterrupt:
        if not quiet:
            print(f"{command}: {stopped}", file=sys.stderr)
        return 130


def exit_without(packages: Sequence[str], command: str, *, extra: str) -> None:
    """End the process with one line and code 2 where a package isn't installed.

    A module that is run as a program calls it before it imports what its extra installs.
    """
    if missing := [name for name in packages if find_spec(name) is None]:
        told = f'{", ".join(missing)} not installed; install with: pip install "vlbench[{extra}]"'
        print_error(command, ValueError(told))
        sys.exit(2)
