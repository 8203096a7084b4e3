"""Spellings of commands, and the reply space of ALFWorld environments."""

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from types import MappingProxyType

from vlbench.spaces import ReplySpace

GRAMMAR = (
    "go to (receptacle)",
    "open (receptacle)",
    "close (receptacle)",
    "take (object) from (receptacle)",
    "move (object) to (receptacle)",
    "heat (object) with (receptacle)",
    "cool (object) with (receptacle)",
    "clean (object) with (receptacle)",
    "use (object)",
    "examine (receptacle or object in hand)",
    "inventory",
    "look",
    "help",
)
"""The command grammar."""

_MOVE = re.compile(r"move (.+) to (.+)")


@lru_cache(maxsize=256)
def spellings(commands: tuple[str, ...]) -> Mapping[str, str]:
    """Return each accepted spelling → the engine's spelling.

    "move X to Y" was "put X in/on Y" before ALFWorld 0.4; both are accepted.
    """
    ways = {command: command for command in commands}
    for command in commands:
        if moved := _MOVE.fullmatch(command):
            ways[f"put {moved[1]} in/on {moved[2]}"] = command
    return MappingProxyType(ways)


class CommandSpace(ReplySpace):
    """The space of all texts; samples name a command that is admissible in the env's state.

    All such spaces contain the same texts and compare equal; only their samples differ.

    Args:
        commands: The commands to sample from until `offer` replaces them.
    """

    def offer(self, commands: Sequence[str]) -> None:
        """Replace the commands to sample from."""
        self.actions = tuple(commands)

    def __eq__(self, other: object) -> bool:
        """Compare equal to every command space."""
        return isinstance(other, CommandSpace)

    def __hash__(self) -> int:
        """Agree with equality."""
        return hash(CommandSpace)

    def __repr__(self) -> str:
        """Return the class name."""
        return "CommandSpace()"
