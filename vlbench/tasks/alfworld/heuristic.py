"""A search heuristic: look everywhere in a sensible order, remember, then do the task.

It knows the intro, what it has seen and what it holds, but never the contents of a receptacle that
it hasn't looked into.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from vlbench.tasks.alfworld.games.generator import LAMP_SPOTS, STATIONS
from vlbench.tasks.alfworld.world import REQUIRED_STATE, STATE_AFTER, Room, Spot, World

_VERBS = {state: verb for verb, state in STATE_AFTER.items()}


@dataclass(frozen=True, slots=True)
class SearchHeuristic:
    """A player with a memory.

    Args:
        room: The fixed part of the game.
        world: The current world; the heuristic reads only what it has seen.
        memory: Receptacles whose contents it has seen.
    """

    room: Room
    world: World
    memory: frozenset[str]

    @classmethod
    def from_history(cls, room: Room, world: World, commands: Sequence[str]) -> "SearchHeuristic":
        """Return the heuristic after these commands."""
        opened: set[str] = set()
        memory: set[str] = set()
        for command in commands:
            verb, _, rest = command.partition(" ")
            name = rest.removeprefix("to ") if verb == "go" else rest
            if verb == "open":
                opened.add(name)
            elif verb == "close":
                opened.discard(name)
            if verb == "open" or (
                verb == "go" and (not room.spot[name].openable or name in opened)
            ):
                memory.add(name)
        return cls(room, world, frozenset(memory))

    def next_command(self) -> str:
        """Return the next command; "look" if nothing is left to try."""
        held, goal = self.world.holding, self.room.goal
        if held and self.room.item[held].kind != goal.target:
            return self._put(held, [s for s in self.room.spots if self._fits(s, held)])
        if not held:
            return self._fetch(goal.target, self._done())
        if goal.toggle:
            return self._light()
        state = REQUIRED_STATE.get(goal.kind, "")
        if state and (held, state) not in self.world.states:
            station = self._kind(STATIONS[goal.kind].lower())[0]
            return self._at(station) or f"{_VERBS[state]} {held} with {station.name}"
        in_use = {self.world.place_of[name] for name in self._done()}
        parents = self._kind(goal.parent)
        return self._put(held, [s for s in parents if s.name in in_use] or parents)

    def _done(self) -> set[str]:
        """Return the targets that are already in place."""
        state = REQUIRED_STATE.get(self.room.goal.kind, "")
        return {
            name
            for name, place in self._known(self.room.goal.target)
            if self.room.spot[place].kind == self.room.goal.parent
            and (not state or (name, state) in self.world.states)
        }

    def _known(self, kind: str) -> list[tuple[str, str]]:
        """Return (object, receptacle) of the seen objects of a kind, those here first."""
        known = [
            (name, place)
            for name, place in self.world.placements
            if place in self.memory and self.room.item[name].kind == kind
        ]
        return sorted(known, key=lambda pair: self.room.spot[pair[1]].location != self.world.at)

    def _fetch(self, kind: str, leave: set[str]) -> str:
        for name, place in self._known(kind):
            if name not in leave:
                spot = self.room.spot[place]
                look = "" if self.room.lets_take(self.world, spot) else f"examine {place}"
                return self._open(spot) or look or f"take {name} from {place}"
        return self._search(
            [spot for spot in self.room.spots if (spot.kind, kind) in self.room.fits]
        )

    def _light(self) -> str:
        for lamp, place in self._known(self.room.goal.toggle):
            return self._at(self.room.spot[place]) or f"use {lamp}"
        likely = {kind.lower() for kind in LAMP_SPOTS}
        return self._search(sorted(self.room.spots, key=lambda spot: spot.kind not in likely))

    def _search(self, spots: Sequence[Spot]) -> str:
        """Search receptacles that haven't been searched, those without doors first."""
        for spot in sorted(spots, key=lambda spot: spot.openable):
            if spot.name not in self.memory:
                return self._open(spot) or "look"
        return "look"

    def _put(self, held: str, spots: Sequence[Spot]) -> str:
        """Put the object in hand into one of these: here if possible, else one without a door."""
        for spot in sorted(spots, key=lambda spot: (spot.location != self.world.at, spot.openable)):
            return self._open(spot) or f"move {held} to {spot.name}"
        return "look"

    def _at(self, spot: Spot) -> str:
        return "" if spot.location == self.world.at else f"go to {spot.name}"

    def _open(self, spot: Spot) -> str:
        """Return the next command to reach a receptacle's inside; "" if it is in reach."""
        shut = spot.openable and spot.name not in self.world.opened
        return self._at(spot) or (f"open {spot.name}" if shut else "")

    def _kind(self, kind: str) -> list[Spot]:
        return [spot for spot in self.room.spots if spot.kind == kind]

    def _fits(self, spot: Spot, thing: str) -> bool:
        return (spot.kind, self.room.item[thing].kind) in self.room.fits
