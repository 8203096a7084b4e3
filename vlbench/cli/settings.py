"""The settings of a run: a file with a line for each call, so that none is forgotten.

The first call fixes what is learned and how. A later call with the same folder may change only what
the command lists; all else is refused.
"""

import dataclasses
import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import vlbench
from vlbench.cli.folders import SETTINGS, check_kind, run_kind


@dataclass(frozen=True, slots=True)
class Call:
    """A call of a command that trains: a line of SETTINGS."""

    command: str
    settings: dict[str, Any]
    """Option → value, as plain data."""
    content: dict[str, str] = field(default_factory=dict)
    """Option → what its value stands for: the hash of a file, or the id of an environment."""
    step: int = 0
    """The last completed step when the call began."""
    processes: int = 1
    vlbench: str = vlbench.__version__
    started: str = ""
    """In UTC, as in 2026-01-31T12:00:00Z."""

    def __post_init__(self) -> None:
        """Raise TypeError if the two tables aren't any; a file may hold anything."""
        if not isinstance(self.settings, dict) or not isinstance(self.content, dict):
            raise TypeError("settings and content must be objects")

    @classmethod
    def of(cls, command: str, options: Any, content: Mapping[str, str], processes: int) -> "Call":
        """Return a call that starts now.

        Args:
            command: The command's name.
            options: A dataclass of its options.
            content: See `Call.content`.
            processes: Number of processes that train together.
        """
        settings = json.loads(json.dumps(dataclasses.asdict(options), default=str))
        started = f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"
        return cls(command, settings, dict(content), processes=processes, started=started)


class RunSettings:
    """The settings of the run in a folder.

    Args:
        folder: The run's folder.
        changeable: Options that a later call may change.

    Raises:
        ValueError: The file is damaged.
    """

    def __init__(self, folder: Path, changeable: Collection[str]) -> None:
        self._path = folder / SETTINGS
        self._changeable = changeable
        self.calls = _read(self._path)
        """The calls so far, oldest first."""

    def differences(self, call: Call, *, started: bool = True) -> list[str]:
        """Return what a call changes, as in "iterations 20 → 40".

        Args:
            call: The new call.
            started: Whether the run has a checkpoint. Without one nothing has been learned, so
                that everything may change.

        Raises:
            ValueError: The folder isn't the command's, or the call changes what can't change.
        """
        check_kind(self._path.parent, run_kind(call.command))
        if not self.calls:
            return []
        changed = _changes(self.calls[-1], call)
        fixed = {name: text for name, text in changed.items() if name not in self._changeable}
        if started and fixed:
            values = ", ".join(f"--{name.replace('_', '-')} {text}" for name, text in fixed.items())
            raise ValueError(
                f"{self._path.parent} is a run with other settings (recorded → new): {values}; "
                "resume it with the recorded ones, or choose another --out"
            )
        return [f"{name.replace('_', '-')} {text}" for name, text in changed.items()]

    def append(self, call: Call) -> None:
        """Add a call to the file; create the folder if needed.

        Raises:
            OSError: The file can't be written.
        """
        self._path.parent.mkdir(parents=True, exist_ok=True)
        line = json.dumps(dataclasses.asdict(call), ensure_ascii=False)
        with self._path.open("ab+") as file:
            file.seek(0)
            file.truncate(file.read().rfind(b"\n") + 1)  # drops a line that was cut off
            file.write(f"{line}\n".encode())
        self.calls.append(call)


def _read(path: Path) -> list[Call]:
    if not path.is_file():
        return []
    calls = []
    *lines, _ = path.read_bytes().split(b"\n")  # a line without end was cut off by a crash
    for number, line in enumerate(lines, 1):
        try:
            calls.append(Call(**json.loads(line)))
        except (ValueError, TypeError, RecursionError) as error:
            raise ValueError(f"{path}:{number} is damaged: {error}; choose another --out") from None
    return calls


def _changes(old: Call, new: Call) -> dict[str, str]:
    """Return option → "old → new" where two calls differ; an option that one lacks is left out."""
    changed = {}
    for name in (name for name in new.settings if name in old.settings):
        before, after = old.settings[name], new.settings[name]
        if name in old.content and name in new.content:
            if old.content[name] == new.content[name]:
                continue
            if before == after:
                before, after = old.content[name], new.content[name]
        if before != after:
            changed[name] = f"{_text(before)} → {_text(after)}"
    if old.processes != new.processes:
        changed["processes"] = f"{old.processes} → {new.processes}"
    return changed


def _text(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text or '""'
