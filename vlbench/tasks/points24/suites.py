"""Points24's frozen sets."""

from collections.abc import Sequence

from vlbench.freeze import RANDOM_EPISODES, RowSpec, presentation, random_success
from vlbench.instances import hashed
from vlbench.suites import Bounds
from vlbench.task import split_in
from vlbench.tasks.formula.arithmetic import Cards, hands
from vlbench.tasks.points24.game import Points24Game

NAMES = ("test", "ood")
FAR_TARGET = {"target": 36}
FAR_FACES = {"faces": 11}


def rows(suite: str) -> list[RowSpec]:
    """Return `test`: 200 test hands; `ood`: 50 for target 36, 50 with J, Q, K as 11, 12, 13."""
    if suite == "test":
        return _rows({}, "train", 200, suite)
    far = _rows(FAR_TARGET, "heldout", 50, f"{suite} target")
    return far + _rows(FAR_FACES, "heldout", 50, f"{suite} faces")


def _rows(rule: dict[str, int], theme: str, count: int, label: str) -> list[RowSpec]:
    game = Points24Game(**rule)
    changed = [hand for hand in hands(4, game.numbers) if game.faces == 10 or hand[-1] > 10]
    instances: list[str] = []
    for hand in sorted(changed, key=lambda hand: hashed(f"{label}|{hand}")):
        instance = _instance(hand)
        if split_in(game, instance) == "test" and game.solvable(hand):
            instances.append(instance)
        if len(instances) == count:
            break
    kwargs = {"theme": theme, **rule}
    return [RowSpec(kwargs, name, presentation(label, i)) for i, name in enumerate(instances)]


def _instance(hand: Cards) -> str:
    return f"points24/{'-'.join(map(str, hand))}"


def bounds(rows: Sequence[RowSpec]) -> Bounds:
    """Return random play's measured success rate, and 1."""
    games = [
        (Points24Game(**{k: v for k, v in row.kwargs.items() if k != "theme"}), row.instance)
        for row in rows
    ]
    return Bounds(random_success(games, RANDOM_EPISODES), 1.0)
