"""A person's run: it plays the rows in order and records the replies and episodes."""

import time
from collections.abc import Sequence
from typing import Any

import gymnasium

from vlbench.recorder import EpisodeRecorder, OracleEnv
from vlbench.records import Failure, Reply, episode_key
from vlbench.run_folder import RunFolder
from vlbench.solved_env import SolvedEnv
from vlbench.suites import Row

EXPERT_SHOWN = "expert shown"
"""`Reply.provider_id` of a turn for which the person saw the expert's action."""
GIVEN_UP = "given up by the player"
"""`Episode.error` of an episode that the person gave up."""


class PlaySession:
    """A person's run; every reply is journaled before it is stepped.

    Episodes that the folder already holds aren't played again. An unfinished episode resumes from
    its journaled replies.

    Args:
        run: The folder that records the run.
        rows: The rows; the index of a row is its number.

    Raises:
        ValueError: An environment refuses its arguments or the start of a row.
    """

    env: gymnasium.Env[Any, str]
    recording: EpisodeRecorder

    def __init__(self, run: RunFolder, rows: Sequence[Row]) -> None:
        self.run = run
        self.rows = rows
        self.advice = ""
        """The expert's action for this turn if the person asked for it, else ""."""
        finished = {episode.key for episode in run.episodes()}
        self._remaining = [
            number
            for number, row in enumerate(rows)
            if episode_key(row.env_id, number, 0) not in finished
        ]
        self._journal = run.replies()
        self._env_kwargs: dict[str, Any] | None = None
        self._start()

    @property
    def rows_left(self) -> int:
        """Number of rows that remain, including the current one."""
        return len(self._remaining)

    @property
    def number(self) -> int:
        """Number of the current row."""
        return self._remaining[0]

    @property
    def over(self) -> bool:
        """Whether the episode has ended."""
        return bool(self.recording.end)

    @property
    def vocabulary(self) -> tuple[str, ...]:
        """The actions that the person can choose from."""
        inner = self.env.unwrapped
        return tuple(inner.vocabulary if isinstance(inner, OracleEnv) else self.legal)

    @property
    def legal(self) -> tuple[str, ...]:
        """The actions that are legal in the state."""
        return tuple(self.recording.info["legal_actions"])

    @property
    def hint(self) -> str:
        """The environment's hint on what was wrong with the last reply; "" if nothing was."""
        return str(self.recording.info["hint"])

    @property
    def lost(self) -> bool:
        """Whether the goal is out of reach; False where the environment can't tell."""
        inner = self.env.unwrapped
        return isinstance(inner, SolvedEnv) and not self.over and inner.is_lost()

    def say(self, text: str) -> None:
        """Play a reply."""
        seconds = round(time.perf_counter() - self._since, 3)
        mark = EXPERT_SHOWN if self.advice else ""
        reply = Reply(text, seconds=seconds, provider_id=mark).bounded()
        self.run.journal(self._key, len(self.recording.turns), reply)
        self._play(reply)

    def ask_expert(self) -> bool:
        """Set `advice` to the expert's action, which marks the turn in the record.

        Returns:
            Whether the environment has an expert.
        """
        inner = self.env.unwrapped
        if isinstance(inner, OracleEnv) and not self.over:
            self.advice = inner.expert()
        return isinstance(inner, OracleEnv)

    def next(self) -> None:
        """Start the next row; an unfinished episode is recorded as given up."""
        if not self.over:
            self.run.add(self.recording.episode(GIVEN_UP, Failure("player")))
        self._remaining.pop(0)
        self._start()

    def close(self) -> None:
        """Close the files and the environment."""
        self.run.close()
        if self._env_kwargs is not None:
            self.env.close()

    @property
    def _key(self) -> str:
        return episode_key(self.rows[self.number].env_id, self.number, 0)

    def _start(self) -> None:
        if not self._remaining:
            return
        row = self.rows[self.number]
        if row.kwargs != self._env_kwargs:
            if self._env_kwargs is not None:
                self.env.close()
            self.env = gymnasium.make(row.env_id, **row.kwargs)
            self._env_kwargs = row.kwargs
        self.recording = EpisodeRecorder(self.env, row, self.number)
        self._begin_turn()
        for reply in self._journal.get(self._key, ()):
            if not self.over:
                self._play(reply)

    def _play(self, reply: Reply) -> None:
        self.recording.play(reply)
        self._begin_turn()
        if self.over:
            self.run.add(self.recording.episode())

    def _begin_turn(self) -> None:
        self.advice = ""
        self._since = time.perf_counter()
