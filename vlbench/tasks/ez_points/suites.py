"""EZPoints' frozen sets."""

from collections.abc import Sequence

from vlbench.freeze import RANDOM_EPISODES, Start, presentation, random_success
from vlbench.suites import Bounds
from vlbench.tasks.ez_points.game import EZPointsGame

OTHER_RULES = (
    {"target": 10},
    {"target": 15},
    {"target": 16},
    {"target": 20},
    {"target": 24, "faces": 11},
)


def starts(suite: str) -> list[Start]:
    """`test`: 200 pictures of the seven hands. `ood`: 20 pictures of each other rule."""
    if suite == "test":
        return _starts({}, "train", 200, suite)
    rows = []
    for number, rule in enumerate(OTHER_RULES):
        rows += _starts(rule, "heldout", 20, f"{suite}{number}")
    return rows


def _starts(rule: dict[str, int], theme: str, count: int, label: str) -> list[Start]:
    hands = EZPointsGame(**rule).hands
    kwargs = {"theme": theme, **rule}
    return [
        Start(kwargs, "ez_points/{}-{}".format(*hands[i % len(hands)]), presentation(label, i))
        for i in range(count)
    ]


def limits(suite: str, starts: Sequence[Start]) -> Bounds:
    """Random play's measured success rate, and 1."""
    games = [
        (EZPointsGame(**{k: v for k, v in start.kwargs.items() if k != "theme"}), start.instance)
        for start in starts
    ]
    return Bounds(random_success(games, RANDOM_EPISODES), 1.0)
