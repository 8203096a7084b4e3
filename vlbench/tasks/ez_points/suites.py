"""EZPoints' frozen sets.

Seven hands reach 12, so `test` has other targets and other values of J, Q and K, too: every (hand,
target) of the split `test`, once.
"""

from collections.abc import Sequence
from typing import Any

from vlbench.cards import MAX_FACES
from vlbench.freeze import RowSpec, presentation
from vlbench.instances import hashed
from vlbench.suites import Bounds
from vlbench.task import split_in
from vlbench.tasks.ez_points.any_target import make_game, reachable
from vlbench.tasks.ez_points.game import EZPointsGame
from vlbench.tasks.formula.arithmetic import OPERATORS, Cards
from vlbench.tasks.formula.suites import exact_bounds, game_rules, numbered_rows, with_kwargs

RUNGS = {"ladder-20": (1, 20), "ladder-50": (21, 50), "ladder-500": (51, 500)}
"""Rung of the ladder → its smallest and largest target."""

NAMES = ("test", "ood-looks", "ood-rules", "ood-both", "sealed", "memory", "paper", *RUNGS)

LOOKS = {"ood-looks": "heldout", "sealed": "sealed"}
"""Suite with the rows of `test` in other themes → their group."""

PAPER_PICTURES = 30
"""Pictures of each hand in `paper`."""

Start = tuple[dict[str, Any], str]
"""Rules and an instance."""


def rows(suite: str) -> list[RowSpec]:
    """Return the rows of a suite.

    `ood-looks` and `sealed` have the rows of `test` in other themes, and `memory` has them with the
    cards face up once. `ood-rules` has the operators − and / besides + and *, and targets that need
    them; `ood-both` has these rows in other themes. `paper` has pictures of the 7 hands that reach
    12. The rungs of the ladder are the hands of `test`, by target.
    """
    if suite in LOOKS:
        return with_kwargs(rows("test"), theme=LOOKS[suite])
    if suite == "memory":
        return with_kwargs(rows("test"), from_memory=True)
    if suite == "ood-both":
        return with_kwargs(rows("ood-rules"), theme="heldout")
    if suite == "paper":
        hands = [_instance(hand) for hand in EZPointsGame().hands]
        return [
            RowSpec({"theme": "train"}, hands[i % len(hands)], presentation(suite, i))
            for i in range(PAPER_PICTURES * len(hands))
        ]
    if suite == "ood-rules":
        return numbered_rows(suite, starts(OPERATORS))
    least, most = RUNGS.get(suite, (1, RUNGS["ladder-500"][1]))
    usual = starts("+*")
    return numbered_rows(suite, [start for start in usual if least <= start[0]["target"] <= most])


def starts(operators: str) -> list[Start]:
    """Return every hand and target of the split `test`, with one value of J, Q and K each.

    Args:
        operators: "+*", or more; then only targets that + and * don't reach.
    """
    largest = MAX_FACES + 2
    found: list[Start] = []
    for hand in [(a, b) for a in range(1, largest + 1) for b in range(a, largest + 1)]:
        faces = _faces(hand)
        targets = reachable(hand, operators)
        if operators != "+*":
            targets -= reachable(hand, "+*")
        for target in sorted(targets) if faces else ():
            rules: dict[str, Any] = {"target": target, "faces": faces}
            if operators != "+*":
                rules["operators"] = operators
            if split_in(EZPointsGame(**rules), _instance(hand)) == "test":
                found.append((rules, _instance(hand)))
    return found


def _faces(hand: Cards) -> int:
    """Return a value of J with which both numbers are on cards; 0 if there is none."""
    if hand[-1] <= 10:
        return 10
    possible = [
        faces
        for faces in range(11, MAX_FACES + 1)
        if all(number <= 10 or faces <= number <= faces + 2 for number in hand)
    ]
    return possible[hashed(f"faces|{hand}") % len(possible)] if possible else 0


def _instance(hand: Cards) -> str:
    return "ez_points/{}-{}".format(*hand)


def bounds(rows: Sequence[RowSpec]) -> Bounds:
    """Return random play's exact success rate, and 1."""
    return exact_bounds((make_game(**game_rules(row)), row.instance) for row in rows)
