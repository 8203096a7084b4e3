"""Pack runs into an entry: `python -m leaderboard.pack RUN… --out ENTRY.tar.gz`.

An entry holds runs on different suites, of the same agent with the same settings; beside a run, one
on the same suite with `--picture blank` gives its visual gain.
The same runs and card give the same bytes. What is packed and why is in `docs/submitting.md`.
"""

import math
import sys
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, get_args

from pydantic import ValidationError

from leaderboard.archive import MAX_ARCHIVE
from leaderboard.checks import check_manifest, expected_keys
from leaderboard.entry import Entry, check_person, first_error, read_entry
from leaderboard.outside import env_option, known_ids
from leaderboard.packing.part import PartFiles, pack_part
from leaderboard.same_agent import check_same_agent
from leaderboard.schema import (
    MANIFEST,
    MAX_ERRORED,
    PERSON,
    Card,
    Chosen,
    Manifest,
    Part,
    Suite,
    Track,
    Weights,
    list_irregularities,
    too_many_errored,
)
from vlbench.cli import (
    Options,
    existing_file,
    option,
    output_file,
    parse_options,
    required,
    run_main,
)
from vlbench.display.formatting import counted
from vlbench.errors import unknown_name
from vlbench.records.redaction import find_key, holds_secret
from vlbench.run_folder import JournalOrder, RunFolder
from vlbench.suites import ordered_suites, shipped_suites, suites


def pack(runs: Sequence[Path], card: Mapping[str, Any]) -> Entry:
    """Pack runs.

    Args:
        runs: Folders of runs on different suites.
        card: Fields of `leaderboard.schema.Card`; name and track follow from the run unless
            they are given.

    Raises:
        ValueError: A folder holds no run, the runs don't belong together or aren't on frozen
            sets, or the card has a wrong field.
    """
    folders = [RunFolder.open(path) for path in runs]
    if not folders:
        raise ValueError("pack wants the folder of at least one run")
    for path, folder in zip(runs, folders, strict=True):
        for env_id in folder.header.env_ids:
            if not suites(env_id):
                raise ValueError(f"{path}: {env_id} has no frozen sets")
            if folder.header.suite not in (known := shipped_suites(env_id)):
                raise ValueError(f"{path}: {unknown_name('suite', folder.header.suite, known)}")
    check_same_agent([folder.header for folder in folders])
    headers = folders[0].header
    if len(folders) > 1 and any(folder.header.challenge for folder in folders):
        raise ValueError("a challenge is packed alone, beside its entry")
    usual = "reference" if headers.privileged else PERSON if headers.agent == PERSON else None
    track = card.get("track", usual)
    if track is None:
        raise ValueError(f"say how the model came to play: --track, one of {_listed(Track)}")
    if headers.privileged != (track == "reference"):
        verb = "is" if headers.privileged else "isn't"
        raise ValueError(
            f"{headers.agent} {verb} privileged, so its track can't be {track}: "
            "reference players alone are handed the environment"
        )
    check_person(headers, track)
    setting = "" if headers.models else headers.settings.get("model")  # a local one's is its folder
    model = "" if usual else setting or headers.agent
    defaults = {"name": headers.agent, "model": model}
    weights = {"weights": "none"} if usual else {}
    try:
        checked = Card(**{**defaults, **weights, **card, "track": track})
    except ValidationError as error:
        raise ValueError(first_error(error)) from error
    order = ordered_suites(folder.header.part for folder in folders)
    files = PartFiles()
    ordered = sorted(folders, key=lambda folder: order.index(folder.header.part))
    packed = tuple(_suite(folder, files) for folder in ordered)
    entry = Entry(Manifest(format=2, card=checked, suites=packed, digest="0" * 64).sealed(), files)
    check_no_keys(entry.manifest, files)
    return entry


def check_no_keys(manifest: Manifest, files: PartFiles) -> None:
    """Check that an entry holds nothing that looks like a key of a known provider.

    Raises:
        ValueError: It does; says where, without showing it.
    """
    _check_lines(MANIFEST, manifest.to_bytes().splitlines())
    for name, path in files.paths.items():
        with path.open("rb") as lines:
            _check_lines(name, lines)


def _check_lines(name: str, lines: Iterable[bytes]) -> None:
    for number, data in enumerate(lines, start=1):
        line = data.decode("utf-8", "replace")
        kind = find_key(line) or ("secret of this machine" if holds_secret(line) else "")
        if kind:
            raise ValueError(
                f"line {number} of {name} holds what looks like a key ({kind}), so nothing was "
                "packed; remove it from the run's files and, if it is a real one, revoke it"
            )


def _suite(folder: RunFolder, files: PartFiles) -> Suite:
    name = f"{folder.header.part}.jsonl"
    part = pack_part(folder, files.new(name))
    keys = expected_keys(folder.header)
    again = {replayed.episode for replayed in part.replayed}
    late = _late(part.order, keys, again | {a.key for a in part.attempts if a.starts_with_retry})
    return Suite(
        run=folder.header,
        part=Part.model_validate(
            {
                "name": name,
                "sha256": part.sha256,
                "size": part.size,
                "episodes": len(part.attempts),
            }
        ),
        irregularities=list_irregularities(
            keys, part.attempts, part.replayed, len(folder.damaged), late
        ),
    )


MOST_AT_ONCE = 64
"""Rows that are taken to be played at once; a row further behind is begun later."""


def _late(order: JournalOrder, keys: Sequence[str], excused: Collection[str]) -> list[str]:
    """Return the episodes that were begun out of order, by the journal.

    A run begins its rows in order. Rows that were deleted and played again are begun late. So are
    those whose first reply came after a retry, and those that are listed as played again; both are
    `excused`.
    """
    late: list[str] = []
    first_end = math.inf  # of the rows at least MOST_AT_ONCE behind
    for number in reversed(range(len(keys))):
        if number + MOST_AT_ONCE < len(keys):
            first_end = min(first_end, order.ended.get(keys[number + MOST_AT_ONCE], math.inf))
        if order.begun.get(keys[number], 0) > first_end and keys[number] not in excused:
            late.append(keys[number])
    return late[::-1]


def _listed(choices: Any) -> str:
    return ", ".join(get_args(choices))


@dataclass(frozen=True, kw_only=True)
class CardOptions(Options):
    """The card of the entry."""

    name: str | None = option(None, "shown in tables; the agent's name by default")
    model: str | None = option(None, "the exact model; the agent's name by default")
    weights: str | None = option(
        None, "whether anyone can have the weights", choices=get_args(Weights)
    )
    track: str | None = option(None, "how the model came to play", choices=get_args(Track))
    chosen: str | None = option(
        None,
        "how a trained model's checkpoint was chosen; only one chosen on val ranks",
        choices=tuple(filter(None, get_args(Chosen))),
    )
    start: str | None = option(
        None,
        "digest of the entry of the model from which training started; the site shows both",
        metavar="DIGEST",
    )
    url: str | None = option(None, "paper, checkpoint or code", metavar="URL")
    notes: str | None = option(None, "what a reader should know")
    usd: float | None = option(None, "what the run cost in all, if replies don't say it", ge=0)
    hardware: str | None = option(None, "what the model ran on")
    organisation: str | None = option(None, "who submits it")
    date: str | None = option(None, "date of the submission", metavar="YYYY-MM-DD")

    def card(self) -> dict[str, Any]:
        """Return the fields that were given."""
        values = {field.name: getattr(self, field.name) for field in fields(CardOptions)}
        return {name: value for name, value in values.items() if value is not None}


@dataclass(frozen=True, kw_only=True)
class Config(CardOptions):
    """Options of `pack`."""

    runs: tuple[Path, ...] = required("a run's folder; one a suite", positional=True, metavar="RUN")
    env: tuple[str, ...] = env_option()
    out: Path = required(
        "the archive to write", metavar="ENTRY.tar.gz", check=output_file("an entry", b"\x1f\x8b")
    )
    entry: Path | None = option(
        None,
        "the entry whose challenge the run is; gives its card",
        metavar="ENTRY.tar.gz",
        check=existing_file,
    )

    def check(self) -> None:
        """Check that a challenge has the card of its entry."""
        if self.entry and (given := self.card()):
            raise ValueError(f"--entry gives the card, so --{next(iter(given))} can't be set")


def main(argv: Sequence[str] | None = None) -> int:
    """Pack; exit 0 when done, 2 on a wrong call."""
    return run_main("pack", lambda: _pack(argv))


def _pack(argv: Sequence[str] | None) -> None:
    config = parse_options(Config, argv, prog="python -m leaderboard.pack", description=__doc__)
    env_ids = known_ids(config.env)  # imports the modules of tasks outside of the benchmark
    entry = pack(config.runs, _card(config))
    entry.write(config.out)
    size = config.out.stat().st_size
    print(f"{config.out}: {size} bytes, digest {entry.manifest.digest}")
    for suite in entry.manifest.suites:
        lost = suite.irregularities
        print(
            f"{suite.part.name}: {suite.part.episodes} episodes, {len(lost.errored)} errored, "
            f"{len(lost.retried)} retried, {len(lost.replayed)} played again"
        )
        if lost.late:
            print(f"{suite.part.name}: {counted(len(lost.late), 'episode')} begun out of order")
        if too_many_errored(suite.part.episodes, len(lost.errored)):
            warn(
                f"{len(lost.errored)} of {suite.part.episodes} episodes of {suite.run.suite} "
                f"errored, at most {MAX_ERRORED:.0%} may; the same evaluate command tries them "
                "again"
            )
        if lost.dropped:
            warn(
                f"{len(lost.dropped)} rows of {suite.run.suite} not played, the first "
                f"{lost.dropped[0]}"
            )
    try:
        check_manifest(entry.manifest, env_ids)
    except ValueError as error:
        warn(str(error))
    if size > MAX_ARCHIVE:
        warn(f"{size} bytes, at most {MAX_ARCHIVE} are read")


def _card(config: Config) -> dict[str, Any]:
    """Return the card: as given, or that of the entry whose challenge is packed.

    Raises:
        ValueError: The run isn't the entry's challenge, or it is one and no entry is named.
    """
    challenge = RunFolder.open(config.runs[0]).header.challenge
    if config.entry is None:
        if challenge:
            raise ValueError("the run is a challenge; name its entry: --entry ENTRY.tar.gz")
        return config.card()
    manifest = read_entry(config.entry).manifest
    if challenge is None or challenge.digest != manifest.digest:
        found = f"of {challenge.digest[:12]}…" if challenge else "no challenge"
        raise ValueError(
            f"{config.runs[0]}: wanted the challenge of {manifest.digest[:12]}…, found {found}"
        )
    return manifest.card.model_dump(exclude_defaults=True)


def warn(reason: str) -> None:
    """Warn on stderr if the packed entry will be refused, with the reason."""
    print(f"pack: verify will refuse this entry: {reason}", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
