"""ALFWorld's frozen sets, and the games behind them.

`python -m vlbench.tasks.alfworld.freeze` writes `games.jsonl`: for each game of the sets its sha256
and a way to the goal that was played to its end in the engine. It is the planner's, or the expert's
own where the planner gave no answer in time; a planner's way shorter than the expert's is refused.
Then `python -m vlbench.freeze vlbench/ALFWorld-v0`.
"""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from vlbench.freeze import Start, in_turn, presentation
from vlbench.instances import SUITES, Bounds, hashed, split_of
from vlbench.tasks.alfworld.game import MAX_SEED, AlfworldGame
from vlbench.tasks.alfworld.generator import HIDDEN, KINDS, OBJECTS, scenes
from vlbench.tasks.alfworld.host import EngineError, Host

SIZES = {"test": 120, "ood": 100}
FAR = {"theme": "heldout", "objects": 36, "hidden": True, "text_obs": "none"}
"""`ood`: twice the things, the goal's own ones hidden, and a text that doesn't name them."""

PATIENCE = 100.0
"""Seconds for the planner: two objects among many can keep it for hours."""

RANDOM_EPISODES = {"test": 2400, "ood": 1000}
"""Random episodes behind a floor: the engine plays some ten a second."""


def starts(suite: str) -> list[Start]:
    """As many games of each type, over its test floor plans in turn."""
    kwargs = {"theme": "train"} if suite == "test" else FAR
    chosen = []
    for number in range(SIZES[suite]):
        kind, turn = KINDS[number % len(KINDS)], number // len(KINDS)
        held_out = [
            scene
            for scene in scenes(kind)
            if split_of(f"alfworld/{kind}/{scene}-0", AlfworldGame.test_share) == "test"
        ]
        held_out.sort(key=lambda scene: hashed(f"{suite}|{kind}|{scene}"))
        scene = held_out[turn % len(held_out)]
        seed = hashed(f"{suite}|{kind}|{turn}") % MAX_SEED
        instance = f"alfworld/{kind}/{scene}-{seed}"
        chosen.append(Start(kwargs, instance, presentation(suite, number)))
    return chosen


def limits(suite: str, starts: Sequence[Start]) -> Bounds:
    """The measured success rate of commands drawn from the admissible ones, and 1."""
    games: dict[str, AlfworldGame] = {}
    rng = np.random.default_rng(0)
    won = 0
    for episode in range(RANDOM_EPISODES[suite]):
        start = starts[episode % len(starts)]
        game = games.setdefault(str(start.kwargs), _game(start))
        state = game.start(start.instance)
        for _ in range(game.max_turns):
            command = state.admissible[int(rng.integers(len(state.admissible)))]
            state = game.step(state, command).state
            if state.won:
                won += 1
                break
    return Bounds(won / RANDOM_EPISODES[suite], 1.0)


def _game(start: Start) -> AlfworldGame:
    kwargs = start.kwargs
    return AlfworldGame(kwargs.get("objects", OBJECTS), kwargs.get("hidden", HIDDEN))


def confirmed(start: Start, planner: Host) -> dict[str, Any]:
    """Return a game's row.

    Raises:
        ValueError: The game can't be solved, or the expert isn't the best player.
    """
    game, instance = _game(start), start.instance
    data = game.data(instance)
    state = game.start(instance)
    ours: list[str] = []
    while not state.won and len(ours) < game.max_turns:
        ours.append(game.expert(state, game.max_turns - len(ours)))
        state = game.step(state, ours[-1]).state
    try:
        plan = planner.plan(data)
    except EngineError:
        plan = ()
    solved = game.start(instance)
    for command in plan:
        solved = game.step(solved, command).state
    if not ours or not state.won or (plan and (not solved.won or len(plan) < len(ours))):
        raise ValueError(f"{instance}: the planner's way is {plan}, the expert's {ours}")
    return {
        "instance": instance,
        "objects": game.objects,
        "hidden": game.hidden,
        "sha256": data.sha256,
        "by": "planner" if plan else "expert",
        "plan": list(plan or ours),
    }


def main() -> None:
    """Write the games."""
    planner = Host(answer=PATIENCE)
    rows = []
    for start in (start for suite in SUITES for start in in_turn(starts(suite))):
        rows.append(confirmed(start, planner))
        print(len(rows), rows[-1]["instance"], rows[-1]["by"], file=sys.stderr)
    path = Path(__file__).with_name("games.jsonl")
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows), "utf-8")
    silent = sum(row["by"] == "expert" for row in rows)
    print(f"{path.name}: {len(rows)} games, the planner silent on {silent}", file=sys.stderr)


if __name__ == "__main__":
    main()
