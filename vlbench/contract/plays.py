"""How the checks make environments and play them."""

import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import gymnasium
import numpy as np

import vlbench
from vlbench.env import VLEnv
from vlbench.solved_env import SolvedEnv

SEEDS = range(8)

LEAST_EPISODES = 4
"""Number of episodes that a check plays however slow they are."""

MOST_TURNS = 10_000
"""An episode that may take longer counts as endless."""

AnyEnv = VLEnv[Any, Any]
Choose = Callable[[AnyEnv], str]
"""Chooses the reply to the current state."""


class Turn(NamedTuple):
    """What a reset or a step returns; a reset has no reward and doesn't end the episode."""

    observation: Any
    reward: float
    terminated: bool
    truncated: bool
    info: dict[str, Any]

    @property
    def is_last(self) -> bool:
        """Whether the episode is over."""
        return self.terminated or self.truncated


def make_env(env_id: str, **kwargs: Any) -> AnyEnv:
    """Make an environment without its wrappers."""
    env = gymnasium.make(env_id, **kwargs).unwrapped
    assert isinstance(env, VLEnv), (
        f"{env_id} is a {type(env).__name__}; the checks are for subclasses of vlbench.env.VLEnv"
    )
    turns = env.game.max_turns
    assert type(turns) is int and 1 <= turns <= MOST_TURNS, (
        f"max_turns must be an int from 1 to {MOST_TURNS}, got {turns!r}"
    )
    return env


def play(env: AnyEnv, seed: int, choose: Choose) -> Iterator[Turn]:
    """Play an episode; while the caller holds a turn, the environment is in its state.

    Raises:
        AssertionError: The episode goes on after the last turn.
    """
    observation, info = env.reset(seed=seed)
    yield Turn(observation, 0.0, False, False, info)
    for _ in range(env.game.max_turns):
        turn = Turn(*env.step(choose(env)))
        assert not (turn.terminated and turn.truncated), (
            "the last turn both terminated and truncated the episode; truncate only what goes on"
        )
        yield turn
        if turn.is_last:
            return
    raise AssertionError(
        f"the episode goes on after {env.game.max_turns} turns, its max_turns; the environment "
        "must end it"
    )


def seeds_within(seconds: float, count: int, first: int = 0) -> Iterator[int]:
    """Yield the seeds first..count−1, at least four, and no more once the time is up."""
    end = time.monotonic() + seconds
    for seed in range(first, count):
        if seed - first >= LEAST_EPISODES and time.monotonic() > end:
            return
        yield seed


def sample(env: AnyEnv) -> str:
    """Reply with a random action of the vocabulary."""
    return str(env.action_space.sample())


def follow_expert(env: AnyEnv) -> str:
    """Reply with the expert's action."""
    assert isinstance(env, SolvedEnv)
    return vlbench.reply(env.expert())


def wander(rng: np.random.Generator) -> Choose:
    """Return a player that takes random legal actions, half of them the expert's if there is one.

    It meets both good and bad states.
    """

    def choose(env: AnyEnv) -> str:
        if isinstance(env, SolvedEnv) and rng.integers(2):
            return vlbench.reply(env.expert())
        return vlbench.reply(env.legal[int(rng.integers(len(env.legal)))])

    return choose


def random_episode(env_id: str, seed: int, **kwargs: Any) -> list[Any]:
    """Return everything that an episode of random actions returns, as plain data."""
    env = make_env(env_id, **kwargs)
    env.action_space.seed(seed)
    return [
        [turn.observation["image"].tobytes(), turn.observation["text"], *turn[1:]]
        for turn in play(env, seed, sample)
    ]
