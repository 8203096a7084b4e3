"""The interface of who writes replies, and the policy itself behind it."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import torch

from agents.vlm.encoding import EncodedPrompt
from agents.vlm.policy import Policy
from agents.vlm.sampling import Generation


class Writer(Protocol):
    """Writes the replies of rollouts with the policy's weights."""

    def publish(self, observation: Mapping[str, Any]) -> None:
        """Write with the policy's present weights from now on; the processes call it together.

        Args:
            observation: One that the policy will see; the first time, it is used to check that
                replies come from the policy's own distribution.

        Raises:
            ValueError: They don't; one line says what to do.
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

    def publish(self, observation: Mapping[str, Any]) -> None:
        """Do nothing: replies come from the policy itself."""

    def write(
        self,
        observations: Sequence[Mapping[str, Any]],
        prompts: Sequence[EncodedPrompt],
        generator: torch.Generator,
    ) -> list[Generation]:
        """Write a reply to each prompt, in one batch."""
        return self._policy.generate(prompts, generator)
