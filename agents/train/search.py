"""Problems worked in writing: numbers are combined two at a time until the target is left.

What leads elsewhere is marked "no", and another way is tried:

    24: 9 3 9 10 > 3 * 9 = 27 9 10 27, ... = 28 no; 10 - 9 = 1 3 9 1, ... = 24 yes
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations

import numpy as np

Numbers = tuple[int, ...]

LARGEST = 100
"""Problems stay among the integers 0..LARGEST; what has no such solution isn't worked."""
MOST_FAILURES = 3
"""Tries that lead elsewhere, at most."""


@dataclass(frozen=True, slots=True)
class Step:
    """Two numbers combined."""

    left: int
    operator: str
    right: int
    result: int
    rest: Numbers
    """The numbers there are then, the result among them, sorted."""


@dataclass(frozen=True, slots=True)
class Worked:
    """A problem's solution as it is written down."""

    search: str
    plan: str
    """The formula that the search ends with, every step but the last in parentheses."""


@lru_cache(maxsize=2**18)
def steps(numbers: Numbers) -> tuple[Step, ...]:
    """Return every way to combine two of some numbers, the larger on the left."""
    found: dict[tuple[int, str, int], Step] = {}
    for i, j in combinations(range(len(numbers)), 2):
        a, b = max(numbers[i], numbers[j]), min(numbers[i], numbers[j])
        results = {"+": a + b, "-": a - b, "*": a * b}
        if b and a % b == 0:
            results["/"] = a // b
        others = [number for k, number in enumerate(numbers) if k not in (i, j)]
        for operator, result in results.items():
            if result <= LARGEST:
                rest = tuple(sorted([*others, result]))
                found[a, operator, b] = Step(a, operator, b, result, rest)
    return tuple(found.values())


@lru_cache(maxsize=2**18)
def ways(numbers: Numbers, target: int) -> int:
    """Return how many sequences of steps lead to the target."""
    if len(numbers) == 1:
        return int(numbers[0] == target)
    return sum(ways(step.rest, target) for step in steps(numbers))


@lru_cache(maxsize=2**18)
def reachable(numbers: Numbers) -> frozenset[int]:
    """Return every number that can be left."""
    if len(numbers) == 1:
        return frozenset(numbers)
    return frozenset().union(*(reachable(step.rest) for step in steps(numbers)))


def work(
    numbers: Sequence[int], target: int, rng: np.random.Generator, failing: float = 0.3
) -> Worked | None:
    """Work a problem; None if integers don't lead to the target.

    Args:
        numbers: In the order in which they lie.
        target: What is to be left.
        rng: Chooses among the solutions, each sequence of steps being as likely.
        failing: Share of tries that lead elsewhere.
    """
    start = tuple(sorted(numbers))
    if not ways(start, target):
        return None
    tries: list[str] = []
    while len(tries) < MOST_FAILURES and rng.random() < failing:
        walked = _walk(start, None, rng)
        if walked[-1].result != target:
            tries.append(f"{_written(walked)} no")
    solution = _walk(start, target, rng)
    tries.append(f"{_written(solution)} yes")
    return Worked(f"{posed(numbers, target)} > {'; '.join(tries)}", _formula(start, solution))


def posed(numbers: Sequence[int], target: int) -> str:
    """Return a problem as it is posed."""
    return f"{target}: {' '.join(map(str, numbers))}"


def _walk(numbers: Numbers, target: int | None, rng: np.random.Generator) -> list[Step]:
    """Return steps until one number is left: to the target, or anywhere."""
    walked: list[Step] = []
    while len(numbers) > 1:
        open_steps = steps(numbers)
        weights = [1 if target is None else ways(step.rest, target) for step in open_steps]
        place = rng.integers(sum(weights))
        walked.append(open_steps[int(np.searchsorted(np.cumsum(weights), place, side="right"))])
        numbers = walked[-1].rest
    return walked


def _written(walked: Sequence[Step]) -> str:
    lines = []
    for step in walked:
        rest = step.rest if len(step.rest) > 1 else ()
        done = f"{step.left} {step.operator} {step.right} = {step.result}"
        lines.append(" ".join([done, *map(str, rest)]))
    return ", ".join(lines)


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
