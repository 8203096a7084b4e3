"""Wrappers for agents that don't write texts."""

from typing import Any

import gymnasium
import numpy as np
import numpy.typing as npt
from gymnasium.spaces import Dict, Discrete

import vlbench
from vlbench.env import VLEnv
from vlbench.observation import Observation


class DiscreteActions(gymnasium.Wrapper[Any, Any, Any, Any]):
    """The picture as observation and an index into the vocabulary as action, for CNN policies.

    Observation: `Box(0, 255, (300, 300, 3), uint8)`. Action: `Discrete(n)`; action `i` plays a
    well-formed reply with action `i` of the vocabulary, legal or not.

    Args:
        env: A vlbench environment with a fixed vocabulary.

    Raises:
        ValueError: It isn't a vlbench environment, or its vocabulary depends on the state, as in
            ALFWorld.
    """

    def __init__(self, env: gymnasium.Env[Observation, str]) -> None:
        super().__init__(env)
        inner = env.unwrapped
        if not isinstance(inner, VLEnv) or not isinstance(env.observation_space, Dict):
            raise ValueError(f"DiscreteActions wraps vlbench environments, got {inner}")
        if inner.actions_change:
            raise ValueError(f"DiscreteActions needs actions that stay the same; {inner}'s don't")
        self.actions: tuple[str, ...] = inner.vocabulary
        self.observation_space = env.observation_space["image"]
        self.action_space = Discrete(len(self.actions))
        self._replies: tuple[str, ...] = tuple(vlbench.reply(action) for action in self.actions)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[npt.NDArray[np.uint8], dict[str, Any]]:
        """Start an episode; see `VLEnv.reset`."""
        observation, info = self.env.reset(seed=seed, options=options)
        return observation["image"], info

    def step(self, action: int) -> tuple[npt.NDArray[np.uint8], float, bool, bool, dict[str, Any]]:
        """Play the action with this index in the vocabulary.

        Raises:
            ValueError: The index is out of range.
        """
        if not self.action_space.contains(action):
            raise ValueError(
                f"action must be an integer 0..{len(self.actions) - 1}, got {action!r}"
            )
        observation, reward, terminated, truncated, info = self.env.step(self._replies[int(action)])
        return observation["image"], float(reward), terminated, truncated, info
