"""A solver for the fewest tokens that complete a formula.

`Arithmetic` sets the kind of number; the tasks use `EXACT`.
"""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
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


LONGEST = 13
"""Tokens of the longest formula that `random_success` counts. Longer ones, full of parentheses that
change nothing, add less than a millionth of the chance in Points24, and take most of the time."""

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


Levels = tuple[PartialFormula[N], ...]
"""A formula so far: its own part, then that of each open parenthesis."""


_Unfinished = tuple[Levels[N], Cards]
"""A formula so far, and the cards that aren't in it yet."""


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


def random_success(
    cards: Cards, target: int, grammar: Grammar, vocabulary: Sequence[str], turns: int
) -> float:
    """Return the chance that uniformly random tokens make and hand in a right formula.

    It is exact but for formulas of more than LONGEST tokens. A number that isn't on an unused card
    uses up a turn; nothing is ever taken back.

    Args:
        cards: Values of all cards, sorted.
        target: The value that the formula must equal.
        grammar: The allowed tokens.
        vocabulary: The tokens to draw from: those of the grammar, the numbers and "=".
        turns: Number of tokens that may be drawn.
    """
    return _solver(grammar, EXACT).random_success(cards, target, vocabulary, turns)


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

    def _read(self, tokens: tuple[str, ...]) -> Levels[N] | None:
        """Read a prefix, one level per open parenthesis; None if no continuation is well-formed."""
        levels: Levels[N] = (self._empty,)
        for token in tokens:
            longer = self._append(levels, token)
            if longer is None:
                return None
            levels = longer
        return levels

    def _append(self, levels: Levels[N], token: str) -> Levels[N] | None:
        """Write a token; None if no continuation is well-formed."""
        grammar, arithmetic = self._grammar, self._arithmetic
        *outer, inner = levels
        total, term, operator = inner
        after: PartialFormula[N] | None = None
        if token == "(" and operator and grammar.parentheses:
            return (*levels, self._empty)
        if token == ")" and not operator and outer:
            after = self._with_operand(outer.pop(), arithmetic.add(total, term))
        elif token in grammar.operators and not operator:
            after = PartialFormula(total, term, token)
            if token in ("+", "-"):  # the finished terms are one number then
                after = PartialFormula(arithmetic.add(total, term), self._empty.term, token)
        elif token.isdecimal() and operator:
            after = self._with_operand(inner, arithmetic.number(int(token)))
        return None if after is None else (*outer, after)

    def random_success(
        self, cards: Cards, target: int, vocabulary: Sequence[str], turns: int
    ) -> float:
        """Return the chance of random tokens; see the function of this name."""
        goal, size = self._arithmetic.number(target), len(vocabulary)
        start: _Unfinished[N] = ((self._empty,), cards)
        most = {start: turns}
        """Unfinished formula → the most turns that can remain; 0 if that is too few."""
        longer: dict[_Unfinished[N], list[_Unfinished[N]]] = {}
        waiting = deque([start])
        while waiting:
            formula = waiting.popleft()
            longer[formula] = []
            for after in self._continuations(*formula, vocabulary):
                if after not in most:  # the first way to it is a shortest one
                    turns_after = most[formula] - 1
                    spare = turns_after - turns + min(LONGEST + 1, turns)
                    most[after] = turns_after if self._needed(*after, goal, spare) <= spare else 0
                    if most[after]:
                        waiting.append(after)
                if most[after]:
                    longer[formula].append(after)

        @cache
        def chances(formula: _Unfinished[N]) -> list[float]:
            """Return the chance with each number of turns that remain."""
            levels, unused = formula
            wasted = sum(t.isdecimal() and int(t) not in unused for t in vocabulary)
            after = [chances(each) for each in longer[formula]]
            is_right = not unused and self._fewest(levels, unused, goal) == 0
            by_turns = [0.0]
            for turn in range(most[formula]):
                total = is_right + wasted * by_turns[-1] + sum([each[turn] for each in after])
                by_turns.append(total / size)
            return by_turns

        return chances(start)[turns]

    def _continuations(
        self, levels: Levels[N], unused: Cards, vocabulary: Sequence[str]
    ) -> Iterator[_Unfinished[N]]:
        """Yield the well-formed beginnings that one more token makes, with their unused cards."""
        for token in vocabulary:
            rest = unused
            if token.isdecimal():
                if int(token) not in unused:
                    continue
                place = unused.index(int(token))
                rest = unused[:place] + unused[place + 1 :]
            after = self._append(levels, token)
            if after is not None:
                yield after, rest

    def _needed(self, levels: Levels[N], unused: Cards, goal: N, most: int) -> int:
        """Return the fewest turns to hand in a right formula, or any number above `most`."""
        at_least = 2 * len(unused) - bool(levels[-1].operator) + len(levels)
        return at_least if at_least > most else self._fewest(levels, unused, goal) + 1

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

    def _search_levels(self, levels: Levels[N], cards: Cards, target: N) -> int:
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
