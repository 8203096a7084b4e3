"""An episode as a conversation: messages in, replies out, recorded."""

from collections import deque
from collections.abc import Callable
from typing import Any

import gymnasium

from vlbench.prompts import Exchange, messages
from vlbench.recorder import EnvCache, EpisodeRecorder
from vlbench.records import Episode, Failure, Reply, Turn
from vlbench.suites import Row
from vlbench.task import Frame


class Conversation:
    """One episode, played by an engine that reads messages and writes replies.

    Args:
        row: Where the episode starts.
        number: The row's number in its suite.
        repeat: Number of the repetition of the row, from 0.
        history: Number of past turns that `messages` includes; 0 as in the paper.
        envs: Environments to reuse, which conversations must not share at the same time; by
            default the conversation makes its own, and `close` closes it.

    Raises:
        ValueError: The environment doesn't exist, or draws the row differently than it was frozen.
    """

    def __init__(
        self,
        row: Row,
        number: int = 0,
        repeat: int = 0,
        *,
        history: int = 0,
        envs: EnvCache | None = None,
    ) -> None:
        self._is_own = envs is None
        self._env = (EnvCache() if envs is None else envs).of(row)
        self._recorder = EpisodeRecorder(self._env, row, number, repeat)
        self._past: deque[Exchange] = deque(maxlen=history)

    @property
    def env(self) -> gymnasium.Env[Any, str]:
        """The environment that is played. Only the conversation may step it."""
        return self._env

    @property
    def observation(self) -> dict[str, Any]:
        """The current `image` ((300, 300, 3) uint8) and `text`."""
        return dict(self._recorder.observation)

    @property
    def past(self) -> tuple[Exchange, ...]:
        """The past turns that `messages` includes, oldest first."""
        return tuple(self._past)

    @property
    def is_over(self) -> bool:
        """Whether the episode has ended."""
        return bool(self._recorder.end)

    @property
    def success(self) -> bool:
        """Whether the task is solved."""
        return self._recorder.success

    @property
    def total(self) -> float:
        """The undiscounted return so far."""
        return sum((turn.reward for turn in self._recorder.turns), 0.0)

    @property
    def turns(self) -> tuple[Turn, ...]:
        """The turns so far."""
        return tuple(self._recorder.turns)

    @property
    def forfeit(self) -> float:
        """What the turns that were never taken cost, at most 0.

        An engine may stop before the episode's end. A turn that isn't taken counts as an unreadable
        reply, −1; otherwise, giving up would pay wherever turns have a cost.
        """
        turns_left = getattr(self._env.unwrapped, "turns_left", 0)
        return 0.0 if self.is_over else -float(turns_left)

    def messages(self, picture: Callable[[Frame], dict[str, Any]]) -> list[dict[str, Any]]:
        """Return the chat up to the current turn.

        Args:
            picture: Makes the content part of a picture, in the engine's form.

        Returns:
            Messages with `role` and `content`, a list of parts; texts are
            `{"type": "text", "text": …}`. Past turns precede the current one, as `history` says.
        """
        chat = messages({**self._recorder.observation, "history": self.past})
        for message in chat:
            message["content"] = [
                picture(part["image"]) if part["type"] == "image" else part
                for part in message["content"]
            ]
        return chat

    def play(self, reply: Reply) -> Turn:
        """Play a reply and return the turn."""
        observation = self.observation
        turn = self._recorder.play(reply)
        self._past.append(Exchange(observation, reply.text))
        return turn

    def episode(self, error: str = "", failure: Failure | None = None) -> Episode:
        """Return the record; see `EpisodeRecorder.episode`.

        An episode that the engine left before its end is errored, unless `error` says why.
        """
        if not self.is_over and not error:
            error, failure = "the engine left the episode before its end", Failure("agent")
        return self._recorder.episode(error, failure)

    def close(self) -> None:
        """Close the environment, if it is the conversation's own."""
        if self._is_own:
            self._env.close()
