"""What a picture of ALFWorld may show: the scene, as its player sees it now.

The engine's facts go in (`game`), pixels come out (`picture`); nothing hidden passes this border:
what stands in a closed or distant receptacle isn't here.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Thing:
    """An object that is seen."""

    name: str
    """As commands name it, e.g. "apple 1"."""
    states: frozenset[str] = frozenset()
    """Of "hot", "cold", "clean" and "lit"; what a person could see."""

    @property
    def kind(self) -> str:
        """The name without its number, e.g. "apple"."""
        return self.name.rpartition(" ")[0]


@dataclass(frozen=True, slots=True)
class Place:
    """A receptacle."""

    name: str
    """As commands name it, e.g. "fridge 1"."""
    x: float
    """Metres to the right in the floor plan."""
    z: float
    """Metres up in the floor plan."""
    openable: bool = False
    opened: bool = False
    contents: tuple[Thing, ...] | None = None
    """What is seen in or on it, by name; None where it isn't seen (closed, or not stood at)."""

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
    """The receptacle that the player stands at; "" in the middle of the room."""
    holding: Thing | None = None
    """What the player has in hand."""
