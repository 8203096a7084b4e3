"""Metrics of rollouts: the form of replies and the outcomes of episodes."""

import dataclasses
from collections import Counter, deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from vlbench.parsing import Parsed
from vlbench.solved_env import SolvedEnv

WINDOW = 200
"""Number of recent episodes that training success is averaged over."""

Metrics = dict[str, float]
"""Name → value, as in `losses/approx_kl`."""


@dataclass(frozen=True, slots=True)
class EpisodeOutcome:
    """A finished episode."""

    episode_return: float
    length: int
    success: bool


@dataclass(slots=True)
class RolloutMonitor:
    """Counts of one rollout, to notice a collapse of format, variety or perception."""

    turns: int = 0
    parsed: int = 0
    illegal: int = 0
    unfinished: int = 0
    optimal: int = 0
    regret: float = 0.0
    """What the replies lost by the environment's exact values."""
    unsolved: int = 0
    """Turns of an environment whose exact values aren't known."""
    statements: int = 0
    """Replies that make statements about the picture."""
    true_statements: int = 0
    """Of these, replies without a false one."""
    tokens: int = 0
    thoughts: Counter[str] = field(default_factory=Counter)
    """Text before the action → number of replies."""
    episodes: list[EpisodeOutcome] = field(default_factory=list)
    """Finished episodes."""

    def update(self, env: Any, text: str, parsed: Parsed, tokens: int, finished: bool) -> None:
        """Count a reply; call it before the reply is played.

        Args:
            env: The environment that the reply is for.
            text: The reply.
            parsed: The environment's reading of the reply.
            tokens: Length of the reply, in tokens.
            finished: Whether the model wrote an end token.
        """
        self.turns += 1
        self.tokens += tokens
        self.unfinished += not finished
        self.parsed += parsed.action is not None
        self.illegal += parsed.action is not None and parsed.action not in env.legal
        if isinstance(env, SolvedEnv):
            values = env.values()
            best = max(values.values()) - 1e-9
            chosen = parsed.action
            self.optimal += chosen is not None and values.get(chosen, best - 1) >= best
        else:
            self.unsolved += 1
        perception = env.check_statements(parsed.fields).perception
        self.statements += perception is not None
        self.true_statements += perception is True
        self.thoughts[text[: parsed.span[0]] if parsed.span else text] += 1

    @classmethod
    def sum_of(cls, parts: Sequence["RolloutMonitor"]) -> "RolloutMonitor":
        """Return the total of several processes' counts."""
        total = cls()
        for part in parts:
            for count in dataclasses.fields(cls):
                setattr(total, count.name, getattr(total, count.name) + getattr(part, count.name))
        return total

    def metrics(self) -> Metrics:
        """Return the rates."""
        most = max(self.thoughts.values())
        exact = {
            "rollout/optimal": self.optimal / self.turns,
            "rollout/regret": self.regret / self.turns,
        }
        return {
            "rollout/parse_rate": self.parsed / self.turns,
            "rollout/illegal_rate": self.illegal / self.turns,
            "rollout/unfinished_rate": self.unfinished / self.turns,
            **({} if self.unsolved else exact),
            "rollout/perceived": self.true_statements / self.statements if self.statements else 0.0,
            "rollout/distinct_thoughts": len(self.thoughts) / self.turns,
            "rollout/commonest_thought": most / self.turns,
            "rollout/tokens_per_reply": self.tokens / self.turns,
        }

    def warnings(self) -> list[str]:
        """Return a line for each sign of a collapse."""
        lines = []
        if self.parsed < 0.5 * self.turns:
            lines.append(f"only {self.parsed}/{self.turns} replies name an action")
        if self.turns >= 16 and max(self.thoughts.values()) > 0.9 * self.turns:
            lines.append("nearly all replies have the same thoughts")
        if self.unfinished > 0.5 * self.turns:
            lines.append(f"{self.unfinished}/{self.turns} replies hit max_new_tokens")
        return lines


class EpisodeMonitor:
    """Returns, lengths and successes of the last WINDOW episodes.

    Args:
        num_envs: Number of environments N of this process.
    """

    def __init__(self, num_envs: int) -> None:
        self._returns = [0.0] * num_envs
        self._lengths = [0] * num_envs
        self._outcomes: deque[EpisodeOutcome] = deque(maxlen=WINDOW)

    def update(
        self, rewards: Sequence[float], ended: Sequence[bool], success: Sequence[bool]
    ) -> list[EpisodeOutcome]:
        """Add a step of all environments; return the episodes that ended, for `count`.

        Args:
            rewards: N rewards.
            ended: N flags, whether an episode ended.
            success: N flags, whether its goal was reached; read only where an episode ended.
        """
        outcomes: list[EpisodeOutcome] = []
        for i, (reward, end, goal) in enumerate(zip(rewards, ended, success, strict=True)):
            self._returns[i] += float(reward)
            self._lengths[i] += 1
            if end:
                outcomes.append(EpisodeOutcome(self._returns[i], self._lengths[i], bool(goal)))
                self._returns[i], self._lengths[i] = 0.0, 0
        return outcomes

    def clear(self) -> None:
        """Drop the running episodes, after a reset of the environments."""
        self._returns = [0.0] * len(self._returns)
        self._lengths = [0] * len(self._lengths)

    def count(self, outcomes: Iterable[EpisodeOutcome]) -> None:
        """Count finished episodes, of this process or of others."""
        self._outcomes.extend(outcomes)

    def metrics(self) -> Metrics:
        """Return means over the last episodes; empty before the first one ends."""
        if not self._outcomes:
            return {}
        count = len(self._outcomes)
        return {
            "rollout/return": sum(episode.episode_return for episode in self._outcomes) / count,
            "rollout/length": sum(episode.length for episode in self._outcomes) / count,
            "rollout/success": sum(episode.success for episode in self._outcomes) / count,
        }

    def running(self) -> list[dict[str, Any]]:
        """Return the return and length of each running episode so far, as plain data."""
        rows = zip(self._returns, self._lengths, strict=True)
        return [{"return": total, "length": length} for total, length in rows]

    def outcomes(self) -> list[dict[str, Any]]:
        """Return the last finished episodes, as plain data."""
        return [dataclasses.asdict(episode) for episode in self._outcomes]

    def restore(
        self, running: Sequence[Mapping[str, Any]], outcomes: Iterable[Mapping[str, Any]]
    ) -> None:
        """Restore what `running` and `outcomes` returned."""
        self._returns = [episode["return"] for episode in running]
        self._lengths = [episode["length"] for episode in running]
        self._outcomes.clear()
        self.count(EpisodeOutcome(**episode) for episode in outcomes)
