"""The fewest commands from a world to the goal, and to each number of its conditions.

The search is exact: Dijkstra's algorithm over the relevant operations (take a target, put down the
object in hand, change a target's state, light a lamp, stand at a lamp), each with the walking and
opening that it needs. Every receptacle is one command from every other, so nothing else can shorten
a plan. One receptacle represents all that are equivalent for the goal.
"""

import heapq
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

from vlbench.tasks.alfworld.games.generator import STATIONS
from vlbench.tasks.alfworld.world import REQUIRED_STATE, Room, World

WON = 50.0
"""Reward for reaching the goal, on top of the change in the fraction of its conditions."""

FAR = 999
"""A distance longer than any episode."""

_NOTHING, _OTHER = -1, -2
"""In hand: nothing, or an object that isn't a target."""


def distances(room: Room, world: World) -> tuple[int, ...]:
    """Return the fewest commands until at least n conditions hold, for n = 0, 1, … all.

    FAR means unreachable.
    """
    return _search(_puzzle(room, world))


@dataclass(frozen=True, slots=True)
class BestOutcome:
    """The best outcome after a command."""

    worth: float
    """The largest return that can follow, the command's own reward included."""
    distance: int
    """Further commands to that outcome."""


def best_outcome(room: Room, world: World, command: str, turns: int) -> BestOutcome:
    """Return the best outcome after an admissible command.

    Args:
        room: The fixed part of the game.
        world: A world in which the goal isn't reached.
        command: The command.
        turns: Turns that remain, the command's own included; at least 1.
    """
    away = distances(room, room.successor(world, command))
    most = max(met for met, distance in enumerate(away) if distance <= turns - 1)
    gain = (most - room.conditions_met(world)) / room.conditions
    return BestOutcome(gain + WON * (most == room.conditions), away[most])


def best_return(room: Room, world: World, turns: int) -> float:
    """Return the largest worth of any admissible command; see `best_outcome`.

    It is that of a command which changes nothing, or of one that comes nearer to the goal.
    """
    away = distances(room, world)
    most = max(met for met, distance in enumerate(away) if distance <= turns)
    gain = (most - room.conditions_met(world)) / room.conditions
    return gain + WON * (most == room.conditions)


class _Spot(NamedTuple):
    """A receptacle that represents all its equivalents."""

    location: int
    closed: bool
    parent: bool
    station: bool
    fits: bool
    """Whether it can hold targets."""
    takes_other: bool
    """Whether it can hold the other object in hand."""
    unexamined: bool
    """Whether it must be examined before an object can be taken from it."""


class _Node(NamedTuple):
    """The part of a world that matters for the goal."""

    at: int
    held: int
    """A target's number, _NOTHING or _OTHER."""
    placements: tuple[int, ...]
    """Index of each target's spot; −1 in hand or out of reach."""
    opened: int
    """Bits of the spots opened during the search."""
    examined: int
    """Bits of the spots examined during the search, as far as that matters."""
    states: int
    """Bits of the targets in the required state, then of the lit lamps."""


@dataclass(frozen=True, slots=True)
class _Puzzle:
    """A search problem; worlds that are equivalent for the goal give equal puzzles."""

    kind: str
    conditions: int
    spots: tuple[_Spot, ...]
    changeable: int
    """Bits of the targets that can get the required state."""
    lamps: tuple[int, ...]
    """The location of each lamp."""
    start: _Node


def _puzzle(room: Room, world: World) -> _Puzzle:
    goal, targets = room.goal, room.targets
    names = [item.name for item in targets]
    lamps = [
        (thing, room.spot[receptacle].location)
        for thing, receptacle in world.placements
        if goal.toggle and room.item[thing].kind == goal.toggle
    ]
    item_in_hand = world.holding
    other = room.item[item_in_hand].kind if item_in_hand and item_in_hand not in names else ""
    station_kind = STATIONS.get(goal.kind, "").lower()
    spot_counts = Counter(spot.location for spot in room.spots)
    representatives: dict[tuple[object, ...], tuple[str, str]] = {}
    for spot in room.spots:
        features = (
            spot.openable and spot.name not in world.opened,
            spot.kind == goal.parent,
            spot.kind == station_kind,
            (spot.kind, goal.target) in room.fits,
            (spot.kind, other) in room.fits,
            not room.lets_take(world, spot),
        )
        situation = (
            tuple(world.place_of.get(name) == spot.name for name in names),
            tuple(location == spot.location for _, location in lamps),
            spot.location == world.at,
            spot.location if spot_counts[spot.location] > 1 else "",
        )
        representatives.setdefault((*features, *situation), (spot.name, spot.location))
    representative_items = sorted(representatives.items(), key=lambda entry: entry[0])
    locations = {
        location: n
        for n, location in enumerate(
            dict.fromkeys(location for _, (_, location) in representative_items)
        )
    }
    spot_numbers = {name: n for n, (_, (name, _)) in enumerate(representative_items)}
    spots = tuple(
        _Spot(locations[location], *map(bool, key[:6]))
        for key, (_, location) in representative_items
    )
    required_state = REQUIRED_STATE.get(goal.kind, "lit")
    flag_names = [*names, *(lamp for lamp, _ in lamps)]
    start = _Node(
        locations.get(world.at, -1),
        _OTHER if other else names.index(item_in_hand) if item_in_hand else _NOTHING,
        tuple(
            spot_numbers[world.place_of[name]] if name in world.place_of else -1 for name in names
        ),
        0,
        0,
        _bits((name, required_state) in world.states for name in flag_names),
    )
    changeable = _bits(required_state in item.becomes for item in targets)
    lamp_locations = tuple(locations[location] for _, location in lamps)
    return _Puzzle(goal.kind, room.conditions, spots, changeable, lamp_locations, start)


def _bits(flags: Iterator[bool]) -> int:
    return sum(1 << n for n, flag in enumerate(flags) if flag)


@lru_cache(maxsize=20_000)
def _search(puzzle: _Puzzle) -> tuple[int, ...]:
    fewest = [FAR] * (puzzle.conditions + 1)
    best = {puzzle.start: 0}
    queue = [(0, puzzle.start)]
    while queue and fewest[-1] == FAR:
        cost, node = heapq.heappop(queue)
        if cost > best[node]:
            continue
        for met in range(_met(puzzle, node) + 1):
            fewest[met] = min(fewest[met], cost)
        for price, after in _moves(puzzle, node):
            if cost + price < best.get(after, FAR):
                best[after] = cost + price
                heapq.heappush(queue, (cost + price, after))
    return tuple(fewest)


def _moves(puzzle: _Puzzle, node: _Node) -> Iterator[tuple[int, _Node]]:
    """Yield (number of commands, next node) of each relevant operation."""
    at, held, placements, opened, examined, states = node
    if held == _NOTHING:
        for target, place in enumerate(placements):
            if place < 0:
                continue
            spot = puzzle.spots[place]
            price, open_now = _reach(spot, place, at, opened)
            examine = spot.unexamined and not examined >> place & 1
            examined_now = examined | 1 << place if examine else examined
            moved = (*placements[:target], -1, *placements[target + 1 :])
            after = _Node(spot.location, target, moved, open_now, examined_now, states)
            yield price + examine + 1, after
    else:
        for place, spot in enumerate(puzzle.spots):
            if spot.takes_other if held == _OTHER else spot.fits:
                price, open_now = _reach(spot, place, at, opened)
                moved = (
                    placements
                    if held == _OTHER
                    else (*placements[:held], place, *placements[held + 1 :])
                )
                after = _Node(spot.location, _NOTHING, moved, open_now, examined, states)
                yield price + 1, after
    if held >= 0 and puzzle.changeable & ~states & (1 << held):
        for spot in puzzle.spots:
            if spot.station:
                price = (spot.location != at) + 1
                hot = states | 1 << held
                yield price, _Node(spot.location, held, placements, opened, examined, hot)
    for lamp, location in enumerate(puzzle.lamps, len(placements)):
        lit = states >> lamp & 1
        if not (lit and location == at):
            price = (location != at) + (not lit)
            bright = states | 1 << lamp
            yield price, _Node(location, held, placements, opened, examined, bright)


def _reach(spot: _Spot, place: int, at: int, opened: int) -> tuple[int, int]:
    """Return the number of commands to reach a spot's inside, and the open spots after them."""
    shut = spot.closed and not opened >> place & 1
    return (spot.location != at) + shut, opened | 1 << place if shut else opened


def _met(puzzle: _Puzzle, node: _Node) -> int:
    """Return the number of conditions that hold, like `Room.conditions_met`."""
    if puzzle.kind == "look_at_obj_in_light":
        lamps = enumerate(puzzle.lamps, len(node.placements))
        lit = any(node.states >> lamp & 1 and place == node.at for lamp, place in lamps)
        return (node.held >= 0) + lit
    placed = [
        n for n, place in enumerate(node.placements) if place >= 0 and puzzle.spots[place].parent
    ]
    if puzzle.kind == "pick_and_place_simple":
        return int(bool(placed))
    if puzzle.kind == "pick_two_obj_and_place":
        places = [node.placements[n] for n in placed]
        return min(max(map(places.count, places), default=0), 2)
    ready = node.states & ((1 << len(node.placements)) - 1)
    return bool(placed) + bool(ready) + any(ready >> n & 1 for n in placed)
