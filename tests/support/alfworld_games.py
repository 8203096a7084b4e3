"""ALFWorld environments, game instances and random walks for tests."""

from random import Random

import gymnasium
import pytest
from support.env_ids import ALFWORLD

from vlbench.tasks.alfworld.games.generator import KINDS, scenes

needs_engine = pytest.mark.slow
"""The engine is a heavy extra."""

HEAT = "alfworld/pick_heat_then_place_in_recep/12-345"


def env_of(**kwargs):
    return gymnasium.make(ALFWORLD, **kwargs).unwrapped


def games(number, seed=0):
    """Return instances of games, equally many of each type."""
    rng = Random(seed)
    for i in range(number):
        kind = KINDS[i % 6]
        yield f"alfworld/{kind}/{rng.choice(scenes(kind))}-{rng.randrange(1000)}"


def walk(game, instance, seed, turns):
    """Yield (state, command, move) of a random walk."""
    rng, state = Random(f"{instance} {seed}"), game.start(instance)
    for _ in range(turns):
        wise = rng.random() < 0.3  # else nothing would ever be heated
        command = game.expert(state, 50) if wise else rng.choice(state.admissible)
        move = game.step(state, command)
        yield state, command, move
        state = move.state
        if move.terminated:
            return
