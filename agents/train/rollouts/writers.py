"""The interface of who writes replies, and the policy itself behind it."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import torch

from agents.train.distributed import Processes
from agents.train.ppo_config import Config
from agents.vlm.encoding import EncodedPrompt
from agents.vlm.policy import Policy
from agents.vlm.sampling import Generation


class Writer(Protocol):
    """Writes the replies of rollouts with the policy's weights."""

    def start(self, observation: Mapping[str, Any]) -> None:
        """Check that replies come from the policy's own distribution.

        Args:
            observation: One that the policy will see.

        Raises:
            ValueError: They don't; one line says what to do.
        """

    def publish(self, iteration: int) -> None:
        """Write with the policy's present weights from now on; the processes call it together.

        Args:
            iteration: Number of the rollout that follows.
        """

    def write(
        self,
        observations: Sequence[Mapping[str, Any]],
        prompts: Sequence[EncodedPrompt],
        generator: torch.Generator,
    ) -> list[Generation]:
        """Write a reply to each observation.

        Args:
            observations: What the policy sees.
            prompts: The same, encoded.
            generator: Source of the draws, owned by the caller.
        """


class InProcess:
    """The policy writes in this process."""

    def __init__(self, policy: Policy) -> None:
        self._policy = policy

    def start(self, observation: Mapping[str, Any]) -> None:
        """Do nothing: replies come from the policy itself."""

    def publish(self, iteration: int) -> None:
        """Do nothing: the weights are the policy's."""

    def write(
        self,
        observations: Sequence[Mapping[str, Any]],
        prompts: Sequence[EncodedPrompt],
        generator: torch.Generator,
    ) -> list[Generation]:
        """Write a reply to each prompt, in one batch."""
        return self._policy.generate(prompts, generator)


def make_writer(config: Config, policy: Policy, processes: Processes) -> Writer:
    """Return who writes a run's replies.

    Raises:
        ValueError: The servers can't write with all of the policy's weights.
    """
    if not config.rollouts:
        return InProcess(policy)
    from agents.train.rollouts.served import Served

    return Served(config.rollout_urls, policy, config.out, processes)
