"""A solver for the fewest tokens that complete a formula.

`Arithmetic` sets the kind of number; the tasks use `EXACT`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Generic, NamedTuple, TypeVar

from vlbench.tasks.formula.arithmetic import Cards, Grammar

N = TypeVar("N")

UNREACHABLE = 99
"""Length that stands for "no continuation"; longer than any real one."""


@dataclass(frozen=True, slots=True, eq=False)
class Arithmetic(Generic[N]):
    """A kind of number and its operations."""

    number: Callable[[int], N]
    """Converts a card value or a target, both at least 0."""
    add: Callable[[N, N], N]
    negate: Callable[[N], N]
    multiply: Callable[[N, N], N]
    divide: Callable[[N, N], N]
    """The divisor is never 0."""


PRIME = 2**61 - 1


@lru_cache(maxsize=4096)
def _inverse(residue: int) -> int:
    return pow(residue, -1, PRIME)


EXACT: Arithmetic[int] = Arithmetic(
    number=lambda n: n % PRIME,
    add=lambda a, b: (a + b) % PRIME,
    negate=lambda a: -a % PRIME,
    multiply=lambda a, b: a * b % PRIME,
    divide=lambda a, b: a * _inverse(b) % PRIME,
)
"""Rational numbers as residues modulo PRIME: one int instead of a fraction.

With at most four cards up to 22, every numerator and denominator stays below 22**5, so different
fractions have different residues, and only zero has residue zero.
"""


class PartialFormula(NamedTuple, Generic[N]):
    """The part written so far of a formula or of the inside of an open parenthesis."""

    total: N
    """Value of the finished terms."""
    term: N
    """Value of the term being written."""
    operator: str
    """The operator that waits for its right operand; "" if an operator must come next."""


@lru_cache(maxsize=16384)
def fewest_tokens(
    tokens: tuple[str, ...],
    cards: Cards,
    target: int,
    grammar: Grammar,
    arithmetic: Arithmetic[Any] = EXACT,
) -> int | None:
    """Return how many more tokens make a formula equal the target, each card used once.

    Args:
        tokens: The formula so far.
        cards: Values of the unused cards, sorted.
        target: The value that the formula must equal.
        grammar: The allowed tokens.
        arithmetic: The kind of number.

    Returns:
        The length of the shortest continuation, 0 if the formula is complete; None if no
        well-formed continuation exists.
    """
    fewest = _solver(grammar, arithmetic).fewest_tokens(tokens, cards, target)
    return fewest if fewest < UNREACHABLE else None


@lru_cache(maxsize=1024)
def parts(cards: Cards) -> tuple[tuple[Cards, Cards], ...]:
    """Return every split of sorted cards into (non-empty subset, rest), once each."""
    splits: dict[Cards, Cards] = {}
    for mask in range(1, 1 << len(cards)):
        subset = tuple(card for i, card in enumerate(cards) if mask >> i & 1)
        splits[subset] = tuple(card for i, card in enumerate(cards) if not mask >> i & 1)
    return tuple(splits.items())


class _Solver(Generic[N]):
    """A search with memoised results."""

    def __init__(self, grammar: Grammar, arithmetic: Arithmetic[N]) -> None:
        self._grammar = grammar
        self._arithmetic = arithmetic
        zero = arithmetic.number(0)
        self._empty = PartialFormula(zero, zero, "+")
        self._fewest = lru_cache(maxsize=65536)(self._search_levels)
        self._endings = lru_cache(maxsize=8192)(self._search_endings)
        self._operands = lru_cache(maxsize=8192)(self._search_operands)

    def fewest_tokens(self, tokens: tuple[str, ...], cards: Cards, target: int) -> int:
        """Return the length of the shortest continuation, or UNREACHABLE."""
        levels = self._read(tokens)
        if levels is None:
            return UNREACHABLE
        return self._fewest(levels, cards, self._arithmetic.number(target))

    def _read(self, tokens: tuple[str, ...]) -> tuple[PartialFormula[N], ...] | None:
        """Read a prefix, one level per open parenthesis; None if no continuation is well-formed."""
        grammar, arithmetic = self._grammar, self._arithmetic
        levels = [self._empty]
        for token in tokens:
            total, term, operator = levels[-1]
            after: PartialFormula[N] | None = None
            if token == "(" and operator and grammar.parentheses:
                levels.append(self._empty)
                continue
            if token == ")" and not operator and len(levels) > 1:
                levels.pop()
                after = self._with_operand(levels[-1], arithmetic.add(total, term))
            elif token in grammar.operators and not operator:
                after = PartialFormula(total, term, token)
            elif token.isdecimal() and operator:
                after = self._with_operand(levels[-1], arithmetic.number(int(token)))
            if after is None:
                return None
            levels[-1] = after
        return tuple(levels)

    def _with_operand(self, partial: PartialFormula[N], operand: N) -> PartialFormula[N] | None:
        """Give the waiting operator its right operand; None on division by zero."""
        arithmetic = self._arithmetic
        total, term, operator = partial
        if operator == "+":
            return PartialFormula(arithmetic.add(total, term), operand, "")
        if operator == "-":
            return PartialFormula(arithmetic.add(total, term), arithmetic.negate(operand), "")
        if operator == "*":
            return PartialFormula(total, arithmetic.multiply(term, operand), "")
        return PartialFormula(total, arithmetic.divide(term, operand), "") if operand else None

    def _search_levels(self, levels: tuple[PartialFormula[N], ...], cards: Cards, target: N) -> int:
        """Return the fewest further tokens that close every level at the target."""
        *outer, inner = levels
        if not outer:
            return self._endings(inner, cards).get(target, UNREACHABLE)
        fewest = UNREACHABLE
        for subset, rest in (((), cards), *parts(cards)):
            for operand, length in self._endings(inner, subset).items():
                after = self._with_operand(outer[-1], operand)
                if after is not None:
                    more = self._fewest((*outer[:-1], after), rest, target)
                    fewest = min(fewest, length + 1 + more)
        return fewest

    def _search_endings(self, partial: PartialFormula[N], cards: Cards) -> dict[N, int]:
        """Return value → fewest further tokens that complete a level with exactly these cards."""
        total, term, operator = partial
        fewest: dict[N, int] = {}
        if not operator:
            if not cards:
                return {self._arithmetic.add(total, term): 0}
            for operator in self._grammar.operators:
                waiting = PartialFormula(total, term, operator)
                for value, length in self._endings(waiting, cards).items():
                    if length + 1 < fewest.get(value, UNREACHABLE):
                        fewest[value] = length + 1
            return fewest
        for subset, rest in parts(cards):
            if not rest and partial == self._empty and len(subset) > 1:
                continue  # parentheses around a whole level gain nothing and would recurse forever
            for operand, length in self._operands(subset).items():
                after = self._with_operand(partial, operand)
                if after is not None:
                    for value, more in self._endings(after, rest).items():
                        if length + more < fewest.get(value, UNREACHABLE):
                            fewest[value] = length + more
        return fewest

    def _search_operands(self, cards: Cards) -> dict[N, int]:
        """Return value → fewest tokens of the operands that use exactly these cards."""
        if len(cards) == 1:
            return {self._arithmetic.number(cards[0]): 1}
        if not self._grammar.parentheses:
            return {}
        return {value: length + 2 for value, length in self._endings(self._empty, cards).items()}


@lru_cache
def _solver(grammar: Grammar, arithmetic: Arithmetic[Any]) -> _Solver[Any]:
    return _Solver(grammar, arithmetic)
