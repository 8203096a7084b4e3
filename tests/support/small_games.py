"""A small game with a known optimum, for tests of training: a bandit."""

import contextlib
from dataclasses import dataclass

import gymnasium

from vlbench.prompts import Prompt
from vlbench.solved_env import SolvedEnv
from vlbench.task import Move
from vlbench.vector import VLVectorEnv


@dataclass(frozen=True)
class Machine:
    pulls: int


class BanditGame:
    """One pull: "+" pays 1, "-" nothing."""

    name = "bandit"
    vocabulary = ("+", "-")
    max_turns = 1
    test_share = 0.0
    val_share = 0.0

    def deal(self, rng):
        return "bandit/one"

    def start(self, instance):
        return Machine(0)

    def legal(self, state):
        return self.vocabulary

    def step(self, state, action):
        return Move(Machine(1), float(action == "+"), terminated=True, success=action == "+")

    def values(self, state, turns):
        return {"+": 1.0, "-": 0.0}

    def expert(self, state, turns):
        return "+"


class BlankPicture:
    def style(self, start, presentation):
        return None

    def paint(self, frame, state, style):
        frame[:] = 255

    def facts(self, state, style):
        return {}


class Bandit(SolvedEnv):
    def __init__(self, *, theme="", jitter=0, prompt="", **options):
        words = Prompt.from_text("Pull an arm.", {})
        super().__init__(BanditGame(), BlankPicture(), words, **options)


class BanditVector(VLVectorEnv):
    env_class = Bandit


BANDIT = "tests/Bandit-v0"


@contextlib.contextmanager
def small_games():
    """Register the game."""
    gymnasium.register(BANDIT, entry_point=Bandit, vector_entry_point=BanditVector)
    try:
        yield
    finally:
        del gymnasium.registry[BANDIT]
