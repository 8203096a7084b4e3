"""Generates games from `alfworld`'s package data: floor plans, affordances, goals, domain, grammar.

Every choice among sorted options follows from a sha256 of the instance, the difficulty and the
choice's number, so it is the same on every machine. Generated games aren't comparable with the
official ones: see `docs/alfworld.md`.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from typing import TypeVar

from vlbench.instances import hashed
from vlbench.tasks.alfworld.games import package_data
from vlbench.tasks.alfworld.games.game_texts import domain, grammar, sentences
from vlbench.tasks.alfworld.games.options import USUAL, GameOptions
from vlbench.tasks.alfworld.games.problem import ABILITIES, LAMP, Receptacle, write_problem

T = TypeVar("T")

KINDS = (
    "pick_and_place_simple",
    "look_at_obj_in_light",
    "pick_clean_then_place_in_recep",
    "pick_heat_then_place_in_recep",
    "pick_cool_then_place_in_recep",
    "pick_two_obj_and_place",
)
"""ALFWorld's six task types, in its order."""

STATIONS = {
    "pick_clean_then_place_in_recep": "SinkBasin",
    "pick_heat_then_place_in_recep": "Microwave",
    "pick_cool_then_place_in_recep": "Fridge",
}
"""Task type → receptacle that changes its object's state."""

NEEDED = dict(zip(STATIONS, ABILITIES, strict=True))
"""Task type → ability that its object must have."""

LAMP_SPOTS = ("CoffeeTable", "Desk", "DiningTable", "Dresser", "SideTable")
"""Receptacles for the lamp. The engine doesn't let a player use a lamp on the floor."""

MOST_OF_A_CLASS = 6
"""Most receptacles of a class in a room: 40 closed drawers don't fit into 50 turns."""
MOST_COPIES = 3
"""Most objects of a class in a room."""
TWINS = {"StoveBurner": 2}
"""Number of receptacles of a class whose floor plan states no positions; others have one."""


@dataclass(frozen=True, slots=True)
class Goal:
    """A goal. Classes are lower-case, as in commands; "" if the task type has none."""

    kind: str
    """One of KINDS."""
    target: str
    """Class of the object."""
    parent: str = ""
    """Class of the destination receptacle."""
    toggle: str = ""
    """Class of the lamp."""


@dataclass(frozen=True)
class GameData:
    """A game in the form that the engine loads."""

    scene: int
    """THOR's number of the floor plan."""
    goal: Goal
    domain: str
    grammar: str
    problem: str

    @cached_property
    def sha256(self) -> str:
        """Hash of the engine's whole input."""
        parts = (self.domain, self.grammar, self.problem)
        return hashlib.sha256("\0".join(parts).encode()).hexdigest()


class _Dice:
    """Deterministic choices, derived from a name."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._count = 0

    def below(self, count: int) -> int:
        self._count += 1
        return hashed(f"{self._name}|{self._count}") % count

    def choose(self, options: Sequence[T]) -> T:
        """Choose one of some options, which are in a fixed order."""
        return options[self.below(len(options))]


@dataclass(frozen=True, slots=True)
class _Room:
    receptacles: tuple[Receptacle, ...]
    pool: tuple[str, ...]
    """Classes of objects that the receptacles can hold, sorted."""

    def classes(self, held: str) -> list[str]:
        """Return the classes of receptacles that can hold an object, sorted."""
        holds = package_data.affordances().holds
        return sorted({r.kind for r in self.receptacles if held in holds.get(r.kind, ())})

    def of_class(self, kind: str) -> list[Receptacle]:
        return [r for r in self.receptacles if r.kind == kind]


@cache
def _room(number: int) -> _Room:
    """Return a floor plan's receptacles and the classes of objects that they can hold."""
    tables, plan = package_data.affordances(), package_data.floor_plan(number)
    by_class: dict[str, list[str]] = {}
    for name in plan.receptacles:
        by_class.setdefault(name.split("|")[4 if name.count("|") == 4 else 0], []).append(name)
    receptacles = [
        Receptacle(name, kind)
        for kind, names in sorted(by_class.items())
        for name in _spread(names, MOST_OF_A_CLASS)
    ]
    for kind in plan.classes:
        carried = any(kind in held for held in tables.holds.values())
        if kind in tables.receptacles and kind not in by_class and not carried:
            for _ in range(TWINS.get(kind, 1)):
                receptacles.append(Receptacle(_invented_id(kind, number, receptacles), kind))
    kinds = {receptacle.kind for receptacle in receptacles}
    pool = {
        name for name in plan.classes if any(name in tables.holds.get(kind, ()) for kind in kinds)
    }
    return _Room(tuple(sorted(receptacles, key=lambda r: r.id)), tuple(sorted(pool)))


def _spread(names: Sequence[str], most: int) -> list[str]:
    """Return at most `most` of the names, evenly spaced."""
    if len(names) <= most:
        return list(names)
    return [names[i * len(names) // most] for i in range(most)]


def _invented_id(kind: str, scene: int, others: Sequence[Receptacle]) -> str:
    """Return a THOR id for a receptacle without a recorded position.

    It goes near one of the others, where there is most space. All in whole centimetres.
    """
    positions = [(_centimetres(r.id, 1), _centimetres(r.id, 3)) for r in others]
    anchor_x, anchor_z = positions[hashed(f"{scene}|{kind}") % len(positions)]
    candidates = [
        (anchor_x + dx, anchor_z + dz)
        for dx in range(-120, 121, 40)
        for dz in range(-120, 121, 40)
        if (dx, dz) != (0, 0)
    ]
    x, z = max(
        candidates,
        key=lambda p: (min((p[0] - a) ** 2 + (p[1] - b) ** 2 for a, b in positions), p),
    )
    position = f"{x / 100:+06.2f}|+00.90|{z / 100:+06.2f}"
    # THOR's notation: ALFWorld reads only "Sink|…|SinkBasin" as a sinkbasin.
    id_class = kind.removesuffix("Basin")
    return f"{kind}|{position}" if id_class == kind else f"{id_class}|{position}|{kind}"


def _centimetres(name: str, part: int) -> int:
    return round(float(name.split("|")[part]) * 100)


@dataclass(frozen=True, slots=True)
class _Aim:
    target: str
    parents: tuple[str, ...]
    """Classes of destination receptacles; () if the task type has none."""


@cache
def _aims(task_type: str, scene: int) -> tuple[_Aim, ...]:
    """Return the possible goals of a task type in a room; () if it can't be played there."""
    room, tables = _room(scene), package_data.affordances()
    kinds = {receptacle.kind for receptacle in room.receptacles}
    if task_type == "look_at_obj_in_light":
        lit = kinds & set(LAMP_SPOTS)
        return tuple(_Aim(target, ()) for target in room.pool if lit and room.classes(target))
    station = STATIONS.get(task_type, "")
    if station and station not in kinds:
        return ()
    suitable = tables.actions[NEEDED[task_type]] if station else frozenset(room.pool)
    aims = []
    for target in room.pool:
        at = room.classes(target)
        parents = [
            parent
            for parent in at
            if parent != station and sum(len(room.of_class(c)) for c in at if c != parent) >= 2
        ]
        if target in suitable and parents:
            aims.append(_Aim(target, tuple(parents)))
    return tuple(aims)


@cache
def scenes(task_type: str) -> tuple[int, ...]:
    """Return the floor plans that allow a task type, in THOR's order."""
    tables = package_data.affordances()
    return tuple(
        scene
        for scene in package_data.FLOOR_PLANS
        if any(scene in tables.plans[room] for room in tables.rooms[task_type])
        and _aims(task_type, scene)
    )


def generate(kind: str, scene: int, seed: int, options: GameOptions = USUAL) -> GameData:
    """Generate a game.

    Options change a room as little as they can: with more objects it holds the usual ones at their
    places too; with hidden targets only the targets move.

    Args:
        kind: One of KINDS.
        scene: One of `scenes(kind)`.
        seed: Number that fixes the goal and all object locations.
        options: Difficulty, rule and wording.
    """
    dice = _Dice(f"{kind}|{scene}|{seed}|{USUAL.objects}|{USUAL.hidden}")
    room = _room(scene)
    aim = dice.choose(_aims(kind, scene))
    parent = dice.choose(aim.parents) if aim.parents else ""
    goal = Goal(kind, aim.target.lower(), parent.lower(), "" if parent else LAMP.lower())
    sentence = dice.choose(sentences(kind, options.wording)).format(
        obj=goal.target, recep=goal.parent, toggle=goal.toggle
    )
    copies = dice.below(2) + (2 if kind == "pick_two_obj_and_place" else 1)
    at = [name for name in room.classes(aim.target) if name != parent]
    closed = [name for name in at if name in package_data.affordances().openable]
    spots = closed if options.hidden and closed else at
    placements = [
        (aim.target, dice.choose(room.of_class(dice.choose(spots)))) for _ in range(copies)
    ]
    if not parent:
        tables = [name for name in LAMP_SPOTS if room.of_class(name)]
        placements.append((LAMP, dice.choose(room.of_class(dice.choose(tables)))))
    counts = {aim.target: MOST_COPIES}
    while len(placements) < options.objects:
        others = [name for name in room.pool if counts.get(name, 0) < MOST_COPIES]
        if not others:
            break
        name = dice.choose(others)
        counts[name] = counts.get(name, 0) + 1
        placements.append((name, dice.choose(room.of_class(dice.choose(room.classes(name))))))
    pddl = package_data.templates(kind).pddl.format(obj=aim.target, recep=parent, toggle=LAMP)
    return GameData(
        scene,
        goal,
        domain(options.examine_first),
        grammar(sentence, options.wording),
        write_problem(f"{kind}-{scene}-{seed}", room.receptacles, placements, pddl),
    )
