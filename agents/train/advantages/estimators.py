"""The advantages of a rollout's turns by each baseline, as pure functions of its facts.

All of them subtract from what followed a turn what would have followed on average:

- `value`: generalised advantage estimation with a critic (Schulman et al. 2016), as in RL4VLM.
- `group`: the episode's return less the mean of the others that share its start, for each of its
  turns (leave-one-out: Kool et al. 2019, Ahmadian et al. 2024; the group's mean: GRPO, Shao et al.
  2024).
- `state`: the return from the turn on, less that of the other episodes that met the same state, as
  the steps of GiGPO (Feng et al. 2025); where no other met it, as `turn`.
- `turn`: the return from the turn on, less that of the other episodes at the same turn number.
- `exact`: minus the turn's regret, from the environment's exact values. It is an oracle.

A baseline never reads the turn's own episode, so it doesn't bias the gradient. A turn that has
nothing to be compared with gets 0.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from agents.train import objective
from agents.train.advantages.facts import TurnFacts


@dataclass(frozen=True, slots=True)
class Discounts:
    """How far credit reaches back."""

    gamma: float
    """γ, the discount of later rewards."""
    trace: float = 1.0
    """λ of generalised advantage estimation; read by `value` alone."""


def estimate_advantages(baseline: str, facts: TurnFacts, discounts: Discounts) -> Tensor:
    """Return the advantages (T, N) float32 of a rollout of all processes; 0 at idle places.

    Args:
        baseline: A name in `ESTIMATORS`.
        facts: What is known of the turns.
        discounts: How far credit reaches back.
    """
    advantages = ESTIMATORS[baseline](facts, discounts)
    return torch.where(facts.played, advantages, torch.zeros_like(advantages))


def _by_value(facts: TurnFacts, discounts: Discounts) -> Tensor:
    return objective.generalized_advantages(
        facts.rewards,
        facts.values,
        facts.next_values,
        facts.terminated,
        facts.ended,
        discounts.gamma,
        discounts.trace,
    )


def _by_group(facts: TurnFacts, discounts: Discounts) -> Tensor:
    first = facts.played & (facts.numbers == 0)
    episodes = facts.episodes
    returns = returns_from(facts, discounts.gamma)[first]
    advantages = returns - mean_of_others(returns, facts.starts[first], episodes[first])
    by_episode = torch.zeros(int(episodes.max()) + 1)
    by_episode[episodes[first]] = advantages.nan_to_num()
    return by_episode[episodes]


def _by_state(facts: TurnFacts, discounts: Discounts) -> Tensor:
    return _by_keys(facts, discounts, facts.states, facts.numbers)


def _by_turn(facts: TurnFacts, discounts: Discounts) -> Tensor:
    return _by_keys(facts, discounts, facts.numbers)


def _by_regret(facts: TurnFacts, discounts: Discounts) -> Tensor:
    return -facts.regrets


ESTIMATORS: dict[str, Callable[[TurnFacts, Discounts], Tensor]] = {
    "value": _by_value,
    "group": _by_group,
    "state": _by_state,
    "turn": _by_turn,
    "exact": _by_regret,
}
"""Name of a baseline → its advantages (T, N); see the module."""


def _by_keys(facts: TurnFacts, discounts: Discounts, *keys: Tensor) -> Tensor:
    """Return the returns less the mean of others with the same key, by the first key that has any.

    Args:
        facts: What is known of the turns.
        discounts: How far credit reaches back.
        keys: (T, N) int64 each, the finest first.
    """
    played = facts.played
    returns, episodes = returns_from(facts, discounts.gamma)[played], facts.episodes[played]
    baseline = torch.full_like(returns, torch.nan)
    for key in keys:
        others = mean_of_others(returns, key[played], episodes)
        baseline = torch.where(baseline.isnan(), others, baseline)
    advantages = torch.zeros_like(facts.rewards)
    advantages[played] = (returns - baseline).nan_to_num()
    return advantages


def returns_from(facts: TurnFacts, gamma: float) -> Tensor:
    """Return the discounted return (T, N) of each turn and those after it in its episode."""
    nothing = torch.zeros_like(facts.rewards)
    return objective.generalized_advantages(
        facts.rewards, nothing, nothing, facts.terminated, facts.ended, gamma, 1.0
    )


def mean_of_others(values: Tensor, keys: Tensor, episodes: Tensor) -> Tensor:
    """Return the mean value of the turns with the same key in other episodes.

    Args:
        values: (M,) float32.
        keys: (M,) int64.
        episodes: (M,) int64, number of each turn's episode.

    Returns:
        (M,) float32; NaN where no other episode has the key.
    """
    key = keys.unique(return_inverse=True)[1]
    own = (key * (int(episodes.max()) + 1) + episodes).unique(return_inverse=True)[1]
    sums, counts = _sums(values, key), _sums(torch.ones_like(values), key)
    own_sums, own_counts = _sums(values, own), _sums(torch.ones_like(values), own)
    return (
        ((sums - own_sums) / (counts - own_counts))
        .float()
        .where(counts > own_counts, torch.tensor(torch.nan))
    )


def _sums(values: Tensor, groups: Tensor) -> Tensor:
    """Return (M,) float64, the sum of the values in each one's group."""
    sums = torch.zeros(int(groups.max()) + 1, dtype=torch.float64)
    return sums.index_add(0, groups, values.double())[groups]
