"""Watches a rollout for what collapses first: form, variety of thoughts, and sight."""

import dataclasses
from collections import Counter, deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from vlbench.parsing import Parsed

WINDOW = 200
"""Episodes over which training success is averaged."""


@dataclass(frozen=True, slots=True)
class EndedEpisode:
    """What is told of an episode that ended."""

    gain: float
    """Its return."""
    length: int
    success: bool


@dataclass(slots=True)
class RolloutMonitor:
    """Counts of one rollout."""

    turns: int = 0
    parsed: int = 0
    illegal: int = 0
    unfinished: int = 0
    optimal: int = 0
    statements: int = 0
    """Replies that state what the picture shows."""
    true_statements: int = 0
    tokens: int = 0
    thoughts: Counter[str] = field(default_factory=Counter)
    """Replies up to their action."""
    ended: list[EndedEpisode] = field(default_factory=list)

    def look(self, env: Any, text: str, parsed: Parsed, tokens: int, finished: bool) -> None:
        """Count a reply before it is stepped.

        Args:
            env: The environment that it answers.
            text: The reply.
            parsed: What it says.
            tokens: Its length.
            finished: Whether the model ended it itself.
        """
        self.turns += 1
        self.tokens += tokens
        self.unfinished += not finished
        self.parsed += parsed.action is not None
        self.illegal += parsed.action is not None and parsed.action not in env.legal
        values: Mapping[str, float] = env.values()
        best = max(values.values()) - 1e-9
        self.optimal += parsed.action is not None and values.get(parsed.action, best - 1) >= best
        perception = env.check_statements(parsed.fields).perception
        self.statements += perception is not None
        self.true_statements += perception is True
        self.thoughts[text[: parsed.span[0]] if parsed.span else text] += 1

    @classmethod
    def joined(cls, parts: Sequence["RolloutMonitor"]) -> "RolloutMonitor":
        """Return the counts of several processes as one."""
        whole = cls()
        for part in parts:
            for own in dataclasses.fields(cls):
                setattr(whole, own.name, getattr(whole, own.name) + getattr(part, own.name))
        return whole

    def metrics(self) -> dict[str, float]:
        """Return the rates under their logged names."""
        most = max(self.thoughts.values())
        return {
            "rollout/parse_rate": self.parsed / self.turns,
            "rollout/illegal_rate": self.illegal / self.turns,
            "rollout/unfinished_rate": self.unfinished / self.turns,
            "rollout/optimal": self.optimal / self.turns,
            "rollout/perceived": self.true_statements / self.statements if self.statements else 0.0,
            "rollout/distinct_thoughts": len(self.thoughts) / self.turns,
            "rollout/commonest_thought": most / self.turns,
            "rollout/tokens_per_reply": self.tokens / self.turns,
        }

    def warnings(self) -> list[str]:
        """Say what looks like a collapse."""
        found = []
        if self.parsed < 0.5 * self.turns:
            found.append(f"only {self.parsed}/{self.turns} replies name an action")
        if self.turns >= 16 and max(self.thoughts.values()) > 0.9 * self.turns:
            found.append("nearly all replies have the same thoughts")
        if self.unfinished > 0.5 * self.turns:
            found.append(f"{self.unfinished}/{self.turns} replies hit max_new_tokens")
        return found


class EpisodeMonitor:
    """Returns, lengths and successes of the last episodes that ended.

    Args:
        num_envs: Number of environments N of this process.
    """

    def __init__(self, num_envs: int) -> None:
        self._gain = [0.0] * num_envs
        self._length = [0] * num_envs
        self._ended: deque[EndedEpisode] = deque(maxlen=WINDOW)

    def step(
        self, rewards: Sequence[float], ended: Sequence[bool], success: Sequence[bool]
    ) -> list[EndedEpisode]:
        """Count a step of all environments; return the episodes that ended, to be counted.

        Args:
            rewards: N rewards.
            ended: Whose episode ended.
            success: Who reached the goal; read only where an episode ended.
        """
        over: list[EndedEpisode] = []
        for i, (reward, end, reached) in enumerate(zip(rewards, ended, success, strict=True)):
            self._gain[i] += float(reward)
            self._length[i] += 1
            if end:
                over.append(EndedEpisode(self._gain[i], self._length[i], bool(reached)))
                self._gain[i], self._length[i] = 0.0, 0
        return over

    def count(self, ended: Iterable[EndedEpisode]) -> None:
        """Count episodes that ended here or in other processes."""
        self._ended.extend(ended)

    def metrics(self) -> dict[str, float]:
        """Return means over the last episodes; nothing before one has ended."""
        if not self._ended:
            return {}
        count = len(self._ended)
        return {
            "rollout/return": sum(episode.gain for episode in self._ended) / count,
            "rollout/length": sum(episode.length for episode in self._ended) / count,
            "rollout/success": sum(episode.success for episode in self._ended) / count,
        }

    def running(self) -> list[dict[str, Any]]:
        """Return what is to be known of each running episode, as plain data."""
        rows = zip(self._gain, self._length, strict=True)
        return [{"gain": gain, "length": length} for gain, length in rows]

    def ended(self) -> list[dict[str, Any]]:
        """Return the last episodes that ended, as plain data."""
        return [dataclasses.asdict(episode) for episode in self._ended]

    def restore(
        self, running: Sequence[Mapping[str, Any]], ended: Iterable[Mapping[str, Any]]
    ) -> None:
        """Go on counting from a saved state."""
        self._gain = [episode["gain"] for episode in running]
        self._length = [episode["length"] for episode in running]
        self._ended.clear()
        self.count(EndedEpisode(**episode) for episode in ended)
