"""H: cheats are flagged or refused."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from scripts.wrong_inputs.case import Case
from scripts.wrong_inputs.files import Step, edit, edit_entry, edit_lines, write
from scripts.wrong_inputs.fixtures import PACK
from scripts.wrong_inputs.process import python_m

PLAY = "agents.evaluate --env EZPoints --suite ladder-500 --concurrency 1 --out run"
THINKER = """
import vlbench
from agents.players.scripted import Expert

class Thinker(Expert):
    calls = 0

    async def act(self, observation, env=None):
        self.calls += 1
        action = env.unwrapped.expert()
        return vlbench.reply(action, thoughts=f"this is turn {self.calls}, I like {action} best")
"""
DEMONSTRATOR = """
from agents.players.scripted import Expert

class Demonstrator(Expert):
    async def act(self, observation, env=None):
        inner = env.unwrapped
        example = inner.demonstrate()
        return inner.write_reply(example.action, example.fields)
"""
COIN = """
import random, time
import vlbench

rng = random.Random(time.time_ns())

def coin(observation):
    return vlbench.reply(rng.choice("+-"))
"""
TOSS = "agents.evaluate --agent coin.py:coin --env NumberLine --suite paper --out run"
ORACLE = """
import itertools
import gymnasium
import vlbench
from vlbench.suites import frozen_rows

class Oracle:
    name, privileged, settings = "oracle", False, {}

    def __init__(self):
        rows = frozen_rows("vlbench/Blackjack-v0", "paper")
        self.actions = iter([action for row in rows for action in win(row)])

    async def act(self, observation, env=None):
        return vlbench.reply(next(self.actions))

def win(row):
    \"\"\"Return the actions that win a row, found by trying them.\"\"\"
    env = gymnasium.make(row.env_id, **row.kwargs)
    for hits in range(5):
        actions = ["hit"] * hits + ["stand"]
        env.reset(options=row.options)
        played = []
        for action in actions:
            played.append(action)
            _, reward, terminated, _, _ = env.step(vlbench.reply(action))
            if terminated:
                break
        if reward > 0:
            return played
    env.reset(options=row.options)
    return ["stand"]
"""
NOT_PRIVILEGED = edit("run/run.json", privileged=False)
"""Edits away that an agent was handed the environment."""


def case(name: str, action: str | Step, *pieces: str, code: int = 0, **more: object) -> Case:
    return Case(letter="H", name=name, action=action, pieces=pieces, code=code, **more)


def cheat(name: str, code: str, agent: str, *pieces: str, track: str = "zero-shot") -> Case:
    """An entry of an agent that is handed the environment, which its run denies."""
    return case(
        name,
        "leaderboard.verify entry.tar.gz",
        *pieces,
        setup=(
            write("own.py", code),
            python_m(f"{PLAY} --agent own.py:{agent}"),
            NOT_PRIVILEGED,
            python_m(f"{PACK} --track {track}"),
        ),
    )


def delete_lost_rows() -> None:
    """Play a coin again on the rows that it has lost, until it has lost hardly any."""
    for _ in range(40):
        python_m(f"{TOSS} --concurrency 1")()
        episodes = [json.loads(line) for line in Path("run/episodes.jsonl").open()]
        won = [key_of(episode) for episode in episodes if episode["success"]]
        if len(won) >= len(episodes) - 2:
            break
        keep("episodes.jsonl", won, key_of)
        keep("replies.jsonl", won, lambda line: line["episode"])
    python_m(f"{PACK} --track zero-shot")()


def key_of(episode: dict[str, Any]) -> str:
    return f"{episode['env_id']}#{episode['row']}/{episode['repeat']}"


def keep(name: str, keys: list[str], key: Callable[[dict[str, Any]], str]) -> None:
    """Delete the lines of a file of the run that are of other episodes."""
    path = Path("run", name)
    lines = path.read_text("utf-8").splitlines(keepends=True)
    path.write_text("".join(line for line in lines if key(json.loads(line)) in keys), "utf-8")


def copy_texts() -> None:
    """Give somebody else's texts another name."""

    def rename(manifest: dict[str, Any], lines: list[Any]) -> None:
        manifest["card"].update(name="Copy", model="copy-1")

    edit_entry(rename, out="copy.tar.gz")


CASES = (
    cheat(
        "the expert's actions with made-up thoughts",
        THINKER,
        "Thinker",
        "flagged: agrees with the expert",
    ),
    cheat(
        "the expert's wording under zero-shot",
        DEMONSTRATOR,
        "Demonstrator",
        "flagged: writes like the expert",
    ),
    cheat(
        "the expert's wording of a tuned model",
        DEMONSTRATOR,
        "Demonstrator",
        "noted: trained on expert",
        track="sft",
    ),
    case(
        "a coin whose lost rows were deleted and played again",
        "leaderboard.verify entry.tar.gz",
        "refused: entry.tar.gz: ",
        "begun out of order",
        code=1,
        setup=(write("coin.py", COIN), delete_lost_rows),
    ),
    case(
        "a run whose texts its journal doesn't hold",
        f"{PACK} --track zero-shot",
        "replies.jsonl doesn't hold the replies of",
        code=2,
        setup=(
            write("coin.py", COIN),
            python_m(TOSS),
            edit_lines("run/replies.jsonl", lambda lines: lines.pop()),
        ),
    ),
    case(
        "somebody else's texts under another name",
        "leaderboard.verify entry.tar.gz copy.tar.gz",
        "flagged: shares texts",
        fixtures=("entry.tar.gz",),
        setup=(copy_texts,),
    ),
    case(
        "a Blackjack record above its ceiling",
        "leaderboard.verify entry.tar.gz",
        "flagged: above the ceiling",
        setup=(
            write("oracle.py", ORACLE),
            python_m(
                "agents.evaluate --agent oracle.py:Oracle --env Blackjack --suite paper "
                "--concurrency 1 --out run"
            ),
            python_m(f"{PACK} --track zero-shot"),
        ),
    ),
)
