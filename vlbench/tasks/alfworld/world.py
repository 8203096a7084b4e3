"""A game's room as plain data: what is fixed, what changes, and what commands do to it.

The engine's facts are read into a `World`; `successor` says what a command makes of one, so that the
expert can think ahead without asking the engine. The tests hold both against each other.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cached_property

from vlbench.tasks.alfworld.engine.client import Description, Fact
from vlbench.tasks.alfworld.games.generator import STATIONS, Goal
from vlbench.tasks.alfworld.scene import Place, Scene, Thing

STATES = {"isclean": "clean", "ishot": "hot", "iscool": "cold", "istoggled": "lit"}
"""The engine's predicates, and what a person sees. A lamp that was used stays lit: the engine's
feedback and its goals say so."""

STATE_AFTER = {"clean": "clean", "heat": "hot", "cool": "cold"}
"""What a verb makes of an object, and which verb a type of task asks for."""
REQUIRED_STATE = dict(zip(STATIONS, STATE_AFTER.values(), strict=True))
"""Type of task → state in which its object must be."""


CONDITIONS = {"pick_and_place_simple": 1, "look_at_obj_in_light": 2, "pick_two_obj_and_place": 2}
"""Conditions of a goal; the other types have three."""


@dataclass(frozen=True, slots=True)
class Spot:
    """A receptacle, as far as it never changes."""

    name: str
    kind: str
    location: str
    openable: bool
    x: float
    z: float


@dataclass(frozen=True, slots=True)
class Item:
    """An object, as far as it never changes."""

    name: str
    kind: str
    becomes: frozenset[str]
    """Of "clean", "hot", "cold", what it can be made."""


@dataclass(frozen=True)
class World:
    """What changes. Things are named as in commands."""

    at: str
    """The location where the player stands."""
    holding: str
    """The object in hand, "" for none."""
    opened: frozenset[str]
    """Receptacles that stand open."""
    placements: tuple[tuple[str, str], ...]
    """(object, receptacle) pairs, sorted; what is held lies nowhere."""
    states: frozenset[tuple[str, str]]
    """(object, state) pairs, e.g. ("apple 1", "hot")."""

    @cached_property
    def place_of(self) -> dict[str, str]:
        """Object → receptacle."""
        return dict(self.placements)


@dataclass(frozen=True)
class Room:
    """What never changes in a game."""

    scene: int
    goal: Goal
    spots: tuple[Spot, ...]
    """By name, "cabinet 2" before "cabinet 10"."""
    items: tuple[Item, ...]
    fits: frozenset[tuple[str, str]]
    """(kind of receptacle, kind of object) pairs that go together."""
    names: dict[str, str]
    """The engine's ids → names."""

    @classmethod
    def read(cls, scene: int, goal: Goal, description: Description) -> "Room":
        """Read the engine's description."""
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
                continue  # official games have some that nobody can stand at
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
        )

    @cached_property
    def spot(self) -> dict[str, Spot]:
        """Receptacle by name."""
        return {spot.name: spot for spot in self.spots}

    @cached_property
    def item(self) -> dict[str, Item]:
        """Object by name."""
        return {item.name: item for item in self.items}

    @cached_property
    def targets(self) -> tuple[Item, ...]:
        """The objects of the class that the goal names."""
        return tuple(item for item in self.items if item.kind == self.goal.target)

    def world(self, facts: Iterable[Fact]) -> World:
        """Read the facts that change."""
        at = holding = ""
        opened, placements, states = set(), [], set()
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
        return World(at, holding, frozenset(opened), tuple(sorted(placements)), frozenset(states))

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
        """How many conditions the goal has, counted as ALFWorld counts them."""
        return CONDITIONS.get(self.goal.kind, 3)

    def conditions_met(self, world: World) -> int:
        """Return how many of the goal's conditions hold; all of them is success.

        Placing: one if an object of the class is in a receptacle of the class. Two objects: how
        many are in the same receptacle, up to two. Light: one for the object in hand, one for a
        lamp that is lit where the player stands. Clean, hot, cold: one for an object in place, one
        for an object in that state, one more if they are the same.
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

    def sees(self, world: World, spot: Spot) -> bool:
        """Whether the player sees what is in or on a receptacle."""
        return spot.location == world.at and (not spot.openable or spot.name in world.opened)

    def scene_of(self, world: World, last: str = "") -> Scene:
        """Return what may be shown.

        Args:
            world: What holds.
            last: The receptacle that was gone to last, where several share a location.
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
    """Return x and z of an id like "fridge_bar__minus_01_dot_00_bar_…"; zeros where it has none."""
    parts = symbol.replace("_minus_", "-").replace("_plus_", "").replace("_dot_", ".")
    try:
        _, x, _, z, *_ = parts.split("_bar_")
        return float(x), float(z)
    except ValueError:
        return 0.0, 0.0
