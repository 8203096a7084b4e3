"""Commands as models write them, and the space of replies that command a room."""

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
"""The forms of all commands."""

_MOVE = re.compile(r"move (.+) to (.+)")


@lru_cache(maxsize=256)
def spellings(commands: tuple[str, ...]) -> Mapping[str, str]:
    """Return each way to write a command → the engine's own.

    "move X to Y" was "put X in/on Y" before ALFWorld 0.4; both are understood.
    """
    ways = {command: command for command in commands}
    for command in commands:
        if moved := _MOVE.fullmatch(command):
            ways[f"put {moved[1]} in/on {moved[2]}"] = command
    return MappingProxyType(ways)


class CommandSpace(ReplySpace):
    """Every text that a model may write; samples command what is admissible in the env's state.

    All such spaces hold the same texts, and are equal; what they sample follows their environment.

    Args:
        commands: What to sample from until `offer` says otherwise.
    """

    def offer(self, commands: Sequence[str]) -> None:
        """Sample from these commands from now on."""
        self.actions = tuple(commands)

    def __eq__(self, other: object) -> bool:
        """All spaces of commands are equal."""
        return isinstance(other, CommandSpace)

    def __hash__(self) -> int:
        """Agree with equality."""
        return hash(CommandSpace)

    def __repr__(self) -> str:
        """Show the kind of space."""
        return "CommandSpace()"
