"""The EZPoints task."""

from typing import Unpack

from vlbench.prompts import Prompt
from vlbench.task import CommonOptions, split_options
from vlbench.tasks.ez_points.game import EZPointsGame
from vlbench.tasks.ez_points.picture import EZPointsPicture
from vlbench.tasks.formula.env import FormulaEnv
from vlbench.tasks.formula.picture import FormulaStyle
from vlbench.vector import VLVectorEnv


class EZPoints(FormulaEnv[FormulaStyle]):
    """Write a formula with two cards that equals 12, one token a turn.

    Picture:
        Two cards and the formula so far.
    Text:
        The prompt, with the formula so far as in RL4VLM; the cards stand in the picture alone (but
        `cot_facts` names them).
    Actions:
        "1".."10", "+", "*", "=". A number that stands on no unused card is illegal, and nothing
        else is: an ill-formed formula is judged at "=". An ace counts 1; J, Q, K count 10.
    Rewards:
        "=": +10 if the formula uses each card once and equals the target, else −1. Other tokens 0.
        A reply that can't be read or is illegal moves nothing and costs −1.
    Episode end:
        Terminated at "="; truncated after 7 turns.
    Success:
        "=" after a right formula.
    Instances:
        `ez_points/<a>-<b>`, sorted: the 7 hands that reach 12, dealt uniformly. Too few to hold any
        out; pictures are held out instead (themes).
    Differences from RL4VLM:
        Hands are uniform, and a 10 may be any of 10, J, Q, K; an illegal number appends nothing
        (there, a space); formulas are exact and never join digits; the prompt's formula is never
        stale; the seed has an effect; an unreadable reply is no random token.
    Version history:
        v0: first version.

    Args:
        target: What the formula must equal.
        faces: 10 when J, Q, K count 10 each; 11 when they count 11, 12, 13.
        **options: See `vlbench.task.CommonOptions`.
    """

    def __init__(
        self, *, target: int = 12, faces: int = 10, **options: Unpack[CommonOptions]
    ) -> None:
        common = split_options(options)
        game = EZPointsGame(target, faces)
        picture = EZPointsPicture(common.themes, target, faces)
        prompt = Prompt.load(__name__, common.prompt, game.rules())
        super().__init__(game, picture, prompt, **common.rest)


class EZPointsVector(VLVectorEnv):
    """Many EZPoints in one process."""

    env_class = EZPoints
