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
        reversed_signs: Whether "+" subtracts one and "-" adds one.
        ring: Whether the line is closed to a ring: one past an end is the other end.

    Raises:
        ValueError: `max_position` isn't such an integer, or another argument isn't a bool.
    """

    name = "number_line"
    vocabulary: tuple[str, ...] = ("+", "-")
    test_share = 0.4
    val_share = 0.2

    def __init__(
        self, max_position: int = 5, reversed_signs: bool = False, ring: bool = False
    ) -> None:
        self.max_position = checked_int("max_position", max_position, 1)
        if self.max_position > MAX_POSITION:
            raise ValueError(f"max_position must be at most {MAX_POSITION}, got {max_position}")
        for name, value in (("reversed_signs", reversed_signs), ("ring", ring)):
            if not isinstance(value, bool):
                raise ValueError(f"{name} must be a bool, got {value!r}")
        self.reversed_signs = reversed_signs
        self.ring = ring
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
        """Return both moves; a move past the end is legal, and on a line changes nothing."""
        return self.vocabulary

    def step(self, state: NumberLineState, action: str) -> Move[NumberLineState]:
        """Move by one: +1 at the target, 0 for another move closer, else −1."""
        after = NumberLineState(self.moved(state.current, self._step_of(action)), state.target)
        if after.current == after.target:
            return Move(after, 1.0, terminated=True, success=True)
        return Move(after, 0.0 if self.distance(after) < self.distance(state) else -1.0)

    def moved(self, number: int, step: int) -> int:
        """Return the number after a step of −1 or 1."""
        if self.ring:
            return (number + step) % (self.max_position + 1)
        return min(max(number + step, 0), self.max_position)

    def distance(self, state: NumberLineState) -> int:
        """Return the least number of moves from the current number to the target."""
        straight = abs(state.current - state.target)
        return min(straight, self.max_position + 1 - straight) if self.ring else straight

    def _step_of(self, action: str) -> int:
        return 1 if (action == "+") != self.reversed_signs else -1

    def values(self, state: NumberLineState, turns: int) -> Mapping[str, float]:
        """Return 1 if the target can still be reached in time, minus 1 for a wrong move."""
        values = {}
        for action in self.vocabulary:
            move = self.step(state, action)
            arrives = not move.terminated and self.distance(move.state) <= turns - 1
            values[action] = move.reward + (1.0 if arrives else 0.0)
        return values

    def expert(self, state: NumberLineState, turns: int) -> str:
        """Step towards the target, by the shorter way; up if both ways are equal."""
        up = state.current < state.target
        if self.ring and 2 * abs(state.current - state.target) > self.max_position + 1:
            up = not up
        return "+" if up != self.reversed_signs else "-"
