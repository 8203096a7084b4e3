"""Recorded episodes as data for `viewer.js`: replayed, with the picture and prompt of each turn.

Records hold no pictures. What models wrote is plain data here; the page shows it as text.
"""

from importlib.resources import files
from typing import Any

from vlbench.observation import png
from vlbench.recorder import EnvCache, EpisodeRecorder, reply_advice, sha256
from vlbench.records import Episode, Turn
from vlbench.suites import Row

LONGEST = 4000
"""Characters that are shown of a reply before, and after, its action."""


class EpisodeRenderer:
    """Replays episodes and draws their pictures; what several of them show is kept once.

    Args:
        compress_level: zlib's, for the pictures: 0..9, or −1 for its default.
        frame_digits: Hex digits of a picture's sha256 that name it.
        prompt_digits: Hex digits of a text's sha256 that name it.
    """

    def __init__(
        self, compress_level: int = -1, frame_digits: int = 64, prompt_digits: int = 64
    ) -> None:
        self.frames: dict[str, bytes] = {}
        """Name → PNG."""
        self.prompts: dict[str, str] = {}
        """Name → text."""
        self._compress_level = compress_level
        self._frame_digits = frame_digits
        self._prompt_digits = prompt_digits
        self._envs = EnvCache()

    def first(self, row: Row) -> tuple[str, str]:
        """Keep what a row shows first; return the names of its picture and text."""
        return self._keep(EpisodeRecorder(self._envs.of(row), row))

    def episode(self, episode: Episode) -> dict[str, Any]:
        """Return an episode for a viewer, as plain data, and keep what it shows.

        Raises:
            ValueError: The environment refuses the episode's id, arguments or instance.
        """
        about = {
            "env": episode.env_id,
            "name": episode.instance,
            "presentation": episode.presentation,
            "row": episode.row,
            "outcome": outcome(episode),
            "total": round(episode.total, 4),
            "error": shortened(episode.error),
        }
        if not episode.final_frame_hash:  # it failed before its first frame
            return about | {"turns": [], "end": "", "mistake": None, "as_recorded": True}
        start = episode.start
        recording = EpisodeRecorder(self._envs.of(start), start, episode.row, episode.repeat)
        turns = []
        for turn in episode.turns:
            if recording.end:
                break
            frame, prompt = self._keep(recording)
            span = recording.read(turn.reply.text).span
            turns.append({"frame": frame, "prompt": prompt, **_turn(turn, span)})
            recording.play(turn.reply)
        frames = [turn["frame"] for turn in turns]
        return about | {
            "turns": turns,
            "end": self._keep(recording)[0],
            "mistake": next((i for i, turn in enumerate(turns) if turn["cause"]), None),
            "as_recorded": frames
            == [(t.seen_hash or t.frame_hash)[: self._frame_digits] for t in episode.turns],
        }

    def _keep(self, recording: EpisodeRecorder) -> tuple[str, str]:
        image, text = recording.observation["image"], recording.observation["text"]
        frame = sha256(image.data)[: self._frame_digits]
        prompt = sha256(text.encode())[: self._prompt_digits]
        if frame not in self.frames:
            self.frames[frame] = png(image, self._compress_level)
        self.prompts[prompt] = text
        return frame, prompt


def page_part(name: str) -> str:
    """Return the text of a file that pages contain: "page.css" or "viewer.js"."""
    return files(__package__).joinpath(name).read_text("utf-8")


def outcome(episode: Episode) -> str:
    """Return "success", "failure" or "errored"."""
    return "errored" if episode.end == "errored" else "success" if episode.success else "failure"


def shortened(text: str) -> str:
    """Return a text, or its two ends and how much is left out."""
    left_out = len(text) - LONGEST
    if left_out <= 0:
        return text
    half = LONGEST // 2
    return f"{text[:half]} … [{left_out} characters left out] … {text[-half:]}"


def _turn(turn: Turn, span: tuple[int, int] | None) -> dict[str, Any]:
    """Return a turn for a viewer; the reply in three parts, the action in the middle."""
    text = turn.reply.text
    start, end = span or (len(text), len(text))
    parts = [shortened(text[:start]), text[start:end][:LONGEST], shortened(text[end:])]
    notes = {
        "finish": turn.reply.finish_reason,
        "message": turn.reply.provider_message,
        "reasoning": turn.reply.reasoning,
        "advice": reply_advice(turn.status, turn.reply.stop_reason, turn.reply.reasoning),
    }
    fields = ("status", "action", "illegal", "recovered", "reward", "expert", "regret", "cause")
    return {
        "reply": parts,
        "stop": turn.reply.stop_reason,
        **{name: getattr(turn, name) for name in fields},
        **{name: shortened(note) for name, note in notes.items() if note},
    }
