"""Replay: an episode played again from its texts, and the first thing that differs.

`python -m vlbench.replay RUN` replays every episode of a run's folder.
"""

import dataclasses
import sys
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vlbench.cli import (
    Options,
    parse_options,
    required,
    run_main,
)
from vlbench.errors import user_code
from vlbench.parsing import RULES
from vlbench.prompts import template_hash
from vlbench.recorder import EnvCache, EpisodeRecorder
from vlbench.records import Episode, RunHeader
from vlbench.registry import resolve_env_id
from vlbench.run_folder import HEADER, RunFolder
from vlbench.suites import SEEDS, Row, frozen_hash, suites


@dataclass(frozen=True, slots=True)
class Divergence:
    """The first field in which a record differs from its replay."""

    key: str
    turn: int | None
    """Number of the turn, from 0; None for a field of the episode."""
    field: str
    wanted: Any
    """What replay gives."""
    found: Any
    """What the record says."""

    def __str__(self) -> str:
        """Return one line that names the place and both values."""
        place = self.key if self.turn is None else f"{self.key} turn {self.turn}"
        return f"{place}: {self.field} is {self.found!r:.80}, replay gives {self.wanted!r:.80}"


@dataclass(frozen=True, slots=True)
class Replay:
    """What playing an episode again gave."""

    episode: Episode
    divergence: Divergence | None


class Replayer:
    """Replays episodes, keeping one environment for each (id, keyword arguments)."""

    def __init__(self) -> None:
        self._envs = EnvCache()

    def replay(self, episode: Episode) -> Replay:
        """Play the texts of an episode again.

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
            recording.play(turn.reply)
        # An episode that came to its end didn't fail, whatever the record says.
        if recording.end:
            again = recording.episode()
        else:
            again = recording.episode(episode.error, episode.failure)
        return Replay(again, _first_difference(episode, again))


def _first_difference(found: Episode, wanted: Episode) -> Divergence | None:
    for number, (ours, theirs) in enumerate(zip(wanted.turns, found.turns, strict=False)):
        for field in dataclasses.fields(ours):
            again, recorded = getattr(ours, field.name), getattr(theirs, field.name)
            if again != recorded:
                return Divergence(found.key, number, field.name, again, recorded)
    if len(found.turns) != len(wanted.turns):
        return Divergence(found.key, None, "turns", len(wanted.turns), len(found.turns))
    for field in dataclasses.fields(found):
        again, recorded = getattr(wanted, field.name), getattr(found, field.name)
        if field.name != "turns" and again != recorded:
            return Divergence(found.key, None, field.name, again, recorded)
    return None


def divergences(episodes: Iterable[Episode]) -> list[Divergence]:
    """Replay episodes and return the first difference of each that has one.

    An episode that no environment can start or play is one too, with `start` as its field.
    """
    replayer = Replayer()
    found = []
    for episode in episodes:
        try:
            with user_code():
                divergence = replayer.replay(episode).divergence
        except ValueError as error:
            told = " ".join(str(error).split())
            divergence = Divergence(episode.key, None, "start", told, episode.instance)
        if divergence is not None:
            found.append(divergence)
    return found


def header_differences(header: RunHeader) -> list[Divergence]:
    """Return what a run's header says otherwise than it is here: sets, prompts, the parser."""
    wanted: dict[str, Any] = {"parser": RULES}
    found: dict[str, Any] = {"parser": header.parser}
    for env_id in header.env_ids:
        field = f"suite of {env_id}"
        with suppress(ValueError):  # of an environment that isn't here, each episode tells
            resolve_env_id(env_id)  # imports its module
            named = (*suites(env_id), SEEDS)
            wanted[field] = header.suite if header.suite in named else " or ".join(named)
            found[field] = header.suite
            field = f"frozen_hashes of {env_id}"
            wanted[field] = frozen_hash(env_id, header.suite)
            found[field] = header.frozen_hashes.get(env_id)
            field = f"prompt_hashes of {env_id}"
            wanted[field] = template_hash(env_id, header.prompt)
            found[field] = header.prompt_hashes.get(env_id)
    return [
        Divergence(HEADER, None, field, value, found[field])
        for field, value in wanted.items()
        if value != found[field]
    ]


def row_differences(header: RunHeader, episodes: Sequence[Episode]) -> list[Divergence]:
    """Return the episodes that aren't of the run, or don't start from the row that they claim."""
    sets: dict[str, Sequence[Row]] = {}
    for env_id in header.env_ids:
        with suppress(ValueError):  # `header_differences` tells of it
            sets[env_id] = header.rows(env_id)
    found = []
    for episode in episodes:
        wanted: Any = None
        start: Any = None
        field = "row"
        rows = sets.get(episode.env_id, ())
        if episode.env_id not in header.env_ids:
            wanted, start, field = header.env_ids, episode.env_id, "env_id"
        elif header.suite == SEEDS:
            wanted = ("a seed", header.kwargs)
            start = ("a seed" if episode.seed is not None else None, episode.kwargs)
            field = "seed"
        elif rows:
            start = (episode.instance, episode.presentation, episode.kwargs)
            if 0 <= episode.row < len(rows):
                row = rows[episode.row]
                wanted = (row.instance, row.presentation, row.kwargs)
        if start != wanted:
            found.append(Divergence(episode.key, None, field, wanted, start))
    return found


@dataclass(frozen=True, kw_only=True)
class Config(Options):
    """Options of `replay`."""

    run: Path = required("a run's folder", positional=True)


def main(argv: Sequence[str] | None = None) -> int:
    """Replay a run; exit 0 if nothing differs, 1 if something does, 2 on a wrong call."""
    return run_main("replay", lambda: _replay(argv))


def _replay(argv: Sequence[str] | None) -> int:
    config = parse_options(Config, argv, prog="python -m vlbench.replay", description=__doc__)
    run = RunFolder.open(config.run)
    episodes = run.episodes()
    found = header_differences(run.header) + divergences(episodes)
    places = {divergence.key for divergence in found}
    found += row_differences(run.header, [e for e in episodes if e.key not in places])
    for line in run.damaged:
        print(f"damaged line left out: {line}")
    for divergence in found:
        print(divergence)
    differ = sum(divergence.key != HEADER for divergence in found)
    print(f"{len(episodes)} episodes replayed, {differ} differ")
    return 1 if found or run.damaged else 0


if __name__ == "__main__":
    sys.exit(main())
