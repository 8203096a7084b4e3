"""One turn of a formula's writing, as a text-only exercise."""

import json
from collections.abc import Sequence

import numpy as np

from vlbench.cards import count_faces
from vlbench.exercises import Exercise
from vlbench.tasks.formula.demonstrate import make_fields

FACES = ("J", "Q", "K")


def draw_card(rng: np.random.Generator, number: int, faces: int = 10) -> str:
    """Return a card of a value; for a value without cards, the number itself.

    Args:
        rng: The source of the draw; the caller owns it.
        number: The value.
        faces: What a jack counts, as in `count_faces`, or more.
    """
    letters = [name for rank, name in enumerate(FACES, 11) if count_faces(rank, faces) == number]
    if number == 1:
        return str(rng.choice(["A"]))  # drawn like the others, so that streams stay the same
    return str(rng.choice(letters if letters and number > 10 else [str(number), *letters]))


def make_exercise(
    target: int,
    cards: Sequence[str],
    actions: Sequence[str],
    place: int,
    thoughts: str,
    plan: str,
    rule: str = "",
) -> Exercise:
    """Return a turn's exercise: the prompt has target, cards and formula, the reply all fields.

    Args:
        target: What the formula must equal.
        cards: Names of the cards, in any order.
        actions: All tokens of the formula, and "=".
        place: Number of tokens that are written already.
        thoughts: The reasoning behind the plan.
        plan: The whole formula.
        rule: What the prompt says first.
    """
    fields = make_fields(tuple(cards), actions[:place], thoughts, plan)
    reply = json.dumps({**fields, "action": actions[place]})
    begin = f"{rule}. " if rule else ""
    prompt = f"{begin}{target}: {json.dumps(cards)} {''.join(actions[:place])}".rstrip()
    return Exercise(prompt, reply)
