"""Replay recorded episodes and report the first field that differs.

`python -m vlbench.replay RUN` replays every episode of a run folder.
"""

import dataclasses
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vlbench.cli import (
    Options,
    option,
    parse_options,
    required,
    run_main,
)
from vlbench.errors import user_code
from vlbench.parsing import RULES
from vlbench.prompts import template_hash
from vlbench.recorder import EnvCache, EpisodeRecorder, sha256
from vlbench.records import MODEL_MARK, Episode, ModelInfo, RunHeader, Turn
from vlbench.registry import ENV_HELP, import_environments, registered_id
from vlbench.run_folder import HEADER, RunFolder
from vlbench.suites import ROLLOUTS, SEEDS, Row, frozen_hash, suites


@dataclass(frozen=True, slots=True)
class Divergence:
    """The first field in which a record differs from its replay."""

    key: str
    turn: int | None
    """Number of the turn, from 0; None for a field of the episode."""
    field: str
    expected: Any
    """The value that replay gives."""
    recorded: Any
    """The value in the record."""

    def __str__(self) -> str:
        """Return one line with the place and both values."""
        place = self.key if self.turn is None else f"{self.key} turn {self.turn}"
        return f"{place}: {self.field} is {self.recorded!r:.80}, replay gives {self.expected!r:.80}"


@dataclass(frozen=True, slots=True)
class Replay:
    """The result of playing an episode again."""

    episode: Episode
    """The episode that replay gives."""
    divergence: Divergence | None
    """The first difference from the record; None if there is none."""


class Replayer:
    """Replays episodes; it keeps one environment per id and keyword arguments."""

    def __init__(self) -> None:
        self._envs = EnvCache()

    def replay(
        self,
        episode: Episode,
        before_turn: Callable[[EpisodeRecorder, Turn], None] = lambda recording, turn: None,
    ) -> Replay:
        """Play the replies of an episode again.

        Args:
            episode: The record.
            before_turn: Called with each recorded turn before its reply is played.

        Raises:
            ValueError: The environment refuses the episode's id, arguments or instance.
        """
        if episode.end == "errored" and not (episode.turns or episode.final_frame_hash):
            return Replay(episode, None)  # it failed before its first frame
        start = episode.start
        recording = EpisodeRecorder(self._envs.of(start), start, episode.row, episode.repeat)
        for turn in episode.turns:
            if recording.end:
                break
            before_turn(recording, turn)
            recording.play(turn.reply)
        # An episode that reaches its end didn't fail, whatever the record says.
        if recording.end:
            again = recording.episode()
        else:
            again = recording.episode(episode.error, episode.failure)
        return Replay(again, _first_difference(episode, again))


def _first_difference(record: Episode, again: Episode) -> Divergence | None:
    key = record.key
    for number, turns in enumerate(zip(again.turns, record.turns, strict=False)):
        for field in dataclasses.fields(turns[0]):
            expected, recorded = (getattr(turn, field.name) for turn in turns)
            if expected != recorded:
                return Divergence(key, number, field.name, expected, recorded)
    if len(record.turns) != len(again.turns):
        return Divergence(key, None, "turns", len(again.turns), len(record.turns))
    for field in dataclasses.fields(record):
        expected, recorded = getattr(again, field.name), getattr(record, field.name)
        if field.name != "turns" and expected != recorded:
            return Divergence(key, None, field.name, expected, recorded)
    return None


@dataclass(frozen=True, slots=True)
class TurnPlace:
    """A turn and where it stands."""

    suite: str
    episode: Episode
    number: int
    """Number of the turn in its episode, from 0."""

    @property
    def turn(self) -> Turn:
        """The turn."""
        return self.episode.turns[self.number]


def draw_turns(
    episodes: Mapping[str, Sequence[Episode]], digest: str, seed: int, count: int
) -> list[TurnPlace]:
    """Return turns drawn by sha256, so that whoever asks them again can't choose.

    Args:
        episodes: Suite → its episodes.
        digest: Digest of the entry that holds them.
        seed: Number of the draw.
        count: Number of turns; fewer are returned if there are fewer.
    """
    places = [
        TurnPlace(suite, episode, number)
        for suite, played in episodes.items()
        for episode in played
        for number in range(len(episode.turns))
    ]

    def rank(place: TurnPlace) -> str:
        key = f"{digest}|{seed}|{place.suite}|{place.episode.key}|{place.number}"
        return sha256(key.encode())

    return sorted(places, key=rank)[:count]


def divergences(episodes: Iterable[Episode]) -> list[Divergence]:
    """Replay episodes and return the first difference of each that has one.

    If an episode can't be started or played, its divergence has the field `start`.
    """
    replayer = Replayer()
    differences = []
    for episode in episodes:
        try:
            with user_code():
                divergence = replayer.replay(episode).divergence
        except ValueError as error:
            reason = " ".join(str(error).split())
            divergence = Divergence(episode.key, None, "start", reason, episode.instance)
        if divergence is not None:
            differences.append(divergence)
    return differences


def header_differences(header: RunHeader) -> list[Divergence]:
    """Return the differences between a run's header and this installation.

    Compared are the parser, the frozen sets and the prompts.
    """
    expected: dict[str, Any] = {"parser": RULES}
    recorded: dict[str, Any] = {"parser": header.parser}
    for env_id in header.env_ids:
        field = f"suite of {env_id}"
        with suppress(ValueError):  # `divergences` reports an environment that isn't installed
            registered_id(env_id)
            names = (*suites(env_id), SEEDS, ROLLOUTS)
            expected[field] = header.suite if header.suite in names else " or ".join(names)
            recorded[field] = header.suite
            field = f"frozen_hashes of {env_id}"
            expected[field] = frozen_hash(env_id, header.suite)
            recorded[field] = header.frozen_hashes.get(env_id)
            field = f"prompt_hashes of {env_id}"
            expected[field] = template_hash(env_id, header.prompt)
            recorded[field] = header.prompt_hashes.get(env_id)
    return [
        Divergence(HEADER, None, field, value, recorded[field])
        for field, value in expected.items()
        if value != recorded[field]
    ]


def row_differences(header: RunHeader, episodes: Sequence[Episode]) -> list[Divergence]:
    """Return the episodes that don't belong to the run or don't start from their row."""
    sets: dict[str, Sequence[Row]] = {}
    for env_id in header.env_ids:
        with suppress(ValueError):  # `header_differences` reports it
            sets[env_id] = header.rows(env_id)
    differences = []
    for episode in episodes:
        expected: Any = None
        start: Any = None
        field = "row"
        rows = sets.get(episode.env_id, ())
        if episode.env_id not in header.env_ids:
            expected, start, field = header.env_ids, episode.env_id, "env_id"
        elif header.suite == SEEDS:
            expected = ("a seed", rows[0].kwargs if rows else header.kwargs)
            start = ("a seed" if episode.seed is not None else None, episode.kwargs)
            field = "seed"
        elif rows:
            start = (episode.instance, episode.presentation, episode.kwargs)
            if 0 <= episode.row < len(rows):
                row = rows[episode.row]
                expected = (row.instance, row.presentation, row.kwargs)
        if start != expected:
            differences.append(Divergence(episode.key, None, field, expected, start))
    return differences


def model_differences(header: RunHeader, episodes: Iterable[Episode]) -> list[Divergence]:
    """Return the first turn of each episode that another local model wrote than the header's."""
    differences = []
    for episode in episodes:
        model = header.models.get(episode.env_id) or header.models.get("") or ModelInfo()
        for number, turn in enumerate(episode.turns):
            mark = turn.reply.provider_id
            if mark != model.mark and (model.mark or mark.startswith(MODEL_MARK)):
                differences.append(Divergence(episode.key, number, "model", model.mark, mark))
                break
    return differences


@dataclass(frozen=True, kw_only=True)
class Config(Options):
    """Options of `replay`."""

    run: Path = required("folder of a run", positional=True)
    env: tuple[str, ...] = option((), ENV_HELP, metavar="MODULE:ID")


def main(argv: Sequence[str] | None = None) -> int:
    """Replay a run; exit 0 if nothing differs, 1 if something does, 2 on a wrong call."""
    return run_main("replay", lambda: _replay(argv))


def _replay(argv: Sequence[str] | None) -> int:
    config = parse_options(Config, argv, prog="python -m vlbench.replay", description=__doc__)
    run = RunFolder.open(config.run)
    import_environments(config.env, run.header.env_ids)
    recorded = run.episodes()
    apart = run.header.not_replayable
    episodes = [episode for episode in recorded if episode.env_id not in apart]
    differences = header_differences(run.header) + divergences(episodes)
    places = {divergence.key for divergence in differences}
    differences += row_differences(run.header, [e for e in episodes if e.key not in places])
    differences += model_differences(run.header, episodes)
    for line in run.damaged:
        print(f"damaged line left out: {line}")
    for divergence in differences:
        print(divergence)
    differ = len({divergence.key for divergence in differences} - {HEADER})
    errored = sum(episode.is_errored for episode in episodes)
    failures = f"; {errored} errored and count as failures" if errored else ""
    for env_id in apart:
        number = sum(episode.env_id == env_id for episode in recorded)
        print(f"{env_id}: not replayable: {number} episodes aren't checked")
    print(f"{len(episodes)} episodes replayed, {differ} differ{failures}")
    return 1 if differences or run.damaged else 0


if __name__ == "__main__":
    sys.exit(main())
