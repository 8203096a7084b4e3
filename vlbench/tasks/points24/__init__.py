"""The Points24 task."""

from typing import Unpack

from vlbench.prompts import Prompt
from vlbench.task import CommonOptions, Demonstration, split_options
from vlbench.tasks.formula.env import FormulaEnv
from vlbench.tasks.formula.picture import FormulaStyle
from vlbench.tasks.points24.demonstrate import make_demonstration
from vlbench.tasks.points24.exercises import write_exercises
from vlbench.tasks.points24.game import Points24Game
from vlbench.tasks.points24.picture import Points24Picture
from vlbench.vector import VLVectorEnv


class Points24(FormulaEnv[FormulaStyle]):
    """Write a formula that uses four cards and equals 24, one token a turn.

    Example: `gymnasium.make("vlbench/Points24-v0", target=36)`.

    Picture:
        Four cards and the formula so far; a long formula wraps.
    Text:
        The prompt with the formula so far, as in RL4VLM. Only the picture shows the cards;
        `cot_facts` also names them.
    Actions:
        "1".."10", "+", "-", "*", "/", "(", ")", "=". Only a number that isn't on an unused card is
        illegal; an ill-formed formula is judged at "=". An ace counts 1; J, Q, K count 10.
        Operators are binary and arithmetic is exact: `8/(3-8/3)` is 24.
    Rewards:
        "=" earns +10 if the formula uses each card once and equals the target, else −1. Other
        tokens earn 0. An unreadable or illegal reply changes nothing and costs −1.
    Episode end:
        Terminated at "="; truncated after 22 turns.
    Success:
        "=" after a correct formula.
    Instances:
        `points24/<a>-<b>-<c>-<d>`, sorted: the 566 of 715 hands that reach 24. Four of 13 ranks are
        drawn uniformly until the hand is solvable. A keyed hash makes 40 % of the hands test hands
        and 10 % val hands. The rungs 1, 2 and 3 of the ladder are the test hands with at least 8, 4
        to 7 and at most 3 ways to 24.
    Differences from RL4VLM:
        Every hand is solvable (in RL4VLM 73.1 %). Arithmetic is exact (floats there reject
        `8/(3-8/3)`), digits never join, and there is no `**`, `//`, sign or `eval`. An illegal
        number appends nothing (in RL4VLM, a space). Long formulas stay visible. The prompt's
        formula is never stale. Seeding works. An unreadable reply never becomes a random token.
    Version history:
        v0: first version.

    Args:
        target: What the formula must equal.
        faces: 10 when J, Q, K count 10 each; 11..20 when J counts this, Q and K one and two more.
        from_memory: Whether the cards lie face up in the first picture alone, and neither picture
            nor text shows the formula. A player who forgets its turns can't win then.
        **options: See `vlbench.task.CommonOptions`.
    """

    def __init__(
        self,
        *,
        target: int = 24,
        faces: int = 10,
        from_memory: bool = False,
        **options: Unpack[CommonOptions],
    ) -> None:
        common = split_options(options)
        game = Points24Game(target, faces)
        picture = Points24Picture(common.themes, target, faces, from_memory)
        prompt = Prompt.load(__name__, common.prompt, game.rules(), from_memory)
        super().__init__(game, picture, prompt, **common.rest)

    def demonstrate(self) -> Demonstration | None:
        """State the cards and the formula, write out a search, and plan the formula it finds."""
        self._must_be_reset()
        facts, numbers = self._seen_facts, self._seen_facts["numbers"]
        assert isinstance(numbers, tuple)
        counts = [int(number) for number in numbers]
        return make_demonstration(facts["cards"], counts, self.game.target, self._state.tokens)

    exercises = staticmethod(write_exercises)


class Points24Vector(VLVectorEnv):
    """Several Points24 environments in one process."""

    env_class = Points24
