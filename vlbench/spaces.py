"""Observation and action spaces: a picture and a text in, a reply out."""

import copy
import string
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
from gymnasium.spaces import Box, Dict, Space, Text

import vlbench
from vlbench.task import SIZE

MAX_TEXT = 32_768
"""Maximum length of a prompt, in characters."""


class ReplySpace(Space[str]):
    """Contains every `str`; the parser reads the action.

    `sample()` returns a well-formed reply. Its action is uniform over the vocabulary and comes from
    the space's own generator.

    Args:
        actions: The vocabulary to sample from, at least one action text.
        seed: Seed of the space's generator.
    """

    def __init__(self, actions: Iterable[str], seed: int | None = None) -> None:
        self.actions = tuple(actions)
        super().__init__(shape=None, dtype=None, seed=seed)

    @property
    def is_np_flattenable(self) -> bool:
        """False: a text has no fixed-size array form."""
        return False

    def sample(self, mask: Any | None = None, probability: Any | None = None) -> str:
        """Return a well-formed reply with a random action.

        Args:
            mask: Not supported.
            probability: Not supported.

        Raises:
            ValueError: A mask or probabilities were given.
        """
        if mask is not None or probability is not None:
            raise ValueError("ReplySpace.sample takes neither a mask nor probabilities")
        return vlbench.reply(self.actions[int(self.np_random.integers(len(self.actions)))])

    def contains(self, x: Any) -> bool:
        """Return whether `x` is a `str`."""
        return isinstance(x, str)

    def to_jsonable(self, sample_n: Iterable[str]) -> list[str]:
        """Return the replies as a list."""
        return list(sample_n)

    def from_jsonable(self, sample_n: Sequence[str]) -> list[str]:
        """Return the replies that `to_jsonable` wrote."""
        return list(sample_n)

    def __eq__(self, other: object) -> bool:
        """Spaces are equal when their vocabularies are."""
        return isinstance(other, ReplySpace) and self.actions == other.actions

    def __hash__(self) -> int:
        """Return the hash of the vocabulary."""
        return hash(self.actions)

    def __repr__(self) -> str:
        """Show the vocabulary."""
        return f"ReplySpace({list(self.actions)})"


@lru_cache(maxsize=1)
def image_space() -> Box[np.uint8]:
    """Return the Box of frames, one per process, because its bounds take a megabyte."""
    return Box(0, 255, (SIZE, SIZE, 3), np.uint8)


def observation_space() -> Space[Any]:
    """Return Dict(image, text): RGB frames (300, 300, 3) uint8, and printable ASCII prompts."""
    image = copy.copy(image_space())  # shares the bounds, but has its own generator
    text = Text(max_length=MAX_TEXT, min_length=1, charset=string.printable)
    return Dict({"image": image, "text": text})
