"""What decides a generated game besides its name."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from vlbench.errors import unknown_name
from vlbench.task import checked_int

FEWEST_OBJECTS, MOST_OBJECTS = 3, 60

WORDINGS = ("usual", "other")
"""Wordings of the goal and of the room's description: ALFWorld's own, and one that the frozen sets
alone use."""


@dataclass(frozen=True, slots=True)
class GameOptions:
    """Difficulty, rule and wording of generated games.

    Raises:
        ValueError: A value is out of range.
    """

    objects: int = 18
    """Number of objects in the room, if its kinds of objects suffice: 3..60."""
    hidden: bool = False
    """Whether the goal's objects start in closed receptacles if possible."""
    examine_first: bool = False
    """Whether an object can be taken only from a receptacle that has been examined."""
    wording: str = "usual"
    """One of WORDINGS."""

    def __post_init__(self) -> None:
        """Check the values."""
        objects = checked_int("objects", self.objects, FEWEST_OBJECTS)
        object.__setattr__(self, "objects", objects)  # numpy's integers aren't JSON
        if objects > MOST_OBJECTS:
            raise ValueError(f"objects must be at most {MOST_OBJECTS}, got {self.objects}")
        for name in ("hidden", "examine_first"):
            if not isinstance(value := getattr(self, name), bool):
                raise ValueError(f"{name} must be a bool, got {value!r}")
        if self.wording not in WORDINGS:
            raise ValueError(unknown_name("wording", str(self.wording), WORDINGS))


USUAL = GameOptions()
"""The default options."""


def options_of(kwargs: Mapping[str, Any]) -> GameOptions:
    """Return the options of a game from the keyword arguments of its environment."""
    names = [field.name for field in fields(GameOptions)]
    return GameOptions(**{name: kwargs[name] for name in names if name in kwargs})
