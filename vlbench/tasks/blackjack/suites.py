"""Blackjack's frozen sets."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import cache
from itertools import count, islice
from math import fsum
from typing import Any, Final

from vlbench.freeze import RowSpec, presentation
from vlbench.registry import LOOKS
from vlbench.suites import Bounds
from vlbench.task import split_in
from vlbench.tasks.blackjack import odds
from vlbench.tasks.blackjack.game import BlackjackGame, BlackjackState
from vlbench.tasks.blackjack.rules import Rules

OTHER_RULES: Final[tuple[dict[str, Any], ...]] = (
    {"bust_above": 25},
    {"ace_counts_11": False},
    {"dealer_hidden": True},
)
"""The rules of `ood-rules` and `ood-both`; each of them changes the best action."""
RUNGS: Final[dict[str, dict[str, Any]]] = {
    "ladder-21": {},
    "ladder-31": {"bust_above": 31, "dealer_draws_to": 26},
    "ladder-42": {"bust_above": 42, "dealer_draws_to": 37},
    "ladder-63": {"bust_above": 63, "dealer_draws_to": 58},
}
"""The higher a hand may go, the more cards there are to read and to add up."""
NAMES = ("test", "paper", "ood-looks", "ood-rules", "ood-both", "sealed", "memory", *RUNGS)
TEST, SHOWN, RULED, RUNG, PAPER = 2000, 500, 200, 100, 200
"""Shoes of `test`; how many of them come in other looks; shoes of each changed rule, of each rung,
and of `paper`."""
TURNED: Final = 2 / 3
"""The share of the shoes of a changed rule whose first decision is another than the usual one."""
UNSEEN: Final = 10
"""The usual expert takes a card that it can't see for a ten, the commonest value."""

USUAL_GAME: Final = BlackjackGame()


def rows(suite: str) -> list[RowSpec]:
    """Return the rows of a suite.

    `paper` has the shoes 0, 1, 2, …; all others have test shoes only. Of a changed rule, two thirds
    are shoes whose first decision differs from the usual one. The choice looks only at what the
    player sees, so that the cards to come fall as they always do. `memory` has the first rows of
    `test` with each card shown once.
    """
    theme = {"ood-looks": "heldout", "ood-both": "heldout", "sealed": "sealed"}.get(suite, "train")
    if suite == "memory":
        return [
            replace(row, kwargs=row.kwargs | {"from_memory": True}) for row in rows("test")[:SHOWN]
        ]
    starts: list[tuple[dict[str, Any], str]]
    if suite == "paper":
        starts = [({}, f"blackjack/{i}") for i in range(PAPER)]
    elif suite in ("ood-rules", "ood-both"):
        starts = [(rule, shoe) for rule in OTHER_RULES for shoe in _ruled(rule)]
    elif suite in RUNGS:
        starts = [(RUNGS[suite], shoe) for shoe in islice(_test_shoes(TEST), RUNG)]
    else:
        number = TEST if suite == "test" else SHOWN
        starts = [({}, shoe) for shoe in islice(_test_shoes(), number)]
    return [
        RowSpec({"theme": theme, **rule}, shoe, presentation(suite, i))
        for i, (rule, shoe) in enumerate(starts)
    ]


def _test_shoes(first: int = 0) -> Iterator[str]:
    """Yield the test shoes, from the one with this position among them."""
    shoes = (f"blackjack/{i}" for i in count())
    return islice((s for s in shoes if split_in(USUAL_GAME, s) == "test"), first, None)


def _ruled(rule: dict[str, Any]) -> list[str]:
    """Return the shoes of a changed rule, from those that no other suite has."""
    game = BlackjackGame(Rules(**rule))
    wanted = {True: round(TURNED * RULED), False: RULED - round(TURNED * RULED)}
    chosen: list[str] = []
    for shoe in _test_shoes(TEST + RUNG):
        start, turns = game.start(shoe), game.max_turns
        turned = old_expert(start, turns) != game.expert(start, turns)
        if wanted[turned]:
            wanted[turned] -= 1
            chosen.append(shoe)
        if not any(wanted.values()):
            break
    return chosen


def old_expert(state: BlackjackState, turns: int) -> str:
    """Return the usual rules' best action in a state of any rule; see UNSEEN."""
    seen = BlackjackState(state.shoe, state.player, state.dealer or (UNSEEN, UNSEEN))
    return USUAL_GAME.expert(seen, turns)


def bounds(rows: Sequence[RowSpec]) -> Bounds:
    """Return the exact win rates of random play and of the best player.

    They are means over the rows of the win rate given what the player sees at the start.
    """
    floors, ceilings = zip(
        *(_worths(situation) for situation in map(_situation, rows)), strict=True
    )
    return Bounds(fsum(floors) / len(rows), fsum(ceilings) / len(rows))


def _situation(row: RowSpec) -> odds.Situation:
    looks = (*LOOKS, "from_memory")
    rule = {name: value for name, value in row.kwargs.items() if name not in looks}
    game = BlackjackGame(Rules(**rule))
    return game.situation(game.start(row.instance))


@cache
def _random_worth(rules: Rules) -> Callable[[odds.Situation], float]:
    return odds.policy_worth(lambda hand, card, turns: 0.5, odds.WIN_RATE, rules)


@cache
def _worths(start: odds.Situation) -> tuple[float, float]:
    """Return the win rates of random play and of best play from a situation."""
    random_worth = _random_worth(start.rules)
    return random_worth(start), odds.best_worth(start, odds.WIN_RATE)
