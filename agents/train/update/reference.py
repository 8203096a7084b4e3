"""The frozen initial policy of a training run, for the KL penalty."""

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass

import torch
from peft import PeftModel
from torch import Tensor

from agents.vlm.checkpoint_files import is_adapter
from agents.vlm.encoding import EncodedPrompt
from agents.vlm.loading import load
from agents.vlm.policy import Policy, Scores
from agents.vlm.sources import find_folder


@dataclass(frozen=True)
class Reference:
    """The frozen initial policy."""

    policy: Policy
    """A frozen copy; or the trained policy, if disabling its adapter gives the initial one."""
    own_adapter: bool
    """Whether `policy` is the trained policy, to be used without its adapter."""

    @torch.no_grad()
    def distributions(self, prompts: Sequence[EncodedPrompt], replies: Sequence[Tensor]) -> Tensor:
        """Return the initial policy's log-probabilities, (B, R, V) float32; see `Scores`."""
        with self.policy.model.disable_adapter() if self.own_adapter else nullcontext():
            scores: Scores = self.policy(prompts, replies)
        return scores.distributions


def load_reference(policy: Policy, checkpoint: str, trust_remote_code: bool = False) -> Reference:
    """Return the initial policy of a run.

    Args:
        policy: The policy that is trained.
        checkpoint: The checkpoint that the training started from.
        trust_remote_code: Run Python code shipped with the checkpoint.

    Raises:
        ValueError: The checkpoint can't be loaded.
    """
    if isinstance(policy.model, PeftModel) and not is_adapter(find_folder(checkpoint)):
        return Reference(policy, own_adapter=True)
    initial = load(checkpoint, device=policy.device, trust_remote_code=trust_remote_code)
    initial.model.requires_grad_(False)
    return Reference(Policy(initial.model, initial.processor, policy.sampling).eval(), False)
