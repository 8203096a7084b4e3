"""Blackjack's frozen sets."""

from collections.abc import Sequence
from itertools import count, islice
from typing import Any

from vlbench.freeze import RowSpec, presentation
from vlbench.instances import split_of
from vlbench.registry import LOOKS
from vlbench.suites import Bounds
from vlbench.tasks.blackjack import odds
from vlbench.tasks.blackjack.game import BlackjackGame
from vlbench.tasks.blackjack.rules import Rules

TEST, OOD = 1000, 100


def rows(suite: str) -> list[RowSpec]:
    """Return `test`: the first 1,000 test shoes; `ood`: the next 100, with a soft-17 dealer."""
    shoes = (f"blackjack/{i}" for i in count())
    held_out = (shoe for shoe in shoes if split_of(shoe, BlackjackGame.test_share) == "test")
    kwargs: dict[str, Any]
    if suite == "test":
        selection, kwargs = list(islice(held_out, TEST)), {"theme": "train"}
    else:
        selection = list(islice(held_out, TEST, TEST + OOD))
        kwargs = {"theme": "heldout", "dealer_hits_soft_17": True}
    return [RowSpec(kwargs, shoe, presentation(suite, i)) for i, shoe in enumerate(selection)]


def bounds(rows: Sequence[RowSpec]) -> Bounds:
    """Return the exact win rates of random play and of the best player; one rule for all rows."""
    rules, win = Rules(**{k: v for k, v in rows[0].kwargs.items() if k not in LOOKS}), odds.WIN_RATE

    random_worth = odds.policy_worth(lambda hand, card, turns: 0.5, win, rules)
    floor = odds.deal_expectation(random_worth, rules)
    return Bounds(floor, odds.deal_expectation(lambda start: odds.best_worth(start, win), rules))
