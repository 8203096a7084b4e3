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
        """Draw a card from 2 to K and derive the other so that the hand can make 12.

        The derived card has its value as rank, so a derived 10 is always a T.
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
    """RL4VLM's EZPoints: write a formula that uses two cards and equals 12, one token a turn.

    Example: `gymnasium.make("rl4vlm/EZPoints-v0", stale_prompt=True)`.

    Picture:
        Two cards at (5, 55) and (153, 55), 135×189; `Formula: ` and the tokens, separated by
        spaces, at (10, 258), white on green.
    Text:
        The original's prompt, word for word. It shows the formula so far, its tokens joined. Only
        the picture shows the cards.
    Actions:
        "1".."10", "+", "*", "=", read as in the original: a reply that names none or several plays
        one drawn uniformly. A number that isn't on an unused card is illegal and appends a space.
        J, Q, K count 10.
    Rewards:
        "=" earns +10 if both numbers are used and Python's `eval` of the joined tokens equals 12,
        else −1. An illegal number costs 1; other tokens earn 0. With more than 5 tokens, every
        action costs 1.
    Episode end:
        Terminated at "="; truncated at the 7th turn, after at most 6 tokens.
    Success:
        The return is above 0.
    Instances:
        `rl4vlm_ez_points/<card>-<card>`, in the order shown and the original's notation, suit and
        rank: "D3", "HT", "SK". The first card drawn is uniform from 2 to K, and the second makes 12
        with it, so every deal is solvable. With `stale_prompt`, " after <formula>" follows the
        cards if the first prompt shows an earlier formula. The presentation fixes the random
        actions and nothing in the picture.
    Differences from RL4VLM:
        Seeding works. Card art is this project's, and cards have no black corners. The font is the
        original's, laid out as by libraqm. `info` states what was read and what was
        drawn at random.
    Version history:
        v0: the archived commit b989b57.

    Args:
        prompt: "cot" or "action_only".
        stale_prompt: Whether the first prompt of an episode shows the final formula of the previous
            episode, as in the original's training loop.
        **options: See `vlbench.task.EnvOptions`.
    """

    def __init__(
        self, *, prompt: str = "cot", stale_prompt: bool = False, **options: Unpack[EnvOptions]
    ) -> None:
        super().__init__(
            "ez_points", RL4VLMEZPointsGame(), CLASSIC, prompt, stale_prompt, **options
        )


class EZPointsVector(VLVectorEnv):
    """Several EZPoints environments in one process."""

    env_class = EZPoints
