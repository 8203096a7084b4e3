"""The rules of Points24: four cards, four operators, parentheses, target 24."""

from functools import lru_cache
from importlib.resources import files

import numpy as np

from vlbench.cards import count_faces
from vlbench.tasks.formula.arithmetic import Cards, Grammar
from vlbench.tasks.formula.game import FormulaGame

MOST_DRAWS = 2000
"""Deals before a target counts as unreachable; target 24 takes 1.4 deals on average."""

GRAMMAR = Grammar("+-*/", True)


@lru_cache(maxsize=1)
def standard_hands() -> frozenset[Cards]:
    """Return the 566 of 715 hands of values 1..10 that make 24, from the packaged list."""
    lines = files(__package__).joinpath("solvable.txt").read_text().split()
    return frozenset(tuple(map(int, line.split("-"))) for line in lines)


class Points24Game(FormulaGame):
    """The rules of Points24.

    Args:
        target: What the formula must equal.
        faces: The value of a jack; see `FormulaGame`.

    Raises:
        ValueError: Four cards can't reach the target, or an argument is invalid; see
            `FormulaGame`.
    """

    example = "points24/3-3-8-8"
    test_share = 0.4
    val_share = 0.1

    def __init__(self, target: int = 24, faces: int = 10) -> None:
        super().__init__("points24", 4, target, faces, GRAMMAR, max_turns=22)
        if target > self.numbers[-1] ** 4:
            raise ValueError(f"target {target} can't be reached with four cards")

    def solvable(self, hand: Cards) -> bool:
        """Whether a formula that uses each card once equals the target."""
        if self.target == 24 and hand[-1] <= 10:
            return hand in standard_hands()
        return super().solvable(hand)

    def deal(self, rng: np.random.Generator) -> str:
        """Draw four of 13 ranks uniformly until the hand can reach the target.

        Raises:
            ValueError: No hand could in MOST_DRAWS deals.
        """
        for _ in range(MOST_DRAWS):
            drawn = int(rng.integers(13**4))  # one number is drawn faster than four
            ranks = (drawn % 13 + 1, drawn // 13 % 13 + 1, drawn // 169 % 13 + 1, drawn // 2197 + 1)
            a, b, c, d = hand = tuple(sorted([count_faces(rank, self.faces) for rank in ranks]))
            if self.solvable(hand):
                return f"{self.name}/{a}-{b}-{c}-{d}"
        raise ValueError(
            f"none of {MOST_DRAWS} deals can make {self.target}; choose another target"
        )
