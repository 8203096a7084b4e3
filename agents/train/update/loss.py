"""The loss of PPO on a micro-batch of turns, term by term."""

from torch import Tensor

from agents.train import objective
from agents.train.ppo_config import Config
from agents.train.rollout_buffer import Minibatch
from agents.train.update.learner import Learner
from agents.vlm.scoring import Scores


def loss_terms(learner: Learner, batch: Minibatch, config: Config) -> dict[str, Tensor]:
    """Return the loss and its terms, summed over the turns; `ratio_error` is the largest."""
    scores = learner.policy(batch.prompts, batch.replies, config.entropy_coef > 0)
    lengths = scores.mask.sum(-1)
    terms = _policy_terms(scores, batch, config)
    terms["entropy"] = (scores.entropy.sum(-1) / lengths).sum()
    loss = terms["policy_loss"]
    if config.has_critic:
        terms["value_loss"] = objective.value_loss(
            scores.values, batch.values, batch.returns, config.value_clip
        )
        loss = loss + config.value_coef * terms["value_loss"]
    if config.entropy_coef:
        loss = loss - config.entropy_coef * terms["entropy"]
    if batch.start_log_probs is not None:
        kl = objective.sampled_kl(scores.whole_log_probs, batch.start_log_probs) * scores.mask
        terms["kl_to_start"] = (kl.sum(-1) / lengths).sum()
        loss = loss + config.kl_coef * terms["kl_to_start"]
    return {"loss": loss, **terms}


def _policy_terms(scores: Scores, batch: Minibatch, config: Config) -> dict[str, Tensor]:
    ratios = objective.Ratios(config.ratio, scores.log_probs, batch.log_probs, batch.weights)
    # The tokens were drawn from the sampler's distribution, not from the policy's.
    trust = objective.Ratios(config.ratio, batch.log_probs, batch.sampled_log_probs, batch.weights)
    ratio, weight = ratios.values, trust.values.clamp(max=config.importance_cap)
    clip = objective.Clip(config.clip, config.clip_high or config.clip, config.dual_clip)
    losses = weight * objective.surrogate(ratio, ratios.column(batch.advantages), clip)
    detached = ratio.detach()
    return {
        "policy_loss": ratios.mean(losses).sum(),
        "approx_kl": ratios.mean(objective.approximate_kl(detached)).sum(),
        "clipfrac": ratios.mean((~clip.contains(detached)).float()).sum(),
        "ratio_error": (detached - 1).abs().max(),
    }


def critic_terms(learner: Learner, batch: Minibatch, config: Config) -> dict[str, Tensor]:
    """Return the terms of the value head alone; nothing else has a gradient."""
    values = learner.policy.critic(batch.prompts)
    value_loss = objective.value_loss(values, batch.values, batch.returns, config.value_clip)
    return {"loss": config.value_coef * value_loss, "value_loss": value_loss}
