"""Watches a rollout for what collapses first: form, variety of thoughts, and sight."""

from collections import Counter, deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from vlbench.parsing import Parsed

WINDOW = 200
"""Episodes over which training success is averaged."""


@dataclass(slots=True)
class RolloutMonitor:
    """Counts of one rollout."""

    turns: int = 0
    parsed: int = 0
    illegal: int = 0
    unfinished: int = 0
    optimal: int = 0
    claims: int = 0
    true_claims: int = 0
    tokens: int = 0
    thoughts: Counter[str] = field(default_factory=Counter)
    """Replies up to their action."""

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
        claim = env.claims(parsed.fields).perception
        self.claims += claim is not None
        self.true_claims += claim is True
        self.thoughts[text[: parsed.span[0]] if parsed.span else text] += 1

    def metrics(self) -> dict[str, float]:
        """Return the rates under their logged names."""
        most = max(self.thoughts.values())
        return {
            "rollout/parse_rate": self.parsed / self.turns,
            "rollout/illegal_rate": self.illegal / self.turns,
            "rollout/unfinished_rate": self.unfinished / self.turns,
            "rollout/optimal": self.optimal / self.turns,
            "rollout/perceived": self.true_claims / self.claims if self.claims else 0.0,
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
        num_envs: Number of environments N.
    """

    def __init__(self, num_envs: int) -> None:
        self._gain = [0.0] * num_envs
        self._length = [0] * num_envs
        self._ended: deque[tuple[float, float, float]] = deque(maxlen=WINDOW)

    def step(
        self, rewards: Sequence[float], ended: Sequence[bool], success: Sequence[bool]
    ) -> None:
        """Count a step of all environments.

        Args:
            rewards: N rewards.
            ended: Whose episode ended.
            success: Who reached the goal; read only where an episode ended.
        """
        for i, (reward, over, reached) in enumerate(zip(rewards, ended, success, strict=True)):
            self._gain[i] += float(reward)
            self._length[i] += 1
            if over:
                self._ended.append((self._gain[i], float(self._length[i]), float(reached)))
                self._gain[i], self._length[i] = 0.0, 0

    def metrics(self) -> dict[str, float]:
        """Return means over the last episodes; nothing before one has ended."""
        if not self._ended:
            return {}
        gains, lengths, successes = zip(*self._ended, strict=True)
        count = len(self._ended)
        return {
            "rollout/return": sum(gains) / count,
            "rollout/length": sum(lengths) / count,
            "rollout/success": sum(successes) / count,
        }

    def state(self) -> dict[str, Any]:
        """Return what `restore` needs, as plain data."""
        ended = [list(episode) for episode in self._ended]
        return {"gain": list(self._gain), "length": list(self._length), "ended": ended}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on counting from a saved state."""
        self._gain, self._length = list(state["gain"]), list(state["length"])
        self._ended.clear()
        self._ended.extend((gain, length, success) for gain, length, success in state["ended"])
