"""JSONL files, read one line at a time."""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

PIECE = 1 << 16
"""Bytes that are read at once, from the end of a file."""


def read_lines(path: Path, damaged: list[str]) -> Iterator[tuple[str, Any]]:
    """Yield the place and the data of each line of a file; nothing if there is no file.

    Args:
        path: The file.
        damaged: Gets a message for each line that isn't JSON.
    """
    if not path.is_file():
        return
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            text = line.removesuffix(b"\n")
            if not text:
                continue
            try:
                data = json.loads(text)
            except (ValueError, RecursionError) as error:
                damaged.append(f"{path}:{number}: not a JSON line ({error})")
            else:
                yield f"{path}:{number}", data


def mend_last_line(path: Path) -> None:
    """End a JSONL file with a whole line: finish the last one, or drop it if it was cut off.

    A process that is killed leaves such a line. A reply or episode that was cut off was never
    played on, so it is played again.
    """
    if not path.exists():
        return
    with path.open("rb+") as file:
        start = _start_of_last_line(file)
        file.seek(start)
        last = file.read()
        if not last:
            return
        try:
            json.loads(last)
        except (ValueError, RecursionError):
            file.truncate(start)
        else:
            file.seek(0, os.SEEK_END)
            file.write(b"\n")


def _start_of_last_line(file: BinaryIO) -> int:
    """Return where the text after the last line break begins."""
    end = file.seek(0, os.SEEK_END)
    while end:
        start = max(0, end - PIECE)
        file.seek(start)
        if (place := file.read(end - start).rfind(b"\n")) >= 0:
            return start + place + 1
        end = start
    return 0
