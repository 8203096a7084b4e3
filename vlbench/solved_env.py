"""SolvedEnv: an environment with a known optimal policy."""

from typing import TypeVar

from vlbench.env import VLEnv
from vlbench.task import Demonstration, SolvedGame

S = TypeVar("S")
Style = TypeVar("Style")


class SolvedEnv(VLEnv[S, Style]):
    """An environment with a known optimal policy, so that every turn has a regret."""

    game: SolvedGame[S]

    def expert(self) -> str:
        """Return a return-optimal action, given the state without hidden cards."""
        self._must_be_reset()
        return self.game.expert(self._state, max(self.turns_left, 1))

    def values(self) -> dict[str, float]:
        """Return the optimal undiscounted return after each legal action."""
        self._must_be_reset()
        return dict(self.game.values(self._state, max(self.turns_left, 1)))

    def is_lost(self) -> bool:
        """Return whether the goal is out of reach, as far as the task can tell."""
        return False

    def heuristic(self) -> str:
        """Return the action of a simple rule of thumb; the expert's unless a task overrides it."""
        return self.expert()

    def demonstrate(self) -> Demonstration | None:
        """Return an expert's reply to the current state; a task with fields overrides it.

        Returns:
            None if the goal is out of reach, so that there is nothing to demonstrate.
        """
        return Demonstration({}, self.expert())
