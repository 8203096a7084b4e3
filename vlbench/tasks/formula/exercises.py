"""One turn of a formula's writing, as a text-only exercise."""

import json
from collections.abc import Sequence

import numpy as np

from vlbench.exercises import Exercise
from vlbench.tasks.formula.demonstrate import make_fields

CARDS = {1: ("A",), 10: ("10", "J", "Q", "K")}
"""Value → the cards that have it; a missing value is written as the number."""


def draw_card(rng: np.random.Generator, number: int) -> str:
    """Return a card of a value; for a value without cards, the number itself."""
    return str(rng.choice(CARDS.get(number, (str(number),))))


def make_exercise(
    target: int,
    cards: Sequence[str],
    actions: Sequence[str],
    place: int,
    thoughts: str,
    plan: str,
) -> Exercise:
    """Return a turn's exercise: the prompt has target, cards and formula, the reply all fields.

    Args:
        target: What the formula must equal.
        cards: Names of the cards, in any order.
        actions: All tokens of the formula, and "=".
        place: Number of tokens that are written already.
        thoughts: The reasoning behind the plan.
        plan: The whole formula.
    """
    fields = make_fields(tuple(cards), actions[:place], thoughts, plan)
    reply = json.dumps({**fields, "action": actions[place]})
    prompt = f"{target}: {json.dumps(cards)} {''.join(actions[:place])}".rstrip()
    return Exercise(prompt, reply)
