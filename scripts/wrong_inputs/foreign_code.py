"""A: no module that a file names is imported, only one that the command line names."""

import json
from typing import Any

from scripts.wrong_inputs.case import Case
from scripts.wrong_inputs.files import TRAP, edit_entry, edit_lines, replace, write
from scripts.wrong_inputs.fixtures import TORCH
from scripts.wrong_inputs.process import python_m

NEEDS = TORCH
EVIL = "evil:my/Evil-v0"
CARDS = "vlbench/EZPoints-v0"
TRAPS = (write("evil.py", TRAP), write("evil/__init__.py", TRAP))
FILES = ("run.json", "episodes.jsonl", "replies.jsonl")
FOREIGN = (*TRAPS, *(replace(f"cards/{name}", CARDS, EVIL) for name in FILES))
"""A run whose records name a module, and the module in the current folder."""
OWN_TASK = """
import gymnasium
import vlbench.tasks.number_line as task
class Own(task.NumberLine):
    pass
gymnasium.register("my/Own-v0", Own)
"""
OWN_RUN = (
    write("own_task.py", OWN_TASK),
    python_m("agents.evaluate --agent expert --env own_task:my/Own-v0 --episodes 2 --out own"),
)
TURN = {
    "schema": 1,
    "env_id": EVIL,
    "kwargs": {},
    "instance": "number_line/0-1",
    "presentation": 0,
    "episode": "first",
    "turn": 0,
    "reply": '{"action": "+"}',
    "advantage": 0.5,
}


def case(name: str, action: str, *pieces: str, **more: object) -> Case:
    return Case(letter="A", name=name, action=action, pieces=pieces, **more)


def of_run(name: str, action: str, *pieces: str, **more: object) -> Case:
    """A reader of the run whose records name a module."""
    return case(name, action, *pieces, fixtures=("cards",), setup=FOREIGN, **more)


def in_entry() -> None:
    """Name the module in the entry, with right digests."""

    def change(manifest: dict[str, Any], lines: list[Any]) -> None:
        manifest["suites"][0]["run"]["env_ids"] = [EVIL]
        for line in lines:
            line["env_id"] = EVIL

    edit_entry(change)


CASES = (
    of_run("replay of a run that names a module", "vlbench.replay cards", EVIL),
    of_run("report of a run that names a module", "agents.report cards page.html", EVIL),
    of_run("vlbench replay of it", "vlbench replay cards", EVIL),
    of_run("vlbench report of it", "vlbench report cards page.html", EVIL),
    of_run("compare it with itself", "agents.compare cards cards", "", code=0),
    of_run("diagnose it", "vlbench.diagnose cards", EVIL),
    of_run(
        "pack it",
        "leaderboard.pack cards --track zero-shot --weights none --out entry.tar.gz",
        EVIL,
    ),
    of_run(
        "go on with it",
        "agents.evaluate --agent expert --env EZPoints --episodes 3 --out cards",
        EVIL,
    ),
    case(
        "replay of a run of which only an episode names it",
        "vlbench.replay cards",
        f'env "{EVIL}" is from the module',
        code=1,
        fixtures=("cards",),
        setup=(*TRAPS, replace("cards/episodes.jsonl", CARDS, EVIL, 1)),
    ),
    case(
        "a record whose keyword arguments name it",
        "vlbench.replay cards",
        "env_id",
        code=1,
        fixtures=("cards",),
        setup=(
            *TRAPS,
            edit_lines(
                "cards/episodes.jsonl", lambda lines: lines[0]["kwargs"].update(env_id=EVIL)
            ),
        ),
    ),
    case(
        "a record of Gymnasium's adapter, which makes any environment",
        "vlbench.replay cards",
        "GymV21Environment-v0",
        code=1,
        fixtures=("cards",),
        setup=(
            *TRAPS,
            edit_lines(
                "cards/episodes.jsonl",
                lambda lines: lines[0].update(
                    env_id="GymV21Environment-v0", kwargs={"env_id": EVIL}
                ),
            ),
        ),
    ),
    case(
        "diagnose turns that name it",
        "vlbench.diagnose turns.jsonl",
        EVIL,
        setup=(*TRAPS, write("turns.jsonl", json.dumps(TURN) + "\n")),
    ),
    case(
        "ask for the thoughts of turns that name it",
        "agents.vlm.thoughts turns.jsonl --model model",
        EVIL,
        fixtures=("model",),
        setup=(*TRAPS, write("turns.jsonl", json.dumps(TURN) + "\n")),
    ),
    case(
        "train on transcripts that name it",
        "agents.train.sft --model model --data data.jsonl --out new --steps 1",
        f"pass --env {EVIL}",
        fixtures=("model", "data.jsonl"),
        setup=(*TRAPS, replace("data.jsonl", "vlbench/NumberLine-v0", EVIL)),
    ),
    case(
        "train on transcripts of Gymnasium's adapter",
        "agents.train.sft --model model --data data.jsonl --out new --steps 1",
        'unknown env id "GymV21Environment-v0"',
        fixtures=("model", "data.jsonl"),
        setup=(*TRAPS, replace("data.jsonl", "vlbench/NumberLine-v0", "GymV21Environment-v0")),
    ),
    case(
        "verify an entry that names it",
        "leaderboard.verify entry.tar.gz",
        "refused: entry.tar.gz",
        code=1,
        fixtures=("entry.tar.gz",),
        setup=(*TRAPS, in_entry),
    ),
    case(
        "a site of an entry that names it",
        "leaderboard.site entry.tar.gz --out site",
        "refused: entry.tar.gz",
        code=1,
        fixtures=("entry.tar.gz",),
        setup=(*TRAPS, in_entry),
    ),
    case(
        "a task of one's own that isn't named",
        "vlbench.replay own",
        "pass --env own_task:my/Own-v0",
        setup=OWN_RUN,
    ),
    case(
        "a task of one's own that is named",
        "vlbench.replay own --env own_task:my/Own-v0",
        "2 episodes replayed, 0 differ",
        code=0,
        setup=OWN_RUN,
    ),
    case(
        "a named module that isn't there",
        "vlbench.replay cards --env nothing:at/All-v0",
        "can't be imported",
        fixtures=("cards",),
    ),
)
