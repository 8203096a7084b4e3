"""EZPoints' frozen sets."""

from collections.abc import Sequence
from typing import Any

from vlbench.freeze import RANDOM_EPISODES, RowSpec, presentation, random_success
from vlbench.suites import Bounds
from vlbench.tasks.ez_points.game import EZPointsGame

NAMES = ("test", "ood")
OTHER_RULES: tuple[dict[str, Any], ...] = (
    {"target": 10},
    {"target": 15},
    {"target": 16},
    {"target": 20},
    {"target": 24, "faces": 11},
)


def rows(suite: str) -> list[RowSpec]:
    """Return `test`: 200 pictures of the 7 hands; `ood`: 20 pictures under each other rule."""
    if suite == "test":
        return _rows({}, "train", 200, suite)
    other: list[RowSpec] = []
    for number, rule in enumerate(OTHER_RULES):
        other += _rows(rule, "heldout", 20, f"{suite}{number}")
    return other


def _rows(rule: dict[str, Any], theme: str, count: int, label: str) -> list[RowSpec]:
    hands = EZPointsGame(**rule).hands
    kwargs = {"theme": theme, **rule}
    return [
        RowSpec(kwargs, "ez_points/{}-{}".format(*hands[i % len(hands)]), presentation(label, i))
        for i in range(count)
    ]


def bounds(rows: Sequence[RowSpec]) -> Bounds:
    """Return random play's measured success rate, and 1."""
    games = [
        (EZPointsGame(**{k: v for k, v in row.kwargs.items() if k != "theme"}), row.instance)
        for row in rows
    ]
    return Bounds(random_success(games, RANDOM_EPISODES), 1.0)
