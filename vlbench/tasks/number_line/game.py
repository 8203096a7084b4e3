"""The rules of NumberLine: move the current number to the target, one unit a turn."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from vlbench.task import Move, checked_int, instance_body


@dataclass(frozen=True, slots=True)
class NumberLineState:
    """Two numbers on the line 0..max_position."""

    current: int
    target: int


MAX_POSITION = 999_999_999
"""The largest number that fits in the picture."""


class NumberLineGame:
    """The rules of NumberLine.

    Args:
        max_position: Right end of the line, from 1 to MAX_POSITION.

    Raises:
        ValueError: `max_position` isn't such an integer.
    """

    name = "number_line"
    vocabulary: tuple[str, ...] = ("+", "-")
    test_share = 0.0
    val_share = 0.0

    def __init__(self, max_position: int = 5) -> None:
        self.max_position = checked_int("max_position", max_position, 1)
        if self.max_position > MAX_POSITION:
            raise ValueError(f"max_position must be at most {MAX_POSITION}, got {max_position}")
        self.max_turns = 2 * self.max_position

    def deal(self, rng: np.random.Generator) -> str:
        """Draw a start and a different target, uniformly over ordered pairs."""
        pairs = (self.max_position + 1) * self.max_position
        start, target = divmod(int(rng.integers(pairs)), self.max_position)
        return f"{self.name}/{start}-{target + (target >= start)}"

    def start(self, instance: str) -> NumberLineState:
        """Read "number_line/<start>-<target>".

        Raises:
            ValueError: The numbers are equal or off the line.
        """
        body = instance_body(instance, self.name, "number_line/2-5")
        numbers = [int(part) for part in body.split("-") if part.isdecimal() and len(part) < 10]
        on_line = all(0 <= number <= self.max_position for number in numbers)
        canonical = "-".join(map(str, numbers)) == body
        if len(numbers) != 2 or not on_line or not canonical or numbers[0] == numbers[1]:
            raise ValueError(
                f'unknown instance "{instance}"; wanted "number_line/<start>-<target>" with two '
                f'different numbers from 0 to {self.max_position}, like "number_line/2-5"'
            )
        return NumberLineState(*numbers)

    def legal(self, state: NumberLineState) -> tuple[str, ...]:
        """Return both moves; a move past the end is legal and changes nothing."""
        return self.vocabulary

    def step(self, state: NumberLineState, action: str) -> Move[NumberLineState]:
        """Move by one: +1 at the target, 0 for another move closer, else −1."""
        current, target = state.current, state.target
        moved = min(max(current + (1 if action == "+" else -1), 0), self.max_position)
        after = NumberLineState(moved, target)
        if moved == target:
            return Move(after, 1.0, terminated=True, success=True)
        return Move(after, 0.0 if abs(moved - target) < abs(current - target) else -1.0)

    def values(self, state: NumberLineState, turns: int) -> Mapping[str, float]:
        """Return 1 if the target can still be reached in time, minus 1 for a wrong move."""
        values = {}
        for action in self.vocabulary:
            move = self.step(state, action)
            distance = abs(move.state.current - move.state.target)
            arrives = not move.terminated and distance <= turns - 1
            values[action] = move.reward + (1.0 if arrives else 0.0)
        return values

    def expert(self, state: NumberLineState, turns: int) -> str:
        """Step towards the target."""
        return "+" if state.current < state.target else "-"
