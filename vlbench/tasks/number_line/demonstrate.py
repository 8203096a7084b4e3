"""The fields of a NumberLine reply, and the expert's demonstration."""

from vlbench.task import Demonstration, Fact, Field
from vlbench.tasks.number_line.game import NumberLineState

CURRENT = Field("current number", "perception")
TARGET = Field("target number", "perception")
THOUGHTS = Field("thoughts", "reasoning")
FIELDS = (CURRENT, TARGET, THOUGHTS)


def make_demonstration(state: NumberLineState, action: str) -> Demonstration:
    """Return both numbers, their comparison and the expert's action."""
    fields: dict[str, Fact] = {
        CURRENT.name: state.current,
        TARGET.name: state.target,
        THOUGHTS.name: f"{state.current} {'<' if action == '+' else '>'} {state.target}",
    }
    return Demonstration(fields, action)
