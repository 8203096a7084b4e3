"""The rules of EZPoints: two cards, one operator, target 12 unless another is set."""

import numpy as np

from vlbench.tasks.formula.arithmetic import OPERATORS, Grammar, hands
from vlbench.tasks.formula.game import FormulaGame


class EZPointsGame(FormulaGame):
    """The rules of EZPoints.

    Args:
        target: What the formula must equal.
        faces: The value of a jack; see `FormulaGame`.
        operators: The operators: some of "+-*/", in any order.

    Raises:
        ValueError: No hand reaches the target, or an argument is invalid; see `FormulaGame`.
    """

    example = "ez_points/2-10"
    test_share = 0.5
    val_share = 0.1

    def __init__(self, target: int = 12, faces: int = 10, operators: str = "+*") -> None:
        grammar = Grammar(checked_operators(operators), parentheses=False)
        super().__init__("ez_points", 2, target, faces, grammar, max_turns=7)
        largest = self.numbers[-1] ** 2
        if target <= largest:
            self.hands = tuple(filter(self.solvable, hands(2, self.numbers)))
        if target > largest or not self.hands:
            raise ValueError(
                f"target {target} can't be reached with two cards and {operators}; choose what two "
                f"card values make, {largest} at most"
            )

    def unit(self, instance: str) -> str:
        """Return the hand with the target, because few hands reach any one target.

        Of the seven hands that reach 12, four are train, one val and two test.
        """
        return f"{instance}-{self.target}"

    def deal(self, rng: np.random.Generator) -> str:
        """Draw a hand uniformly from those that can reach the target (7 for target 12)."""
        hand = self.hands[int(rng.integers(len(self.hands)))]
        return f"{self.name}/{hand[0]}-{hand[1]}"


def checked_operators(operators: object) -> str:
    """Return the operators of a task.

    Raises:
        ValueError: They aren't some of "+-*/", each once.
    """
    if (
        not isinstance(operators, str)
        or not operators
        or not set(operators) <= set(OPERATORS)
        or len(set(operators)) < len(operators)
    ):
        raise ValueError(f'operators must be some of "{OPERATORS}", each once, got {operators!r}')
    return operators
