"""The runs of a leaderboard entry, read in bounded memory; `leaderboard.verify` checks an entry."""

import gzip
import io
import json
import tarfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vlbench.records import Episode, RunHeader, from_json
from vlbench.suites import benchmark_suites

MAX_BYTES = 1 << 29
"""Largest unpacked archive, in bytes."""

MANIFEST = "manifest.json"


@dataclass(frozen=True, slots=True)
class EntryRuns:
    """What an entry says was played."""

    digest: str
    header: RunHeader
    """Of its first run; all runs of an entry have the same agent and settings."""
    episodes: dict[str, tuple[Episode, ...]]
    """Suite → its episodes."""


def read_runs(path: Path) -> EntryRuns:
    """Read an entry's runs.

    Raises:
        ValueError: The file is no entry.
    """
    try:
        with gzip.open(path) as file:
            data = file.read(MAX_BYTES + 1)
        if len(data) > MAX_BYTES:
            raise ValueError(f"more than {MAX_BYTES} bytes")
        with tarfile.open(fileobj=io.BytesIO(data), mode="r:") as tar:
            parts = {member.name: _content(tar, member) for member in tar}
        manifest = json.loads(parts[MANIFEST])
        headers = [from_json(RunHeader, suite["run"]) for suite in manifest["suites"]]
        episodes = {
            header.part: tuple(_episodes(parts[f"{header.part}.jsonl"]))
            for header in headers
            if header.suite in benchmark_suites()
        }
        return EntryRuns(str(manifest["digest"]), headers[0], episodes)
    except (
        *(OSError, EOFError, zlib.error, tarfile.TarError),
        *(ValueError, KeyError, IndexError, TypeError, RecursionError),
    ) as error:
        raise ValueError(f"{path} is no entry as leaderboard.pack writes it: {error}") from error


def _content(tar: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    file = tar.extractfile(member) if member.isreg() else None
    if file is None:
        raise ValueError(f"{member.name!r:.80} is no plain file")
    return file.read()


def _episodes(part: bytes) -> list[Episode]:
    lines: list[Any] = [json.loads(line) for line in part.splitlines()]
    return [from_json(Episode, line) for line in lines]
