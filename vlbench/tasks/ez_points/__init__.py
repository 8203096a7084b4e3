"""The EZPoints task."""

from typing import Unpack

from vlbench.prompts import Prompt
from vlbench.task import CommonOptions, split_options
from vlbench.tasks.ez_points.any_target import make_game
from vlbench.tasks.ez_points.exercises import write_exercises
from vlbench.tasks.ez_points.picture import EZPointsPicture
from vlbench.tasks.formula.env import FormulaEnv
from vlbench.tasks.formula.picture import FormulaStyle
from vlbench.vector import VLVectorEnv


class EZPoints(FormulaEnv[FormulaStyle]):
    """Write a formula that uses two cards and equals 12, one token a turn.

    Example: `gymnasium.make("vlbench/EZPoints-v0", target=15, operators="+-*/")`.

    Picture:
        Two cards and the formula so far.
    Text:
        The prompt with the formula so far, as in RL4VLM. Only the picture shows the cards;
        `cot_facts` also names them.
    Actions:
        "1".."10", "+", "*", "=". Only a number that isn't on an unused card is illegal; an
        ill-formed formula is judged at "=". An ace counts 1; J, Q, K count 10.
    Rewards:
        "=" earns +10 if the formula uses each card once and equals the target, else −1. Other
        tokens earn 0. An unreadable or illegal reply changes nothing and costs −1.
    Episode end:
        Terminated at "="; truncated after 7 turns.
    Success:
        "=" after a correct formula.
    Instances:
        `ez_points/<a>-<b>`, sorted: the 7 hands that reach 12, dealt uniformly. With `target="any"`
        it is `ez_points/<a>-<b>-<target>`: all hands, each with what it reaches. A keyed hash of
        hand and target makes 50 % of these pairs test and 10 % val; of the 7 hands, 4 are train, 1
        is val and 2 are test. The frozen set `test` has all 222 test pairs of a hand and a target,
        with `faces` from 10 to 20; the rungs of its ladder are targets to 20, 50 and 500.
    Differences from RL4VLM:
        Hands are uniform, and a 10 may be shown as 10, J, Q or K. An illegal number appends nothing
        (in RL4VLM, a space). Arithmetic is exact and digits never join. The prompt's formula is
        never stale. Seeding works. An unreadable reply never becomes a random token.
    Version history:
        v0: first version.

    Args:
        target: What the formula must equal; "any" for a target that is dealt with each hand, so
            that training meets many. It stands in picture and text, and the instance is
            `ez_points/<a>-<b>-<target>`.
        faces: 10 when J, Q, K count 10 each; 11..20 when J counts this, Q and K one and two more.
        operators: The operators: some of "+-*/", in any order.
        from_memory: Whether the cards lie face up in the first picture alone, and neither picture
            nor text shows the formula. A player who forgets its turns can't win then.
        **options: See `vlbench.task.CommonOptions`.
    """

    def __init__(
        self,
        *,
        target: int | str = 12,
        faces: int = 10,
        operators: str = "+*",
        from_memory: bool = False,
        **options: Unpack[CommonOptions],
    ) -> None:
        common = split_options(options)
        game = make_game(target, faces, operators)
        picture = EZPointsPicture(common.themes, game.target, faces, from_memory)
        prompt = Prompt.load(__name__, common.prompt, game.rules(), from_memory)
        super().__init__(game, picture, prompt, **common.rest)

    exercises = staticmethod(write_exercises)


class EZPointsVector(VLVectorEnv):
    """Several EZPoints environments in one process."""

    env_class = EZPoints
