"""Command lines: errors of use as one line on stderr and exit code 2."""

import argparse
import io
import sys
from pathlib import Path
from typing import Any, NoReturn


class Parser(argparse.ArgumentParser):
    """A parser that raises what argparse would print over several lines, and exit.

    What standard output can't encode is shown as "?" from here on: no result is lost for a dash.

    Raises:
        ValueError: From `parse_args`, on a wrong call.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(allow_abbrev=False, **options)
        for stream in (sys.stdout, sys.stderr):
            if isinstance(stream, io.TextIOWrapper):
                stream.reconfigure(errors="replace")

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
