"""Points24 with the rules of RL4VLM."""

from typing import Unpack

import numpy as np

from vlbench.cards import RANKS, SUITS
from vlbench.rl4vlm.formula_env import FormulaEnv
from vlbench.rl4vlm.formula_game import FormulaGame
from vlbench.task import EnvOptions
from vlbench.tasks.points24.picture import Points24Picture
from vlbench.vector import VLVectorEnv


class RL4VLMPoints24Game(FormulaGame):
    """The original's rules of Points24."""

    def __init__(self) -> None:
        super().__init__("rl4vlm_points24", 4, 24, "+-*/()", 20, "rl4vlm_points24/H3-D3-S8-CK")

    def deal(self, rng: np.random.Generator) -> str:
        """Draw four ranks and four suits uniformly, whether or not they can make 24."""
        ranks, suits = rng.integers(13, size=4).tolist(), rng.integers(4, size=4).tolist()
        cards = (SUITS[suit] + RANKS[rank] for suit, rank in zip(suits, ranks, strict=True))
        return f"{self.name}/{'-'.join(cards)}"


class Points24(FormulaEnv):
    """RL4VLM's Points24: write a formula with four cards that equals 24, one token a turn.

    Picture:
        Four cards, 67×93, at (5, 103), (78, 103), (152, 103), (226, 103); `Formula:` at (10, 210)
        and the tokens with spaces between them at (10, 240), white on green. A long formula runs
        off the right edge.
    Text:
        The original's prompt, word for word. It shows the formula so far, its tokens joined; the
        cards stand in the picture alone.
    Actions:
        "1".."10", "+", "-", "*", "/", "(", ")", "=". They are read as the original reads them;
        where a reply names none or several, one is drawn uniformly. A number that stands on no
        unused card is illegal: a space is appended to the formula. An ace counts 1; J, Q, K 10.
    Rewards:
        "=": +10 if all four numbers are used and Python's `eval` of the joined tokens equals 24,
        else −1. So digits side by side are one number, `**` and `//` are operators, signs count,
        and `8/(3-8/3)`, which floats make 23.99999999999999, is wrong. Where the original would
        hang (`10**10**10`), −1 and a `note` in `info`. An illegal number −1, other tokens 0. After
        more than 20 tokens −1, whatever the action.
    Episode end:
        Terminated at "="; truncated at the 22nd turn, which finds 21 tokens.
    Success:
        The return is above 0: a right formula, and no more than nine illegal numbers.
    Instances:
        `rl4vlm_points24/<card>-<card>-<card>-<card>`, as they lie, in the original's writing: suit
        and rank, "H3", "CT", "SK". Ranks and suits are uniform, and 73.072 % of the deals can be
        solved by a well-formed formula. Under `stale_prompt`, " after " and a formula stand behind
        the cards where the first prompt shows it. The presentation fixes what is drawn where a
        reply can't be read, and nothing in the picture.
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
        layout = Points24Picture.layouts["classic"]
        super().__init__("points24", RL4VLMPoints24Game(), layout, prompt, stale_prompt, **options)


class Points24Vector(VLVectorEnv):
    """Many Points24 in one process."""

    env_class = Points24
