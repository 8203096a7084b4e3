"""What an update of PPO changes and reads: the policy, its optimizer, its reference."""

from dataclasses import dataclass

import torch
from torch import Tensor

from agents.train.distributed import Processes
from agents.train.ppo_config import Config
from agents.train.update.reference import Reference, load_reference
from agents.vlm.policy import Policy

NORMS = ("grad_norm", "value_grad_norm")
"""Names of the norms of the gradients of model and value head, the optimizer's groups."""


@dataclass(frozen=True)
class Learner:
    """The policy, its optimizer, and what an update needs."""

    policy: Policy
    reference: Reference | None
    """For the KL penalty."""
    optimizer: torch.optim.Optimizer
    shuffler: torch.Generator
    """Draws the order of the turns; the same in every process."""
    processes: Processes

    @property
    def weights(self) -> list[Tensor]:
        """The trained weights."""
        return [weight for group in self.optimizer.param_groups for weight in group["params"]]


def build_learner(config: Config, policy: Policy, processes: Processes) -> Learner:
    """Return the learner; every process starts with the main process's weights."""
    reference = None
    if config.kl_coef:
        reference = load_reference(policy, config.model, config.trust_remote_code)
    head = list(policy.value_head.parameters()) if policy.value_head is not None else []
    body = [weight for weight in policy.model.parameters() if weight.requires_grad]
    processes.broadcast_weights([*body, *head])
    groups = [{"params": body, "lr": config.lr}]
    groups += [{"params": head, "lr": config.value_lr}] if head else []
    return Learner(
        policy,
        reference,
        torch.optim.Adam(groups, eps=config.adam_eps),
        torch.Generator().manual_seed(config.seed),
        processes,
    )
