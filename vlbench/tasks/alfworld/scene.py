"""The scene: what the player sees now, and all that a picture may show.

`world` builds it from the engine's facts and `drawing.picture` renders it. It holds nothing hidden:
the contents of closed or distant receptacles aren't in it.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Thing:
    """A visible object."""

    name: str
    """The name in commands, e.g. "apple 1"."""
    states: frozenset[str] = frozenset()
    """The visible states, among "hot", "cold", "clean" and "lit"."""

    @property
    def kind(self) -> str:
        """The name without its number, e.g. "apple"."""
        return self.name.rpartition(" ")[0]


@dataclass(frozen=True, slots=True)
class Place:
    """A receptacle."""

    name: str
    """The name in commands, e.g. "fridge 1"."""
    x: float
    """Metres to the right in the floor plan."""
    z: float
    """Metres up in the floor plan."""
    openable: bool = False
    opened: bool = False
    contents: tuple[Thing, ...] | None = None
    """Visible contents, by name; None if invisible (closed, or the player is elsewhere)."""

    @property
    def kind(self) -> str:
        """The name without its number, e.g. "fridge"."""
        return self.name.rpartition(" ")[0]


@dataclass(frozen=True, slots=True)
class Scene:
    """The room as its player sees it."""

    floor_plan: int
    """THOR's number of the room, e.g. 1 (kitchens), 201 (living rooms), 301, 401."""
    places: tuple[Place, ...]
    """Every receptacle of the room, by name."""
    at: str = ""
    """The receptacle in front of the player; "" in the middle of the room."""
    holding: Thing | None = None
    """The object in the player's hand."""
