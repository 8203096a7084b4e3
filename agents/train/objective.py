"""The formulas of PPO as pure functions.

Schulman et al. 2016, "High-Dimensional Continuous Control Using Generalized Advantage Estimation",
and 2017, "Proximal Policy Optimization Algorithms"; one ratio per turn as in RL4VLM.
"""

from dataclasses import dataclass

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
    """Return π_new / π_old, elementwise, from log π."""
    return (new - old).clamp(-MAX_LOG_RATIO, MAX_LOG_RATIO).exp()


@dataclass(frozen=True, slots=True, eq=False)
class Ratios:
    """The ratios π_new / π_old of B turns, with their weights in a turn's mean.

    Args:
        kind: "turn", the product of a turn's token ratios, each to the power of its weight
            (RL4VLM); "length", that to the power of 1 / Σ weights (GSPO, Zheng et al. 2025);
            "token", one ratio a token (GRPO, Shao et al. 2024).
        new: (B, R), log-probabilities of the tokens; 0 outside the replies.
        old: (B, R), those that `new` is compared with.
        weights: (B, R), weights of the tokens in log π; 0 outside the replies.
    """

    kind: str
    new: Tensor
    old: Tensor
    weights: Tensor

    @property
    def values(self) -> Tensor:
        """The ratios, (B,), or (B, R) of kind "token"."""
        if self.kind == "token":
            return ratio_of(self.new, self.old)
        new, old = turn_log_prob(self.new, self.weights), turn_log_prob(self.old, self.weights)
        if self.kind == "length":
            total = self.weights.sum(-1).clamp_min(1e-8)
            new, old = new / total, old / total
        return ratio_of(new, old)

    def mean(self, values: Tensor) -> Tensor:
        """Return one value a turn, (B,): of kind "token" the weighted mean over its tokens."""
        if self.kind != "token":
            return values
        return (values * self.weights).sum(-1) / self.weights.sum(-1).clamp_min(1e-8)

    def column(self, values: Tensor) -> Tensor:
        """Return values (B,) in a shape that goes with the ratios."""
        return values[:, None] if self.kind == "token" else values


@dataclass(frozen=True, slots=True)
class Clip:
    """The bounds of ratios."""

    low: float
    """ε below 1: a turn with A < 0 whose ratio is smaller has no gradient."""
    high: float
    """ε above 1: a turn with A > 0 whose ratio is larger has no gradient (clip-higher if it exceeds
    `low`: DAPO, Yu et al. 2025)."""
    dual: float
    """Largest ratio of a turn with A < 0 that has a gradient (dual clip, Ye et al. 2020), above 1;
    0 for no bound."""

    def contains(self, ratio: Tensor) -> Tensor:
        """Return whether ratios are between the two bounds around 1."""
        return (ratio >= 1 - self.low) & (ratio <= 1 + self.high)


def surrogate(ratio: Tensor, advantages: Tensor, clip: Clip) -> Tensor:
    """Return the clipped surrogate loss −min(r A, clip(r, 1 − ε, 1 + ε') A), elementwise.

    With a dual clip c, the loss of a negative advantage is at most c |A|.

    Args:
        ratio: r.
        advantages: A, of a shape that goes with the ratios.
        clip: The bounds.
    """
    bounded = ratio.clamp(1 - clip.low, 1 + clip.high)
    gain = torch.minimum(ratio * advantages, bounded * advantages)
    if clip.dual:
        gain = torch.where(advantages < 0, torch.maximum(gain, clip.dual * advantages), gain)
    return -gain


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


def sampled_kl(log_p: Tensor, log_q: Tensor) -> Tensor:
    """Return an estimate of KL(p ‖ q) from tokens drawn from p, elementwise; 0 or more.

    The value is q/p − 1 − log(q/p), and the gradient that of ½ log²(p/q). In the mean over draws,
    they are KL(p ‖ q) and its gradient; the gradient of the value itself isn't (Tang and Munos
    2025, "On a few pitfalls in KL divergence gradient estimation for RL").

    Args:
        log_p: Log-probabilities of the tokens, with gradient.
        log_q: Those under q.
    """
    difference = log_q - log_p
    bounded = difference.detach().clamp(-MAX_LOG_RATIO, MAX_LOG_RATIO)
    slope = 0.5 * difference**2
    return torch.expm1(bounded) - bounded + slope - slope.detach()


def approximate_kl(ratio: Tensor) -> Tensor:
    """Return (r − 1) − log r, which estimates KL(old ‖ new) from turns drawn from old."""
    return ratio - 1 - ratio.log()


def explained_variance(values: Tensor, returns: Tensor) -> float:
    """Return 1 − Var(returns − values) / Var(returns) of (T, N); 0 for constant returns."""
    variance = returns.var(correction=0)
    if float(variance) == 0:
        return 0.0
    return float(1 - (returns - values).var(correction=0) / variance)
