"""Read and write entries.

Reading trusts nothing: lines, depth and numbers are bounded, and there is one spelling.
"""

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from pydantic import ValidationError

from leaderboard.archive import MAX_MANIFEST, MAX_PART, Refused, read_archive, write_archive
from leaderboard.packing.part import PartFiles
from leaderboard.schema import ENTRY_PICTURES, MANIFEST, PERSON, Manifest, Track, canonical
from vlbench.records import Episode, RunHeader, episode_key, from_json, to_json
from vlbench.suites import RETIRED, benchmark_suites

MAX_LINE = 8 << 20
"""Longest line of a part, in bytes."""
MAX_DEPTH = 20
"""Deepest nesting of JSON."""
MAX_DIGITS = 40
"""Longest number."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A packed entry."""

    manifest: Manifest
    parts: Mapping[str, bytes]
    """Name → content, in the order of the manifest; `PartFiles` where it is being packed."""

    def write(self, path: Path) -> None:
        """Write the archive.

        Raises:
            OSError: The file can't be written.
        """
        files = self.parts.paths if isinstance(self.parts, PartFiles) else self.parts
        write_archive(path, {MANIFEST: self.manifest.to_bytes(), **files})


def read_entry(path: Path) -> Entry:
    """Read an archive's parts, without parsing their lines.

    Raises:
        Refused: The archive isn't one that `pack` writes, or its parts aren't those that its
            manifest names.
    """
    suites = dict.fromkeys((*benchmark_suites(), *RETIRED))
    pictures = ("", *(f"-{picture}" for picture in ENTRY_PICTURES[1:]))
    names = [f"{suite}{picture}.jsonl" for suite in suites for picture in pictures]
    limits = {MANIFEST: MAX_MANIFEST, **dict.fromkeys(names, MAX_PART)}
    archive = read_archive(path, limits)
    name, data = next(archive)
    if name != MANIFEST:
        raise Refused(path.name, name, f"wanted {MANIFEST} first")
    manifest = _manifest(path.name, data)
    parts: dict[str, bytes] = {}
    expected = [str(suite.part.name) for suite in manifest.suites]
    for name, content in archive:
        if expected[len(parts) : len(parts) + 1] != [name]:
            listed = ", ".join(expected)
            raise Refused(path.name, name, f"wanted the manifest's parts in order ({listed})")
        parts[name] = content
    if len(parts) < len(expected):
        raise Refused(path.name, expected[len(parts)], "wanted as the manifest says, found none")
    return Entry(manifest, parts)


def _manifest(file: str, data: bytes) -> Manifest:
    try:
        plain = loads(data)
        if isinstance(plain, dict) and plain.get("format") == 1:
            convert = "python -m leaderboard.convert ENTRY --out NEW converts it"
            raise ValueError(f"format: wanted 2, found 1; {convert}")
        manifest = Manifest.model_validate_json(json.dumps(plain))
        if manifest.to_bytes() != data:
            raise ValueError("wanted the spelling that `pack` writes, found another")
        digest = manifest.sealed().digest
        if manifest.digest != digest:
            raise ValueError(f"digest: wanted {digest}, found {manifest.digest}")
    except ValidationError as error:
        raise Refused(file, MANIFEST, first_error(error)) from error
    except ValueError as error:
        raise Refused(file, MANIFEST, str(error)) from error
    return manifest


def first_error(error: ValidationError) -> str:
    """Return one line that names the wrong field of a record."""
    first = error.errors(include_url=False)[0]
    place = ".".join(map(str, first["loc"]))
    return f"{place}: {first['msg']}, found {first.get('input')!r:.80}"


def read_episodes(file: str, part: str, data: bytes) -> Iterator[Episode]:
    """Yield the episodes of a part, one a line.

    Raises:
        Refused: A line isn't one that `pack` writes; names it.
    """
    number, start = 0, 0
    while start < len(data):
        number += 1
        end = data.find(b"\n", start)
        length = (end if end >= 0 else len(data)) - start
        place = f"{part}:{number}"
        if length > MAX_LINE:
            raise Refused(file, place, f"wanted at most {MAX_LINE} bytes a line, found {length}")
        if end < 0:
            raise Refused(file, place, "wanted a line break at the end, found none")
        line = data[start:end]
        start = end + 1
        try:
            episode = _episode(loads(line))
            if canonical(to_json(episode)) != line:
                raise ValueError("wanted the spelling that `pack` writes, found another")
        except ValueError as error:
            raise Refused(file, place, str(error)) from error
        yield episode


def _episode(plain: Any) -> Episode:
    """Return the episode of a line; an error names it, if its key can be read."""
    try:
        return from_json(Episode, plain)
    except ValueError as error:
        names = ("env_id", "row", "repeat")
        env_id, row, repeat = (
            plain.get(name) if isinstance(plain, dict) else None for name in names
        )
        if isinstance(env_id, str) and isinstance(row, int) and isinstance(repeat, int):
            raise ValueError(f"{episode_key(env_id, row, repeat):.80}: {error}") from error
        raise


def loads(data: bytes) -> Any:
    """Read JSON whose depth and numbers are bounded.

    Raises:
        ValueError: It isn't such JSON.
    """
    try:
        plain = json.loads(
            data.decode("utf-8"), parse_int=_int, parse_float=_float, parse_constant=_constant
        )
    except RecursionError as error:
        raise ValueError(f"wanted JSON at most {MAX_DEPTH} deep, found deeper") from error
    _shallow(plain, 1)
    return plain


def _shallow(value: Any, depth: int) -> None:
    if depth > MAX_DEPTH:
        raise ValueError(f"wanted JSON at most {MAX_DEPTH} deep, found deeper")
    if isinstance(value, (dict, list)):
        for item in value.values() if isinstance(value, dict) else value:
            _shallow(item, depth + 1)


def _int(text: str) -> int:
    number = int(text) if len(text) <= MAX_DIGITS else 1 << 64
    if abs(number) >= 1 << 63:
        raise ValueError(f"wanted a number below 2**63, found {text[:MAX_DIGITS]}…")
    return number


def _float(text: str) -> float:
    number = float(text) if len(text) <= MAX_DIGITS else math.inf
    if not math.isfinite(number):
        raise ValueError(
            f"wanted a finite number of at most {MAX_DIGITS} characters, found {text[:MAX_DIGITS]}…"
        )
    return number


def _constant(text: str) -> NoReturn:
    raise ValueError(f"wanted a finite number, found {text}")


def check_person(run: RunHeader, track: Track) -> None:
    """Check that a person's run, and no other, is of the track `human`, and was played fairly.

    Raises:
        ValueError: It isn't.
    """
    if (run.agent == PERSON) != (track == PERSON):
        raise ValueError(
            f"card.track: wanted {PERSON} for a person's run and for no other, found {track} and "
            f"the agent {run.agent:.80}"
        )
    if track == PERSON and run.settings.get("fair") is not True:
        raise ValueError("a person's entry must be played with vlbench.play --fair")
