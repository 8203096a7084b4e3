"""Exact arithmetic on formulas, and a solver over the ways to finish one.

A formula is a sequence of tokens: decimal numbers, `+ - * /`, `(`, `)`. Operators are binary and
stand between two operands; multiplication binds before addition; equals associate to the left.
Two numbers side by side are ill-formed (never joined), and so are signs, `**` and `//`.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache

OPERATORS = "+-*/"


def evaluate(tokens: Sequence[str]) -> Fraction | None:
    """Return the exact value of a formula; None if it is ill-formed or divides by zero."""
    value, position = _sum(tokens, 0)
    return value if position == len(tokens) else None


def _sum(tokens: Sequence[str], start: int) -> tuple[Fraction | None, int]:
    value, position = _product(tokens, start)
    while value is not None and position < len(tokens) and tokens[position] in ("+", "-"):
        term, after = _product(tokens, position + 1)
        if term is None:
            return None, after
        value = value + term if tokens[position] == "+" else value - term
        position = after
    return value, position


def _product(tokens: Sequence[str], start: int) -> tuple[Fraction | None, int]:
    value, position = _operand(tokens, start)
    while value is not None and position < len(tokens) and tokens[position] in ("*", "/"):
        factor, after = _operand(tokens, position + 1)
        if factor is None or (tokens[position] == "/" and factor == 0):
            return None, after
        value = value * factor if tokens[position] == "*" else value / factor
        position = after
    return value, position


def _operand(tokens: Sequence[str], start: int) -> tuple[Fraction | None, int]:
    if start == len(tokens):
        return None, start
    if tokens[start] == "(":
        value, position = _sum(tokens, start + 1)
        closed = position < len(tokens) and tokens[position] == ")"
        return (value, position + 1) if closed else (None, position)
    return (Fraction(tokens[start]), start + 1) if tokens[start].isdecimal() else (None, start)


# The solver computes in the field of residues modulo PRIME: one int instead of a fraction. That is
# exact here: with at most four cards up to 13 every numerator and denominator stays below 13**5,
# so two different fractions never have the same residue, and only zero has residue zero.
PRIME = 2**61 - 1

UNREACHABLE = 99
"""Stands for the length of a continuation that doesn't exist; longer than any that does."""

Cards = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Grammar:
    """The tokens that a task lets a formula have."""

    operators: str = OPERATORS
    parentheses: bool = True


@dataclass(frozen=True, slots=True)
class Frame:
    """A formula, or what stands behind an open parenthesis, as far as it has been written."""

    total: int = 0
    """Residue of the sum of the finished terms."""
    term: int = 0
    """Residue of the term being written."""
    operator: str = "+"
    """The operator that waits for its right operand; "" where an operator must come next."""


@lru_cache(maxsize=4096)
def _inverse(residue: int) -> int:
    return pow(residue, -1, PRIME)


def _apply(frame: Frame, operand: int) -> Frame | None:
    """Give a waiting operator its right operand; None when that divides by zero."""
    if frame.operator == "+":
        return Frame((frame.total + frame.term) % PRIME, operand, "")
    if frame.operator == "-":
        return Frame((frame.total + frame.term) % PRIME, PRIME - operand if operand else 0, "")
    if frame.operator == "*":
        return Frame(frame.total, frame.term * operand % PRIME, "")
    if operand == 0:
        return None
    return Frame(frame.total, frame.term * _inverse(operand) % PRIME, "")


@lru_cache(maxsize=1024)
def parts(cards: Cards) -> tuple[tuple[Cards, Cards], ...]:
    """Return every (chosen, left) split of some sorted cards with a card chosen, once each."""
    splits: dict[Cards, Cards] = {}
    for mask in range(1, 1 << len(cards)):
        chosen = tuple(card for i, card in enumerate(cards) if mask >> i & 1)
        splits[chosen] = tuple(card for i, card in enumerate(cards) if not mask >> i & 1)
    return tuple(splits.items())


@lru_cache(maxsize=8192)
def _operands(cards: Cards, grammar: Grammar) -> dict[int, int]:
    """Return residue → fewest tokens of the operands made of exactly these cards."""
    if len(cards) == 1:
        return {cards[0]: 1}
    if not grammar.parentheses:
        return {}
    return {value: length + 2 for value, length in _closings(Frame(), cards, grammar).items()}


@lru_cache(maxsize=8192)
def _closings(frame: Frame, cards: Cards, grammar: Grammar) -> dict[int, int]:
    """Return residue → fewest further tokens of the ways to finish a frame with these cards."""
    fewest: dict[int, int] = {}
    if not frame.operator:
        if not cards:
            return {(frame.total + frame.term) % PRIME: 0}
        for operator in grammar.operators:
            waiting = Frame(frame.total, frame.term, operator)
            for value, length in _closings(waiting, cards, grammar).items():
                if length + 1 < fewest.get(value, UNREACHABLE):
                    fewest[value] = length + 1
        return fewest
    for chosen, left in parts(cards):
        if not left and frame == Frame() and len(chosen) > 1:
            continue  # a parenthesis around a whole frame gains nothing, and would never end
        for operand, written in _operands(chosen, grammar).items():
            after = _apply(frame, operand)
            if after is not None:
                for value, length in _closings(after, left, grammar).items():
                    if written + length < fewest.get(value, UNREACHABLE):
                        fewest[value] = written + length
    return fewest


@lru_cache(maxsize=65536)
def _finish(outer: tuple[Frame, ...], frame: Frame, cards: Cards, goal: int, g: Grammar) -> int:
    """Return the fewest further tokens that close every frame at `goal`, or UNREACHABLE."""
    if not outer:
        return _closings(frame, cards, g).get(goal, UNREACHABLE)
    fewest = UNREACHABLE
    for chosen, left in (((), cards), *parts(cards)):
        for operand, written in _closings(frame, chosen, g).items():
            after = _apply(outer[-1], operand)
            if after is not None:
                fewest = min(fewest, written + 1 + _finish(outer[:-1], after, left, goal, g))
    return fewest


def _frames(tokens: Sequence[str], grammar: Grammar) -> tuple[Frame, ...] | None:
    """Read the beginning of a formula; None if nothing can make it well-formed any more."""
    frames = [Frame()]
    for token in tokens:
        frame = frames[-1]
        waiting = bool(frame.operator)
        applied: Frame | None
        if token == "(" and waiting and grammar.parentheses:
            frames.append(Frame())
        elif token == ")" and not waiting and len(frames) > 1:
            frames.pop()
            applied = _apply(frames[-1], (frame.total + frame.term) % PRIME)
            if applied is None:
                return None
            frames[-1] = applied
        elif token in grammar.operators and not waiting:
            frames[-1] = Frame(frame.total, frame.term, token)
        elif token.isdecimal() and waiting:
            applied = _apply(frame, int(token))
            if applied is None:
                return None
            frames[-1] = applied
        else:
            return None
    return tuple(frames)


@lru_cache(maxsize=16384)
def fewest_tokens(
    tokens: tuple[str, ...], cards: Cards, target: int, grammar: Grammar
) -> int | None:
    """Return how many more tokens make a formula equal the target, each card used once.

    Args:
        tokens: The formula so far.
        cards: The cards not used yet, sorted.
        target: What the whole formula must equal.
        grammar: The tokens that may be written.

    Returns:
        The length of the shortest continuation, 0 if the formula is complete; None if no
        continuation exists.
    """
    frames = _frames(tokens, grammar)
    if frames is None:
        return None
    fewest = _finish(frames[:-1], frames[-1], cards, target % PRIME, grammar)
    return fewest if fewest < UNREACHABLE else None


def hands(size: int, numbers: Sequence[int]) -> Iterator[Cards]:
    """Yield every sorted hand of `size` cards with values from the sorted `numbers`."""
    if size == 0:
        yield ()
        return
    for index, number in enumerate(numbers):
        for rest in hands(size - 1, numbers[index:]):
            yield (number, *rest)
