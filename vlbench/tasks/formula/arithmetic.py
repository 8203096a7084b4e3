"""Formulas and their exact values.

A formula is a sequence of tokens: decimal numbers, `+ - * /`, `(`, `)`. Operators are binary;
multiplication and division bind tighter than addition and subtraction; equal precedence associates
to the left. Adjacent numbers are ill-formed (never joined), and so are signs, `**` and `//`.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction

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


Cards = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Grammar:
    """The operators of a task, and whether it allows parentheses."""

    operators: str = OPERATORS
    parentheses: bool = True


def hands(size: int, numbers: Sequence[int]) -> Iterator[Cards]:
    """Yield every sorted hand of `size` cards with values from the sorted `numbers`."""
    if size == 0:
        yield ()
        return
    for index, number in enumerate(numbers):
        for rest in hands(size - 1, numbers[index:]):
            yield (number, *rest)
