"""Instances, presentations and splits: where an episode starts and how it is shown.

An instance is the canonical latent start ("points24/3-3-8-8"). A presentation is an integer that
fixes everything that doesn't change the game. Both use sha256 of texts, never a generator, so that
they are the same on every machine and under every version of numpy.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from vlbench.errors import unknown_name

MAX_PRESENTATION = 2**31
"""Presentations are integers 0..MAX_PRESENTATION−1."""

TRAINING_PRESENTATIONS = 2**30
"""The splits `train` and `val` deal presentations below this; those of frozen rows lie above, so
that even a row whose instance training deals has a presentation of its own."""


def hashed(text: str) -> int:
    """Return the first eight bytes of a text's sha256 as an integer below 2**64."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")


@dataclass(frozen=True, slots=True)
class Presentation:
    """How an instance is shown: a source of choices that don't change the game."""

    instance: str
    number: int
    """0 <= number < MAX_PRESENTATION."""

    def pick(self, label: str, count: int) -> int:
        """Return a choice 0..count−1.

        Choices are uniform over presentations and independent between labels.
        """
        return hashed(f"{self.instance}|{self.number}|{label}") % count


SPLIT_KEY = "vlbench-v0"
"""Key of the split; fixed before anything was scored."""


def group_of(instance: str) -> str:
    """Return the group that an instance is scored in; "" if its task has no groups.

    An instance is named "<task>/<start>", or "<task>/<group>/<unit>-<number>" in a task whose
    starts share units that a split must keep together. In ALFWorld the groups are task types and
    the units are floor plans.
    """
    parts = instance.split("/")
    return parts[1] if len(parts) == 3 else ""


def unit_of(instance: str) -> str:
    """Return the unit that a split holds out: "<task>/<unit>", or the instance if it has none."""
    task, *rest = instance.split("/")
    return f"{task}/{rest[1].rpartition('-')[0]}" if len(rest) == 2 else instance


def split_of(unit: str, test_share: float, val_share: float) -> str:
    """Return "test", "val" or "train", by a keyed hash of a unit.

    Args:
        unit: What a split keeps together; see `unit_of` and `vlbench.task.split_in`.
        test_share: Share of the units that are test units.
        val_share: Share of the units that are val units.
    """
    place = hashed(f"{SPLIT_KEY}|{unit}")
    if place < test_share * 2**64:
        return "test"
    return "val" if place < (test_share + val_share) * 2**64 else "train"


SHARE_KEY = "vlbench-share"
"""Key of the shares of a split."""


@dataclass(frozen=True, slots=True)
class Share:
    """One of N disjoint shares of the instances of a split, e.g. for two stages of training."""

    number: int
    """From 1 to `count`."""
    count: int

    @classmethod
    def parse(cls, text: str) -> "Share":
        """Read "I/N".

        Raises:
            ValueError: It isn't a share; the message says what was wanted.
        """
        first, slash, second = str(text).partition("/")
        numbers = [int(part) for part in (first, second) if part.isascii() and part.isdecimal()]
        if not slash or len(numbers) != 2 or not 1 <= numbers[0] <= numbers[1] <= MAX_SHARES:
            raise ValueError(
                f'share must be I/N with 1 <= I <= N <= {MAX_SHARES}, like 1/2, got "{text}"'
            )
        return cls(*numbers)

    def holds(self, unit: str) -> bool:
        """Return whether a unit belongs to this share, by a keyed hash."""
        return hashed(f"{SHARE_KEY}|{unit}") % self.count == self.number - 1


MAX_SHARES = 1000
"""Most shares of a split."""


class ResetOptions(NamedTuple):
    """The options of `reset`; None where one is absent."""

    instance: str | None
    presentation: int | None


def reset_options(options: Mapping[str, Any]) -> ResetOptions:
    """Check and return the options of `reset`.

    Raises:
        ValueError: An option is unknown or has a wrong type or value.
    """
    for name in options:
        if name not in ("instance", "presentation"):
            raise ValueError(unknown_name("reset option", name, ("instance", "presentation")))
    instance, number = options.get("instance"), options.get("presentation")
    if instance is not None and not isinstance(instance, str):
        raise ValueError(f'instance must be a str like "points24/3-3-8-8", got {instance!r}')
    if number is not None and (
        isinstance(number, bool)
        or not isinstance(number, (int, np.integer))
        or not 0 <= number < MAX_PRESENTATION
    ):
        raise ValueError(
            f"presentation must be an integer from 0 to {MAX_PRESENTATION - 1}, got {number!r}"
        )
    return ResetOptions(instance, None if number is None else int(number))
