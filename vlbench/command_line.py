"""Command lines: errors of use as one line on stderr and exit code 2."""

import argparse
import sys
from typing import Any, NoReturn


class Parser(argparse.ArgumentParser):
    """A parser that raises what argparse would print over several lines, and exit.

    Raises:
        ValueError: From `parse_args`, on a wrong call.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(allow_abbrev=False, **options)

    def error(self, message: str) -> NoReturn:
        """Raise the message."""
        raise ValueError(f"{message} (see {self.prog} --help)")


def refuse(command: str, error: Exception) -> int:
    """Tell an error of use in one line on stderr, and return the exit code."""
    print(f"{command}: {' '.join(str(error).split())}", file=sys.stderr)
    return 2
