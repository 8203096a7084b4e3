"""The rules of EZPoints: two cards, one operator, target 12."""

import numpy as np

from vlbench.tasks.formula.arithmetic import Grammar, hands
from vlbench.tasks.formula.game import FormulaGame


class EZPointsGame(FormulaGame):
    """The rules of EZPoints.

    Args:
        target: What the formula must equal.
        faces: 10 when J, Q, K count 10 each; 11 when they count 11, 12, 13.

    Raises:
        ValueError: No hand reaches the target, or an argument is invalid; see `FormulaGame`.
    """

    example = "ez_points/2-10"
    test_share = 0.0
    val_share = 0.0

    def __init__(self, target: int = 12, faces: int = 10) -> None:
        super().__init__("ez_points", 2, target, faces, Grammar("+*", False), max_turns=7)
        largest = self.numbers[-1] ** 2
        if target <= largest:
            self.hands = tuple(filter(self.solvable, hands(2, self.numbers)))
        if target > largest or not self.hands:
            raise ValueError(
                f"target {target} can't be reached with two cards; choose a sum or product of two "
                f"card values, {largest} at most"
            )

    def deal(self, rng: np.random.Generator) -> str:
        """Draw a hand uniformly from those that can reach the target (7 for target 12)."""
        hand = self.hands[int(rng.integers(len(self.hands)))]
        return f"{self.name}/{hand[0]}-{hand[1]}"
