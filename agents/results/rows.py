"""Scorecards, episodes and turns as rows of plain cells, for data frames and CSV files."""

import csv
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from vlbench.records import Episode, RunHeader
from vlbench.scoring import Scorecard

LEVELS = ("scorecards", "episodes", "turns")
"""What a row may stand for."""

Cell = str | int | float | bool | None


def scorecard_rows(header: RunHeader, cards: Sequence[Scorecard]) -> list[dict[str, Cell]]:
    """Return a row for each scorecard; what it nests has columns such as `groups.x.success`."""
    run: dict[str, Cell] = {"preamble": str(header.preamble)}
    for part, values in (("env_kwargs", header.env_kwargs), ("settings", header.settings)):
        run |= {f"{part}.{name}": _cell(value) for name, value in values.items()}
    return [_flat(asdict(card)) | run for card in cards]


def _flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Cell]:
    row: dict[str, Cell] = {}
    for name, value in values.items():
        if isinstance(value, dict) and value:
            row |= _flat(value, f"{prefix}{name}.")
        elif name == "notes":
            row[name] = "; ".join(value)
        elif name == "strict_success":
            low, high = value or (None, None)
            row |= {"strict_success_low": low, "strict_success_high": high}
        elif not isinstance(value, dict):
            row[prefix + name] = _cell(value)
    return row


def episode_rows(episodes: Sequence[Episode]) -> list[dict[str, Cell]]:
    """Return a row for each episode."""
    return [
        {
            "env": episode.env_id,
            "row": episode.row,
            "repeat": episode.repeat,
            "instance": episode.instance,
            "presentation": episode.presentation,
            "end": episode.end,
            "success": episode.is_success,
            "return": episode.total,
            "turns": len(episode.turns),
            "regret": _sum([turn.regret for turn in episode.turns]),
            "usd": _sum([turn.reply.usd for turn in episode.turns]),
            "seconds": sum(turn.reply.seconds for turn in episode.turns),
            "error": episode.error,
            **{f"env_kwargs.{name}": _cell(value) for name, value in episode.kwargs.items()},
        }
        for episode in episodes
    ]


def turn_rows(episodes: Sequence[Episode]) -> list[dict[str, Cell]]:
    """Return a row for each turn."""
    return [
        {
            "env": episode.env_id,
            "row": episode.row,
            "repeat": episode.repeat,
            "instance": episode.instance,
            "turn": number,
            "status": turn.status,
            "action": turn.action,
            "illegal": turn.illegal,
            "expert": turn.expert,
            "reward": turn.reward,
            "regret": turn.regret,
            "cause": turn.cause,
            "prompt_tokens": turn.reply.prompt_tokens,
            "completion_tokens": turn.reply.completion_tokens,
            "usd": turn.reply.usd,
            "seconds": turn.reply.seconds,
            "reply": turn.reply.text,
        }
        for episode in episodes
        for number, turn in enumerate(episode.turns)
    ]


def _sum(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) if known else None


def _cell(value: Any) -> Cell:
    if value is None or isinstance(value, (str, int, float)):
        return value
    return json.dumps(value, ensure_ascii=False)


def write_csv(path: Path, rows: Sequence[Mapping[str, Cell]]) -> None:
    """Write rows as a CSV file; see `csv_text`.

    Raises:
        OSError: The file can't be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(csv_text(rows), "utf-8", newline="")


def csv_text(rows: Sequence[Mapping[str, Cell]]) -> str:
    """Return rows as CSV; a column that a row lacks is empty.

    A text that a spreadsheet would take for a formula gets an apostrophe before it; one of a single
    character, such as the action "+", is none.
    """
    columns = list(dict.fromkeys(name for row in rows for name in row))
    file = io.StringIO()
    writer = csv.DictWriter(file, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows({name: _defused(value) for name, value in row.items()} for row in rows)
    return file.getvalue()


def _defused(value: Cell) -> Cell:
    if isinstance(value, str) and len(value) > 1 and value[0] in "=+-@\t\r":
        return f"'{value}"
    return value
