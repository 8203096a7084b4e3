"""Text-only exercises: what a task asks of a language model, without its pictures.

A small model needs more practice than a task has instances. A task that has exercises offers them
as a static method of its environment's class: `exercises(rng, **options)`, an endless iterator.
"""

import inspect
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np

from vlbench import ENV_IDS
from vlbench.errors import unknown_name
from vlbench.registry import env_class, short_name

T = TypeVar("T")
MAX_DRAWS = 100_000
"""Draws without anything usable after which `draw_usable` gives up."""


@dataclass(frozen=True, slots=True)
class Exercise:
    """A prompt and its answer."""

    prompt: str
    reply: str


def write_exercises(
    env_id: str, rng: np.random.Generator, options: Mapping[str, Any] = {}
) -> Iterator[Exercise]:
    """Return an endless iterator over a task's exercises.

    Args:
        env_id: A registered id.
        rng: The source of all draws; the caller owns it.
        options: Keyword arguments of the environment class's `exercises`.

    Raises:
        ValueError: The task has none, or an option is unknown or out of range.
        ImportError: The task's extra isn't installed.
    """
    write = getattr(env_class(env_id), "exercises", None)
    if write is None:
        having = [short_name(known) for known in ENV_IDS if hasattr(env_class(known), "exercises")]
        raise ValueError(f"{env_id} has no exercises; {', '.join(having)} have")
    known = [*inspect.signature(write).parameters][1:]
    for name in options:
        if name not in known:
            raise ValueError(
                unknown_name(f"option of {short_name(env_id)}'s exercises", name, known)
            )
    exercises: Iterator[Exercise] = write(rng, **options)
    return exercises


def checked_fraction(name: str, value: object) -> float:
    """Return a fraction.

    Raises:
        ValueError: It isn't a number from 0 to 1.
    """
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
        raise ValueError(f"{name} must be a number from 0 to 1, got {value!r}")
    return float(value)


def draw_usable(draw: Callable[[], T | None]) -> T:
    """Draw until something may be used.

    Args:
        draw: Returns what it drew, or None if that may not be used.

    Raises:
        ValueError: Nothing usable came in MAX_DRAWS draws.
    """
    for _ in range(MAX_DRAWS):
        drawn = draw()
        if drawn is not None:
            return drawn
    raise ValueError(
        f"these options leave nothing to write: none of {MAX_DRAWS:,} draws is a solvable training "
        "instance of the share; choose a larger share, or other numbers"
    )
