"""The NumberLine task."""

from collections.abc import Mapping
from typing import Unpack

from vlbench.parsing import Json
from vlbench.solved_env import SolvedEnv
from vlbench.task import CommonOptions, Demonstration, Fact, Statements, read_number, split_options
from vlbench.tasks.number_line.demonstrate import (
    CURRENT,
    FIELDS,
    TARGET,
    load_prompt,
    make_demonstration,
)
from vlbench.tasks.number_line.exercises import write_exercises
from vlbench.tasks.number_line.game import NumberLineGame, NumberLineState
from vlbench.tasks.number_line.picture import NumberLinePicture, NumberLineStyle
from vlbench.vector import VLVectorEnv


class NumberLine(SolvedEnv[NumberLineState, NumberLineStyle]):
    """Move the current number to the target, one unit a turn.

    Example: `gymnasium.make("vlbench/NumberLine-v0", max_position=20)`.

    Picture:
        `Target: t` above `Current: c`.
    Text:
        The prompt. It states neither number; `cot_facts` states both.
    Actions:
        "+" adds one and "-" subtracts one; the other way round with `reversed_signs`. A move past
        either end leaves the number unchanged; with `ring` it leads to the other end.
    Rewards:
        +1 for reaching the target, 0 for any other move closer to it, −1 for a move that isn't
        closer. A move past the end of a line is legal and costs −1. An unreadable reply changes
        nothing and costs −1.
    Episode end:
        Terminated at the target; truncated after 2 · max_position turns.
    Success:
        The target is reached.
    Instances:
        `number_line/<start>-<target>`: the ordered pairs of different numbers 0..max_position,
        dealt uniformly. A pair is of the same split on every line: 40 % are held out for `test`,
        20 % for `val`. The usual line has 30 pairs: 17 of `train`, 7 of `val` and
        6 of `test`.
    Differences from RL4VLM:
        Pairs are uniform (in RL4VLM an equal target moves by one modulo max_position, not
        max_position + 1). Seeding works. Success means reaching the target, not a return above 0
        (that is `paper_success`). An unreadable reply never becomes a random move.
    Version history:
        v0: first version.

    Args:
        max_position: Right end of the line, 1..999999999.
        reversed_signs: Whether "+" subtracts and "-" adds; the prompt says so.
        ring: Whether one past an end is the other end; the prompt says so.
        **options: See `vlbench.task.CommonOptions`.
    """

    fields = FIELDS
    exercises = staticmethod(write_exercises)

    game: NumberLineGame

    def __init__(
        self,
        *,
        max_position: int = 5,
        reversed_signs: bool = False,
        ring: bool = False,
        **options: Unpack[CommonOptions],
    ) -> None:
        common = split_options(options)
        game = NumberLineGame(max_position, reversed_signs, ring)
        picture = NumberLinePicture(common.themes)
        prompt = load_prompt(common.prompt, game)
        super().__init__(game, picture, prompt, **common.rest)

    def expert_by_picture(self, facts: Mapping[str, Fact]) -> str:
        """Return the action of an expert who sees these facts; see `VLEnv.seen_facts`."""
        current, target = facts["current"], facts["target"]
        assert isinstance(current, int) and isinstance(target, int)
        return self.game.expert(NumberLineState(current, target), max(self.turns_left, 1))

    def is_lost(self) -> bool:
        """Return whether the target is farther away than there are turns left."""
        return max(self.values().values()) <= 0

    def demonstrate(self) -> Demonstration:
        """State both numbers, compare them, and give the expert's action."""
        self._must_be_reset()
        return make_demonstration(self.game, self._state, self.expert())

    def check_statements(self, fields: Mapping[str, Json]) -> Statements:
        """Compare `current number` and `target number` with the picture."""
        pairs = (CURRENT, self._state.current), (TARGET, self._state.target)
        numbers = [(read_number(fields.get(field.name)), true) for field, true in pairs]
        checks = [number == true for number, true in numbers if number is not None]
        return Statements(all(checks) if checks else None)


class NumberLineVector(VLVectorEnv):
    """Several NumberLine environments in one process."""

    env_class = NumberLine
