"""The baselines that `ppo --baseline` knows, and what each needs. This module needs no torch."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Baseline:
    """What a baseline needs; `agents.train.advantages.estimators` has its formula."""

    critic: bool = False
    """It reads the value head, which is therefore trained."""
    whole_episodes: bool = False
    """It needs the returns of whole episodes."""
    shared_starts: bool = False
    """It compares episodes with the same start, so environments must share starts."""
    oracle: bool = False
    """It reads the environment's exact values, which a real task doesn't have."""


BASELINES: dict[str, Baseline] = {
    "value": Baseline(critic=True),
    "group": Baseline(whole_episodes=True, shared_starts=True),
    "state": Baseline(whole_episodes=True, shared_starts=True),
    "turn": Baseline(whole_episodes=True),
    "exact": Baseline(oracle=True),
}
