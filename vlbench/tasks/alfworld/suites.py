"""ALFWorld's frozen sets, and the games behind them.

`python -m vlbench.tasks.alfworld.suites` writes `games.jsonl`: the sha256 of each game in the sets
and a plan that reaches its goal, verified in the engine. The plan is the planner's, or the expert's
if the planner timed out. A planner's plan that is shorter than the expert's is an error. Run
`python -m vlbench.freeze vlbench/ALFWorld-v0` afterwards.
"""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from vlbench.freeze import RowSpec, interleave_groups, presentation
from vlbench.instances import hashed
from vlbench.suites import Bounds
from vlbench.task import split_in
from vlbench.tasks.alfworld.engine.client import EngineClient, EngineError
from vlbench.tasks.alfworld.game import MAX_SEED, AlfworldGame
from vlbench.tasks.alfworld.games.generator import HIDDEN, KINDS, LAMP, OBJECTS, STATIONS, scenes
from vlbench.tasks.alfworld.world import STATE_AFTER, Room, World

NAMES = ("test", "ood")
SIZES = {"test": 120, "ood": 100}
FAR = {"theme": "heldout", "objects": 36, "hidden": True, "text_obs": "none"}
"""Options of `ood`: twice the objects, hidden targets, and a text that names no objects."""

PATIENCE = 100.0
"""Time limit of the planner in seconds; two objects among many can take it hours."""

RANDOM_EPISODES = 200
"""Random episodes per row behind the floor."""


def rows(suite: str) -> list[RowSpec]:
    """Return equally many games per task type, which cycle through its test floor plans."""
    kwargs = {"theme": "train"} if suite == "test" else FAR
    selection, game = [], AlfworldGame()
    for number in range(SIZES[suite]):
        kind, turn = KINDS[number % len(KINDS)], number // len(KINDS)
        held_out = [
            scene
            for scene in scenes(kind)
            if split_in(game, f"alfworld/{kind}/{scene}-0") == "test"
        ]
        held_out.sort(key=lambda scene: hashed(f"{suite}|{kind}|{scene}"))
        scene = held_out[turn % len(held_out)]
        seed = hashed(f"{suite}|{kind}|{turn}") % MAX_SEED
        instance = f"alfworld/{kind}/{scene}-{seed}"
        selection.append(RowSpec(kwargs, instance, presentation(suite, number)))
    return selection


def bounds(rows: Sequence[RowSpec]) -> Bounds:
    """Return the measured success rate of random admissible commands, and 1.

    Games are played by `Room.successor` and `admissible`; tests compare both with the engine.
    """
    rng = np.random.default_rng(0)
    won = 0
    for row in rows:
        game = _game(row)
        room, first = game.room(row.instance), game.start(row.instance).world
        won += sum(_random_wins(room, first, rng) for _ in range(RANDOM_EPISODES))
    return Bounds(won / (RANDOM_EPISODES * len(rows)), 1.0)


def _random_wins(room: Room, world: World, rng: np.random.Generator) -> bool:
    for draw in rng.random(AlfworldGame.max_turns):
        commands = admissible(room, world)
        world = room.successor(world, commands[int(draw * len(commands))])
        if room.conditions_met(world) == room.conditions:
            return True
    return False


def admissible(room: Room, world: World) -> list[str]:
    """Return the commands that the engine admits in a generated game, sorted."""
    held = world.holding
    commands = ["help", "inventory", "look"]
    commands += [f"go to {spot.name}" for spot in room.spots if spot.location != world.at]
    commands += [f"examine {held}"] if held else []
    for spot in room.spots:
        if spot.location != world.at:
            continue
        place, shut = spot.name, spot.openable and spot.name not in world.opened
        commands.append(f"examine {place}")
        commands += [f"{'open' if shut else 'close'} {place}"] if spot.openable else []
        things = [thing for thing, where in world.placements if where == place]
        lamps = [thing for thing in things if room.item[thing].kind == LAMP.lower()]
        commands += [f"use {lamp}" for lamp in lamps]
        if not shut and not held:
            commands += [f"take {thing} from {place}" for thing in things if thing not in lamps]
        if not shut and held and (spot.kind, room.item[held].kind) in room.fits:
            commands.append(f"move {held} to {place}")
        for (verb, state), station in zip(STATE_AFTER.items(), STATIONS.values(), strict=True):
            if held and spot.kind == station.lower() and state in room.item[held].becomes:
                commands.append(f"{verb} {held} with {place}")
    return sorted(commands)


def _game(row: RowSpec) -> AlfworldGame:
    kwargs = row.kwargs
    return AlfworldGame(kwargs.get("objects", OBJECTS), kwargs.get("hidden", HIDDEN))


def confirm(row: RowSpec, planner: EngineClient) -> dict[str, Any]:
    """Return a game's row in `games.jsonl`.

    Raises:
        ValueError: The game can't be solved, or the expert's plan isn't the shortest.
    """
    game, instance = _game(row), row.instance
    data = game.data(instance)
    state = game.start(instance)
    expert_plan: list[str] = []
    while not state.won and len(expert_plan) < game.max_turns:
        expert_plan.append(game.expert(state, game.max_turns - len(expert_plan)))
        state = game.step(state, expert_plan[-1]).state
    try:
        plan = planner.plan(data)
    except EngineError:
        plan = ()
    solved = game.start(instance)
    for command in plan:
        solved = game.step(solved, command).state
    if (
        not expert_plan
        or not state.won
        or (plan and (not solved.won or len(plan) < len(expert_plan)))
    ):
        raise ValueError(f"{instance}: the planner's plan is {plan}, the expert's {expert_plan}")
    return {
        "instance": instance,
        "objects": game.objects,
        "hidden": game.hidden,
        "sha256": data.sha256,
        "by": "planner" if plan else "expert",
        "plan": list(plan or expert_plan),
    }


def main() -> None:
    """Write `games.jsonl`."""
    planner = EngineClient(answer=PATIENCE)
    games: list[dict[str, Any]] = []
    for row in (row for suite in NAMES for row in interleave_groups(rows(suite))):
        games.append(confirm(row, planner))
        print(len(games), games[-1]["instance"], games[-1]["by"], file=sys.stderr)
    path = Path(__file__).with_name("games.jsonl")
    path.write_text("".join(f"{json.dumps(game)}\n" for game in games), "utf-8")
    silent = sum(game["by"] == "expert" for game in games)
    print(
        f"{path.name}: {len(games)} games, {silent} of them without a plan from the planner",
        file=sys.stderr,
    )


if __name__ == "__main__":
    main()
