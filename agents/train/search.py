"""Problems worked in writing: numbers are combined two at a time until the target is left.

The first steps are gone through in a fixed order. What leaves three numbers that can't make the
target is marked "no"; the first that leaves three that can is marked "yes", and worked to its end:

    10 9 9 3 > 10 + 9 = 19 19 9 3 no, 10 - 9 = 1 9 3 1 yes, 9 - 1 = 8 8 3, 8 * 3 = 24

So a hand that was never seen is a matter of triples that were: there are only some 2,000.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations

from vlbench.tasks.formula.game import END

Numbers = tuple[int, ...]

LARGEST = 100
"""Problems stay among the integers 0..LARGEST; what has no such solution isn't worked."""


@dataclass(frozen=True, slots=True)
class Step:
    """Two numbers combined."""

    left: int
    operator: str
    right: int
    result: int
    rest: Numbers
    """The numbers there are then, the result among them, sorted."""

    def __str__(self) -> str:
        """Return it as it is written down."""
        done = f"{self.left} {self.operator} {self.right} = {self.result}"
        return f"{done} {listed(self.rest)}" if len(self.rest) > 1 else done


@dataclass(frozen=True, slots=True)
class Worked:
    """A problem's solution as it is written down."""

    search: str
    plan: str
    """The formula that the search ends with, every step but the last in parentheses."""

    @property
    def actions(self) -> list[str]:
        """The plan as it is played, token by token and handed in."""
        return [*re.findall(r"\d+|\S", self.plan), END]


@lru_cache(maxsize=2**18)
def steps(numbers: Numbers) -> tuple[Step, ...]:
    """Return every way to combine two of some sorted numbers, in the order in which they are tried.

    Pairs go from the largest down; the larger number stands on the left.
    """
    found: dict[tuple[int, str, int], Step] = {}
    for j, i in combinations(reversed(range(len(numbers))), 2):
        a, b = numbers[j], numbers[i]
        results = {"+": a + b, "/": a // b if b and a % b == 0 else None, "-": a - b, "*": a * b}
        others = [number for k, number in enumerate(numbers) if k not in (i, j)]
        for operator, result in results.items():
            if result is not None and result <= LARGEST:
                rest = tuple(sorted([*others, result]))
                found.setdefault((a, operator, b), Step(a, operator, b, result, rest))
    return tuple(found.values())


@lru_cache(maxsize=2**18)
def leads(numbers: Numbers, target: int) -> bool:
    """Return whether sorted numbers can be combined into the target."""
    if len(numbers) == 1:
        return numbers[0] == target
    return any(leads(step.rest, target) for step in steps(numbers))


def work(numbers: Sequence[int], target: int) -> Worked | None:
    """Work a problem; None if integers don't lead to the target.

    Args:
        numbers: In the order in which they lie.
        target: What is to be left.
    """
    start = tuple(sorted(numbers))
    if not leads(start, target):
        return None
    tried: list[str] = []
    for step in steps(start):
        tried.append(worked_step(step, target))
        if leads(step.rest, target):
            break
    walked = [step, *_walk(step.rest, target)]
    return Worked(f"{listed(start)} > {', '.join(tried)}", _formula(start, walked))


def worked_step(step: Step, target: int) -> str:
    """Return a first step as it is written down: with its verdict, to its end if that is yes."""
    if not leads(step.rest, target):
        return f"{step} no"
    return ", ".join([f"{step} yes", *map(str, _walk(step.rest, target))])


def listed(numbers: Sequence[int]) -> str:
    """Return sorted numbers as they are written down, the largest first."""
    return " ".join(map(str, reversed(numbers)))


def _walk(numbers: Numbers, target: int) -> Iterator[Step]:
    """Yield the first steps that lead to the target."""
    while len(numbers) > 1:
        step = next(step for step in steps(numbers) if leads(step.rest, target))
        yield step
        numbers = step.rest


def _formula(numbers: Numbers, walked: Sequence[Step]) -> str:
    parts = [(number, str(number)) for number in numbers]
    for step in walked:
        sides = []
        for number in (step.left, step.right):
            part = next(part for part in parts if part[0] == number)
            parts.remove(part)
            sides.append(part[1])
        parts.append((step.result, f"({sides[0]}{step.operator}{sides[1]})"))
    return parts[0][1][1:-1]
