"""What the baselines read of a rollout: a grid of T turns of N environments."""

from dataclasses import dataclass, fields
from typing import Self

import torch
from torch import Tensor

from agents.train.distributed import Processes


@dataclass(frozen=True, slots=True, eq=False)
class TurnFacts:
    """The facts of T turns of N environments; each field is (T, N).

    An environment whose last episode ended before the others' is idle. Idle places have 0 in all
    numbers, and count as terminated.
    """

    rewards: Tensor
    """float32."""
    values: Tensor
    """float32, V of each turn's observation; 0 without a critic."""
    next_values: Tensor
    """float32, V of the observation after each turn; at a truncation, of the episode's last one."""
    terminated: Tensor
    """bool."""
    ended: Tensor
    """bool, terminated or truncated."""
    played: Tensor
    """bool, False where the environment is idle."""
    numbers: Tensor
    """int64, number of the turn in its episode, from 0."""
    starts: Tensor
    """int64, key of the episode's start: its instance and presentation."""
    states: Tensor
    """int64, key of the state before the turn."""
    regrets: Tensor
    """float32, V* − Q* of the reply by the environment's exact values, at least 0."""

    @classmethod
    def idle(cls, steps: int, envs: int) -> Self:
        """Return (steps, envs) idle places."""
        facts = {}
        for fact in fields(cls):
            facts[fact.name] = torch.zeros(steps, envs, dtype=DTYPES.get(fact.name))
        facts["terminated"] = facts["ended"] = torch.ones(steps, envs, dtype=torch.bool)
        return cls(**facts)

    def resized(self, steps: int) -> Self:
        """Return the first turns, or these followed by idle places, so that T is `steps`."""
        missing = self.idle(max(0, steps - len(self.ended)), self.ended.shape[1])
        return type(self)(
            **{
                fact.name: torch.cat([getattr(self, fact.name), getattr(missing, fact.name)])[
                    :steps
                ]
                for fact in fields(self)
            }
        )

    def of_everyone(self, processes: Processes) -> Self:
        """Return the facts of all processes; the processes call it together, with equal T."""
        return type(self)(
            **{
                fact.name: processes.gather_columns(getattr(self, fact.name))
                for fact in fields(self)
            }
        )

    @property
    def episodes(self) -> Tensor:
        """(T, N) int64, a number for each episode, or part of one."""
        steps, envs = self.ended.shape
        earlier = self.ended.long().cumsum(0) - self.ended.long()
        columns: Tensor = torch.arange(envs) * (steps + 1) + earlier
        return columns


DTYPES: dict[str, torch.dtype] = {
    **dict.fromkeys(("terminated", "ended", "played"), torch.bool),
    **dict.fromkeys(("numbers", "starts", "states"), torch.int64),
}
"""Types of the facts that aren't float32."""
