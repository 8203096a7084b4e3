"""EZPoints with the rules of RL4VLM."""

from typing import Unpack

import numpy as np

from vlbench.cards import RANKS, SUITS
from vlbench.rl4vlm.formula_env import FormulaEnv
from vlbench.rl4vlm.formula_game import FormulaGame
from vlbench.task import EnvOptions
from vlbench.tasks.ez_points.picture import CLASSIC
from vlbench.vector import VLVectorEnv


class RL4VLMEZPointsGame(FormulaGame):
    """The original's rules of EZPoints."""

    def __init__(self) -> None:
        super().__init__("rl4vlm_ez_points", 2, 12, "+*", 5, "rl4vlm_ez_points/D3-H9")

    def deal(self, rng: np.random.Generator) -> str:
        """Draw a card from 2 to K, and derive the other, so that the hand can make 12.

        The other card's art has its value's rank: a derived 10 is always drawn as T.
        """
        rank = int(rng.integers(2, 14))
        first, second = (SUITS[suit] for suit in rng.integers(4, size=2).tolist())
        value = min(rank, 10)
        product = value in (2, 3, 4, 6) and rng.random() < 0.5
        other = 12 // value if product else 12 - value
        cards = [first + RANKS[rank - 1], second + RANKS[other - 1]]
        if rng.random() < 0.5:
            cards.reverse()
        return f"{self.name}/{'-'.join(cards)}"


class EZPoints(FormulaEnv):
    """RL4VLM's EZPoints: write a formula with two cards that equals 12, one token a turn.

    Picture:
        Two cards at (5, 55) and (153, 55), 135×189; `Formula: ` and the tokens with spaces between
        them at (10, 258), white on green.
    Text:
        The original's prompt, word for word. It shows the formula so far, its tokens joined; the
        cards stand in the picture alone.
    Actions:
        "1".."10", "+", "*", "=". They are read as the original reads them; where a reply names none
        or several, one is drawn uniformly. A number that stands on no unused card is illegal: a
        space is appended to the formula. J, Q, K count 10.
    Rewards:
        "=": +10 if both numbers are used and Python's `eval` of the joined tokens equals 12, else
        −1. An illegal number −1, other tokens 0. After more than 5 tokens −1, whatever the action.
    Episode end:
        Terminated at "="; truncated at the 7th turn, which finds 6 tokens.
    Success:
        The return is above 0.
    Instances:
        `rl4vlm_ez_points/<card>-<card>`, as they lie, in the original's writing: suit and rank,
        "D3", "HT", "SK". The first card drawn is uniform from 2 to K, the second makes 12 with it;
        all deals can be solved. Under `stale_prompt`, " after " and a formula stand behind the
        cards where the first prompt shows it. The presentation fixes what is drawn where a reply
        can't be read, and nothing in the picture.
    Differences from RL4VLM:
        The seed has an effect. Cards and lettering are this project's, and cards have no black
        corners. `info` says what was read and what was drawn at random.
    Version history:
        v0: the archived commit b989b57.

    Args:
        prompt: "cot" or "action_only".
        stale_prompt: The first prompt of an episode shows the formula with which the one before it
            ended, as it does in the original's training loop.
        **options: See `vlbench.task.EnvOptions`.
    """

    def __init__(
        self, *, prompt: str = "cot", stale_prompt: bool = False, **options: Unpack[EnvOptions]
    ) -> None:
        super().__init__(
            "ez_points", RL4VLMEZPointsGame(), CLASSIC, prompt, stale_prompt, **options
        )


class EZPointsVector(VLVectorEnv):
    """Many EZPoints in one process."""

    env_class = EZPoints
