"""Episodes for the site's viewer: replayed once more, with their pictures as PNG files."""

import io
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from PIL import Image

from leaderboard.verify import Verified
from vlbench.episodes import Episode, Turn
from vlbench.instances import Row
from vlbench.parsing import parse
from vlbench.recording import Environments, Recording, sha256

SHARED = 6
"""Rows of each task and suite, from its beginning, that are drawn for every entry."""

FAILURES = 4
"""First failures of each task and suite that are drawn besides."""

MAX_BYTES = 5_000_000
"""Largest sum of an entry's pictures and episodes on the site."""

LONGEST = 4000
"""Characters that are shown of a reply before, and after, its action."""


@dataclass(slots=True)
class Drawn:
    """What the viewer shows of an entry."""

    episodes: list[dict[str, Any]] = field(default_factory=list)
    prompts: dict[str, str] = field(default_factory=dict)
    """Hash → text."""
    frames: set[str] = field(default_factory=set)
    """Names of pictures."""
    left_out: int = 0
    """Chosen episodes that MAX_BYTES leaves no room for."""


def chosen(episodes: Sequence[Episode]) -> list[Episode]:
    """Return the episodes that are drawn: the first rows of each task, and its first failures."""
    picked = []
    for env_id in dict.fromkeys(episode.env_id for episode in episodes):
        of_env = [episode for episode in episodes if episode.env_id == env_id]
        failures = [episode for episode in of_env[SHARED:] if not episode.success]
        picked += of_env[:SHARED] + failures[:FAILURES]
    return picked


class Drawing:
    """Draws episodes; a picture that many of them show is kept once."""

    def __init__(self) -> None:
        self.frames: dict[str, bytes] = {}
        """Name → PNG."""
        self._envs = Environments()

    def entry(self, entry: Verified) -> Drawn:
        """Draw an entry's chosen episodes, as many as there is room for."""
        drawn, size = Drawn(), 0
        for suite, episodes in entry.episodes.items():
            for episode in chosen(episodes):
                frames: dict[str, None] = {}
                data = {"suite": suite, **self._episode(episode, frames, drawn.prompts)}
                new = [name for name in frames if name not in drawn.frames]
                size += sum(len(self.frames[name]) for name in new)
                size += sum(len("".join(turn["reply"])) for turn in data["turns"])
                if size > MAX_BYTES:
                    drawn.left_out += 1
                    continue
                drawn.frames.update(new)
                drawn.episodes.append(data)
        return drawn

    def first_frame(self, row: Row) -> str:
        """Draw the first picture of a row; return its name."""
        return self._keep(Recording(self._envs.of(row), row))

    def first_prompt(self, row: Row) -> str:
        """Return the first text of a row."""
        return str(Recording(self._envs.of(row), row).observation["text"])

    def _episode(
        self, episode: Episode, frames: dict[str, None], prompts: dict[str, str]
    ) -> dict[str, Any]:
        mistakes = [number for number, turn in enumerate(episode.turns) if turn.cause]
        about = {
            "env": episode.env_id,
            "row": episode.row,
            "name": episode.instance,
            "picture": episode.presentation,
            "outcome": outcome(episode),
            "total": round(episode.total, 4),
            "error": _shortened(episode.error),
            "mistake": mistakes[0] if mistakes else None,
        }
        if not episode.final_frame:  # it failed before its first frame
            return about | {"turns": [], "end": ""}
        start = episode.start
        recording = Recording(self._envs.of(start), start, episode.row, episode.repeat)
        turns = []
        for turn in episode.turns:
            vocabulary = getattr(recording.env.unwrapped, "vocabulary", ())
            text = recording.observation["text"]
            prompts[turn.prompt[:16]] = text
            frame = self._keep(recording)
            frames[frame] = None
            turns.append({"frame": frame, "prompt": turn.prompt[:16], **_turn(turn, vocabulary)})
            recording.play(turn.reply)
        end = self._keep(recording)
        frames[end] = None
        return about | {"turns": turns, "end": end}

    def _keep(self, recording: Recording) -> str:
        image = recording.observation["image"]
        name = sha256(image.data)[:20]
        if name not in self.frames:
            png = io.BytesIO()
            Image.fromarray(image).save(png, "PNG", compress_level=9)
            self.frames[name] = png.getvalue()
        return name


def outcome(episode: Episode) -> str:
    """Return "success", "failure" or "errored"."""
    return "errored" if episode.end == "errored" else "success" if episode.success else "failure"


def _turn(turn: Turn, vocabulary: Sequence[str]) -> dict[str, Any]:
    """Return a turn for the viewer; the reply in three parts, the action in the middle."""
    text = turn.reply.text
    start, end = parse(text, vocabulary).span or (len(text), len(text))
    return {
        "reply": [_shortened(text[:start]), text[start:end][:LONGEST], _shortened(text[end:])],
        "stop": turn.reply.stop_reason,
        "status": turn.status,
        "action": turn.action,
        "illegal": turn.illegal,
        "recovered": turn.recovered,
        "reward": turn.reward,
        "expert": turn.expert,
        "regret": turn.regret,
        "cause": turn.cause,
    }


def _shortened(text: str) -> str:
    left_out = len(text) - LONGEST
    if left_out <= 0:
        return text
    half = LONGEST // 2
    return f"{text[:half]} … [{left_out} characters left out] … {text[-half:]}"
