"""Instances, presentations and splits: where an episode starts and how that start is shown.

An instance is the canonical latent start ("points24/3-3-8-8"); a presentation is an integer that
fixes all that doesn't change the game. Everything here is sha256 of texts, never a generator, so
that it is the same on every machine and under every version of numpy.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from vlbench.errors import unknown_name

MAX_PRESENTATION = 2**31
"""Presentations are integers 0..MAX_PRESENTATION−1."""


def hashed(text: str) -> int:
    """Return a text's first eight sha256 bytes as an integer below 2**64."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")


@dataclass(frozen=True, slots=True)
class Presentation:
    """How an instance is shown: a source of small choices that don't change the game."""

    instance: str
    number: int
    """The presentation, 0 <= number < MAX_PRESENTATION."""

    def pick(self, label: str, count: int) -> int:
        """Return a choice 0..count−1.

        Choices are evenly spread over presentations, and independent of those of other labels.
        """
        return hashed(f"{self.instance}|{self.number}|{label}") % count


SPLIT_KEY = "vlbench-v0"
"""Key of the split; chosen once, before anything was scored."""


def group_of(instance: str) -> str:
    """Return the group in which an instance is scored apart; "" where its task has none.

    An instance is named "<task>/<start>", or "<task>/<group>/<unit>-<number>" where many starts
    share what must not be torn apart by a split: ALFWorld's types of tasks, and its floor plans.
    """
    parts = instance.split("/")
    return parts[1] if len(parts) == 3 else ""


def unit_of(instance: str) -> str:
    """Return what is held out whole: the instance itself, or "<task>/<unit>" where it names one."""
    task, *rest = instance.split("/")
    return f"{task}/{rest[1].rpartition('-')[0]}" if len(rest) == 2 else instance


def split_of(instance: str, test_share: float) -> str:
    """Return "test" or "train", by a keyed hash of the instance's unit.

    Args:
        instance: The canonical instance.
        test_share: Share of the units that are test units.
    """
    unit = unit_of(instance)
    return "test" if hashed(f"{SPLIT_KEY}|{unit}") < test_share * 2**64 else "train"


class ResetOptions(NamedTuple):
    """Where an episode is to start, as far as the options of `reset` say."""

    instance: str | None
    presentation: int | None


def reset_options(options: Mapping[str, Any]) -> ResetOptions:
    """Return what the options of `reset` name.

    Raises:
        ValueError: An option is unknown or of another kind; the message names the nearest.
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
