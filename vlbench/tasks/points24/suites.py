"""Points24's frozen sets."""

from collections.abc import Iterator, Sequence
from functools import cache
from itertools import islice
from typing import Any

from vlbench.freeze import RowSpec
from vlbench.instances import hashed
from vlbench.suites import Bounds
from vlbench.task import split_in
from vlbench.tasks.formula.arithmetic import Cards, hands
from vlbench.tasks.formula.suites import exact_bounds, game_rules, numbered_rows, with_kwargs
from vlbench.tasks.points24.game import Points24Game
from vlbench.tasks.points24.worked import Numbers, steps

RUNGS = {"ladder-1": (8, 1000), "ladder-2": (4, 7), "ladder-3": (0, 3)}
"""Rung of the ladder → the fewest and the most ways to the target; see `ways`."""

NAMES = ("test", "ood-looks", "ood-rules", "ood-both", "sealed", "memory", *RUNGS)

OTHER_RULES: tuple[dict[str, Any], ...] = ({"target": 36}, {"faces": 11}, {"faces": 15})
"""Rules of `ood-rules`; with other faces, every hand has a J, Q or K."""
ROWS_PER_RULE = 70
LOOKS = {"ood-looks": "heldout", "sealed": "sealed"}
"""Suite with the rows of `test` in other themes → their group."""


def rows(suite: str) -> list[RowSpec]:
    """Return the rows of a suite.

    `test` has every hand of the split `test`. `ood-looks` and `sealed` have its rows in
    other themes, and `memory` has them with the cards face up once. `ood-rules` has another target,
    or J, Q and K count more than 10; `ood-both` has these rows in other themes. The rungs of the
    ladder are the hands of `test`, by the number of ways to 24.
    """
    if suite in LOOKS:
        return with_kwargs(rows("test"), theme=LOOKS[suite])
    if suite == "memory":
        return with_kwargs(rows("test"), from_memory=True)
    if suite == "ood-both":
        return with_kwargs(rows("ood-rules"), theme="heldout")
    if suite == "ood-rules":
        starts = [
            (rule, _instance(hand))
            for rule in OTHER_RULES
            for hand in islice(_test_hands(rule), ROWS_PER_RULE)
        ]
        return numbered_rows(suite, starts)
    fewest, most = RUNGS.get(suite, (0, 1000))
    usual: dict[str, Any] = {}
    chosen = [hand for hand in _test_hands(usual) if fewest <= ways(hand, 24) <= most]
    return numbered_rows(suite, [(usual, _instance(hand)) for hand in chosen])


@cache
def ways(numbers: Numbers, target: int) -> int:
    """Return in how many ways three steps of the worked search lead to the target.

    Every number on the way is a whole number, so a hand that needs fractions has none.
    """
    if len(numbers) == 1:
        return int(numbers[0] == target)
    return sum(ways(step.rest, target) for step in steps(numbers))


def _test_hands(rule: dict[str, Any]) -> Iterator[Cards]:
    """Yield the solvable hands of the split `test`, shuffled; with other faces, only theirs."""
    game = Points24Game(**rule)
    held_out = [
        hand
        for hand in hands(4, game.numbers)
        if (game.faces == 10 or hand[-1] > 10) and split_in(game, _instance(hand)) == "test"
    ]
    return filter(game.solvable, sorted(held_out, key=lambda hand: hashed(f"{rule}|{hand}")))


def _instance(hand: Cards) -> str:
    return f"points24/{'-'.join(map(str, hand))}"


def bounds(rows: Sequence[RowSpec]) -> Bounds:
    """Return random play's exact success rate, and 1."""
    return exact_bounds((Points24Game(**game_rules(row)), row.instance) for row in rows)
