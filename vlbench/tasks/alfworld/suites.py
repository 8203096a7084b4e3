"""ALFWorld's frozen sets.

A room of a set is a floor plan and a number, which furnishes it: its goal and where its objects
are. `python -m vlbench.tasks.alfworld.confirm` writes `games.jsonl`, a record of each room. Run
`python -m vlbench.freeze vlbench/ALFWorld-v0` afterwards.
"""

from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Any

from vlbench.freeze import RowSpec, interleave_groups, presentation
from vlbench.instances import hashed
from vlbench.intervals import Interval
from vlbench.suites import Bounds, Reference
from vlbench.task import split_in
from vlbench.tasks.alfworld.game import MAX_SEED, AlfworldGame
from vlbench.tasks.alfworld.games.generator import KINDS, scenes
from vlbench.tasks.alfworld.games.options import USUAL, GameOptions, options_of
from vlbench.tasks.alfworld.planner import distances
from vlbench.tasks.alfworld.reference import floor_of, picture_gain, reference_results
from vlbench.tasks.alfworld.simulation import start_of

ROOMS_OF_A_TYPE = 100
"""Rooms of each task type in `test`."""
ROWS = {"full": 300}
"""Rows of a set that takes its rooms from `test`; OTHER_ROWS for the others."""
OTHER_ROWS = 204

HEADLINE = {"theme": "train", "text_obs": "none"}
"""Options of `test`: the text names no objects, so that the picture is needed."""

CHANGES: dict[str, dict[str, Any]] = {
    "full": {"text_obs": "full"},
    "ood-looks": {"theme": "heldout"},
    "ood-objects": {"objects": 36},
    "ood-hiding": {"hidden": True},
    "ood-text": {"wording": "other"},
    "ood-rules": {"examine_first": True},
    "ood-both": {"theme": "heldout", "examine_first": True},
    "sealed": {"theme": "sealed"},
}
"""Set → how it differs from `test`. It has the first rooms of `test` to which that matters."""

ENOUGH_OBJECTS = 34
"""Fewest objects of a room of `ood-objects`."""

PLACE, LIGHT, CLEAN, HEAT, COOL, TWO = KINDS
LADDER = {
    4: (PLACE, LIGHT),
    6: (PLACE, CLEAN, HEAT, COOL),
    8: (CLEAN, HEAT, COOL, TWO),
    10: (TWO,),
}
"""Rung → the task types whose rooms it has. A rung is the fewest commands to the goal."""
LADDER_ROWS = 100

NAMES = ("test", *CHANGES, *(f"ladder-{rung}" for rung in LADDER))


def rows(suite: str) -> list[RowSpec]:
    """Return the rows of a suite."""
    if suite == "test":
        return [_row(suite, kind, n) for n in range(ROOMS_OF_A_TYPE) for kind in KINDS]
    if suite in CHANGES:
        options = options_of(HEADLINE | CHANGES[suite])
        rooms = [row for row in rows("test") if _matters(row.instance, options)]
        return [
            RowSpec(HEADLINE | CHANGES[suite], row.instance, row.presentation)
            for row in interleave_groups(rooms)[: ROWS.get(suite, OTHER_ROWS)]
        ]
    return list(_rung(suite, int(suite.removeprefix("ladder-"))))


def bounds(rows: Sequence[RowSpec]) -> Bounds:
    """Return the measured success rate of random admissible commands, and 1."""
    return floor_of(rows)


def references(suite: str, rows: Sequence[RowSpec]) -> dict[str, Reference]:
    """Return what the reference players earn, played without the engine."""
    return reference_results(suite, rows)


def visual_gain(rows: Sequence[RowSpec]) -> Interval:
    """Return what the picture is worth to a player who sees nothing else, without the engine."""
    return picture_gain(rows)


def _rung(suite: str, commands: int) -> Iterator[RowSpec]:
    """Yield the first rooms that need so many commands, equally many of each task type."""
    for kind in LADDER[commands]:
        number = 0
        for _ in range(LADDER_ROWS // len(LADDER[commands])):
            while _commands((row := _row(suite, kind, number)).instance) != commands:
                number += 1
            number += 1
            yield row


def _row(suite: str, kind: str, number: int) -> RowSpec:
    """Return a room of a task type; rooms cycle through its test floor plans."""
    plans = _test_plans(suite, kind)
    seed = hashed(f"{suite}|{kind}|{number}") % MAX_SEED
    instance = f"alfworld/{kind}/{plans[number % len(plans)]}-{seed}"
    return RowSpec(HEADLINE, instance, presentation(suite, KINDS.index(kind) + 6 * number))


@lru_cache
def _test_plans(suite: str, kind: str) -> tuple[int, ...]:
    game = AlfworldGame()
    plans = [
        scene for scene in scenes(kind) if split_in(game, f"alfworld/{kind}/{scene}-0") == "test"
    ]
    return tuple(sorted(plans, key=lambda scene: hashed(f"{suite}|{kind}|{scene}")))


def _commands(instance: str) -> int:
    """Return the fewest commands to the goal of a room."""
    start = start_of(instance, USUAL)
    return distances(start.room, start.world)[-1]


def _matters(instance: str, options: GameOptions) -> bool:
    """Whether a room has about as many objects as the options say, and hides what they hide.

    Small rooms have too few kinds of objects, and some kinds of objects fit behind no door.
    """
    room, world = (start := start_of(instance, options)).room, start.world
    if options.hidden:
        usual = start_of(instance, USUAL).world
        places = [room.spot[world.place_of[item.name]] for item in room.targets]
        return all(spot.openable for spot in places) and world != usual
    return len(room.items) >= min(options.objects, ENOUGH_OBJECTS)
