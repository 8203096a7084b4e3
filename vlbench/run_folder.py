"""Run folders: `run.json`, the journal of replies, and the finished episodes.

Both JSONL files are append-only. A reply is journaled before it is stepped, so that after a crash
the run resumes from the journal and requests no journaled reply again.
"""

import dataclasses
import hashlib
import json
import os
import sys
from collections.abc import Container, Iterable, Iterator, Mapping
from dataclasses import fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple, Protocol, TextIO, TypeVar

from vlbench.cli.folders import EVALUATION, check_kind
from vlbench.parsing import RULES
from vlbench.prompts import template_hash
from vlbench.records import (
    SCHEMA,
    Episode,
    Failure,
    Reply,
    RunHeader,
    Tally,
    from_json,
    tally,
    to_json,
)
from vlbench.records.json_lines import mend_last_line, read_lines
from vlbench.records.provenance import git_commit, git_dirty, versions
from vlbench.records.redaction import SecretInReply, holds_secret, redact_data
from vlbench.records.run_spec import RunSpec
from vlbench.suites import (
    frozen_hash,
)

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

E = TypeVar("E", Episode, Tally)

HEADER, JOURNAL, EPISODES, LOCK = "run.json", "replies.jsonl", "episodes.jsonl", ".lock"


class Player(Protocol):
    """Who plays. `dropped`, `models` and `secrets` are optional.

    `dropped` and `models` go into `RunHeader`; `secrets` are keys and passwords that no file may
    hold, besides those in the environment.
    """

    name: str
    settings: dict[str, Any]
    privileged: bool


def run_header(
    player: Player,
    spec: RunSpec,
    env_ids: Iterable[str],
    price: list[float] | None = None,
) -> RunHeader:
    """Return the header of a run that starts now.

    Args:
        player: Who plays.
        spec: The rows and how they are presented.
        env_ids: The environments, in the order of the tables.
        price: USD per million prompt and completion tokens; None if unknown.

    Raises:
        ValueError: The player's name or settings aren't plain data, or an environment without a
            prompt file can't be made.
    """
    try:
        settings = json.loads(json.dumps(player.settings))  # as a resumed run reads them
    except TypeError as error:
        raise ValueError(
            f"the settings of agent {player.name} aren't plain data: {error}"
        ) from error
    env_ids = list(env_ids)
    models = getattr(player, "models", {})
    commit, dirty = git_commit(), git_dirty()
    header = RunHeader(
        **{item.name: getattr(spec, item.name) for item in fields(RunSpec)},
        agent=player.name,
        settings=redact_data(settings, *getattr(player, "secrets", ())),
        privileged=player.privileged,
        env_ids=env_ids,
        prompt_hashes={env_id: template_hash(env_id, spec.prompt) for env_id in env_ids},
        frozen_hashes={env_id: frozen_hash(env_id, spec.suite) for env_id in env_ids},
        parser=RULES,
        schema=SCHEMA,
        models={key: models[key] for key in ("", *env_ids) if key in models},
        dropped=list(getattr(player, "dropped", ())),
        price=price,
        versions=versions(),
        commit=f"{commit}+dirty" if dirty else commit,
        dirty=dirty,
        started=f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}",
    )
    return from_json(RunHeader, to_json(header))  # what can't be read back isn't written


class JournalOrder(NamedTuple):
    """When episodes were played, in lines of the journal."""

    begun: dict[str, int]
    """Key of an episode → number of its first line."""
    ended: dict[str, int]
    """Key of an episode → number of its last line."""
    texts: dict[str, bytes]
    """Key of an episode → `text_mark` of each reply, in the order of its turns."""


MARK = 16
"""Bytes of the mark of a text."""


def text_mark(text: str) -> bytes:
    """Return a hash of a text by which journal and episodes are compared."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()[:MARK]


class RunFolder:
    """A run on disk.

    Args:
        path: The folder.
        header: The content of `run.json`.
        secrets: Keys and passwords that no file may hold, besides those in the environment.
    """

    def __init__(self, path: Path, header: RunHeader, secrets: Iterable[str] = ()) -> None:
        self.path = path
        self.header = header
        self._secrets = tuple(secrets)
        self.notices: list[str] = []
        """What differs from the run's beginning, if it was resumed; see `RunHeader.notices`."""
        self._damaged: dict[str, list[str]] = {}
        self._files: dict[str, TextIO] = {}

    @property
    def damaged(self) -> list[str]:
        """One message for each line that `episodes` and `replies` last failed to read."""
        return [line for lines in self._damaged.values() for line in lines]

    @classmethod
    def open(cls, path: str | Path) -> "RunFolder":
        """Open an existing run.

        Raises:
            ValueError: The folder holds no run, or its header can't be read.
        """
        path = Path(path)
        if (path / HEADER).exists() and not (path / HEADER).is_file():
            raise ValueError(f"{path} is no run folder: {HEADER} isn't a file")
        try:
            data = json.loads((path / HEADER).read_text("utf-8"))
            schema = data.get("schema") if isinstance(data, dict) else None
            if schema is None or schema == SCHEMA:
                return cls(path, from_json(RunHeader, data))
        except OSError as error:
            held = sorted(path.glob(f"*/{HEADER}"))
            inside = f"; it holds {len(held)} of them, as {held[0].parent}" if held else ""
            raise ValueError(
                f"{path} is no run folder: {error.strerror} ({HEADER}){inside}"
            ) from error
        except (ValueError, RecursionError) as error:
            raise ValueError(f"{path / HEADER} is damaged: {error}") from error
        convert = f"; python -m leaderboard.convert {path} --out NEW converts it"
        raise ValueError(
            f"{path}: schema {schema!r:.20}, this version reads {SCHEMA}"
            f"{convert if schema == 1 else ''}"
        )

    @classmethod
    def start(cls, path: Path, header: RunHeader, secrets: Iterable[str] = ()) -> "RunFolder":
        """Create a run, or resume the same run if the folder holds it.

        Args:
            path: The folder.
            header: The content of `run.json`.
            secrets: Keys and passwords that no file may hold, besides those in the environment.

        Raises:
            ValueError: The folder can't be written, or holds another run.
        """
        run = cls(path, cls._merge_header(path, header), secrets)
        run.notices = run.header.notices(header)
        try:
            path.mkdir(parents=True, exist_ok=True)
            run._lock()
            for name in (JOURNAL, EPISODES):
                mend_last_line(path / name)
            run.header = cls._merge_header(path, header)  # again: no other process writes now
            run.write_header()
        except OSError as error:
            run.close()
            raise ValueError(f"can't write to {path}: {error.strerror}") from error
        except ValueError:
            run.close()
            raise
        return run

    @classmethod
    def _merge_header(cls, path: Path, header: RunHeader) -> RunHeader:
        """Return the existing run's header, with at least the episodes and repeats of `header`.

        Raises:
            ValueError: The folder holds another run.
        """
        records = [name for name in (JOURNAL, EPISODES) if (path / name).exists()]
        if records and not (path / HEADER).exists():
            raise ValueError(f"{path} holds {records[0]} but no {HEADER}; choose another folder")
        if not (path / HEADER).exists():
            check_kind(path, EVALUATION)
            return header
        first = cls.open(path).header
        if conflict := first.conflict(header):
            raise ValueError(f"{path} holds another run: {conflict}; choose another folder")
        episodes = header.episodes
        if first.episodes is None or (episodes is not None and episodes < first.episodes):
            episodes = first.episodes
        return dataclasses.replace(
            first,
            dropped=list(dict.fromkeys(first.dropped + header.dropped)),
            episodes=episodes,
            repeats=max(first.repeats, header.repeats),
            price=header.price or first.price,
            bounds=header.bounds,
        )

    def _lock(self) -> None:
        """Lock the folder against other processes until this one closes the run or ends.

        Raises:
            ValueError: Another process holds the lock.
        """
        if fcntl is None:  # not on Windows
            return
        file = self._files["lock"] = (self.path / LOCK).open("w", encoding="utf-8")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self.close()
            raise ValueError(f"another process is writing to {self.path}") from None

    def write_header(self) -> None:
        """Write `run.json` atomically."""
        temporary = self.path / f".{HEADER}.{os.getpid()}"
        data = redact_data(to_json(self.header), *self._secrets)
        temporary.write_text(json.dumps(data, indent=2) + "\n", "utf-8")
        temporary.replace(self.path / HEADER)

    def drop(self, parameters: Iterable[str]) -> None:
        """Add parameters that the provider refused to the header."""
        new = [name for name in parameters if name not in self.header.dropped]
        if new:
            self.header = dataclasses.replace(self.header, dropped=self.header.dropped + new)
            self.write_header()

    def journal(self, key: str, turn: int, reply: Reply) -> None:
        """Append a reply to the journal; call it before stepping.

        Raises:
            SecretInReply: It holds a secret, and nothing was written.
        """
        if holds_secret(reply.text, *self._secrets):
            raise SecretInReply(hashlib.sha256(reply.text.encode("utf-8", "replace")).hexdigest())
        self._append(JOURNAL, {"episode": key, "turn": turn, "reply": to_json(reply)})

    def add(self, episode: Episode) -> None:
        """Append a finished episode; one with a secret in a reply ends there, as errored."""
        for number, turn in enumerate(episode.turns):
            if holds_secret(turn.reply.text, *self._secrets):
                episode = dataclasses.replace(
                    episode,
                    turns=episode.turns[:number],
                    end="errored",
                    success=False,
                    final_state_hash=turn.state_hash,
                    final_frame_hash=turn.frame_hash,
                    error=str(SecretInReply(turn.reply_hash)),
                    failure=Failure("secret", reply_hash=turn.reply_hash),
                )
                break
        self._append(EPISODES, to_json(episode))

    def episodes(self, keys: Container[str] | None = None) -> list[Episode]:
        """Return the episodes in the order of the suite; the last of each that was played twice.

        Args:
            keys: Keys of the episodes to return; None for all.
        """
        last = {
            episode.key: episode
            for episode in self.read_episodes()
            if keys is None or episode.key in keys
        }
        return self._ordered(last.values())

    def tallies(self) -> list[Tally]:
        """Return the tallies of `episodes`, which need little memory."""
        kwargs: dict[str, dict[str, Any]] = {}
        last: dict[str, Tally] = {}
        for episode in self.read_episodes():
            same = kwargs.setdefault(episode.start.env_key, episode.kwargs)
            last[episode.key] = tally(dataclasses.replace(episode, kwargs=same))
        return self._ordered(last.values())

    def read_episodes(self) -> Iterator[Episode]:
        """Yield the episodes in the order of the file, each attempt at one."""
        for place, data in self._lines(EPISODES):
            try:
                episode = from_json(Episode, data)
            except ValueError as error:
                self._damaged[EPISODES].append(f"{place}: {error}")
            else:
                yield episode

    def _ordered(self, episodes: Iterable[E]) -> list[E]:
        order = {env_id: number for number, env_id in enumerate(self.header.env_ids)}
        others = len(order)
        return sorted(episodes, key=lambda e: (order.get(e.env_id, others), e.row, e.repeat))

    def replies(self) -> dict[str, list[Reply]]:
        """Return the journaled replies of each episode, in the order of its turns."""
        journal: dict[str, list[Reply]] = {}
        for place, data in self._lines(JOURNAL):
            try:
                reply, turn = from_json(Reply, data["reply"]), int(data["turn"])
                turns = journal.setdefault(str(data["episode"]), [])
            except (KeyError, TypeError, ValueError, OverflowError) as error:
                self._damaged[JOURNAL].append(f"{place}: {error}")
            else:
                if 0 <= turn <= len(turns):  # a turn after a lost one can't be played
                    turns[turn:] = [reply]  # a turn played again replaces those after it
        return journal

    def journal_order(self) -> JournalOrder:
        """Return when each episode began and ended, by the journal, and marks of its texts."""
        order = JournalOrder({}, {}, {})
        for number, (_, data) in enumerate(self._lines(JOURNAL)):
            key = data.get("episode") if isinstance(data, dict) else None
            if not isinstance(key, str):
                continue
            key = sys.intern(key)
            order.begun.setdefault(key, number)
            order.ended[key] = number
            reply, turn = data.get("reply"), data.get("turn")
            text = reply.get("text") if isinstance(reply, dict) else None
            texts = order.texts.get(key, b"")
            # A turn after a lost one can't be played; one played again replaces those after it.
            if isinstance(text, str) and type(turn) is int and 0 <= MARK * turn <= len(texts):
                order.texts[key] = texts[: MARK * turn] + text_mark(text)
        return order

    def close(self) -> None:
        """Close the files."""
        for file in self._files.values():
            file.close()
        self._files.clear()

    def _append(self, name: str, data: Mapping[str, Any]) -> None:
        """Append a line; all of it is redacted except the texts of replies."""
        data = redact_data(data, *self._secrets, except_field="text")
        file = self._files.get(name)
        if file is None:
            path = self.path / name
            mend_last_line(path)
            file = self._files[name] = path.open("a", encoding="utf-8")
        file.write(json.dumps(data, ensure_ascii=False, separators=(",", ":")) + "\n")
        file.flush()

    def _lines(self, name: str) -> Iterator[tuple[str, Any]]:
        damaged = self._damaged[name] = []
        yield from read_lines(self.path / name, damaged)
