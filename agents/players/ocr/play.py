"""A decision and what it rests on; every task's player returns one."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from agents.players.ocr.words import Word
from vlbench.task import Fact

UNREAD = "unreadable"
"""Stands for a fact that couldn't be read."""


@dataclass(frozen=True, slots=True)
class Play:
    """A decision, and what it rests on."""

    action: str
    facts: Mapping[str, Fact]
    """What was read, by the names of the task's facts, or UNREAD."""
    fields: Mapping[str, Fact]
    """The fields of the reply before its action."""
    lost: int
    """How much of the picture couldn't be read: numbers or cards."""


class TaskPlayer(Protocol):
    """Plays one task by what was read."""

    def __call__(self, words: Sequence[Word], prompt: str) -> Play:
        """Return the action for a picture's words, under the rules that the prompt states."""
