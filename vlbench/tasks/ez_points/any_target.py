"""EZPoints with `target="any"`: a target is dealt with each hand, and the instance names it.

Under one target there are few hands: 7 for the usual one. Training deals these pairs, so that it
meets many targets. A pair is of the split that its hand has under its target.
"""

from dataclasses import dataclass

import numpy as np

from vlbench.task import instance_body
from vlbench.tasks.ez_points.game import EZPointsGame, checked_operators
from vlbench.tasks.formula.arithmetic import Cards, Grammar, hands
from vlbench.tasks.formula.game import FormulaGame, FormulaState

ANY = "any"
"""The argument `target` that has targets dealt with hands."""


@dataclass(frozen=True, slots=True)
class AimedState(FormulaState):
    """A hand with its target, and the formula so far."""

    target: int

    def after(self, tokens: tuple[str, ...], unused: Cards) -> "AimedState":
        """Return the state of the same hand and target with another formula."""
        return AimedState(self.hand, tokens, unused, self.target)

    def aim(self, usual: int) -> int:
        """Return the target of this state."""
        return self.target


class AnyTargetGame(FormulaGame):
    """The rules of EZPoints with a target for each hand.

    Args:
        faces: The value of a jack; see `FormulaGame`.
        operators: The operators: some of "+-*/", in any order.

    Raises:
        ValueError: An argument is invalid; see `FormulaGame`.
    """

    example = "ez_points/2-10-20"
    test_share = EZPointsGame.test_share
    val_share = EZPointsGame.val_share

    def __init__(self, faces: int = 10, operators: str = "+*") -> None:
        grammar = Grammar(checked_operators(operators), parentheses=False)
        super().__init__("ez_points", 2, 1, faces, grammar, EZPointsGame().max_turns)
        self.pairs = tuple(
            (hand, target)
            for hand in hands(2, self.numbers)
            for target in sorted(reachable(hand, operators))
        )
        """Every hand with each target that it reaches."""
        self._bodies = {f"{a}-{b}-{target}": ((a, b), target) for (a, b), target in self.pairs}

    def rules(self) -> dict[str, str | int]:
        """Return the rules without the target, which is a fact of the state."""
        return {name: rule for name, rule in super().rules().items() if name != "target"}

    def unit(self, instance: str) -> str:
        """Return the hand with the target, as `EZPointsGame.unit` does."""
        return instance

    def deal(self, rng: np.random.Generator) -> str:
        """Draw a hand with a target uniformly from `pairs`."""
        (small, large), target = self.pairs[int(rng.integers(len(self.pairs)))]
        return f"{self.name}/{small}-{large}-{target}"

    def start(self, instance: str) -> FormulaState:
        """Read "ez_points/<number>-<number>-<target>".

        Raises:
            ValueError: It isn't a hand and a target that this hand reaches.
        """
        body = instance_body(instance, self.name, self.example)
        if body not in self._bodies:
            raise ValueError(
                f'unknown instance "{instance}"; wanted two sorted numbers on cards and a target '
                f'that they reach, joined by "-", like "{self.example}"'
            )
        return self.first_state(*self._bodies[body])

    def first_state(self, hand: Cards, target: int) -> FormulaState:
        """Return the first state of sorted numbers and a target."""
        return AimedState(hand, (), hand, target)


def reachable(hand: Cards, operators: str) -> set[int]:
    """Return the targets that two sorted numbers reach with one of the operators."""
    results = operator_results(hand)
    return {results[operator] for operator in operators if results.get(operator)}


def operator_results(hand: Cards) -> dict[str, int]:
    """Return what each operator makes of two sorted numbers; "/" if that is an integer."""
    small, large = hand
    results = {"+": small + large, "*": small * large, "-": large - small}
    if large % small == 0:
        results["/"] = large // small
    return results


def make_game(
    target: int | str = 12, faces: int = 10, operators: str = "+*"
) -> EZPointsGame | AnyTargetGame:
    """Return the rules of EZPoints for the environment's arguments.

    Raises:
        ValueError: An argument is invalid; see `EZPointsGame`.
    """
    if isinstance(target, str):
        if target != ANY:
            raise ValueError(f'target must be an integer of at least 1 or "{ANY}", got {target!r}')
        return AnyTargetGame(faces, operators)
    return EZPointsGame(target, faces, operators)
