"""Files of result lines, one JSON object each, and the rendered part of their pages."""

import json
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypeVar

from vlbench.intervals import Interval
from vlbench.records import from_json
from vlbench.scoring import Scorecard
from vlbench.suites import frozen_hash

L = TypeVar("L")
"""A frozen dataclass with a field `unit`, what the line is about."""


def read_lines(path: Path, kind: type[L]) -> list[L]:
    """Return the lines of a file; none if there is no file. Of one unit the last line counts.

    Raises:
        ValueError: A line can't be read; names it.
    """
    if not path.exists():
        return []
    lines: dict[Any, L] = {}
    for number, text in enumerate(path.read_text("utf-8").splitlines(), start=1):
        try:
            line: Any = from_json(kind, json.loads(text))
        except ValueError as error:
            raise ValueError(f"{path}:{number}: {error}") from error
        lines[line.unit] = line
    return list(lines.values())


def append_line(path: Path, line: Any) -> None:
    """Append a line, a dataclass, to a file.

    Raises:
        OSError: It can't be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(asdict(line)) + "\n")


def regret_of(card: Scorecard) -> Interval | None:
    """Return the mean regret of a turn; None if the task has no values."""
    if card.regret is None or card.regret_low is None or card.regret_high is None:
        return None
    return Interval(card.regret, card.regret_low, card.regret_high)


def sets_note(env_id: str, suite: str, hashes: Iterable[str]) -> str:
    """Return the sentence that names the sets of some lines, and says if they are today's."""
    played, current = set(hashes), frozen_hash(env_id, suite)
    sets = ", ".join(sorted(f"`{digest[:12]}`" for digest in played))
    old = "" if played == {current} else f" The set is now `{current[:12]}`: made on another one."
    return f"Set {sets}.{old}"
