"""Reads a generated game without the engine: its facts and the names of its things.

The engine needs half a second for a new game. This is for work on thousands of games, such as
choosing and measuring the frozen sets; a test compares both.
"""

import re
from collections import Counter

from vlbench.tasks.alfworld.engine.client import Description, Fact
from vlbench.tasks.alfworld.games.generator import GameData

_FACT = re.compile(r"^  \(([^()]+)\)", re.MULTILINE)


def read_game(game: GameData) -> Description:
    """Return a generated game's facts at its start, and the names of its things."""
    _, _, init = game.problem.partition("(:init\n")
    facts: list[Fact] = [tuple(fact.lower().split()) for fact in _FACT.findall(init)]
    things = {argument for _, *arguments in facts for argument in arguments}
    return Description(tuple(facts), _names(sorted(things)))


def _names(ids: list[str]) -> dict[str, str]:
    """Number things as ALFWorld does: the first id of a class gets the highest number."""
    counts = Counter(kind for thing in ids if (kind := _class(thing)))
    names = {}
    for thing in ids:
        kind = _class(thing)
        names[thing] = f"{kind} {counts[kind]}" if kind else thing
        counts[kind] -= 1
    return names


def _class(thing: str) -> str:
    """Return the class in a thing's id; "" for an id without one."""
    kind, bar, _ = thing.partition("_bar_")
    return "" if not bar else kind + "basin" * ("basin" in thing)
