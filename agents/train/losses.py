"""The terms of PPO's loss, each a pure function; sums over turns, so that the caller divides once.

Schulman et al. 2017, "Proximal Policy Optimization Algorithms"; one ratio a turn as in RL4VLM.
"""

import torch
from torch import Tensor

LARGEST_LOG_RATIO = 20.0
"""Log-ratios are clamped to ± this, so that no ratio overflows."""


def turn_log_prob(log_probs: Tensor, weights: Tensor) -> Tensor:
    """Return log π of turns: Σ_t w_t log p_t.

    Args:
        log_probs: (B, R), 0 outside the replies.
        weights: (B, R).
    """
    return (log_probs * weights).sum(-1)


def ratio_of(new: Tensor, old: Tensor) -> Tensor:
    """Return π_new / π_old of turns (B,)."""
    return (new - old).clamp(-LARGEST_LOG_RATIO, LARGEST_LOG_RATIO).exp()


def surrogate(ratio: Tensor, advantages: Tensor, clip: float) -> Tensor:
    """Return the clipped surrogate loss, summed (eq. 7 there, negated).

    −Σ min(r A, clip(r, 1 − ε, 1 + ε) A)

    Args:
        ratio: r, (B,).
        advantages: A, (B,).
        clip: ε.
    """
    clipped = ratio.clamp(1 - clip, 1 + clip)
    return -torch.minimum(ratio * advantages, clipped * advantages).sum()


def value_loss(values: Tensor, old_values: Tensor, returns: Tensor, clip: float) -> Tensor:
    """Return half the squared error of the values, summed.

    Args:
        values: (B,).
        old_values: (B,), at the time of the rollout.
        returns: (B,), what they should have been.
        clip: How far a value may move from the old one before the larger of both errors counts, as
            RL4VLM does it; 0 doesn't clip.
    """
    error = (values - returns) ** 2
    if clip:
        near = old_values + (values - old_values).clamp(-clip, clip)
        error = torch.maximum(error, (near - returns) ** 2)
    return 0.5 * error.sum()


def token_kl(log_p: Tensor, log_q: Tensor) -> Tensor:
    """Return KL(p ‖ q) = Σ_v p(v) (log p(v) − log q(v)) of each token's distributions.

    Args:
        log_p: (…, V) log-probabilities; −∞ where p is 0.
        log_q: (…, V); −∞ only where p is 0 too.
    """
    p = log_p.exp()
    difference = torch.where(p > 0, log_p - log_q, torch.zeros_like(log_p))
    return (p * difference).sum(-1)


def approximate_kl(ratio: Tensor) -> Tensor:
    """Return the estimate of KL(old ‖ new) from turns drawn from old, summed: Σ (r − 1) − log r."""
    return (ratio - 1 - ratio.log()).sum()


def explained_variance(values: Tensor, returns: Tensor) -> float:
    """Return 1 − Var(returns − values) / Var(returns); 0 where the returns don't vary."""
    variance = returns.var(correction=0)
    if float(variance) == 0:
        return 0.0
    return float(1 - (returns - values).var(correction=0) / variance)
