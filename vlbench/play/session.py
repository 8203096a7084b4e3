"""A person's run, between the window and the record: rows in turn, replies in, episodes out."""

import time
from collections.abc import Sequence
from typing import Any

import gymnasium

from vlbench.recorder import EpisodeRecorder, OracleEnv
from vlbench.records import Failure, Reply, episode_key
from vlbench.run_folder import RunFolder
from vlbench.suites import Row

EXPERT_SHOWN = "expert shown"
"""What `Reply.provider_id` says of a turn before which the person saw the expert's action."""
GIVEN_UP = "given up by the player"
"""`Episode.error` of an episode that the person left before its end."""


class PlaySession:
    """A person's run: every reply is journaled before it is stepped.

    Episodes that the folder holds are not played again, and one that was left in the middle goes
    on from its journaled replies.

    Args:
        run: Where the run is recorded.
        rows: The rows; a row's place is its number.

    Raises:
        ValueError: An environment refuses its arguments or a row's start.
    """

    env: gymnasium.Env[Any, str]
    recording: EpisodeRecorder

    def __init__(self, run: RunFolder, rows: Sequence[Row]) -> None:
        self.run = run
        self.rows = rows
        self.advice = ""
        """What the expert would do now, if the person asked."""
        played = {episode.key for episode in run.episodes()}
        self._left = [
            number
            for number, row in enumerate(rows)
            if episode_key(row.env_id, number, 0) not in played
        ]
        self._journal = run.replies()
        self._made: dict[str, Any] | None = None
        self._start()

    @property
    def rows_left(self) -> int:
        """How many rows are left, the one that is being played included."""
        return len(self._left)

    @property
    def number(self) -> int:
        """Number of the row that is being played."""
        return self._left[0]

    @property
    def over(self) -> bool:
        """Whether the episode has ended."""
        return bool(self.recording.end)

    @property
    def vocabulary(self) -> tuple[str, ...]:
        """The actions that the person chooses from."""
        inner = self.env.unwrapped
        return tuple(inner.vocabulary if isinstance(inner, OracleEnv) else self.legal)

    @property
    def legal(self) -> tuple[str, ...]:
        """The actions that the state allows."""
        return tuple(self.recording.info["legal_actions"])

    @property
    def hint(self) -> str:
        """What the environment wanted instead of the last reply; "" if that was fine."""
        return str(self.recording.info["hint"])

    def say(self, text: str) -> None:
        """Play a reply."""
        seconds = round(time.perf_counter() - self._since, 3)
        helped = EXPERT_SHOWN if self.advice else ""
        reply = Reply(text, seconds=seconds, provider_id=helped).bounded()
        self.run.journal(self._key, len(self.recording.turns), reply)
        self._play(reply)

    def ask_expert(self) -> bool:
        """Get the expert's advice for this turn, which marks it in the record.

        Returns:
            Whether there is an expert to ask.
        """
        inner = self.env.unwrapped
        if isinstance(inner, OracleEnv) and not self.over:
            self.advice = inner.expert()
        return isinstance(inner, OracleEnv)

    def next(self) -> None:
        """Go on to the next row; an episode that isn't over is recorded as given up."""
        if not self.over:
            self.run.add(self.recording.episode(GIVEN_UP, Failure("player")))
        self._left.pop(0)
        self._start()

    def close(self) -> None:
        """Close the files and the environment."""
        self.run.close()
        if self._made is not None:
            self.env.close()

    @property
    def _key(self) -> str:
        return episode_key(self.rows[self.number].env_id, self.number, 0)

    def _start(self) -> None:
        if not self._left:
            return
        row = self.rows[self.number]
        if row.kwargs != self._made:
            if self._made is not None:
                self.env.close()
            self.env = gymnasium.make(row.env_id, **row.kwargs)
            self._made = row.kwargs
        self.recording = EpisodeRecorder(self.env, row, self.number)
        self._turn_begins()
        for reply in self._journal.get(self._key, ()):
            if not self.over:
                self._play(reply)

    def _play(self, reply: Reply) -> None:
        self.recording.play(reply)
        self._turn_begins()
        if self.over:
            self.run.add(self.recording.episode())

    def _turn_begins(self) -> None:
        self.advice = ""
        self._since = time.perf_counter()
