"""The frozen sets of SortBars, and their bounds."""

from collections.abc import Sequence
from functools import cache
from itertools import permutations

from sort_bars.game import SortBarsGame
from vlbench.freeze import RANDOM_EPISODES, RowSpec, presentation, random_success
from vlbench.instances import hashed
from vlbench.suites import Bounds
from vlbench.task import split_in

NAMES = ("test", "ood-looks", "ood-rules", "ood-both")

ROWS = 200
"""Rows of each set."""


def rows(suite: str) -> list[RowSpec]:
    """Return a set's rows: 200 orders of the split `test`, under the set's rules and theme."""
    rules = {"descending": True} if suite in ("ood-rules", "ood-both") else {}
    looks = {"theme": "heldout"} if suite in ("ood-looks", "ood-both") else {}
    return [
        RowSpec({**rules, **looks}, instance, presentation(suite, number))
        for number, instance in enumerate(held_out()[:ROWS])
    ]


@cache
def held_out() -> tuple[str, ...]:
    """Return the orders of the split `test`, shuffled by hash; no training deals them."""
    game = SortBarsGame()
    names = ["sort_bars/" + "-".join(order) for order in permutations("123456")][1:-1]
    test = [name for name in names if split_in(game, name) == "test"]
    return tuple(sorted(test, key=hashed))


def bounds(rows: Sequence[RowSpec]) -> Bounds:
    """Return the success of random play, from many episodes, and 1: the expert always arrives."""
    games = {rule: SortBarsGame(rule) for rule in (False, True)}
    played = [(games[bool(row.kwargs.get("descending"))], row.instance) for row in rows]
    return Bounds(random_success(played, RANDOM_EPISODES), 1.0)
