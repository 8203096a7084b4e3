"""A game as plain data: the fixed `Room`, the changing `World`, and the effect of commands.

A `World` is read from the engine's facts. `Room.successor` computes the effect of a command, so
that the expert can plan without the engine. Tests compare both.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cached_property

from vlbench.tasks.alfworld.engine.client import Description, Fact
from vlbench.tasks.alfworld.games.generator import STATIONS, Goal
from vlbench.tasks.alfworld.scene import Place, Scene, Thing

STATES = {"isclean": "clean", "ishot": "hot", "iscool": "cold", "istoggled": "lit"}
"""The engine's predicate → visible state. A lamp stays lit once used, as the engine's feedback and
goals have it."""

STATE_AFTER = {"clean": "clean", "heat": "hot", "cool": "cold"}
"""Verb → state of its object afterwards, in the order of STATIONS."""
REQUIRED_STATE = dict(zip(STATIONS, STATE_AFTER.values(), strict=True))
"""Task type → state that its object must have."""


CONDITIONS = {"pick_and_place_simple": 1, "look_at_obj_in_light": 2, "pick_two_obj_and_place": 2}
"""Task type → number of the goal's conditions; the other types have three."""


@dataclass(frozen=True, slots=True)
class Spot:
    """The fixed properties of a receptacle."""

    name: str
    kind: str
    location: str
    openable: bool
    x: float
    z: float


@dataclass(frozen=True, slots=True)
class Item:
    """The fixed properties of an object."""

    name: str
    kind: str
    becomes: frozenset[str]
    """The states that it can get, among "clean", "hot" and "cold"."""


@dataclass(frozen=True)
class World:
    """The changing part of a game. Names are those in commands."""

    at: str
    """The player's location."""
    holding: str
    """The object in hand; "" for none."""
    opened: frozenset[str]
    """Open receptacles."""
    placements: tuple[tuple[str, str], ...]
    """(object, receptacle) pairs, sorted; the object in hand isn't among them."""
    states: frozenset[tuple[str, str]]
    """(object, state) pairs, e.g. ("apple 1", "hot")."""
    examined: frozenset[str] = frozenset()
    """Receptacles that have been examined, in a game in which that decides anything."""

    @cached_property
    def place_of(self) -> dict[str, str]:
        """Object → receptacle."""
        return dict(self.placements)


@dataclass(frozen=True)
class Room:
    """The fixed part of a game."""

    scene: int
    goal: Goal
    spots: tuple[Spot, ...]
    """By name, "cabinet 2" before "cabinet 10"."""
    items: tuple[Item, ...]
    fits: frozenset[tuple[str, str]]
    """(receptacle kind, object kind) pairs: the receptacle can hold the object."""
    names: dict[str, str]
    """The engine's ids → names."""
    examine_first: bool = False
    """Whether an object can be taken only from a receptacle that has been examined."""

    @classmethod
    def read(
        cls, scene: int, goal: Goal, description: Description, examine_first: bool = False
    ) -> "Room":
        """Build a room from the engine's description."""
        by_predicate: dict[str, list[Fact]] = {}
        for name, *arguments in description.facts:
            by_predicate.setdefault(name, []).append(tuple(arguments))
        kinds = {thing: _kind(kind) for thing, kind in by_predicate.get("receptacletype", ())}
        location = {r: place for r, place in by_predicate.get("receptacleatlocation", ())}
        openable = {thing for (thing,) in by_predicate.get("openable", ())}
        able = {
            state: {thing for (thing,) in by_predicate.get(f"{verb}able", ())}
            for verb, state in STATE_AFTER.items()
        }
        spots = []
        for thing, kind in kinds.items():
            if thing not in location:
                continue  # official games have unreachable receptacles
            x, z = _coordinates(thing)
            name = description.names[thing]
            spots.append(Spot(name, kind, location[thing], thing in openable, x, z))
        items = [
            Item(
                description.names[thing],
                _kind(kind),
                frozenset(state for state, things in able.items() if thing in things),
            )
            for thing, kind in by_predicate.get("objecttype", ())
        ]
        fits = {(_kind(r), _kind(o)) for r, o in by_predicate.get("cancontain", ())}
        return cls(
            scene,
            goal,
            tuple(sorted(spots, key=lambda s: in_order(s.name))),
            tuple(sorted(items, key=lambda i: in_order(i.name))),
            frozenset(fits),
            description.names,
            examine_first,
        )

    @cached_property
    def spot(self) -> dict[str, Spot]:
        """Receptacle by name."""
        return {spot.name: spot for spot in self.spots}

    @cached_property
    def spots_at(self) -> dict[str, tuple[Spot, ...]]:
        """Receptacles by location."""
        places = dict.fromkeys(spot.location for spot in self.spots)
        return {at: tuple(s for s in self.spots if s.location == at) for at in places}

    @cached_property
    def item(self) -> dict[str, Item]:
        """Object by name."""
        return {item.name: item for item in self.items}

    @cached_property
    def targets(self) -> tuple[Item, ...]:
        """The objects of the goal's class."""
        return tuple(item for item in self.items if item.kind == self.goal.target)

    def world(self, facts: Iterable[Fact]) -> World:
        """Build a world from the changing facts."""
        at = holding = ""
        opened, placements, states, examined = set(), [], set(), set()
        for name, *arguments in facts:
            if name == "atlocation":
                at = arguments[1]
            elif name == "holds":
                holding = self.names[arguments[1]]
            elif name == "opened":
                opened.add(self.names[arguments[0]])
            elif name == "inreceptacle":
                placements.append((self.names[arguments[0]], self.names[arguments[1]]))
            elif name in STATES:
                states.add((self.names[arguments[0]], STATES[name]))
            elif name == "checked" and self.examine_first:
                examined.add(self.names.get(arguments[0], ""))
        return World(
            at,
            holding,
            frozenset(opened),
            tuple(sorted(placements)),
            frozenset(states),
            frozenset(examined & self.spot.keys()),
        )

    def successor(self, world: World, command: str) -> World:
        """Return the world after an admissible command."""
        verb, _, rest = command.partition(" ")
        if verb == "go":
            return replace(world, at=self.spot[rest.removeprefix("to ")].location)
        if verb == "open":
            return replace(world, opened=world.opened | {rest})
        if verb == "close":
            return replace(world, opened=world.opened - {rest})
        if verb == "use":
            return replace(world, states=world.states | {(rest, "lit")})
        if verb == "examine" and self.examine_first and rest in self.spot:
            return replace(world, examined=world.examined | {rest})
        if verb == "take":
            thing, _, _ = rest.partition(" from ")
            placements = tuple(pair for pair in world.placements if pair[0] != thing)
            return replace(world, holding=thing, placements=placements)
        if verb == "move":
            thing, _, place = rest.partition(" to ")
            return replace(
                world, holding="", placements=tuple(sorted((*world.placements, (thing, place))))
            )
        if verb in STATE_AFTER:
            thing, _, _ = rest.partition(" with ")
            undone = {"heat": "cold", "cool": "hot"}.get(verb, "")
            return replace(
                world, states=(world.states | {(thing, STATE_AFTER[verb])}) - {(thing, undone)}
            )
        return world

    @property
    def conditions(self) -> int:
        """Number of the goal's conditions, counted as in ALFWorld."""
        return CONDITIONS.get(self.goal.kind, 3)

    def conditions_met(self, world: World) -> int:
        """Return how many of the goal's conditions hold; all means success.

        Placing: 1 if an object of the class is in a receptacle of the class. Two objects: the
        number in the same receptacle, up to 2. Light: 1 for the object in hand, 1 for a lit lamp at
        the player's location. Clean, hot, cold: 1 for an object in place, 1 for an object in the
        state, 1 more if one object satisfies both.
        """
        goal = self.goal
        if goal.kind == "look_at_obj_in_light":
            held = world.holding != "" and self.item[world.holding].kind == goal.target
            return held + any(
                self.item[thing].kind == goal.toggle
                and (thing, "lit") in world.states
                and self.spot[place].location == world.at
                for thing, place in world.placements
            )
        placed = [
            (item.name, world.place_of[item.name])
            for item in self.targets
            if item.name in world.place_of
            and self.spot[world.place_of[item.name]].kind == goal.parent
        ]
        if goal.kind == "pick_two_obj_and_place":
            places = [place for _, place in placed]
            return min(max(map(places.count, places), default=0), 2)
        if goal.kind == "pick_and_place_simple":
            return int(bool(placed))
        state = REQUIRED_STATE[goal.kind]
        ready = {item.name for item in self.targets if (item.name, state) in world.states}
        return bool(placed) + bool(ready) + any(name in ready for name, _ in placed)

    def lets_take(self, world: World, spot: Spot) -> bool:
        """Whether an object in a receptacle within reach may be taken, if the hand is empty."""
        return not self.examine_first or spot.name in world.examined

    def sees(self, world: World, spot: Spot) -> bool:
        """Whether the player sees a receptacle's contents."""
        return spot.location == world.at and (not spot.openable or spot.name in world.opened)

    def scene_of(self, world: World, last: str = "") -> Scene:
        """Return the visible scene.

        Args:
            world: The current world.
            last: The target of the last "go to"; it decides if several receptacles share a
                location.
        """
        here = [spot.name for spot in self.spots if spot.location == world.at]
        places = tuple(
            Place(
                spot.name,
                spot.x,
                spot.z,
                spot.openable,
                spot.name in world.opened,
                self._contents(world, spot.name) if self.sees(world, spot) else None,
            )
            for spot in self.spots
        )
        at = last if last in here else next(iter(here), "")
        return Scene(self.scene, places, at, self._thing(world, world.holding))

    def _contents(self, world: World, place: str) -> tuple[Thing, ...]:
        inside = sorted(
            (thing for thing, where in world.placements if where == place), key=in_order
        )
        return tuple(thing for name in inside if (thing := self._thing(world, name)))

    def _thing(self, world: World, name: str) -> Thing | None:
        states = frozenset(state for thing, state in world.states if thing == name)
        return Thing(name, states) if name else None


def in_order(name: str) -> tuple[str, int]:
    """Return a key that sorts "cabinet 2" before "cabinet 10"."""
    kind, _, number = name.rpartition(" ")
    return (kind, int(number)) if number.isdecimal() else (name, 0)


def _kind(symbol: str) -> str:
    return symbol.removesuffix("type")


def _coordinates(symbol: str) -> tuple[float, float]:
    """Return x and z of an id like "fridge_bar__minus_01_dot_00_bar_…"; zeros if it has none."""
    parts = symbol.replace("_minus_", "-").replace("_plus_", "").replace("_dot_", ".")
    try:
        _, x, _, z, *_ = parts.split("_bar_")
        return float(x), float(z)
    except ValueError:
        return 0.0, 0.0
