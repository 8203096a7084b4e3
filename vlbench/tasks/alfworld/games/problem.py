"""Writes a game's PDDL problem from its receptacles, objects and goal."""

from collections.abc import Sequence
from dataclasses import dataclass

from vlbench.tasks.alfworld.games import package_data

LAMP = "DeskLamp"

ABILITIES = {"Cleanable": "cleanable", "Heatable": "heatable", "Coolable": "coolable"}
"""Table of objects → the predicate that says the same."""


@dataclass(frozen=True, slots=True)
class Receptacle:
    """A receptacle of a floor plan."""

    id: str
    """THOR's id; its second and fourth part are the coordinates."""
    kind: str


def write_problem(
    name: str,
    receptacles: Sequence[Receptacle],
    placements: Sequence[tuple[str, Receptacle]],
    goal: str,
) -> str:
    """Return the PDDL problem. Every receptacle has its own location.

    If several share one, as in the official games, the engine forbids going from one to another.
    """
    tables = package_data.affordances()
    place = {r: f"loc{number}" for number, r in enumerate(receptacles, 1)}
    things = {"loc0": "location", "agent1": "agent"}
    facts = ["(atLocation agent1 loc0)"]
    held = {kind for kind, _ in placements}
    for r, location in place.items():
        symbol = symbol_of(r.id)
        things |= {location: "location", symbol: "receptacle", f"{r.kind}Type": "rtype"}
        facts += [f"(receptacleType {symbol} {r.kind}Type)"]
        facts += [f"(receptacleAtLocation {symbol} {location})"]
        facts += [f"(openable {symbol})"] if r.kind in tables.openable else []
    for kind in sorted({r.kind for r in receptacles}):
        may = sorted(tables.holds.get(kind, frozenset()) & held)
        facts += [f"(canContain {kind}Type {name}Type)" for name in may]
    for number, (kind, r) in enumerate(placements):
        symbol = symbol_of(f"{kind}|{number:03d}")
        things |= {symbol: "object", f"{kind}Type": "otype"}
        facts += [f"(objectType {symbol} {kind}Type)", f"(inReceptacle {symbol} {symbol_of(r.id)})"]
        facts += [f"(objectAtLocation {symbol} {place[r]})"]
        facts += [f"(toggleable {symbol})" if kind == LAMP else f"(pickupable {symbol})"]
        facts += [
            f"({fact} {symbol})"
            for table, fact in ABILITIES.items()
            if kind in tables.actions[table]
        ]
    # Constants of the domain's actions must exist in every problem.
    things |= dict.fromkeys(("KnifeType", "ButterKnifeType"), "otype")
    things |= dict.fromkeys(("SinkBasinType", "MicrowaveType", "FridgeType"), "rtype")
    objects = "\n".join(f"  {thing} - {kind}" for thing, kind in sorted(things.items()))
    init = "\n".join(f"  {fact}" for fact in facts)
    return (
        f"(define (problem {name})\n(:domain alfred)\n(:objects\n{objects})\n"
        f"(:init\n{init})\n{goal}"
    )


_ESCAPES = {"|": "_bar_", "-": "_minus_", "+": "_plus_", ".": "_dot_", ",": "_comma_"}


def symbol_of(name: str) -> str:
    """Return a THOR id as a PDDL symbol, as ALFWorld does."""
    return "".join(_ESCAPES.get(letter, letter) for letter in name)
