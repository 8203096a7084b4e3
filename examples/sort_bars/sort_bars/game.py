"""The rules: put six bars in order by swapping neighbours."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from vlbench.task import Move, instance_body

BARS = 6
"""Number of bars; their heights are 1 to BARS, each once."""

EXAMPLE = "sort_bars/3-1-2-6-5-4"


@dataclass(frozen=True, slots=True)
class Bars:
    """The heights of the bars, from the left."""

    heights: tuple[int, ...]


class SortBarsGame:
    """Swap the bars until they rise from left to right, or fall with `descending`.

    Each state needs as many swaps as it has pairs of bars in the wrong order.

    Args:
        descending: Whether the highest bar belongs on the left.
    """

    name = "sort_bars"
    vocabulary = tuple(str(place) for place in range(1, BARS))
    max_turns = 20
    test_share = 0.3
    val_share = 0.1

    def __init__(self, descending: bool = False) -> None:
        if not isinstance(descending, bool):
            raise ValueError(f"descending must be a bool, got {descending!r}")
        self.descending = descending

    def deal(self, rng: np.random.Generator) -> str:
        """Draw an order other than the two that are sorted; all are equally likely."""
        while True:
            heights = tuple(int(height) + 1 for height in rng.permutation(BARS))
            if heights not in (_RISING, _RISING[::-1]):
                return f"{self.name}/{'-'.join(map(str, heights))}"

    def start(self, instance: str) -> Bars:
        """Read "sort_bars/3-1-2-6-5-4"."""
        parts = instance_body(instance, self.name, EXAMPLE).split("-")
        heights = tuple(int(part) for part in parts if part in map(str, _RISING))
        if len(parts) != BARS or tuple(sorted(heights)) != _RISING:
            raise ValueError(
                f'unknown instance "{instance}"; wanted the heights 1 to {BARS}, like "{EXAMPLE}"'
            )
        if heights in (_RISING, _RISING[::-1]):
            raise ValueError(f'"{instance}" is sorted; wanted an order like "{EXAMPLE}"')
        return Bars(heights)

    def legal(self, state: Bars) -> tuple[str, ...]:
        """Return every swap; all are always possible."""
        return self.vocabulary

    def step(self, state: Bars, action: str) -> Move[Bars]:
        """Swap bar n with bar n + 1: +1 when all are in order, 0 for a useful swap, else −1."""
        left = int(action) - 1
        heights = list(state.heights)
        heights[left], heights[left + 1] = heights[left + 1], heights[left]
        after = Bars(tuple(heights))
        if not self.swaps_left(after):
            return Move(after, 1.0, terminated=True, success=True)
        return Move(after, 0.0 if self.swaps_left(after) < self.swaps_left(state) else -1.0)

    def swaps_left(self, state: Bars) -> int:
        """Return the number of pairs in the wrong order, which is the fewest swaps to the goal."""
        pairs = [(a, b) for i, a in enumerate(state.heights) for b in state.heights[i + 1 :]]
        return sum((a < b) if self.descending else (a > b) for a, b in pairs)

    def values(self, state: Bars, turns: int) -> Mapping[str, float]:
        """Return the swap's reward, plus 1 if the goal can then be reached in time."""
        values = {}
        for action in self.vocabulary:
            move = self.step(state, action)
            in_time = not move.terminated and self.swaps_left(move.state) <= turns - 1
            values[action] = move.reward + (1.0 if in_time else 0.0)
        return values

    def expert(self, state: Bars, turns: int) -> str:
        """Swap the first neighbours that are in the wrong order; in order, the first two."""
        for action, left, right in zip(
            self.vocabulary, state.heights, state.heights[1:], strict=False
        ):
            if (left < right) if self.descending else (left > right):
                return action
        return self.vocabulary[0]


_RISING = tuple(range(1, BARS + 1))
