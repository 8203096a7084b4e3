"""The fields of a NumberLine reply, and the expert's demonstration."""

from vlbench.prompts import Prompt, template
from vlbench.task import Demonstration, Fact, Field
from vlbench.tasks.number_line.game import NumberLineGame, NumberLineState

CURRENT = Field("current number", "perception")
TARGET = Field("target number", "perception")
THOUGHTS = Field("thoughts", "reasoning")
FIELDS = (CURRENT, TARGET, THOUGHTS)


SIGNS = '"+" (add one) and "-" (subtract one).'
"""The sentence of `prompt.txt` that changed rules replace."""


def load_prompt(variant: str, game: NumberLineGame) -> Prompt:
    """Return the prompt of a variant, which states the rules; the usual one is `prompt.txt` itself.

    Raises:
        ValueError: The variant doesn't exist.
    """
    last, signs = game.max_position, SIGNS
    if game.reversed_signs:
        signs = '"+" (subtract one) and "-" (add one).'
    if game.ring:
        signs += f" The line is a ring: one above {last} is 0."
    text = template(__package__, variant).replace(SIGNS, signs)
    return Prompt.from_text(text, {"max_position": last})


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
