"""Blackjack's frozen sets."""

from collections.abc import Sequence
from itertools import count, islice
from typing import Any

from vlbench.freeze import RowSpec, presentation
from vlbench.suites import Bounds
from vlbench.task import split_in
from vlbench.tasks.blackjack import odds
from vlbench.tasks.blackjack.game import BlackjackGame

NAMES = ("test", "ood")
TEST, OOD = 1000, 100


def rows(suite: str) -> list[RowSpec]:
    """Return `test`: the first 1,000 test shoes; `ood`: the next 100, with a soft-17 dealer."""
    shoes = (f"blackjack/{i}" for i in count())
    game = BlackjackGame()
    held_out = (shoe for shoe in shoes if split_in(game, shoe) == "test")
    kwargs: dict[str, Any]
    if suite == "test":
        selection, kwargs = list(islice(held_out, TEST)), {"theme": "train"}
    else:
        selection = list(islice(held_out, TEST, TEST + OOD))
        kwargs = {"theme": "heldout", "dealer_hits_soft_17": True}
    return [RowSpec(kwargs, shoe, presentation(suite, i)) for i, shoe in enumerate(selection)]


def bounds(rows: Sequence[RowSpec]) -> Bounds:
    """Return the exact win rates of random play and of the best player; one rule for all rows."""
    soft_17 = bool(rows[0].kwargs.get("dealer_hits_soft_17", False))
    turns = BlackjackGame.max_turns
    floor = odds.policy_worth(lambda hand, card: 0.5, odds.WIN_RATE, turns, soft_17)
    return Bounds(floor, odds.best_worth(odds.WIN_RATE, turns, soft_17))
