"""A solver in floating point, for what `eval` accepts of well-formed formulas.

Like `vlbench.tasks.formula.arithmetic.fewest_tokens`, but with Python's numbers in Python's order
of evaluation, so that `8/(3-8/3)` is 23.99999999999999 and solves nothing. Formulas are well-formed
in the same sense: binary operators between numbers that stand apart. What `eval` takes besides
(joined digits, `**`, `//`, signs) isn't searched.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from vlbench.tasks.formula.arithmetic import Cards, Grammar, parts

UNREACHABLE = 99


@dataclass(frozen=True, slots=True)
class Partial:
    """A sum that has been written up to some point, at one level of parentheses."""

    total: float = 0
    """Value of the finished terms."""
    term: float = 0
    """Value of the term being written."""
    operator: str = "+"
    """The operator that waits for its right operand; "" where an operator must come next."""

    @property
    def value(self) -> float:
        """Value of what has been written, where no operator waits."""
        return self.total + self.term

    def with_operand(self, operand: float) -> "Partial | None":
        """Give the waiting operator its right operand; None when that divides by zero."""
        if self.operator == "+":
            return Partial(self.value, operand, "")
        if self.operator == "-":
            return Partial(self.value, -operand, "")
        if self.operator == "*":
            return Partial(self.total, self.term * operand, "")
        return Partial(self.total, self.term / operand, "") if operand else None

    def with_operator(self, operator: str) -> "Partial":
        """Append an operator."""
        return Partial(self.total, self.term, operator)


@lru_cache(maxsize=8192)
def _operands(cards: Cards, grammar: Grammar) -> dict[float, int]:
    """Return value → fewest tokens of the operands made of exactly these cards."""
    if len(cards) == 1:
        return {cards[0]: 1}
    if not grammar.parentheses:
        return {}
    return {value: length + 2 for value, length in _endings(Partial(), cards, grammar).items()}


@lru_cache(maxsize=8192)
def _endings(partial: Partial, cards: Cards, grammar: Grammar) -> dict[float, int]:
    """Return value → fewest further tokens of the ways to finish a level with these cards."""
    fewest: dict[float, int] = {}
    if not partial.operator:
        if not cards:
            return {partial.value: 0}
        for operator in grammar.operators:
            for value, length in _endings(partial.with_operator(operator), cards, grammar).items():
                fewest[value] = min(length + 1, fewest.get(value, UNREACHABLE))
        return fewest
    for chosen, left in parts(cards):
        if not left and partial == Partial() and len(chosen) > 1:
            continue  # parentheses around a whole level gain nothing, and would never end
        for operand, written in _operands(chosen, grammar).items():
            after = partial.with_operand(operand)
            if after is not None:
                for value, length in _endings(after, left, grammar).items():
                    fewest[value] = min(written + length, fewest.get(value, UNREACHABLE))
    return fewest


@lru_cache(maxsize=65536)
def _fewest(levels: tuple[Partial, ...], cards: Cards, target: int, grammar: Grammar) -> int:
    """Return the fewest further tokens that close every level at the target."""
    *outer, inner = levels
    if not outer:
        return _endings(inner, cards, grammar).get(target, UNREACHABLE)
    fewest = UNREACHABLE
    for chosen, left in (((), cards), *parts(cards)):
        for operand, written in _endings(inner, chosen, grammar).items():
            after = outer[-1].with_operand(operand)
            if after is not None:
                rest = _fewest((*outer[:-1], after), left, target, grammar)
                fewest = min(fewest, written + 1 + rest)
    return fewest


def _levels(tokens: Sequence[str], grammar: Grammar) -> tuple[Partial, ...] | None:
    """Read the beginning of a formula; None if nothing makes it well-formed any more."""
    levels = [Partial()]
    for token in tokens:
        waiting = bool(levels[-1].operator)
        after: Partial | None = None
        if token == "(" and waiting and grammar.parentheses:
            levels.append(Partial())
            continue
        if token == ")" and not waiting and len(levels) > 1:
            closed = levels.pop()
            after = levels[-1].with_operand(closed.value)
        elif token in grammar.operators and not waiting:
            after = levels[-1].with_operator(token)
        elif token.isdecimal() and waiting:
            after = levels[-1].with_operand(int(token))
        if after is None:
            return None
        levels[-1] = after
    return tuple(levels)


def tokens_to_go(tokens: Sequence[str], cards: Cards, target: int, grammar: Grammar) -> int | None:
    """Return how many more tokens make a formula equal the target, each card used once.

    Args:
        tokens: The formula so far.
        cards: The cards not used yet, sorted.
        target: What `eval` must give for the whole formula.
        grammar: The tokens that may be written.

    Returns:
        The length of the shortest continuation, 0 if the formula is complete; None if no
        well-formed continuation exists.
    """
    levels = _levels(tokens, grammar)
    if levels is None:
        return None
    fewest = _fewest(levels, cards, target, grammar)
    return fewest if fewest < UNREACHABLE else None
