"""Run folders: `run.json`, the journal of replies, and the finished episodes.

Both JSONL files are append-only. A reply is journaled before it is stepped, so that after a crash
the run resumes from the journal and requests no journaled reply again.
"""

import dataclasses
import hashlib
import json
import os
import platform
import subprocess
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import fields
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, NamedTuple, Protocol, TextIO

import vlbench
from vlbench.cli.folders import EVALUATION, check_kind
from vlbench.parsing import RULES
from vlbench.prompts import template_hash
from vlbench.records import SCHEMA, Episode, Failure, Reply, RunHeader, from_json, to_json
from vlbench.records.redaction import SecretInReply, holds_secret, redact_data
from vlbench.records.run_spec import RunSpec
from vlbench.suites import (
    frozen_hash,
)

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

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
            raise ValueError(f"{path} is no run folder: {error.strerror} ({HEADER})") from error
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
                _mend_last_line(path / name)
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

    def episodes(self) -> list[Episode]:
        """Return the episodes in the order of the suite; the last of each that was played twice."""
        last: dict[str, Episode] = {}
        for place, data in self._lines(EPISODES):
            try:
                episode = from_json(Episode, data)
            except ValueError as error:
                self._damaged[EPISODES].append(f"{place}: {error}")
            else:
                last[episode.key] = episode
        order = {env_id: number for number, env_id in enumerate(self.header.env_ids)}
        others = len(order)
        return sorted(last.values(), key=lambda e: (order.get(e.env_id, others), e.row, e.repeat))

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
        """Return when each episode began and ended, by the journal."""
        order = JournalOrder({}, {})
        for number, (_, data) in enumerate(self._lines(JOURNAL)):
            key = data.get("episode") if isinstance(data, dict) else None
            if isinstance(key, str):
                order.begun.setdefault(key, number)
                order.ended[key] = number
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
            _mend_last_line(path)
            file = self._files[name] = path.open("a", encoding="utf-8")
        file.write(json.dumps(data, ensure_ascii=False, separators=(",", ":")) + "\n")
        file.flush()

    def _lines(self, name: str) -> list[tuple[str, Any]]:
        path = self.path / name
        damaged = self._damaged[name] = []
        if not path.is_file():
            return []
        lines = []
        for number, line in enumerate(path.read_bytes().split(b"\n"), start=1):
            if line:
                try:
                    lines.append((f"{path}:{number}", json.loads(line)))
                except (ValueError, RecursionError) as error:
                    damaged.append(f"{path}:{number}: not a JSON line ({error})")
        return lines


def _mend_last_line(path: Path) -> None:
    """End a JSONL file with a whole line: finish the last one, or drop it if it was cut off.

    A process that is killed leaves such a line. A reply or episode that was cut off was never
    played on, so it is played again.
    """
    data = path.read_bytes() if path.exists() else b""
    last = data[data.rfind(b"\n") + 1 :]
    if not last:
        return
    with path.open("rb+") as file:
        try:
            json.loads(last)
        except (ValueError, RecursionError):
            file.truncate(len(data) - len(last))
        else:
            file.seek(0, os.SEEK_END)
            file.write(b"\n")


PACKAGES = ("gymnasium", "numpy", "pillow", "alfworld", "textworld")
"""Packages that observations may depend on."""


def versions() -> dict[str, str]:
    """Return the versions of Python, vlbench and the installed ones of PACKAGES."""
    own = {"python": platform.python_version(), "vlbench": vlbench.__version__}
    return own | package_versions(PACKAGES)


def package_versions(packages: Iterable[str]) -> dict[str, str]:
    """Return package → version for the packages that are installed."""
    installed = {}
    for package in packages:
        with suppress(PackageNotFoundError):
            installed[package] = version(package)
    return installed


def git_commit() -> str:
    """Return the commit of the checkout that vlbench runs from; "" outside a checkout."""
    return (_git("rev-parse", "HEAD") or "").strip()


def git_dirty() -> bool | None:
    """Return whether that checkout has uncommitted changes; None outside a checkout."""
    changes = _git("--no-optional-locks", "status", "--porcelain")
    return None if changes is None else bool(changes)


def _git(*arguments: str) -> str | None:
    """Return git's output for the checkout; None without a checkout or without git."""
    checkout = Path(vlbench.__file__).parent.parent
    if not (checkout / ".git").exists():
        return None
    command = ["git", "-C", str(checkout), *arguments]
    try:
        process = subprocess.run(command, capture_output=True, text=True, timeout=5, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return process.stdout if process.returncode == 0 else None
