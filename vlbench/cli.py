"""Command lines: errors as one line on stderr, and exit codes."""

import argparse
import io
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn


class Parser(argparse.ArgumentParser):
    """A parser that raises what argparse would print over several lines, and exit.

    What standard output can't encode is shown as "?" from here on, where it would be refused: no
    result is lost for a dash.

    Raises:
        ValueError: From `parse_args`, on a wrong call.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(allow_abbrev=False, **options)
        if isinstance(sys.stdout, io.TextIOWrapper) and sys.stdout.errors == "strict":
            sys.stdout.reconfigure(errors="replace")

    def error(self, message: str) -> NoReturn:
        """Raise the message."""
        raise ValueError(f"{message} (see {self.prog} --help)")


def folder_name(text: str) -> Path:
    """Return the path of a folder; nothing is no name (an unset variable in a script)."""
    if not text:
        raise argparse.ArgumentTypeError("wanted a folder, got nothing")
    return Path(text)


def refuse(command: str, error: Exception) -> int:
    """Tell an error of use in one line on stderr, and return the exit code."""
    print(f"{command}: {' '.join(str(error).split())}", file=sys.stderr)
    return 2


def exit_code(command: str, run: Callable[[], object], stopped: str, tells: bool = True) -> int:
    """Run what may fail or be stopped, and print its result.

    Args:
        command: What errors are told to come from.
        run: Raises ValueError on a wrong call, OSError or FloatingPointError if it fails.
        stopped: What is told on Ctrl-C.
        tells: Whether the result and a stop are told here; errors always are.

    Returns:
        0 when done, 2 on a wrong call, 1 on a failed run, 130 on Ctrl-C.
    """
    try:
        result = run()
    except (ValueError, OSError, FloatingPointError) as error:
        refuse(command, error)
        return 2 if isinstance(error, ValueError) else 1
    except KeyboardInterrupt:
        if tells:
            print(f"{command}: {stopped}", file=sys.stderr)
        return 130
    if tells:
        print(result)
    return 0
