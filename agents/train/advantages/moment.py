"""What the environment knows of a turn before it is played. This module needs no torch."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from vlbench.instances import hashed
from vlbench.parsing import Parsed
from vlbench.solved_env import SolvedEnv


@dataclass(frozen=True, slots=True)
class Moment:
    """A turn that hasn't been played yet."""

    start: int
    """Key of the episode's instance and presentation, from 0 to 2**63 − 1."""
    state: int
    """Key of the state, likewise."""
    best: float
    """V*, the optimal return from the state; 0 if it isn't known."""
    value: float | None
    """Q* of the reply's action; None if the reply moves nothing, 0 if it isn't known."""

    @classmethod
    def of(cls, env: Any, parsed: Parsed) -> "Moment":
        """Return the moment before a reply.

        Args:
            env: A `VLEnv`; if it isn't a `SolvedEnv`, no turn has a regret.
            parsed: Its reading of the reply.
        """
        if not isinstance(env, SolvedEnv):
            start = env.presentation
            key = _key(f"{start.instance}|{start.number}")
            return cls(start=key, state=_key(env.state_hash()), best=0.0, value=0.0)
        values: Mapping[str, float] = env.values()
        action = parsed.action if parsed.action in env.legal else None
        start = env.presentation
        return cls(
            start=_key(f"{start.instance}|{start.number}"),
            state=_key(env.state_hash()),
            best=max(values.values()),
            value=None if action is None else values[action],
        )

    def regret(self, env: Any, reward: float, over: bool) -> float:
        """Return V* − Q* of the reply that was played, as records have it.

        Args:
            env: The environment after the turn.
            reward: The turn's reward.
            over: Whether the episode ended.
        """
        if self.value is not None:
            return self.best - self.value
        return self.best - reward - (0.0 if over else max(env.values().values()))


def _key(text: str) -> int:
    return hashed(text) >> 1
