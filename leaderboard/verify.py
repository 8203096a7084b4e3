"""Verify entries by replay: `python -m leaderboard.verify ENTRY.tar.gz …`.

Nothing in an entry is believed. Its rows must be those of the frozen sets; every environment is
made anew from those, every picture and prompt drawn and hashed again, every text read and stepped
again, every number computed again. The first difference is named. What comes through is marked
`replayed`: these texts earn this score on these rows. Who wrote them, replay can't tell.
"""

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import vlbench
from leaderboard.archive import Refused
from leaderboard.entry import read_entry, read_episodes
from leaderboard.pack import check_same_agent, expected_keys
from leaderboard.schema import (
    MANIFEST,
    MAX_ERRORED,
    Manifest,
    Suite,
    list_irregularities,
    too_many_errored,
)
from leaderboard.scores import SuiteScores, score_entry
from vlbench.cli import (
    Options,
    parse_options,
    required,
    run_main,
)
from vlbench.display import formatting
from vlbench.errors import unknown_name
from vlbench.parsing import RULES
from vlbench.prompts import template_hash
from vlbench.records import SCHEMA, Episode, RunHeader
from vlbench.replay import Replayer, model_differences
from vlbench.scoring import Scorecard
from vlbench.suites import Row, frozen_hash, suites

PROMPTS = ("cot", "action_only")
"""Prompts that an entry may use; `cot_facts` tells what the picture shows."""

ENDS = ("terminated", "truncated", "errored")


@dataclass(frozen=True, slots=True)
class Verified:
    """An entry that was replayed without a difference."""

    file: str
    manifest: Manifest
    episodes: Mapping[str, tuple[Episode, ...]]
    """Suite → its episodes, in the order of the frozen sets."""
    scores: Mapping[str, SuiteScores]
    """Suite → the scores of its episodes."""
    flags: tuple[str, ...]
    """Oddities that aren't errors, one sentence each."""
    mark: str = "replayed"


def verify(path: Path) -> Verified:
    """Verify an entry.

    Raises:
        Refused: Something differs; the message names the first difference.
    """
    entry = read_entry(path)
    manifest = entry.manifest
    episodes, scores = {}, {}
    try:
        _check_manifest(manifest)
    except ValueError as error:
        raise Refused(path.name, MANIFEST, str(error)) from error
    for suite in manifest.suites:
        data = entry.parts[suite.part.name]
        episodes[suite.run.suite] = _read(path.name, suite, data)
    replayer = Replayer()
    for number, suite in enumerate(manifest.suites):
        for line, episode in enumerate(episodes[suite.run.suite], start=1):
            _replay(replayer, path.name, f"{suite.part.name}:{line}", episode)
        for difference in model_differences(suite.run, episodes[suite.run.suite]):
            raise Refused(path.name, suite.part.name, str(difference))
        _check_irregularities(path.name, f"suites.{number}", suite, episodes[suite.run.suite])
        scores[suite.run.suite] = score_entry(suite.run, episodes[suite.run.suite])
    flags = tuple(flag for suite in scores.values() for flag in above_ceiling(suite.scorecards))
    return Verified(path.name, manifest, episodes, scores, flags)


def above_ceiling(scorecards: Iterable[Scorecard]) -> list[str]:
    """Return a sentence for each success rate significantly above the ceiling."""
    return [
        f"{card.env} {card.suite}: success {card.success:.4f} (95 % from {card.success_low:.4f}) "
        f"is above the ceiling of {card.ceiling:.4f}"
        for card in scorecards
        if card.ceiling is not None and card.success_low > card.ceiling
    ]


def _check_manifest(manifest: Manifest) -> None:
    for number, suite in enumerate(manifest.suites):
        run = suite.run
        place = f"suites.{number}.run."
        _same(f"suites.{number}.part.name", f"{run.suite}.jsonl", suite.part.name)
        _same(place + "schema", SCHEMA, run.schema)
        _same(place + "parser", RULES, run.parser)
        _same(place + "theme", "", run.theme)
        _same(place + "repeats", 1, run.repeats)
        _same(place + "env_kwargs", {}, run.env_kwargs)
        _same(place + "bounds", {}, run.bounds)
        _same(place + "shard", None, run.shard)
        _same(place + "challenge", None, run.challenge)
        if run.prompt not in PROMPTS:
            raise ValueError(place + f"prompt: {unknown_name('prompt', run.prompt, PROMPTS)}")
        if run.history < 0:
            raise ValueError(place + f"history: wanted at least 0, found {run.history}")
        if not run.env_ids:
            raise ValueError(place + "env_ids: wanted at least one, found none")
        for env_id in run.env_ids:
            if env_id not in vlbench.ENV_IDS:
                raise ValueError(
                    place + f"env_ids: {unknown_name('env id', env_id, vlbench.ENV_IDS)}"
                )
            if run.suite not in suites(env_id):
                raise ValueError(place + f"suite: {env_id} has no suite {run.suite!r:.40}")
        if len(set(run.env_ids)) < len(run.env_ids):
            raise ValueError(place + "env_ids: wanted each once, found one twice")
        sets = {env_id: frozen_hash(env_id, run.suite) for env_id in run.env_ids}
        _same(place + "frozen_hashes", sets, run.frozen_hashes)
        words = {env_id: template_hash(env_id, run.prompt) for env_id in run.env_ids}
        _same(place + "prompt_hashes", words, run.prompt_hashes)
        _check_versions(place, run)
        if run.privileged != (manifest.card.track == "reference"):
            expected = "reference" if run.privileged else "another than reference"
            raise ValueError(
                f"card.track: wanted {expected}, since privileged is {run.privileged}, "
                f"found {manifest.card.track}"
            )
    check_same_agent([suite.run for suite in manifest.suites])


def _check_versions(place: str, run: RunHeader) -> None:
    current, recorded = vlbench.__version__, run.versions.get("vlbench", "none")
    numbers = [part for part in recorded.split(".") if part.isascii() and part.isdecimal()]
    if len(numbers) != 3 or recorded != ".".join(numbers) or max(map(len, numbers)) > 4:
        raise ValueError(
            f"{place}versions.vlbench: wanted one like {current}, found {recorded!r:.40}"
        )
    if [int(n) for n in numbers] > [int(n) for n in current.split(".")]:
        raise ValueError(
            f"{place}versions.vlbench: wanted at most {current}, this verifier's, found {recorded}"
        )


def _same(place: str, expected: Any, actual: Any) -> None:
    """Compare plain data.

    Raises:
        ValueError: They differ; names the first place.
    """
    if isinstance(expected, Mapping) and isinstance(actual, Mapping):
        for name in dict.fromkeys([*expected, *actual]):
            _same(f"{place}.{name}", expected.get(name, "none"), actual.get(name, "none"))
    elif isinstance(expected, list) and isinstance(actual, list) and len(expected) == len(actual):
        for number, pair in enumerate(zip(expected, actual, strict=True)):
            _same(f"{place}.{number}", *pair)
    elif type(expected) is not type(actual) or expected != actual:
        raise ValueError(f"{place}: wanted {expected!r:.80}, found {actual!r:.80}")


def _read(file: str, suite: Suite, data: bytes) -> tuple[Episode, ...]:
    """Return a part's episodes, which start from the frozen rows, each once and in order."""
    part, run = suite.part, suite.run
    rows = [(number, row) for env_id in run.env_ids for number, row in enumerate(run.rows(env_id))]
    episodes: list[Episode] = []
    for episode in read_episodes(file, part.name, data):
        place = f"{part.name}:{len(episodes) + 1}"
        if len(episodes) == len(rows):
            raise Refused(
                file,
                place,
                f"{episode.key:.80}: wanted the end of the suite, found another episode",
            )
        _check_start(file, place, episode, *rows[len(episodes)])
        episodes.append(episode)
    if len(episodes) < len(rows):
        missing = expected_keys(run)[len(episodes)]
        raise Refused(
            file, f"{part.name}:{len(episodes) + 1}", f"wanted {missing}, found the end of the part"
        )
    errored = sum(episode.end == "errored" for episode in episodes)
    if too_many_errored(len(episodes), errored):
        raise Refused(
            file,
            part.name,
            f"wanted at most {MAX_ERRORED:.0%} of {len(episodes)} "
            f"episodes errored, found {errored}",
        )
    for name, expected, actual in (
        ("episodes", len(episodes), part.episodes),
        ("size", len(data), part.size),
        ("sha256", sha256(data).hexdigest(), part.sha256),
    ):
        if expected != actual:
            raise Refused(file, MANIFEST, f"{part.name} {name}: wanted {expected}, found {actual}")
    return tuple(episodes)


def _check_start(file: str, place: str, episode: Episode, number: int, row: Row) -> None:
    expected = {
        "schema": SCHEMA,
        "env_id": row.env_id,
        "row": number,
        "repeat": 0,
        "instance": row.instance,
        "presentation": row.presentation,
        "kwargs": row.kwargs,
        "seed": None,
    }
    for name, value in expected.items():
        actual = getattr(episode, name)
        if actual != value or json.dumps(actual) != json.dumps(value) and name != "kwargs":
            raise Refused(
                file,
                place,
                f"{row.env_id}#{number}/0: {name}: wanted {value!r:.80}, found {actual!r:.80}",
            )
    if episode.end not in ENDS:
        raise Refused(
            file,
            place,
            f"{episode.key}: end: wanted one of {', '.join(ENDS)}, found {episode.end!r:.80}",
        )
    if not (episode.turns or episode.final_frame_hash):  # it failed before its first frame
        for name, value in {"end": "errored", "success": False, "final_state_hash": ""}.items():
            actual = getattr(episode, name)
            if actual != value:
                raise Refused(
                    file,
                    place,
                    f"{episode.key}: {name}: wanted {value!r}, since "
                    f"nothing was shown, found {actual!r:.80}",
                )
        return
    first_frame = episode.turns[0].frame_hash if episode.turns else episode.final_frame_hash
    if first_frame != row.frame_hash:
        raise Refused(
            file,
            place,
            f"{episode.key}: first frame: wanted {row.frame_hash}, found {first_frame!r:.80}",
        )


def _check_irregularities(file: str, place: str, suite: Suite, episodes: Sequence[Episode]) -> None:
    """Compare a suite's declared irregularities with its episodes."""
    stated, keys = suite.irregularities, expected_keys(suite.run)
    for again in stated.replayed:
        if again.episode not in keys or len(again.errors) != again.attempts - 1:
            raise Refused(
                file,
                MANIFEST,
                f"{place}.irregularities.replayed: wanted episodes of the suite "
                f"and an error an attempt, found {again.episode!r:.80}",
            )
    expected = list_irregularities(keys, episodes, stated.replayed, stated.damaged_lines)
    try:
        _same(f"{place}.irregularities", *(x.model_dump(mode="json") for x in (expected, stated)))
    except ValueError as error:
        raise Refused(file, MANIFEST, str(error)) from error


def _replay(replayer: Replayer, file: str, place: str, episode: Episode) -> None:
    try:
        difference = replayer.replay(episode).divergence
    except (ValueError, RecursionError) as error:
        raise Refused(file, place, f"{episode.key}: can't be replayed: {error}") from error
    if difference is not None:
        turn = "" if difference.turn is None else f" turn {difference.turn}"
        raise Refused(
            file,
            place,
            f"{difference.key}{turn}: {difference.field}: wanted "
            f"{difference.expected!r:.80}, found {difference.recorded!r:.80}",
        )


def summary(verified: Verified) -> str:
    """Return the result of a verification as text for a terminal."""
    card = verified.manifest.card
    lines = [f"{verified.file}: {verified.mark}: {card.name}, {card.track}"]
    for suite, scores in verified.scores.items():
        for scorecard in scores.scorecards:
            success = formatting.percent_interval(
                scorecard.success, scorecard.success_low, scorecard.success_high
            )
            normalized = formatting.number(scorecard.normalized)
            lines.append(
                f"  {scorecard.suite:<4}  {scorecard.env:<22}  {scorecard.episodes:>5} episodes  "
                f"success {success}  normalized {normalized}  errored {scorecard.errored}"
            )
        for head in scores.headlines:
            mean = formatting.number(head.normalized)
            interval = formatting.number_range(head.low, head.high)
            lines.append(f"  {suite:<4}  {head.table}: mean normalized success {mean} ({interval})")
    return "\n".join([*lines, *(f"  flagged: {flag}" for flag in verified.flags)])


def existing_entry(path: Path) -> None:
    """Raise ValueError if the path doesn't exist; `verify` checks what it holds."""
    if not (path.exists() or path.is_symlink()):
        raise ValueError(f"no entry {path}")


@dataclass(frozen=True, kw_only=True)
class Config(Options):
    """Options of `verify`."""

    entries: tuple[Path, ...] = required(
        "entries to verify", positional=True, metavar="ENTRY.tar.gz", check=existing_entry
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Verify entries; exit 0 if all are replayed, 1 if one is refused, 2 on a wrong call."""
    return run_main("verify", lambda: _verify(argv))


def _verify(argv: Sequence[str] | None) -> int:
    config = parse_options(Config, argv, prog="python -m leaderboard.verify", description=__doc__)
    refused = 0
    for path in config.entries:
        try:
            print(summary(verify(path)), flush=True)
        except Refused as error:
            refused += 1
            print(f"refused: {error}", file=sys.stderr)
    return 1 if refused else 0


if __name__ == "__main__":
    sys.exit(main())
