"""What a PPO run starts from: the policy, and its frozen copy for the KL penalty."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from agents.train.ppo_config import Config
from agents.vlm.loading import load, load_trainable
from agents.vlm.policy import Policy, ValueHead
from agents.vlm.sampling import Sampling


@dataclass(frozen=True)
class Reference:
    """The frozen start policy, for the KL penalty."""

    policy: Policy
    """A copy, or the policy itself where its adapter can be switched off."""
    own_adapter: bool

    @torch.no_grad()
    def distributions(self, prompts: Sequence[Any], replies: Sequence[Tensor]) -> Tensor:
        """Return the start policy's log-probabilities (B, R, V)."""
        if not self.own_adapter:
            return self.policy(prompts, replies).distributions
        with self.policy.model.disable_adapter():
            return self.policy(prompts, replies).distributions


def build_policy(config: Config, checkpoint: str, device: torch.device | None = None) -> Policy:
    """Return the policy of a checkpoint, with a new value head."""
    loaded = load_trainable(checkpoint, config, device)
    width = loaded.model.get_output_embeddings().weight.shape[1]
    head = ValueHead(width, (config.value_width or width,), config.value_detach)
    sampling = Sampling(config.temperature, config.top_p, config.max_new_tokens)
    return Policy(loaded.model, loaded.processor, sampling, head.to(loaded.model.device))


def build_reference(config: Config, policy: Policy) -> Reference | None:
    """Return the start policy where the KL penalty needs it."""
    if not config.kl_coef:
        return None
    if config.lora and not Path(config.model, "adapter_config.json").is_file():
        return Reference(policy, own_adapter=True)
    start = load(config.model, device=policy.device, trust_remote_code=config.trust_remote_code)
    start.model.requires_grad_(False)
    return Reference(Policy(start.model, start.processor, policy.sampling).eval(), False)
