"""NumberLine's frozen sets."""

from collections.abc import Sequence

from vlbench.freeze import RowSpec, presentation
from vlbench.instances import hashed
from vlbench.suites import Bounds
from vlbench.tasks.number_line.game import NumberLineGame

NAMES = ("test", "ood")
PICTURES = 4
"""Pictures of each pair in the test set, one per training theme."""


def rows(suite: str) -> list[RowSpec]:
    """Return `test`: all 30 pairs in each training theme; `ood`: a line to 50, held-out themes."""
    if suite == "test":
        pairs = [(a, b) for a in range(6) for b in range(6) if a != b]
        theme = {"theme": "train"}
        return [
            RowSpec(theme, f"number_line/{a}-{b}", n) for a, b in pairs for n in range(PICTURES)
        ]
    far = {"theme": "heldout", "max_position": 50}
    draws = ((hashed(f"a{i}") % 51, hashed(f"b{i}") % 51) for i in range(1000))
    pairs = list(dict.fromkeys((a, b) for a, b in draws if a != b))[:100]
    return [
        RowSpec(far, f"number_line/{a}-{b}", presentation(suite, i))
        for i, (a, b) in enumerate(pairs)
    ]


def bounds(rows: Sequence[RowSpec]) -> Bounds:
    """Return random play's exact success rate on these rows, and 1."""
    rates = []
    for row in rows:
        game = NumberLineGame(int(row.kwargs.get("max_position", 5)))
        rates.append(random_success(game, row.instance))
    return Bounds(sum(rates) / len(rates), 1.0)


def random_success(game: NumberLineGame, instance: str) -> float:
    """Return the exact probability that random moves reach the target in time."""
    start = game.start(instance)
    chances = {start.current: 1.0}
    arrived = 0.0
    for _ in range(game.max_turns):
        after: dict[int, float] = {}
        for current, chance in chances.items():
            for step in (-1, 1):
                moved = min(max(current + step, 0), game.max_position)
                if moved == start.target:
                    arrived += chance / 2
                else:
                    after[moved] = after.get(moved, 0.0) + chance / 2
        chances = after
    return arrived
