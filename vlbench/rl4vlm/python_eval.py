"""The result of Python's `eval` on a formula, computed without `eval`.

RL4VLM joins the tokens of a formula and passes the text to `eval`, so Python's rules apply:
adjacent digits form one number, `**` and `//` are operators, an operand may have signs, `(2)(3)` is
a call, and division gives a float. This module parses the part of Python's expression grammar that
digits, `+ - * / ( )` and spaces can form, and evaluates it with Python's own arithmetic. It can
reach nothing else. Time and size are bounded: a power of more than MAX_BITS bits isn't computed.
"""

import operator
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from vlbench.tasks.formula.solver import Arithmetic

Number = int | float | complex

MAX_BITS = 2**16
"""Powers with more bits aren't computed. In a formula of four numbers, at most one number remains
to bring such a power back to 12 or 24, and none can; so the verdict is still Python's."""

HANGS = 2**28
"""Size in bits above which `eval` may never return: CPython 3.11 takes 14 s for 10**10**7 (2**25
bits), and 36 times as long for ten times as many digits."""

MAX_LENGTH = 64
"""Longest text that is evaluated; a formula of RL4VLM has at most 25 characters."""

FLOATS: Arithmetic[float] = Arithmetic(
    number=int,
    add=operator.add,
    negate=operator.neg,
    multiply=operator.mul,
    divide=operator.truediv,
)
"""The numbers of `eval`: `8/(3-8/3)` is 23.99999999999999, so it solves nothing.

A solver takes formulas to be well-formed in the tasks' sense: binary operators between numbers that
stand apart. It doesn't search what `eval` accepts besides (joined digits, `**`, `//`, signs).
"""

NEGATE = "negate"
_TOKEN = re.compile(r" *([0-9]+|\*\*|//|[-+*/()])")


@dataclass(frozen=True, slots=True)
class EvalResult:
    """The value of a formula."""

    value: Number | None
    """None if `eval` raises or returns no number, or if the value isn't computed."""
    note: str = ""
    """The reason why it wasn't computed; "" if it was, or if `eval` raises."""


class _Refused(Exception):
    """The text isn't an expression, or its value isn't a number."""


class _TooLarge(Exception):
    """A power is too large to compute."""


@lru_cache(maxsize=4096)
def python_eval(text: str) -> EvalResult:
    """Return the result of `eval(text)`.

    Args:
        text: Digits, `+ - * / ( )` and spaces; any other character is ill-formed.
    """
    if len(text) > MAX_LENGTH:
        return EvalResult(None, f"not evaluated: longer than {MAX_LENGTH} characters")
    try:
        return EvalResult(_value(_Reader(text).postfix()))
    except _TooLarge as power:
        return EvalResult(None, str(power))
    except (_Refused, ArithmeticError, TypeError):
        return EvalResult(None)


class _Reader:
    """A recursive-descent parser with one method per rule of Python's grammar.

    It emits postfix notation in Python's order of evaluation, so that nothing is computed before
    the whole text is parsed.
    """

    def __init__(self, text: str) -> None:
        self._tokens: list[str] = []
        self._position = 0
        self._postfix: list[int | str] = []
        text, position = text.rstrip(" "), 0
        while position < len(text):
            match = _TOKEN.match(text, position)
            if match is None:
                raise _Refused
            self._tokens.append(match[1])
            position = match.end()

    def postfix(self) -> list[int | str]:
        """Return the numbers and operators of the whole text."""
        self._sum()
        if self._position < len(self._tokens):
            raise _Refused
        return self._postfix

    def _sum(self) -> None:
        """Read `term (("+" | "-") term)*`."""
        self._term()
        while self._next() in ("+", "-"):
            operator = self._take()
            self._term()
            self._postfix.append(operator)

    def _term(self) -> None:
        """Read `factor (("*" | "/" | "//") factor)*`."""
        self._factor()
        while self._next() in ("*", "/", "//"):
            operator = self._take()
            self._factor()
            self._postfix.append(operator)

    def _factor(self) -> None:
        """Read `("+" | "-") factor`, or a power; so `-2**2` is −4."""
        if self._next() in ("+", "-"):
            sign = self._take()
            self._factor()
            if sign == "-":
                self._postfix.append(NEGATE)
        else:
            self._power()

    def _power(self) -> None:
        """Read `operand ["**" factor]`; so `2**3**2` is 512, and `2**-1` is a half."""
        self._operand()
        if self._next() == "**":
            self._take()
            self._factor()
            self._postfix.append("**")

    def _operand(self) -> None:
        """Read a number or `"(" sum ")"`."""
        token = self._take()
        if token == "(":
            self._sum()
            if self._take() != ")":
                raise _Refused
        elif not token.isdigit() or (token[0] == "0" and token.strip("0")):
            raise _Refused  # an operator, or a leading zero, which Python rejects
        else:
            self._postfix.append(int(token))
        if self._next() == "(":
            raise _Refused  # a call: numbers aren't callable

    def _next(self) -> str:
        return self._tokens[self._position] if self._position < len(self._tokens) else ""

    def _take(self) -> str:
        token = self._next()
        if not token:
            raise _Refused
        self._position += 1
        return token


def _value(postfix: list[int | str]) -> Number:
    stack: list[Number] = []
    for item in postfix:
        if isinstance(item, int):
            stack.append(item)
        elif item == NEGATE:
            stack.append(-stack.pop())
        else:
            right, left = stack.pop(), stack.pop()
            stack.append(_OPERATORS[item](left, right))
    return stack[0]


def _power(base: Any, exponent: Any) -> Any:
    """Return `base ** exponent`, if it isn't too large."""
    if isinstance(base, int) and isinstance(exponent, int) and exponent > 0 and abs(base) > 1:
        # A lower bound; the power has less than twice as many bits.
        bits = (base.bit_length() - 1) * exponent
        if bits > MAX_BITS:
            hangs = "; RL4VLM would hang" if bits >= HANGS else ""
            raise _TooLarge(f"not computed: a power of 2**{bits.bit_length() - 1} bits{hangs}")
    return base**exponent


_OPERATORS: dict[str, Callable[[Any, Any], Any]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
    "//": operator.floordiv,
    "**": _power,
}
