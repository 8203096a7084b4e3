"""Verify entries by replay: `python -m leaderboard.verify ENTRY.tar.gz …`.

Nothing in an entry is believed. Its rows must be those of the frozen sets; every environment is
made anew from those, every picture and prompt drawn and hashed again, every text read and stepped
again, every number computed again. The first difference is named. What comes through is marked
`replayed`: these texts earn this score on these rows. Who wrote them, replay can't tell.
"""

import dataclasses
import sys
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import vlbench
from leaderboard.archive import Refused
from leaderboard.challenge import (
    ChallengeResult,
    Nonces,
    Played,
    compare_challenge,
    published_nonces,
)
from leaderboard.checks import check_irregularities, check_manifest, read_checked
from leaderboard.entry import read_entry
from leaderboard.flags import (
    Flag,
    TextKey,
    TextStudy,
    above_ceiling,
    dated_before_its_run,
    find_shared_texts,
)
from leaderboard.outside import env_option, known_ids
from leaderboard.reproduction import Reproduction, check_report, read_report
from leaderboard.schema import MANIFEST, Manifest
from leaderboard.scores import SuiteScores, score_entry
from vlbench.cli import (
    Options,
    existing_file,
    option,
    parse_options,
    required,
    run_main,
)
from vlbench.cli.steps import Steps
from vlbench.comparison import with_visual_gain
from vlbench.display import formatting
from vlbench.errors import user_code
from vlbench.recorder import EpisodeRecorder
from vlbench.records import Episode, Turn
from vlbench.replay import Replayer, model_differences


@dataclass(frozen=True, slots=True)
class Verified:
    """An entry that was replayed without a difference."""

    file: str
    manifest: Manifest
    episodes: Mapping[str, tuple[Episode, ...]]
    """Suite → its episodes, in the order of the frozen sets."""
    scores: Mapping[str, SuiteScores]
    """Suite → the scores of its episodes; "test-blank" is `test` with blank pictures."""
    flags: tuple[Flag, ...]
    """Oddities that aren't errors."""
    texts: Mapping[TextKey, str] = field(default_factory=dict)
    """Texts to compare with those of other entries; see `leaderboard.flags`."""
    challenge: ChallengeResult | None = None
    """Its result on new rows; None if it has played none."""
    reproduction: Reproduction | None = None
    """Its texts against those of the published weights; None if nobody has asked them."""
    mark: str = "replayed"

    @property
    def marks(self) -> tuple[str, ...]:
        """What was checked: "replayed", and "challenge" and "reproduced" if they were passed."""
        return (
            self.mark,
            *(["challenge"] if self.challenge and self.challenge.nonce_is_published else []),
            *(["reproduced"] if self.reproduction and self.reproduction.as_expected else []),
        )


def _silent(step: str) -> None:
    """Tell nobody."""


def verify(
    path: Path,
    env_ids: Collection[str] = vlbench.ENV_IDS,
    tell: Callable[[str], None] = _silent,
) -> Verified:
    """Verify an entry.

    Args:
        path: The archive.
        env_ids: The environments that it may hold; see `leaderboard.outside`.
        tell: Called with what is being done, in a few words, before each episode.

    Raises:
        Refused: Something differs; the message names the first difference.
    """
    entry = read_entry(path)
    manifest = entry.manifest
    episodes, scores = {}, {}
    study = TextStudy()
    try:
        check_manifest(manifest, env_ids)
    except ValueError as error:
        raise Refused(path.name, MANIFEST, str(error)) from error
    for suite in manifest.suites:
        data = entry.parts[suite.part.name]
        episodes[suite.run.part] = read_checked(path.name, suite, data)
    replayer = Replayer()
    total, done, start = sum(map(len, episodes.values())), 0, time.monotonic()
    for number, suite in enumerate(manifest.suites):
        name = suite.run.part
        before_turn = _ignore if suite.run.privileged else partial(study.observe, name)
        for line, episode in enumerate(episodes[name], start=1):
            place = f"{suite.part.name}:{line}"
            step = f"{path.name}: replaying episode {done + 1:,} of {total:,}"
            if done:
                seconds = time.monotonic() - start
                step += f", {formatting.time_left(done, total - done, seconds)}"
            tell(step)
            _replay(replayer, path.name, place, episode, before_turn)
            done += 1
        for difference in model_differences(suite.run, episodes[name]):
            raise Refused(path.name, suite.part.name, str(difference))
        try:
            check_irregularities(f"suites.{number}", suite, episodes[name])
        except ValueError as error:
            raise Refused(path.name, MANIFEST, str(error)) from error
        scores[name] = score_entry(suite.run, episodes[name])
    for suite in manifest.suites:
        if suite.run.picture == "blank":
            name = suite.run.suite
            cards = with_visual_gain(
                scores[name].scorecards, episodes[name], episodes[suite.run.part]
            )
            scores[name] = dataclasses.replace(scores[name], scorecards=tuple(cards))
    flags = [
        Flag("above the ceiling", detail)
        for suite in scores.values()
        for detail in above_ceiling(suite.scorecards)
    ]
    flags += study.flags(manifest.card.track) + dated_before_its_run(manifest)
    return Verified(path.name, manifest, episodes, scores, tuple(flags), study.texts)


def _ignore(recording: EpisodeRecorder, turn: Turn) -> None:
    """Observe nothing: a reference player needs no flags."""


def _replay(
    replayer: Replayer,
    file: str,
    place: str,
    episode: Episode,
    before_turn: Callable[[EpisodeRecorder, Turn], None],
) -> None:
    try:
        with user_code():  # an engine that isn't installed, or that fails
            difference = replayer.replay(episode, before_turn).divergence
    except ValueError as error:
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
    lines = [f"{verified.file}: {', '.join(verified.marks)}: {card.name}, {card.track}"]
    for suite, scores in verified.scores.items():
        for scorecard in scores.scorecards:
            success = formatting.percent_interval(
                scorecard.success, scorecard.success_low, scorecard.success_high
            )
            normalized = formatting.number(scorecard.normalized)
            lines.append(
                f"  {suite:<4}  {scorecard.env:<22}  {scorecard.episodes:>5} episodes  "
                f"success {success}  normalized {normalized}  errored {scorecard.errored}"
            )
        for head in scores.headlines:
            mean = formatting.number(head.normalized)
            interval = formatting.number_range(head.low, head.high)
            lines.append(f"  {suite:<4}  {head.table}: mean normalized success {mean} ({interval})")
    if verified.challenge:
        lines += [f"  {line}" for line in verified.challenge.lines()]
    if verified.reproduction:
        lines.append(f"  {verified.reproduction}")
    lines += [f"  {'flagged' if flag.suspicious else 'noted'}: {flag}" for flag in verified.flags]
    return "\n".join(lines)


@dataclass(frozen=True, slots=True)
class Verification:
    """The entries of several archives, and why the others are refused."""

    entries: tuple[Verified, ...]
    """Each entry once, with its challenge."""
    refused: tuple[Refused, ...]
    duplicates: tuple[Refused, ...]
    """Archives that hold an entry which another one holds too."""

    def print_refused(self) -> int:
        """Name what is refused on stderr, one line each; return the exit code."""
        for duplicate in self.duplicates:
            print(f"left out: {duplicate}", file=sys.stderr)
        for error in self.refused:
            print(f"refused: {error}", file=sys.stderr)
        return 1 if self.refused else 0


def verify_all(
    paths: Iterable[Path],
    reports: Iterable[Path] = (),
    nonces: Path | None = None,
    env_ids: Collection[str] = vlbench.ENV_IDS,
    tell: Callable[[str], None] = _silent,
) -> Verification:
    """Verify entries, the challenges beside them, and the texts that they share.

    Args:
        paths: Archives of entries and of their challenges, in any order.
        reports: Reports of `agents.rerun` about these entries.
        nonces: File with the published nonces; by default the one that is shipped.
        env_ids: The environments that entries may hold; see `leaderboard.outside`.
        tell: Called with what is being done, in a few words.

    Raises:
        ValueError: The nonces can't be read.
    """
    published = published_nonces(nonces)
    entries: dict[str, Verified] = {}
    challenges: list[Verified] = []
    refused: list[Refused] = []
    duplicates: list[Refused] = []
    for path in paths:
        try:
            entry = verify(path, env_ids, tell)
        except Refused as error:
            refused.append(error)
            continue
        digest = entry.manifest.digest
        if entry.manifest.suites[0].run.challenge:
            challenges.append(entry)
        elif digest in entries:
            duplicates.append(Refused(path.name, "", f"the same entry as {entries[digest].file}"))
        else:
            entries[digest] = entry
    for played in challenges:
        try:
            entry = _with_challenge(played, entries, published)
            entries[entry.manifest.digest] = entry
        except Refused as error:
            refused.append(error)
    for path in reports:
        try:
            entry = _with_report(path, entries)
            entries[entry.manifest.digest] = entry
        except Refused as error:
            refused.append(error)
    shared = _with_shared_texts(list(entries.values()))
    return Verification(shared, tuple(refused), tuple(duplicates))


def _with_challenge(
    challenge: Verified, entries: Mapping[str, Verified], nonces: Nonces
) -> Verified:
    run = challenge.manifest.suites[0].run
    assert run.challenge is not None
    entry = entries.get(run.challenge.digest)
    if entry is None:
        raise Refused(
            challenge.file, "", f"wanted its entry {run.challenge.digest} beside it, found none"
        )
    if entry.challenge:
        raise Refused(challenge.file, "", f"wanted one challenge, found {entry.challenge.file} too")
    try:
        result = compare_challenge(
            Played(entry.file, entry.manifest, entry.scores),
            Played(challenge.file, challenge.manifest, challenge.scores),
            nonces,
        )
    except ValueError as error:
        raise Refused(challenge.file, MANIFEST, str(error)) from error
    flags = (*entry.flags, *result.flags())
    return dataclasses.replace(entry, challenge=result, flags=flags)


def _with_report(path: Path, entries: Mapping[str, Verified]) -> Verified:
    report = read_report(path)
    entry = entries.get(report.digest)
    if entry is None:
        raise Refused(path.name, "", f"wanted its entry {report.digest} beside it, found none")
    try:
        reproduction = check_report(report, entry.manifest, entry.episodes)
    except ValueError as error:
        raise Refused(path.name, "", str(error)) from error
    return dataclasses.replace(entry, reproduction=reproduction)


def _with_shared_texts(entries: list[Verified]) -> tuple[Verified, ...]:
    for sharing in find_shared_texts([entry.texts for entry in entries]):
        pair = sharing.first, sharing.second
        for one, other in (pair, pair[::-1]):
            manifest = entries[other].manifest
            flag = sharing.flag(f"{manifest.card.name} ({manifest.digest[:12]})")
            entries[one] = dataclasses.replace(entries[one], flags=(*entries[one].flags, flag))
    return tuple(entries)


def existing_entry(path: Path) -> None:
    """Raise ValueError if a path names no entry; `verify` checks what the entry holds."""
    if not find_entries([path]):
        raise ValueError(f"no entry {path}")


def find_entries(paths: Iterable[Path]) -> tuple[Path, ...]:
    """Return the files that paths and patterns name, in their order.

    A shell passes a pattern on where nothing matches, as outside a checkout
    `leaderboard/entries/*.tar.gz`: it then means the entries of the installed package.
    """
    found: list[Path] = []
    for path in paths:
        if path.exists() or path.is_symlink():
            found.append(path)
        elif not path.is_absolute():
            places = (Path(), Path(__file__).parents[1])
            matches = (sorted(place.glob(str(path))) for place in places)
            found += next(filter(None, matches), [])
    return tuple(found)


@dataclass(frozen=True, kw_only=True)
class Evidence(Options):
    """What stands beside entries, and the tasks that they may hold."""

    env: tuple[str, ...] = env_option()
    rerun: tuple[Path, ...] = option(
        (), "a report of agents.rerun; may be given again", metavar="REPORT", check=existing_file
    )
    nonces: Path | None = option(
        None,
        "JSON file of the published nonces: digest → nonce; the shipped one by default",
        metavar="FILE",
        check=existing_file,
    )


@dataclass(frozen=True, kw_only=True)
class Config(Evidence):
    """Options of `verify`."""

    entries: tuple[Path, ...] = required(
        "entries, and their challenges",
        positional=True,
        metavar="ENTRY.tar.gz",
        check=existing_entry,
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Verify entries; exit 0 if all are replayed, 1 if one is refused, 2 on a wrong call."""
    return run_main("verify", lambda: _verify(argv))


def _verify(argv: Sequence[str] | None) -> int:
    config = parse_options(Config, argv, prog="python -m leaderboard.verify", description=__doc__)
    env_ids, steps = known_ids(config.env), Steps()
    entries = find_entries(config.entries)
    verification = verify_all(entries, config.rerun, config.nonces, env_ids, steps.say)
    steps.clear()
    for entry in verification.entries:
        print(summary(entry))
    return verification.print_refused()


if __name__ == "__main__":
    sys.exit(main())
