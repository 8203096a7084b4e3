"""Two small games with known optima, for tests of training: a bandit, and one of two turns."""

import contextlib
from dataclasses import dataclass

import gymnasium

from vlbench.env import SolvedEnv
from vlbench.prompts import Prompt
from vlbench.task import Move
from vlbench.vector import VLVectorEnv


@dataclass(frozen=True)
class Machine:
    pulls: str


class BanditGame:
    """One pull: "+" pays 1, "-" nothing."""

    name = "bandit"
    vocabulary = ("+", "-")
    max_turns = 1
    test_share = 0.0
    val_share = 0.0
    pays = {"+": 1.0}
    """What a finished episode pays, by its pulls."""

    def deal(self, rng):
        return f"{self.name}/one"

    def start(self, instance):
        return Machine("")

    def legal(self, state):
        return self.vocabulary

    def step(self, state, action):
        after = Machine(state.pulls + action)
        over = len(after.pulls) == self.max_turns
        pay = self.pays.get(after.pulls, 0.0) if over else 0.0
        return Move(after, pay, terminated=over, success=pay == max(self.pays.values()))

    def values(self, state, turns):
        if len(state.pulls) == self.max_turns:
            return {"+": 0.0, "-": 0.0}
        left = self.max_turns - len(state.pulls)
        return {
            action: max([self.pays.get(p, 0.0) for p in _endings(state.pulls + action, left - 1)])
            for action in self.vocabulary
        }

    def expert(self, state, turns):
        values = self.values(state, turns)
        return max(values, key=values.get)


def _endings(pulls, left):
    if not left:
        return [pulls]
    return [end for action in "+-" for end in _endings(pulls + action, left - 1)]


class TwoPullsGame(BanditGame):
    """Two pulls, paid at the end: "+" then "-" pays 1, everything else nothing."""

    name = "two_pulls"
    max_turns = 2
    pays = {"+-": 1.0}


class PullsPicture:
    def style(self, start, presentation):
        return None

    def paint(self, frame, state, style):
        frame[:] = 255

    def facts(self, state, style):
        return {"pulls": state.pulls or "none"}


class Bandit(SolvedEnv):
    game_class = BanditGame

    def __init__(self, *, theme="", jitter=0, prompt="", **options):
        words = Prompt.from_text("Pull an arm. Pulls so far: $pulls", {})
        super().__init__(self.game_class(), PullsPicture(), words, **options)


class TwoPulls(Bandit):
    game_class = TwoPullsGame


class BanditVector(VLVectorEnv):
    env_class = Bandit


class TwoPullsVector(VLVectorEnv):
    env_class = TwoPulls


BANDIT, TWO_PULLS = "tests/Bandit-v0", "tests/TwoPulls-v0"


@contextlib.contextmanager
def small_games():
    """Register both games."""
    gymnasium.register(BANDIT, entry_point=Bandit, vector_entry_point=BanditVector)
    gymnasium.register(TWO_PULLS, entry_point=TwoPulls, vector_entry_point=TwoPullsVector)
    try:
        yield
    finally:
        del gymnasium.registry[BANDIT], gymnasium.registry[TWO_PULLS]
