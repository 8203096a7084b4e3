"""Worked searches for a target: combine two numbers at a time until one remains.

The search tries first steps in a fixed order. It marks a step "no" if the remaining three numbers
can't make the target. It marks the first step that can "yes" and follows it to the end:

    10 9 9 3 > 10 + 9 = 19 19 9 3 no, 10 - 9 = 1 9 3 1 yes, 9 - 1 = 8 8 3, 8 * 3 = 24

So a student that knows about 2,000 triples can solve a hand it has never seen.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations

from vlbench.tasks.formula.game import END

Numbers = tuple[int, ...]

LARGEST = 100
"""Every number in a search is an integer 0..LARGEST."""


@dataclass(frozen=True, slots=True)
class Step:
    """One combination of two numbers."""

    left: int
    operator: str
    right: int
    result: int
    rest: Numbers
    """The numbers after the step, including its result, sorted."""

    def __str__(self) -> str:
        """Return the equation, followed by the remaining numbers if there is more than one."""
        equation = f"{self.left} {self.operator} {self.right} = {self.result}"
        return f"{equation} {list_numbers(self.rest)}" if len(self.rest) > 1 else equation


@dataclass(frozen=True, slots=True)
class WorkedSearch:
    """A successful search, as text."""

    search: str
    plan: str
    """The formula that the search finds; every step but the last is in parentheses."""

    @property
    def actions(self) -> list[str]:
        """The actions that play the plan: its tokens, then "="."""
        return [*re.findall(r"\d+|\S", self.plan), END]


@lru_cache(maxsize=2**18)
def steps(numbers: Numbers) -> tuple[Step, ...]:
    """Return every combination of two of these sorted numbers, in search order.

    Pairs start with the largest numbers; the larger operand is on the left.
    """
    by_equation: dict[tuple[int, str, int], Step] = {}
    for j, i in combinations(reversed(range(len(numbers))), 2):
        a, b = numbers[j], numbers[i]
        results = {"+": a + b, "/": a // b if b and a % b == 0 else None, "-": a - b, "*": a * b}
        others = [number for k, number in enumerate(numbers) if k not in (i, j)]
        for operator, result in results.items():
            if result is not None and result <= LARGEST:
                rest = tuple(sorted([*others, result]))
                by_equation.setdefault((a, operator, b), Step(a, operator, b, result, rest))
    return tuple(by_equation.values())


@lru_cache(maxsize=2**18)
def leads(numbers: Numbers, target: int) -> bool:
    """Return whether sorted numbers can be combined into the target."""
    if len(numbers) == 1:
        return numbers[0] == target
    return any(leads(step.rest, target) for step in steps(numbers))


def work(numbers: Sequence[int], target: int) -> WorkedSearch | None:
    """Search for a target; return None if integer steps don't reach it.

    Args:
        numbers: Integers of at least 0, in any order.
        target: The number that must remain.
    """
    start = tuple(sorted(numbers))
    if not leads(start, target):
        return None
    attempts: list[str] = []
    for step in steps(start):
        attempts.append(judge_step(step, target))
        if leads(step.rest, target):
            break
    path = [step, *_path(step.rest, target)]
    return WorkedSearch(f"{list_numbers(start)} > {', '.join(attempts)}", _formula(start, path))


def judge_step(step: Step, target: int) -> str:
    """Return a first step with its verdict; after "yes", also the steps to the target."""
    if not leads(step.rest, target):
        return f"{step} no"
    return ", ".join([f"{step} yes", *map(str, _path(step.rest, target))])


def list_numbers(numbers: Sequence[int]) -> str:
    """Return sorted numbers as text, the largest first."""
    return " ".join(map(str, reversed(numbers)))


def _path(numbers: Numbers, target: int) -> Iterator[Step]:
    """Yield steps to the target, each the first that works."""
    while len(numbers) > 1:
        step = next(step for step in steps(numbers) if leads(step.rest, target))
        yield step
        numbers = step.rest


def _formula(numbers: Numbers, path: Sequence[Step]) -> str:
    parts = [(number, str(number)) for number in numbers]
    for step in path:
        sides = []
        for number in (step.left, step.right):
            part = next(part for part in parts if part[0] == number)
            parts.remove(part)
            sides.append(part[1])
        parts.append((step.result, f"({sides[0]}{step.operator}{sides[1]})"))
    return parts[0][1][1:-1]
