"""Parts of a run: which machine plays what, and how their folders become one run.

`python -m agents.evaluate … --shard 1/4 --out runs/part1` plays a quarter of the episodes;
`python -m agents.merge runs/part* --out runs/whole` joins the parts.
"""

import dataclasses
import heapq
import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from vlbench.records import RunHeader, Shard
from vlbench.run_folder import EPISODES, HEADER, JOURNAL, RunFolder

T = TypeVar("T")

SLURM = "slurm"
"""Value of `--shard` that takes the part from SLURM's variables of an array job."""
SLURM_TASK, SLURM_FIRST, SLURM_COUNT = (
    f"SLURM_ARRAY_TASK_{name}" for name in ("ID", "MIN", "COUNT")
)


def parse_shard(text: str, environment: Mapping[str, str] = os.environ) -> Shard:
    """Parse "I/N", with I from 1 to N, or "slurm".

    Args:
        text: What the user wrote.
        environment: Environment variables.

    Raises:
        ValueError: It is neither, or SLURM's variables describe no array of consecutive tasks.
    """
    if text.casefold() == SLURM:
        return _slurm_shard(environment)
    match = re.fullmatch(r"(\d{1,6})/(\d{1,6})", text)
    if not match or not 1 <= int(match[1]) <= int(match[2]):
        raise ValueError(f'must be I/N with I from 1 to N, or slurm; got "{text}"')
    return Shard(int(match[1]) - 1, int(match[2]))


def _slurm_shard(environment: Mapping[str, str]) -> Shard:
    try:
        task, first, count = (
            int(environment[name]) for name in (SLURM_TASK, SLURM_FIRST, SLURM_COUNT)
        )
    except (KeyError, ValueError) as error:
        raise ValueError(
            f"slurm needs an array job, which sets {SLURM_TASK}, {SLURM_FIRST} and {SLURM_COUNT}"
        ) from error
    if not 0 <= task - first < count:
        raise ValueError(
            f"slurm needs consecutive task numbers (--array=0-{count - 1}); this is task {task} "
            f"of {count} tasks from {first}"
        )
    return Shard(task - first, count)


def array_note(shard: Shard | None, environment: Mapping[str, str] = os.environ) -> str:
    """Return a line for a run in a SLURM array that isn't split; "" otherwise."""
    task, count = environment.get(SLURM_TASK), environment.get(SLURM_COUNT, "?")
    if shard is not None or task is None:
        return ""
    return (
        f"this is task {task} of a SLURM array of {count}, and it plays the whole run; "
        "--shard slurm plays a part in each task"
    )


def part(items: Sequence[T], shard: Shard | None) -> Sequence[T]:
    """Return every `count`-th item from the `index`-th; all without a shard."""
    return items if shard is None else items[shard.index :: shard.count]


def merge(parts: Sequence[Path], out: Path) -> RunFolder:
    """Join the parts of a run into a new folder, record by record.

    Args:
        parts: The folders, in any order.
        out: The folder of the whole run.

    Raises:
        ValueError: The parts aren't all the parts of one run, or the folder holds a run.
    """
    if (out / HEADER).exists():
        raise ValueError(f"{out} holds a run; choose another folder")
    folders = _in_order([RunFolder.open(path) for path in parts])
    first = folders[0].header
    header = dataclasses.replace(
        first,
        shard=None,
        dropped=list(dict.fromkeys(name for f in folders for name in f.header.dropped)),
        bounds={env_id: b for f in folders for env_id, b in f.header.bounds.items()},
        started=min(folder.header.started for folder in folders),
    )
    whole = RunFolder.start(out, header)
    whole.close()
    for name in (JOURNAL, EPISODES):
        sources = [_lines(folder.path / name, header.env_ids) for folder in folders]
        with (out / name).open("wb") as file:
            file.writelines(line.text for line in heapq.merge(*sources, key=lambda line: line.rank))
    return RunFolder.open(out)


def _in_order(folders: Sequence[RunFolder]) -> list[RunFolder]:
    """Return the parts by their number.

    Raises:
        ValueError: They aren't all the parts of one run.
    """
    by_index: dict[int, RunFolder] = {}
    for folder in folders:
        shard = folder.header.shard
        if shard is None:
            raise ValueError(f"{folder.path} is a whole run, not a part of one")
        if twin := by_index.get(shard.index):
            raise ValueError(f"{twin.path} and {folder.path} are both part {_name(shard)}")
        by_index[shard.index] = folder
    first = folders[0]
    for folder in folders[1:]:
        if conflict := _conflict(first.header, folder.header):
            raise ValueError(f"{first.path} and {folder.path} are of different runs: {conflict}")
    count = first.header.shard.count if first.header.shard else 0
    if missing := [_name(Shard(i, count)) for i in range(count) if i not in by_index]:
        raise ValueError(f"parts {', '.join(missing)} are missing")
    return [by_index[index] for index in range(count)]


def _conflict(first: RunHeader, other: RunHeader) -> str:
    """Return the differences that keep two parts from being of one run; "" if none does."""
    counts = [header.shard.count if header.shard else 0 for header in (first, other)]
    if counts[0] != counts[1]:
        return f"one is split into {counts[0]} parts, the other into {counts[1]}"
    for name in ("episodes", "repeats"):
        if getattr(first, name) != getattr(other, name):
            return f"{name} {getattr(first, name)} and {getattr(other, name)}"
    return first.conflict(dataclasses.replace(other, shard=first.shard))


def _name(shard: Shard) -> str:
    return f"{shard.index + 1}/{shard.count}"


class _Line(NamedTuple):
    """A line of a JSONL file."""

    rank: tuple[int, ...]
    """Place of the last episode, in the order of the whole run, that has begun in the file."""
    text: bytes


def _lines(path: Path, env_ids: Sequence[str]) -> Iterator[_Line]:
    """Yield the lines of a part's file; a last line that was cut off was never played on.

    Ranks never fall within a file, so that merged files begin their episodes in the run's order.

    Raises:
        ValueError: A line is damaged, or of another run.
    """
    if not path.exists():
        return
    order = {env_id: number for number, env_id in enumerate(env_ids)}
    rank: tuple[int, ...] = ()
    with path.open("rb") as file:
        for number, text in enumerate(file, 1):
            if not text.endswith(b"\n"):
                return
            try:
                place = _place(json.loads(text))
                rank = max(rank, (order[place.env_id], place.row, place.repeat))
            except (ValueError, KeyError, TypeError, RecursionError) as error:
                reason = f"{path}:{number} is damaged: {error}"
                raise ValueError(f"{reason}; replay the part, or leave the line out") from error
            yield _Line(rank, text)


class _Place(NamedTuple):
    """Where an episode stands in its run."""

    env_id: str
    row: int
    repeat: int


def _place(data: dict[str, Any]) -> _Place:
    """Return the place of the episode of a line of the journal, or of the episodes."""
    if "episode" not in data:
        return _Place(data["env_id"], int(data["row"]), int(data["repeat"]))
    env_id, _, numbers = data["episode"].rpartition("#")
    row, repeat = numbers.split("/")
    return _Place(env_id, int(row), int(repeat))
