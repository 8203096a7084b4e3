"""The fields of a NumberLine reply, and the expert's demonstration."""

from vlbench.task import Demonstration, Fact, Field
from vlbench.tasks.number_line.game import NumberLineGame, NumberLineState

CURRENT = Field("current number", "perception")
TARGET = Field("target number", "perception")
THOUGHTS = Field("thoughts", "reasoning")
FIELDS = (CURRENT, TARGET, THOUGHTS)


def prompt_rules(game: NumberLineGame) -> dict[str, Fact]:
    """Return the rules that the prompt states."""
    signs = "add one", "subtract one"
    plus, minus = reversed(signs) if game.reversed_signs else signs
    last = game.max_position
    ring = f" The line is a ring: one above {last} is 0." if game.ring else ""
    return {"max_position": last, "plus": plus, "minus": minus, "ring": ring}


def make_demonstration(game: NumberLineGame, state: NumberLineState, action: str) -> Demonstration:
    """Return both numbers, the comparison that decides, and the expert's action."""
    if game.ring:
        places = game.max_position + 1
        up = (state.target - state.current) % places
        thoughts = f"{up} up, {places - up} down"
    else:
        thoughts = f"{state.current} {'<' if state.current < state.target else '>'} {state.target}"
    fields: dict[str, Fact] = {
        CURRENT.name: state.current,
        TARGET.name: state.target,
        THOUGHTS.name: thoughts,
    }
    return Demonstration(fields, action)
