"""Text-only exercises that teach a language model to act by a comparison of two numbers."""

import json
from collections.abc import Iterator

import numpy as np

from vlbench.dealing import belongs
from vlbench.exercises import Exercise, draw_usable
from vlbench.instances import Share
from vlbench.task import checked_int
from vlbench.tasks.number_line.demonstrate import CURRENT, TARGET, make_demonstration
from vlbench.tasks.number_line.game import MAX_POSITION, NumberLineGame


def write_exercises(
    rng: np.random.Generator, *, largest: int = 50, share: str = ""
) -> Iterator[Exercise]:
    """Return pairs of numbers with the expert's reply, without end.

    Args:
        rng: The source of all draws; the caller owns it.
        largest: Right end of the line, from 1 to MAX_POSITION.
        share: "I/N" to use, of the training instances, only share I of N; "" for all. No
            instance of the splits `val` and `test` is used.

    Raises:
        ValueError: An option is wrong.
    """
    if checked_int("largest", largest, 1) > MAX_POSITION:
        raise ValueError(f"largest must be at most {MAX_POSITION}, got {largest}")
    return _exercises(rng, NumberLineGame(largest), Share.parse(share) if share else None)


def _exercises(
    rng: np.random.Generator, game: NumberLineGame, share: Share | None
) -> Iterator[Exercise]:
    def draw() -> str | None:
        instance = game.deal(rng)
        return instance if belongs(game, instance, "train", share) else None

    while True:
        state = game.start(draw_usable(draw))
        demonstration = make_demonstration(game, state, game.expert(state, game.max_turns))
        prompt = f"{CURRENT.name} {state.current}, {TARGET.name} {state.target}"
        reply = json.dumps({**demonstration.fields, "action": demonstration.action})
        yield Exercise(prompt, reply)
