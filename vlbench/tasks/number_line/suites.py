"""NumberLine's frozen sets.

A pair of numbers is a test pair whatever the line's length. `test` spreads over six lengths, with
few rows on the longest lines, where an episode may last 400 turns.
"""

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

from vlbench.freeze import RowSpec, presentation
from vlbench.instances import hashed
from vlbench.suites import Bounds
from vlbench.task import split_in
from vlbench.tasks.number_line.game import NumberLineGame, NumberLineState

LEVELS = {5: 6, 10: 34, 20: 130, 50: 24, 100: 6, 200: 4}
"""max_position → rows of `test`. Each row's pair doesn't fit on the line before."""

LADDER = {10: 100, 20: 100, 50: 100, 200: 40}
"""max_position → rows of the rung."""

RULES: tuple[tuple[dict[str, Any], int], ...] = (
    ({"max_position": 20, "reversed_signs": True}, 120),
    ({"max_position": 20, "ring": True}, 50),
    ({"max_position": 50, "ring": True}, 30),
)
"""Changed rules → rows of `ood-rules`."""

NAMES = (
    *("test", "ood-looks", "ood-rules", "ood-both", "sealed", "paper"),
    *(f"ladder-{level}" for level in LADDER),
)

PAPER_PICTURES = 4
"""Rows of each of RL4VLM's 30 pairs in `paper`."""


def rows(suite: str) -> list[RowSpec]:
    """Return a suite's rows.

    `ood-looks` shows the rows of `test`, and `ood-both` those of `ood-rules`, in held-out themes;
    `sealed` shows those of `test` in sealed ones.
    """
    if suite in ("ood-looks", "ood-both", "sealed"):
        usual = rows("ood-rules" if suite == "ood-both" else "test")
        theme = "sealed" if suite == "sealed" else "heldout"
        return [
            RowSpec({**row.kwargs, "theme": theme}, row.instance, presentation(suite, number))
            for number, row in enumerate(usual)
        ]
    if suite == "test":
        return _numbered(suite, [start for level in LEVELS for start in _level(level)])
    if suite == "ood-rules":
        return _numbered(suite, [start for rule, count in RULES for start in _changed(rule, count)])
    if suite == "paper":
        pairs = [f"number_line/{a}-{b}" for a in range(6) for b in range(6) if a != b]
        return _numbered(suite, [({}, pair) for pair in pairs for _ in range(PAPER_PICTURES)])
    level = int(suite.rpartition("-")[2])
    test = _test_pairs(suite, level)
    starts = [test[number % len(test)] for number in range(LADDER[level])]
    return _numbered(suite, [({"max_position": level}, start) for start in starts])


def _numbered(suite: str, starts: Sequence[tuple[Mapping[str, Any], str]]) -> list[RowSpec]:
    """Return rows of rules and instances, each with a presentation of its own."""
    return [
        RowSpec({"theme": "train", **rules}, instance, presentation(suite, number))
        for number, (rules, instance) in enumerate(starts)
    ]


def _level(level: int) -> list[tuple[dict[str, Any], str]]:
    shorter = max((other for other in LEVELS if other < level), default=0)
    pairs = [pair for pair in _test_pairs("test", level) if _largest(pair) > shorter]
    return [({"max_position": level}, pair) for pair in pairs[: LEVELS[level]]]


def _changed(rule: dict[str, Any], count: int) -> list[tuple[dict[str, Any], str]]:
    """Return starts in which the usual expert's first move is wrong."""
    game, usual = NumberLineGame(**rule), NumberLineGame()
    pairs = []
    for pair in _test_pairs(str(rule), game.max_position):
        state = game.start(pair)
        values = game.values(state, game.max_turns)
        if values[usual.expert(state, game.max_turns)] < max(values.values()):
            pairs.append(pair)
    return [(rule, pair) for pair in pairs[:count]]


@cache
def _test_pairs(label: str, level: int) -> tuple[str, ...]:
    """Return the test pairs of a line, shuffled by hash."""
    game, numbers = NumberLineGame(level), range(level + 1)
    pairs = [f"number_line/{a}-{b}" for a in numbers for b in numbers if a != b]
    test = [pair for pair in pairs if split_in(game, pair) == "test"]
    return tuple(sorted(test, key=lambda pair: hashed(f"{label}|{pair}")))


def _largest(pair: str) -> int:
    return max(map(int, pair.partition("/")[2].split("-")))


def old_expert(state: NumberLineState, turns: int) -> str:
    """Return the sign that usually leads to the target; at the target, the other way."""
    return NumberLineGame().expert(state, turns)


def bounds(rows: Sequence[RowSpec]) -> Bounds:
    """Return random play's exact success rate on these rows, and 1."""
    rates = []
    for row in rows:
        rules = {name: value for name, value in row.kwargs.items() if name in RULE_NAMES}
        rates.append(random_success(NumberLineGame(**rules), row.instance))
    return Bounds(sum(rates) / len(rates), 1.0)


RULE_NAMES = ("max_position", "reversed_signs", "ring")


def random_success(game: NumberLineGame, instance: str) -> float:
    """Return the exact probability that random moves reach the target in time."""
    start = game.start(instance)
    chances: npt.NDArray[np.float64] = np.zeros(game.max_position + 1)
    chances[start.current] = 1.0
    places = np.arange(game.max_position + 1)
    after_moves = [np.array([game.moved(int(place), step) for place in places]) for step in (-1, 1)]
    arrived = 0.0
    for _ in range(game.max_turns):
        after = np.zeros_like(chances)
        for destinations in after_moves:
            np.add.at(after, destinations, chances / 2)
        arrived += float(after[start.target])
        after[start.target] = 0.0
        chances = after
    return arrived
