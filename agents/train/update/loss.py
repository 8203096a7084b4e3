"""The loss of PPO on a micro-batch of turns, term by term."""

import torch
from torch import Tensor

from agents.train import objective
from agents.train.ppo_config import Config
from agents.train.rollout_buffer import Minibatch
from agents.train.update.learner import Learner


def loss_terms(
    learner: Learner, batch: Minibatch, config: Config, critic_only: bool
) -> dict[str, Tensor]:
    """Return the loss and its terms, summed over the turns; `ratio_error` is the largest."""
    scores = learner.policy(batch.prompts, batch.replies)
    lengths = scores.mask.sum(-1)
    log_probs = objective.turn_log_prob(scores.log_probs, batch.weights)
    ratio = objective.ratio_of(log_probs, batch.log_probs)
    terms = {
        "policy_loss": objective.surrogate(ratio, batch.advantages, config.clip),
        "entropy": (scores.entropy.sum(-1) / lengths).sum(),
        "approx_kl": objective.approximate_kl(ratio),
        "clipfrac": ((ratio - 1).abs() > config.clip).sum(),
        "ratio_error": (ratio - 1).abs().max(),
    }
    loss = torch.zeros_like(terms["policy_loss"])
    if config.has_critic:
        terms["value_loss"] = objective.value_loss(
            scores.values, batch.values, batch.returns, config.value_clip
        )
        loss = loss + config.value_coef * terms["value_loss"]
    if not critic_only:
        loss = loss + terms["policy_loss"] - config.entropy_coef * terms["entropy"]
    if not critic_only and learner.reference is not None:
        start = learner.reference.distributions(batch.prompts, batch.replies)
        kl = objective.token_kl(scores.distributions, start) * scores.mask
        terms["kl_to_start"] = (kl.sum(-1) / lengths).sum()
        loss = loss + config.kl_coef * terms["kl_to_start"]
    return {"loss": loss, **terms}
