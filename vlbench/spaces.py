"""Observation and action spaces: a picture and a text in, a reply out."""

import copy
import multiprocessing
import string
from collections.abc import Iterable, Sequence
from functools import lru_cache
from types import ModuleType
from typing import Any, overload

import numpy as np
import numpy.typing as npt
from gymnasium.spaces import Box, Dict, Space, Text
from gymnasium.vector.utils import (
    create_shared_memory,
    read_from_shared_memory,
    write_to_shared_memory,
)

import vlbench
from vlbench.task import SIZE

MAX_TEXT = 32_768
"""Maximum length of a prompt, in characters."""

_LENGTH = 4
"""Bytes that hold the length of a prompt in shared memory."""


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


def check_reply(reply: object) -> None:
    """Raise TypeError if an action isn't a `str`."""
    if not isinstance(reply, str):
        raise TypeError(
            f"an action is the model's whole reply, a str; got {type(reply).__name__}. "
            'vlbench.reply("hit") writes one; DiscreteActions(env) takes integers'
        )


class PromptSpace(Text):
    """The texts of observations: printable ASCII, 1..MAX_TEXT characters.

    It differs from `Text` in the memory that `AsyncVectorEnv` shares with its processes: Gymnasium
    1.4 reads a `Text` there once, before the first reset, so that every prompt is "000…".
    """

    def __init__(self) -> None:
        super().__init__(max_length=MAX_TEXT, min_length=1, charset=string.printable)


class SharedPrompts(Sequence[str]):
    """The current prompts of N environments in shared memory; a copy is a tuple of `str`.

    Args:
        memory: Shape (N, 4 + MAX_TEXT), uint8: the length of each text, then its ASCII codes.
    """

    def __init__(self, memory: npt.NDArray[np.uint8]) -> None:
        self._memory = memory

    @overload
    def __getitem__(self, index: int) -> str: ...

    @overload
    def __getitem__(self, index: slice) -> tuple[str, ...]: ...

    def __getitem__(self, index: int | slice) -> str | tuple[str, ...]:
        """Return the prompt of an environment, as it is now."""
        if isinstance(index, slice):
            return tuple(self)[index]
        row = self._memory[index]
        length = int(row[:_LENGTH].view(np.uint32)[0])
        text: bytes = row[_LENGTH : _LENGTH + length].tobytes()
        return text.decode("ascii")

    def __len__(self) -> int:
        """Return N."""
        return len(self._memory)

    def write(self, index: int, text: str) -> None:
        """Replace the prompt of an environment."""
        row = self._memory[index]
        row[:_LENGTH].view(np.uint32)[0] = len(text)
        row[_LENGTH : _LENGTH + len(text)] = np.frombuffer(text.encode("ascii"), np.uint8)

    def __deepcopy__(self, memo: dict[int, Any]) -> tuple[str, ...]:
        """Return the prompts as they are now."""
        return tuple(self)

    def __reduce__(self) -> tuple[type[tuple[str, ...]], tuple[tuple[str, ...]]]:
        """Pickle as a tuple of `str`."""
        return tuple, (tuple(self),)

    def __repr__(self) -> str:
        """Show the prompts."""
        return repr(tuple(self))


@create_shared_memory.register(PromptSpace)
def _create_prompts(space: PromptSpace, n: int = 1, ctx: ModuleType = multiprocessing) -> Any:
    return ctx.Array("B", n * (_LENGTH + MAX_TEXT))


@read_from_shared_memory.register(PromptSpace)
def _read_prompts(space: PromptSpace, shared_memory: Any, n: int = 1) -> SharedPrompts:
    return SharedPrompts(np.frombuffer(shared_memory.get_obj(), np.uint8).reshape(n, -1))


@write_to_shared_memory.register(PromptSpace)
def _write_prompt(space: PromptSpace, index: int, value: str, shared_memory: Any) -> None:
    memory = np.frombuffer(shared_memory.get_obj(), np.uint8)
    SharedPrompts(memory.reshape(-1, _LENGTH + MAX_TEXT)).write(index, value)


@lru_cache
def image_space(shape: tuple[int, int, int] = (SIZE, SIZE, 3)) -> Box[np.uint8]:
    """Return the Box of frames, one per process, because its bounds take a megabyte."""
    return Box(0, 255, shape, np.uint8)


def observation_space(shape: tuple[int, int, int] = (SIZE, SIZE, 3)) -> Space[Any]:
    """Return Dict(image, text): RGB frames of a shape, uint8, and printable ASCII prompts."""
    image = copy.copy(image_space(shape))  # shares the bounds, but has its own generator
    return Dict({"image": image, "text": PromptSpace()})
