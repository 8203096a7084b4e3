"""The NumberLine task."""

from collections.abc import Mapping
from typing import Unpack

from vlbench.env import SolvedEnv
from vlbench.parsing import Json
from vlbench.prompts import Prompt
from vlbench.task import CommonOptions, Demonstration, Statements, read_number, split_options
from vlbench.tasks.number_line.demonstrate import CURRENT, FIELDS, TARGET, make_demonstration
from vlbench.tasks.number_line.game import NumberLineGame, NumberLineState
from vlbench.tasks.number_line.picture import NumberLinePicture, NumberLineStyle
from vlbench.vector import VLVectorEnv


class NumberLine(SolvedEnv[NumberLineState, NumberLineStyle]):
    """Walk the current number onto the target.

    Picture:
        `Target: t` above `Current: c`.
    Text:
        The prompt; it never names the two numbers (but `cot_facts` does).
    Actions:
        "+" and "-": one up, one down. A step off the line leaves the number where it is.
    Rewards:
        +1 at the target; −1 when the move comes no closer (at a wall too: legal and wrong); 0 when
        it comes closer. A reply that can't be read moves nothing and costs −1.
    Episode end:
        Terminated at the target; truncated after 2 · max_position turns.
    Success:
        The target is reached.
    Instances:
        `number_line/<start>-<target>`: the 30 ordered pairs of different numbers 0..5, dealt
        uniformly. Too few to hold any out; pictures are held out instead (themes).
    Differences from RL4VLM:
        Starts are uniform (there, equal numbers shift the goal modulo max_position, not + 1); the
        seed has an effect; success is the target, not a return above 0 (`paper_success` is that);
        an unreadable reply is no random move.
    Version history:
        v0: first version.

    Args:
        max_position: Right end of the line, 1..999999999.
        **options: See `vlbench.task.CommonOptions`.
    """

    fields = FIELDS

    def __init__(self, *, max_position: int = 5, **options: Unpack[CommonOptions]) -> None:
        common = split_options(options)
        game = NumberLineGame(max_position)
        picture = NumberLinePicture(common.themes)
        prompt = Prompt.load(__name__, common.prompt, {"max_position": max_position})
        super().__init__(game, picture, prompt, **common.rest)

    def demonstrate(self) -> Demonstration:
        """State both numbers and how they compare, then act on it."""
        self._must_be_reset()
        return make_demonstration(self._state, self.expert())

    def check_statements(self, fields: Mapping[str, Json]) -> Statements:
        """Hold `current number` and `target number` against the picture."""
        pairs = (CURRENT, self._state.current), (TARGET, self._state.target)
        numbers = [(read_number(fields.get(field.name)), true) for field, true in pairs]
        checks = [number == true for number, true in numbers if number is not None]
        return Statements(all(checks) if checks else None)


class NumberLineVector(VLVectorEnv):
    """Many NumberLines in one process."""

    env_class = NumberLine
