"""A part of an entry, written from a run's file line by line, so that a run of any size packs."""

import hashlib
import shutil
import tempfile
import weakref
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from leaderboard.schema import Attempt, Replayed, canonical
from vlbench.records import Episode, to_json
from vlbench.run_folder import JOURNAL, JournalOrder, RunFolder, text_mark


class PartFiles(Mapping[str, bytes]):
    """Parts on disk, which last as long as this object; a part is read when it is asked for."""

    def __init__(self) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="vlbench-pack-"))
        weakref.finalize(self, shutil.rmtree, self._folder, ignore_errors=True)
        self.paths: dict[str, Path] = {}
        """Name → file."""

    def new(self, name: str) -> Path:
        """Return the file of a new part."""
        self.paths[name] = self._folder / str(len(self.paths))
        return self.paths[name]

    def __getitem__(self, name: str) -> bytes:
        """Return a part's content."""
        return self.paths[name].read_bytes()

    def __iter__(self) -> Iterator[str]:
        """Yield the names."""
        return iter(self.paths)

    def __len__(self) -> int:
        """Return the number of parts."""
        return len(self.paths)


class _Line(NamedTuple):
    """An episode's line in the order of the run's file."""

    place: tuple[int, int, int]
    """Place in the order of the suite."""
    start: int
    size: int
    attempt: Attempt
    texts: bytes
    """`text_mark` of each reply."""


@dataclass(frozen=True, slots=True)
class PackedPart:
    """What the manifest says of a part."""

    sha256: str
    size: int
    attempts: list[Attempt]
    """The episodes, in the order of the part."""
    replayed: list[Replayed]
    """The episodes that occur more than once in the run's file."""
    order: JournalOrder
    """When they were played, by the journal."""


def pack_part(folder: RunFolder, file: Path) -> PackedPart:
    """Write a run's episodes, one canonical line each, in the order of the suite.

    Raises:
        ValueError: The journal doesn't hold the texts of an episode.
    """
    order = {env_id: number for number, env_id in enumerate(folder.header.env_ids)}
    last: dict[str, _Line] = {}
    errors: dict[str, list[str]] = {}
    with tempfile.TemporaryFile() as lines, file.open("wb") as part:
        for episode in folder.read_episodes():
            data = canonical(_plain(episode)) + b"\n"
            place = (order.get(episode.env_id, len(order)), episode.row, episode.repeat)
            attempt = Attempt.of(episode)
            texts = b"".join(text_mark(turn.reply.text) for turn in episode.turns)
            if attempt.key in last:
                errors.setdefault(attempt.key, []).append(last[attempt.key].attempt.error)
            last[attempt.key] = _Line(place, lines.tell(), len(data), attempt, texts)
            lines.write(data)
        digest = hashlib.sha256()
        ordered = sorted(last.values(), key=lambda line: line.place)
        for line in ordered:
            lines.seek(line.start)
            data = lines.read(line.size)
            digest.update(data)
            part.write(data)
        size = part.tell()
    journal = folder.journal_order()
    for line in ordered:
        if not journal.texts.get(line.attempt.key, b"").startswith(line.texts):
            raise ValueError(
                f"{folder.path}: {JOURNAL} doesn't hold the replies of {line.attempt.key}; an "
                "entry needs the run as it was played"
            )
    replayed = [
        Replayed(episode=key, attempts=len(earlier) + 1, errors=tuple(earlier))
        for key, earlier in sorted(errors.items())
    ]
    attempts = [line.attempt for line in ordered]
    return PackedPart(digest.hexdigest(), size, attempts, replayed, journal)


def _plain(episode: Episode) -> dict[str, Any]:
    """Return an episode as plain data, with latencies to the microsecond: more doesn't compress."""
    data = to_json(episode)
    for turn in data["turns"]:
        reply = turn["reply"]
        if "seconds" in reply and not (rounded := round(reply["seconds"], 6)):
            del reply["seconds"]
        elif "seconds" in reply:
            reply["seconds"] = rounded
    return data
