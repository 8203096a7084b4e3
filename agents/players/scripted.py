"""Scripted players with access to the environment: floors, ceilings and oracles, not models."""

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any

import gymnasium
import numpy as np

import vlbench
from agents.agent import Agent, Observation
from vlbench.records import Reply


class _Scripted(Agent):
    """Base of the scripted players, which choose an action and write a well-formed reply."""

    privileged = True

    def __init__(self) -> None:
        self.name = type(self).__name__.lower()
        self.settings: dict[str, Any] = {}

    async def act(
        self, observation: Observation, env: gymnasium.Env[Any, str] | None = None
    ) -> Reply:
        """Answer with the player's action.

        Raises:
            ValueError: The environment doesn't offer what the player needs.
        """
        assert env is not None, f"{self.name} is privileged: act(observation, env)"
        inner = env.unwrapped
        for need in self.needs:
            if not hasattr(inner, need):
                raise ValueError(f"{self.name} can't play {type(inner).__name__}: no {need} there")
        return Reply(vlbench.reply(self.choose(inner, int(observation.get("repeat", 0)))))

    @abstractmethod
    def choose(self, env: Any, repeat: int = 0) -> str:
        """Return an action for the environment's current state, in this repetition of its row."""


class Random(_Scripted):
    """Draws uniformly from the vocabulary.

    The draw follows from the episode's seed, its repetition and the turn alone, so that a resumed
    run equals an undisturbed one.
    """

    needs: Sequence[str] = ("vocabulary", "turns_left")

    def choose(self, env: Any, repeat: int = 0) -> str:
        """Draw."""
        rng = np.random.default_rng((env.np_random_seed, env.turns_left, repeat))
        return str(env.vocabulary[int(rng.integers(len(env.vocabulary)))])


class Expert(_Scripted):
    """Plays for the best return; it knows the state, but no hidden card."""

    needs = ("expert",)

    def choose(self, env: Any, repeat: int = 0) -> str:
        """Ask the environment's expert."""
        return str(env.expert())


class Heuristic(_Scripted):
    """Does what a person would try first."""

    needs = ("heuristic",)

    def choose(self, env: Any, repeat: int = 0) -> str:
        """Ask the environment's heuristic."""
        return str(env.heuristic())
