"""The formulas of PPO as pure functions; losses are sums over turns, so that callers divide once.

Schulman et al. 2016, "High-Dimensional Continuous Control Using Generalized Advantage Estimation",
and 2017, "Proximal Policy Optimization Algorithms"; one ratio per turn as in RL4VLM.
"""

import torch
from torch import Tensor

MAX_LOG_RATIO = 20.0
"""Log-ratios are clamped to ± this, so that ratios can't overflow."""


def generalized_advantages(
    rewards: Tensor,
    values: Tensor,
    next_values: Tensor,
    terminated: Tensor,
    ended: Tensor,
    discount: float,
    trace: float,
) -> Tensor:
    """Return generalised advantage estimates (Schulman et al. 2016, eq. 11 and 16).

    δ_t = r_t + γ V(s_{t+1}) (1 − terminated_t) − V(s_t)
    A_t = δ_t + γ λ A_{t+1} (1 − ended_t)

    Truncation bootstraps from the value of the episode's last observation; termination doesn't.
    Neither lets the advantages of the next episode flow back.

    Args:
        rewards: r, (T, N).
        values: V(s_t), (T, N).
        next_values: V(s_{t+1}), (T, N): at a truncation, the value of the episode's last
            observation; at a termination, ignored.
        terminated: (T, N) bool.
        ended: (T, N) bool, terminated or truncated.
        discount: γ.
        trace: λ of GAE.

    Returns:
        (T, N) float32.
    """
    going = (~terminated).float()
    deltas = rewards + discount * next_values * going - values
    advantages = torch.zeros_like(deltas)
    later = torch.zeros_like(deltas[0])
    for t in reversed(range(len(deltas))):
        later = deltas[t] + discount * trace * later * (~ended[t]).float()
        advantages[t] = later
    return advantages


def turn_log_prob(log_probs: Tensor, weights: Tensor) -> Tensor:
    """Return log π of turns (B,), Σ_t w_t log p_t, from (B, R); log_probs are 0 outside replies."""
    return (log_probs * weights).sum(-1)


def ratio_of(new: Tensor, old: Tensor) -> Tensor:
    """Return π_new / π_old of turns (B,), from log π."""
    return (new - old).clamp(-MAX_LOG_RATIO, MAX_LOG_RATIO).exp()


def surrogate(ratio: Tensor, advantages: Tensor, clip: float) -> Tensor:
    """Return the clipped surrogate loss −Σ min(r A, clip(r, 1 − ε, 1 + ε) A), from r and A (B,)."""
    clipped = ratio.clamp(1 - clip, 1 + clip)
    return -torch.minimum(ratio * advantages, clipped * advantages).sum()


def value_loss(values: Tensor, old_values: Tensor, returns: Tensor, clip: float) -> Tensor:
    """Return half the squared error of the values, summed.

    Args:
        values: (B,).
        old_values: (B,), at the time of the rollout.
        returns: (B,), the targets of the values.
        clip: Largest change of a value before the larger error of clipped and unclipped value
            counts, as in RL4VLM; 0 for no clipping.
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
    """Return Σ (r − 1) − log r, which estimates KL(old ‖ new) from turns drawn from old."""
    return (ratio - 1 - ratio.log()).sum()


def explained_variance(values: Tensor, returns: Tensor) -> float:
    """Return 1 − Var(returns − values) / Var(returns) of (T, N); 0 for constant returns."""
    variance = returns.var(correction=0)
    if float(variance) == 0:
        return 0.0
    return float(1 - (returns - values).var(correction=0) / variance)
