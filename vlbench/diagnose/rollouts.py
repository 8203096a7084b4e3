"""Rollouts: the turns that an engine played, from its JSONL files or from a run folder.

A file of turns has one JSON object a line, a `RolloutTurn`. Everything in it is untrusted: it names
environments by id, and nothing that it names is imported.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from vlbench.instances import MAX_PRESENTATION
from vlbench.records import from_json, to_json
from vlbench.registry import registered_id
from vlbench.run_folder import HEADER, RunFolder
from vlbench.suites import Row

SCHEMA = 1
"""Version of the lines; it increases whenever the meaning of a field changes."""

FOLDER = "rollouts"
"""Folder of the files of turns, within the folder of a training run."""


@dataclass(frozen=True, slots=True)
class RolloutTurn:
    """One turn: where it happened, what was written, and what the engine made of it."""

    schema: int
    """Version of this format: 1."""
    env_id: str
    """A registered id, e.g. "vlbench/Points24-v0"."""
    kwargs: dict[str, Any]
    """Keyword arguments of the environment."""
    instance: str
    """The canonical start of the episode, `info["instance"]`."""
    presentation: int
    """How it was shown, `info["presentation"]`."""
    episode: str
    """Key of the episode, unique in the input. Its turns may stand in any order."""
    turn: int
    """Number of the turn in its episode, from 0."""
    reply: str
    """The whole text that the model wrote."""
    earlier: tuple[str, ...] = ()
    """The replies of turns 0 to `turn` − 1. The first recorded turn of an episode needs them if it
    isn't turn 0; other lines may leave them out."""
    reward: float | None = None
    """The engine's reward of the turn; compared with the environment's."""
    advantage: float | None = None
    """The engine's estimate of the advantage; None if it has none. Normalised ones are accepted,
    but their signs are shifted."""
    estimator: str = ""
    """How the engine estimated the advantage; "" if unknown."""
    oracle: bool = False
    """Whether the advantage was made from the environment's exact values, which a real task doesn't
    have."""
    value: float | None = None
    """The critic's value of the observation before the reply; None if there is no critic."""
    log_prob: float | None = None
    """Log-probability of the reply under the policy that wrote it, in nats; None if unknown."""
    state_hash: str = ""
    """`env.unwrapped.state_hash()` before the reply; compared with the environment's."""
    iteration: int | None = None
    """The update that the turn was played for; None if unknown."""
    extra: dict[str, Any] = field(default_factory=dict)
    """Anything else of the engine's; never read."""


@dataclass(frozen=True, slots=True)
class RolloutEpisode:
    """The recorded turns of an episode, which follow each other."""

    place: str
    """Where its first turn stands, for messages: "FILE:LINE", or the run folder and the key."""
    key: str
    start: Row
    """Where the episode begins."""
    earlier: tuple[str, ...]
    """Replies before the first recorded turn."""
    turns: tuple[RolloutTurn, ...]
    repeat: int = 0
    """As in `Episode`."""


@dataclass(frozen=True, slots=True)
class Rollouts:
    """All episodes of an input."""

    source: str
    """The folder or file."""
    episodes: tuple[RolloutEpisode, ...]
    suite: str = ""
    """The frozen set that an evaluation run played; "" for rollouts of training."""
    notes: tuple[str, ...] = ()
    """What was left out of the input, as lines."""


def read_rollouts(path: Path) -> Rollouts:
    """Read a run folder, the folder of a training run, or a file of turns.

    Raises:
        ValueError: The path holds none of them, or a line is wrong; the message is one line.
        OSError: A file can't be read.
    """
    if (path / HEADER).is_file():
        return _read_run(path)
    if not path.is_dir():
        if not path.is_file():
            raise ValueError(f"no file or folder {path}")
        files = [path]
    else:
        files = sorted((path if path.name == FOLDER else path / FOLDER).glob("*.jsonl"))
    if not files:
        raise ValueError(
            f"{path} holds no rollouts; wanted a run folder, the folder of a training run with "
            f"{FOLDER}/ (ppo --rollouts-every writes it), or a JSONL file of turns"
        )
    notes: list[str] = []
    lines = [line for file in files for line in _read_lines(file, notes)]
    return Rollouts(str(path), tuple(_episodes(lines)), notes=tuple(notes))


def write_turns(path: Path, turns: Iterable[RolloutTurn]) -> None:
    """Write a file of turns; an existing file is replaced when the new one is complete.

    Raises:
        OSError: The file can't be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.partial")
    with partial.open("w", encoding="utf-8") as file:
        for turn in turns:
            file.write(json.dumps(to_json(turn), ensure_ascii=False) + "\n")
    partial.replace(path)


Line = tuple[str, RolloutTurn]
"""Where a turn stands ("FILE:LINE"), and the turn."""


def _read_lines(path: Path, notes: list[str]) -> list[Line]:
    """Return the turns of a file; a last line that was cut off is left out, with a note."""
    lines = []
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            place = f"{path}:{number}"
            if not line.strip():
                continue
            try:
                data = json.loads(line)
            except (ValueError, RecursionError) as error:
                if line.endswith(b"\n"):
                    raise ValueError(f"{place}: not a JSON line ({error})") from error
                notes.append(f"{place}: a line that was cut off is left out")
                continue
            try:
                lines.append((place, _turn(data)))
            except ValueError as error:
                raise ValueError(f"{place}: {error}") from error
    return lines


def _turn(data: Any) -> RolloutTurn:
    """Return the turn of a line.

    Raises:
        ValueError: A field is missing, unknown, of a wrong type or out of range.
    """
    schema = data.get("schema", SCHEMA) if isinstance(data, dict) else SCHEMA
    if schema != SCHEMA:
        raise ValueError(f"schema {schema!r:.20}, this version reads {SCHEMA}")
    turn = from_json(RolloutTurn, data)
    if turn.turn < 0:
        raise ValueError(f"turn must be at least 0, got {turn.turn}")
    if not 0 <= turn.presentation < MAX_PRESENTATION:
        raise ValueError(
            f"presentation must be from 0 to {MAX_PRESENTATION - 1}, got {turn.presentation}"
        )
    if "render_mode" in turn.kwargs:
        raise ValueError("kwargs can't have render_mode, which opens a window")
    registered_id(turn.env_id)
    return turn


def _episodes(lines: Iterable[Line]) -> list[RolloutEpisode]:
    """Group turns by episode.

    Raises:
        ValueError: The turns of an episode don't follow each other, or start in several places.
    """
    groups: dict[str, list[Line]] = {}
    for line in lines:
        groups.setdefault(line[1].episode, []).append(line)
    return [_episode(sorted(group, key=lambda line: line[1].turn)) for group in groups.values()]


def _episode(lines: list[Line]) -> RolloutEpisode:
    (place, first), *_ = lines
    replies = list(first.earlier)
    if first.turn != len(replies):
        raise ValueError(
            f"{place}: the first recorded turn of episode {first.episode:.100} is turn "
            f"{first.turn}, with {len(replies)} earlier replies; wanted {first.turn}"
        )
    start = _start(first)
    for there, turn in lines:
        if turn.turn != len(replies):
            raise ValueError(
                f"{there}: episode {turn.episode:.100} has turn {turn.turn} where turn "
                f"{len(replies)} should be; each turn needs one line, and each episode a key of "
                "its own"
            )
        if _start(turn) != start:
            raise ValueError(f"{there}: episode {turn.episode:.100} starts elsewhere at {place}")
        if turn.earlier not in ((), tuple(replies)):
            raise ValueError(f"{there}: `earlier` isn't what the lines before have as replies")
        replies.append(turn.reply)
    return RolloutEpisode(
        place, first.episode, start, first.earlier, tuple(turn for _, turn in lines)
    )


def _start(turn: RolloutTurn) -> Row:
    return Row(registered_id(turn.env_id), turn.kwargs, turn.instance, turn.presentation)


def _read_run(path: Path) -> Rollouts:
    run = RunFolder.open(path)
    episodes = []
    for episode in run.episodes():
        start = episode.start
        if "render_mode" in start.kwargs:
            raise ValueError(f"{path}: kwargs can't have render_mode, which opens a window")
        turns = tuple(
            RolloutTurn(
                SCHEMA,
                start.env_id,
                start.kwargs,
                episode.instance,
                episode.presentation,
                episode.key,
                number,
                turn.reply.text,
                reward=turn.reward,
                state_hash=turn.state_hash,
            )
            for number, turn in enumerate(episode.turns)
        )
        row = Row(
            registered_id(start.env_id),
            start.kwargs,
            start.instance,
            start.presentation,
            seed=start.seed,
        )
        key = episode.key
        episodes.append(RolloutEpisode(f"{path} {key}", key, row, (), turns, episode.repeat))
    notes = tuple(f"damaged line left out: {line}" for line in run.damaged)
    return Rollouts(str(path), tuple(episodes), run.header.suite, notes)
