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
    """RL4VLM's Points24: write a formula that uses four cards and equals 24, one token a turn.

    Example: `gymnasium.make("rl4vlm/Points24-v0", stale_prompt=True)`.

    Picture:
        Four cards, 67×93, at (5, 103), (78, 103), (152, 103), (226, 103); `Formula:` at (10, 210);
        the tokens, separated by spaces, at (10, 240), white on green. A long formula runs off the
        right edge.
    Text:
        The original's prompt, word for word. It shows the formula so far, its tokens joined. Only
        the picture shows the cards.
    Actions:
        "1".."10", "+", "-", "*", "/", "(", ")", "=", read as in the original: a reply that names
        none or several plays one drawn uniformly. A number that isn't on an unused card is illegal
        and appends a space. An ace counts 1; J, Q, K count 10.
    Rewards:
        "=" earns +10 if all four numbers are used and Python's `eval` of the joined tokens equals
        24, else −1. So adjacent digits form one number, `**` and `//` are operators, signs work,
        and `8/(3-8/3)` is wrong: it is 23.99999999999999 in floats. A formula on which the original
        would hang (`10**10**10`) costs 1 and leaves a `note` in `info`. An illegal number costs 1;
        other tokens earn 0. With more than 20 tokens, every action costs 1.
    Episode end:
        Terminated at "="; truncated at the 22nd turn, after at most 21 tokens.
    Success:
        The return is above 0: a correct formula and at most nine illegal numbers.
    Instances:
        `rl4vlm_points24/<card>-<card>-<card>-<card>`, in the order shown and the original's
        notation, suit and rank: "H3", "CT", "SK". Ranks and suits are uniform; a well-formed
        formula solves 73.072 % of the deals. With `stale_prompt`, " after <formula>" follows the
        cards if the first prompt shows an earlier formula. The presentation fixes the random
        actions and nothing in the picture.
    Differences from RL4VLM:
        Seeding works. Card art is this project's, and cards have no black corners. The font is the
        original's, laid out as by libraqm; "/" lacks its last column. `info` states what was read
        and what was drawn at random.
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
        layout = Points24Picture.layouts["classic"]
        super().__init__("points24", RL4VLMPoints24Game(), layout, prompt, stale_prompt, **options)


class Points24Vector(VLVectorEnv):
    """Several Points24 environments in one process."""

    env_class = Points24
