"""The Points24 task."""

from typing import Unpack

from vlbench.prompts import Prompt
from vlbench.task import CommonOptions, Demonstration, split_options
from vlbench.tasks.formula.env import FormulaEnv
from vlbench.tasks.formula.picture import FormulaStyle
from vlbench.tasks.points24.demonstrate import make_demonstration
from vlbench.tasks.points24.game import Points24Game
from vlbench.tasks.points24.picture import Points24Picture
from vlbench.vector import VLVectorEnv


class Points24(FormulaEnv[FormulaStyle]):
    """Write a formula with four cards that equals 24, one token a turn.

    Picture:
        Four cards and the formula so far, wrapped where it is long.
    Text:
        The prompt, with the formula so far as in RL4VLM; the cards stand in the picture alone (but
        `cot_facts` names them).
    Actions:
        "1".."10", "+", "-", "*", "/", "(", ")", "=". A number that stands on no unused card is
        illegal, and nothing else is: an ill-formed formula is judged at "=". An ace counts 1; J, Q,
        K count 10. Operators are binary, arithmetic is exact: `8/(3-8/3)` is 24.
    Rewards:
        "=": +10 if the formula uses each card once and equals the target, else −1. Other tokens 0.
        A reply that can't be read or is illegal moves nothing and costs −1.
    Episode end:
        Terminated at "="; truncated after 22 turns.
    Success:
        "=" after a right formula.
    Instances:
        `points24/<a>-<b>-<c>-<d>`, sorted: the 566 of 715 hands that reach 24, as dealt from 13
        ranks given that the hand is solvable. 40 % are test hands, by a keyed hash.
    Differences from RL4VLM:
        Every hand is solvable (there 73.1 %); formulas are exact (there floats, which refuse
        `8/(3-8/3)`), never join digits, know neither `**` nor `//` nor signs, and are never
        `eval`uated; an illegal number appends nothing (there, a space); long formulas stay visible;
        the prompt's formula is never stale; the seed has an effect; an unreadable reply is no
        random token.
    Version history:
        v0: first version.

    Args:
        target: What the formula must equal.
        faces: 10 when J, Q, K count 10 each; 11 when they count 11, 12, 13.
        **options: See `vlbench.task.CommonOptions`.
    """

    def __init__(
        self, *, target: int = 24, faces: int = 10, **options: Unpack[CommonOptions]
    ) -> None:
        common = split_options(options)
        game = Points24Game(target, faces)
        picture = Points24Picture(common.themes, target, faces)
        prompt = Prompt.load(__name__, common.prompt, game.rules())
        super().__init__(game, picture, prompt, **common.rest)

    def demonstrate(self) -> Demonstration | None:
        """State the cards and the formula, write a search down, and plan what it finds."""
        self._must_be_reset()
        facts, numbers = self._facts, self._facts["numbers"]
        assert isinstance(numbers, tuple)
        counts = [int(number) for number in numbers]
        return make_demonstration(facts["cards"], counts, self.game.target, self._state.tokens)


class Points24Vector(VLVectorEnv):
    """Many Points24 in one process."""

    env_class = Points24
