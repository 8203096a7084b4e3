"""Convert records of an older version: `python -m leaderboard.convert OLD --out NEW`.

OLD is a run's folder or an entry's archive of schema 1, NEW the same thing of schema 2. Nothing is
played and no number computed: fields get their new names, scorecards are left out, the header
names today's parser, and an entry is sealed anew. `python -m vlbench.replay` and
`python -m leaderboard.verify` check the result.
"""

import json
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from leaderboard.archive import MAX_MANIFEST, MAX_PART, read_archive
from leaderboard.entry import Entry, first_error, loads
from leaderboard.schema import MANIFEST, Manifest, Suite, canonical, digest_of
from vlbench.cli import Options, parse_options, required, run_main, writable_folder
from vlbench.parsing import RULES
from vlbench.records import Episode, Reply, RunHeader, from_json, to_json
from vlbench.run_folder import EPISODES, HEADER, JOURNAL

OLD, NEW = 1, 2
"""Versions of records and entries: converted from, converted to."""

TURN = {"prompt": "prompt_hash", "frame": "frame_hash", "state": "state_hash"}
EPISODE = {"final_state": "final_state_hash", "final_frame": "final_frame_hash"}
CAUSE = {"slip": "inconsistent"}
"""Old names → new ones."""

Json = dict[str, Any]

OLD_PARTS = ("test.jsonl", "ood.jsonl")
"""The parts that an entry of the old format has."""


def convert_header(data: Json) -> Json:
    """Return a run's header as schema 2 writes it.

    Raises:
        KeyError, TypeError, ValueError: It isn't one of schema 1.
    """
    _check_schema(data)
    return to_json(from_json(RunHeader, data | {"schema": NEW, "parser": RULES}))


def convert_episode(data: Json) -> Json:
    """Return an episode as schema 2 writes it.

    Raises:
        KeyError, TypeError, ValueError: It isn't one of schema 1.
    """
    _check_schema(data)
    turns = [_renamed(turn, TURN) for turn in data["turns"]]
    for turn in turns:
        turn["cause"] = CAUSE.get(turn["cause"], turn["cause"])
    return to_json(from_json(Episode, _renamed(data, EPISODE) | {"turns": turns, "schema": NEW}))


def convert_journaled(data: Json) -> Json:
    """Return a line of a journal as schema 2 writes it.

    Raises:
        KeyError, TypeError, ValueError: It isn't one of schema 1.
    """
    return data | {"reply": to_json(from_json(Reply, data["reply"]))}


def _check_schema(data: Json) -> None:
    if data["schema"] != OLD:
        raise ValueError(f"wanted schema {OLD}, found {data['schema']!r:.20}")


def _renamed(data: Json, names: Mapping[str, str]) -> Json:
    return {names.get(name, name): value for name, value in data.items()}


def convert_run(old: Path, new: Path) -> str:
    """Convert a run's folder; return a summary.

    A line that can't be read is copied as it is, so that it still counts as damaged.

    Raises:
        ValueError: There is no run of schema 1.
        OSError: A file can't be read or written.
    """
    if not (old / HEADER).is_file():
        raise ValueError(f"{old} is no run folder: it has no {HEADER}")
    header = _converted(str(old / HEADER), convert_header, (old / HEADER).read_bytes())
    new.parent.mkdir(parents=True, exist_ok=True)
    damaged = 0
    with tempfile.TemporaryDirectory(prefix=".convert-", dir=new.parent) as folder:
        run = Path(folder, "run")
        run.mkdir()
        (run / HEADER).write_text(json.dumps(header, indent=2) + "\n", "utf-8")
        for name, convert in ((JOURNAL, convert_journaled), (EPISODES, convert_episode)):
            if (old / name).is_file():
                damaged += _convert_lines(old / name, run / name, convert)
        run.rename(new)
    lines = f"; {damaged} damaged lines copied as they are" if damaged else ""
    return f"a run of {header['agent']}{lines}"


def _convert_lines(old: Path, new: Path, convert: Callable[[Json], Json]) -> int:
    """Convert a file line by line; return how many lines are damaged."""
    damaged = 0
    with old.open("rb") as lines, new.open("wb") as file:
        for line in lines:
            try:
                data = _converted("", convert, line)
            except ValueError:
                damaged += bool(line.strip())
                file.write(line.rstrip(b"\n") + b"\n")
            else:
                text = json.dumps(data, ensure_ascii=False, separators=(",", ":"))
                file.write(text.encode() + b"\n")
    return damaged


def convert_entry(old: Path, new: Path) -> str:
    """Convert an entry's archive; return a summary.

    Raises:
        ValueError: It is no entry of format 1, or its hashes aren't those of its contents.
        OSError: A file can't be written.
    """
    limits = {MANIFEST: MAX_MANIFEST, **dict.fromkeys(OLD_PARTS, MAX_PART)}
    contents = dict(read_archive(old, limits, with_time=True))
    place = f"{old.name}: {MANIFEST}"
    plain = _converted(place, convert_manifest, contents.pop(MANIFEST, b""))
    try:
        manifest = Manifest.model_validate_json(json.dumps(plain))
    except ValidationError as error:
        raise ValueError(f"{place}: {first_error(error)}") from error
    suites: list[Suite] = []
    parts: dict[str, bytes] = {}
    for suite in manifest.suites:
        name = suite.part.name
        if sha256(contents.get(name, b"")).hexdigest() != suite.part.sha256:
            raise ValueError(f"{old.name}: {name}: its hash isn't that of its contents")
        lines = [
            canonical(_converted(f"{old.name}: {name}:{number}", convert_episode, line)) + b"\n"
            for number, line in enumerate(contents[name].splitlines(), start=1)
        ]
        data = parts[name] = b"".join(lines)
        seal = {"size": len(data), "sha256": sha256(data).hexdigest()}
        part = suite.part.model_copy(update=seal)
        suites.append(suite.model_copy(update={"part": part}))
    sealed = manifest.model_copy(update={"suites": tuple(suites)}).sealed()
    Entry(sealed, parts).write(new)
    return f"the entry {sealed.card.name}, digest {sealed.digest}"


def convert_manifest(data: Json) -> Json:
    """Return a manifest as format 2 writes it, with the sizes and hashes of the old parts.

    Raises:
        KeyError, TypeError, ValueError: It isn't one of format 1, or its digest is wrong.
    """
    if data["format"] != OLD:
        raise ValueError(f"wanted format {OLD}, found {data['format']!r:.20}")
    if data["digest"] != digest_of(data):
        raise ValueError("its digest isn't that of its contents")
    suites = [
        {
            "run": convert_header(suite["run"]),
            "part": suite["part"],
            "irregularities": suite["losses"],
        }
        for suite in data["suites"]
    ]
    return data | {"format": NEW, "suites": suites}


def _converted(place: str, convert: Callable[[Json], Json], data: bytes) -> Json:
    """Return what `convert` makes of a text.

    Raises:
        ValueError: It can't; names the place.
    """
    try:
        return convert(loads(data))
    except KeyError as error:
        raise ValueError(f"{place}: not of schema {OLD}: it lacks the field {error}") from error
    except (TypeError, AttributeError) as error:
        raise ValueError(f"{place}: not of schema {OLD}: {error}") from error
    except ValueError as error:
        raise ValueError(f"{place}: {error}") from error


def existing_record(path: Path) -> None:
    """Raise ValueError if the path doesn't exist."""
    if not path.exists():
        raise ValueError(f"no run or entry {path}")


def unused_path(path: Path) -> None:
    """Raise ValueError if the path exists or can't be written."""
    if path.exists() or path.is_symlink():
        raise ValueError(f"{path} is there already; choose another name")
    writable_folder(path.parent)


@dataclass(frozen=True, kw_only=True)
class Config(Options):
    """Options of `convert`."""

    old: Path = required(
        "a run's folder or an entry", positional=True, metavar="OLD", check=existing_record
    )
    out: Path = required("what to write", metavar="NEW", check=unused_path)


def main(argv: Sequence[str] | None = None) -> int:
    """Convert; exit 0 when done, 2 if there is nothing to convert or the call is wrong."""
    return run_main("convert", lambda: _convert(argv))


def _convert(argv: Sequence[str] | None) -> None:
    config = parse_options(Config, argv, prog="python -m leaderboard.convert", description=__doc__)
    convert = convert_run if config.old.is_dir() else convert_entry
    print(f"{config.out}: {convert(config.old, config.out)}")


if __name__ == "__main__":
    sys.exit(main())
