"""Command lines: errors of use as one line."""

import argparse
import json
import sys
from pathlib import Path
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


def folder_name(text: str) -> Path:
    """Return the path of a folder; nothing is no name (an unset variable in a script)."""
    if not text:
        raise argparse.ArgumentTypeError("wanted a folder, got nothing")
    return Path(text)


def setting(text: str) -> tuple[str, Any]:
    """Read NAME=VALUE; the value is JSON where it can be read so, else a text."""
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise argparse.ArgumentTypeError(f'wanted NAME=VALUE, got "{text}"')
    try:
        return name, json.loads(value)
    except ValueError:
        return name, value


def refuse(command: str, error: Exception) -> int:
    """Tell an error of use in one line on stderr, and return the exit code."""
    print(f"{command}: {' '.join(str(error).split())}", file=sys.stderr)
    return 2
