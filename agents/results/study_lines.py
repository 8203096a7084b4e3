"""Result lines of a study, and tables of them."""

import hashlib
import json
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

Line = dict[str, Any]
"""A result: field → plain data."""


def digest_of(data: Any) -> str:
    """Return a hash of plain data, as 12 hex digits."""
    text = json.dumps(data, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def read_lines(path: Path, is_known: Callable[[Line], bool] = lambda _: True) -> list[Line]:
    """Return the result lines of a file; none if it doesn't exist.

    Args:
        path: JSON lines.
        is_known: Whether a line is of the current plan; every line by default.

    Raises:
        ValueError: A line is damaged, or of another plan.
    """
    lines = []
    texts = path.read_text("utf-8").splitlines() if path.is_file() else []
    for number, text in enumerate(texts, 1):
        try:
            line = json.loads(text)
            known = is_known(line)
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(f"{path}:{number} isn't a result: {error!r}") from error
        if not known:
            raise ValueError(
                f"{path}:{number} is a result of another plan; remove it, or choose other --results"
            )
        lines.append(line)
    return lines


def append_lines(path: Path, lines: Iterable[Line]) -> None:
    """Append result lines to a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8") as file:
        file.write("".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines))


def markdown_table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """Return the lines of a table."""
    body = ["| " + " | ".join(row) + " |" for row in (head, *rows)]
    return [body[0], "|" + "---|" * len(head), *body[1:]]


def log_line(command: str, line: str) -> None:
    """Print a line of progress."""
    print(f"{command}: {line}", file=sys.stderr, flush=True)
