"""A player that knows the goal, its last commands and what the picture shows, and nothing else.

It searches receptacles in a fixed order that starts again from where the player stands, so that it
needs to remember little. Which kinds of receptacles have doors and can hold the object is general
knowledge, and the same in every room.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from vlbench.task import Fact
from vlbench.tasks.alfworld.drawing.picture import NOTHING
from vlbench.tasks.alfworld.games.generator import LAMP_SPOTS, STATIONS, Goal
from vlbench.tasks.alfworld.world import REQUIRED_STATE, STATE_AFTER, Room

_VERBS = {state: verb for verb, state in STATE_AFTER.items()}
_LAMP_KINDS = {kind.lower() for kind in LAMP_SPOTS}
_CLOSED = "closed"


@dataclass(frozen=True, slots=True)
class Knowledge:
    """What holds in every room."""

    fits: frozenset[tuple[str, str]]
    """(receptacle kind, object kind) pairs: the receptacle can hold the object."""
    doors: frozenset[str]
    """Kinds of receptacles with doors."""

    @classmethod
    def of(cls, room: Room) -> "Knowledge":
        """Return the general knowledge about the kinds in a room."""
        return cls(room.fits, frozenset(spot.kind for spot in room.spots if spot.openable))


@dataclass(frozen=True, slots=True)
class PicturePlayer:
    """Chooses a command.

    Args:
        goal: The goal, as the prompt states it.
        facts: What the picture shows; see `AlfworldPicture.facts`.
        commands: The last commands, as the prompt repeats them.
        knowledge: What holds in every room.
        examine_first: Whether the prompt says that one must examine before taking.
    """

    goal: Goal
    facts: Mapping[str, Fact]
    commands: Sequence[str]
    knowledge: Knowledge
    examine_first: bool = False

    def next_command(self) -> str:
        """Return the next command; "look" if there is nothing to try."""
        held = str(self.facts["holding"])
        if held == NOTHING:
            return self._fetch()
        if _kind(held) != self.goal.target:
            return f"move {held} to {self._here}"
        if self.goal.toggle:
            return self._light()
        state = REQUIRED_STATE.get(self.goal.kind, "")
        if state and held not in self._names(state):
            station = self._first(STATIONS[self.goal.kind].lower())
            return self._go(station) or f"{_VERBS[state]} {held} with {station}"
        goal = self._first(self.goal.parent)
        return self._go(goal) or self._open() or f"move {held} to {goal}"

    @property
    def _here(self) -> str:
        return str(self.facts["location"])

    def _names(self, fact: str) -> tuple[str, ...]:
        names = self.facts[fact]
        assert isinstance(names, tuple)
        return tuple(map(str, names))

    def _first(self, kind: str) -> str:
        """Return the first receptacle of a kind; "" if there is none."""
        return next((name for name in self._names("receptacles") if _kind(name) == kind), "")

    def _go(self, place: str) -> str:
        """Return the command to get to a place; "" if the player stands there."""
        if not place:
            return "look"
        return "" if place == self._here else f"go to {place}"

    def _open(self) -> str:
        return f"open {self._here}" if self.facts["door"] == _CLOSED else ""

    def _examine(self) -> str:
        """Return the command to examine what is here; "" if that is done or needn't be done."""
        command = f"examine {self._here}"
        return command if self.examine_first and command not in self.commands else ""

    def _fetch(self) -> str:
        """Take the object that the goal asks for, or look for it."""
        target = self.goal.target
        places = [
            name
            for name in self._names("receptacles")
            if (_kind(name), target) in self.knowledge.fits
        ]
        if self._here in places and self.facts["door"] == _CLOSED:
            return self._open()
        if self._here != self._first(self.goal.parent):
            for name in self._names("visible"):
                if _kind(name) == target:
                    return self._examine() or f"take {name} from {self._here}"
        taken = [c.partition(" from ")[2] for c in self.commands if c.startswith("take ")]
        return self._search(places, taken[-1] if taken else "")

    def _light(self) -> str:
        """Use the lamp, or look for it with the object in hand."""
        for name in self._names("visible"):
            if _kind(name) == self.goal.toggle:
                return f"use {name}"
        places = sorted(self._names("receptacles"), key=lambda name: _kind(name) not in _LAMP_KINDS)
        if self._here in places and self.facts["door"] == _CLOSED:
            return self._open()
        return self._search(places, "")

    def _search(self, places: Sequence[str], last: str) -> str:
        """Go to the next place, those without doors first.

        Args:
            places: Where to search.
            last: Where to go on if the player stands elsewhere; "" for the first place.
        """
        order = sorted(places, key=lambda name: _kind(name) in self.knowledge.doors)
        if not order:
            return "look"
        if self._here in order:
            return self._go(order[(order.index(self._here) + 1) % len(order)]) or "look"
        return self._go(last if last in order else order[0]) or "look"


def _kind(name: str) -> str:
    """Return a name without its number, e.g. "apple"."""
    return name.rpartition(" ")[0]
