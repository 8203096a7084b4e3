"""Time vlbench's ALFWorld engine and the stock one on the same games and commands.

    python -m benchmarks.alfworld [--games 6] [--steps 20] [--rounds 3] [--json]

Rounds alternate between the two, so that a busy machine slows both. The figures are medians of wall
time: `fresh` is the first reset of a game, `again` a reset of a game that was played before, `step`
one command. vlbench is timed twice: its engine alone, including process and pipe, and the whole
environment (parser, picture, prompt and info).
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from random import Random
from statistics import median
from typing import Any

import gymnasium

import vlbench
from vlbench.tasks.alfworld.engine.client import EngineClient
from vlbench.tasks.alfworld.game import AlfworldGame
from vlbench.tasks.alfworld.games.generator import KINDS, GameData, scenes

STOCK = """
import json, sys, time
import textworld
from alfworld.agents.environment.alfred_tw_env import AlfredDemangler
from textworld.envs.pddl import PddlEnv
env = AlfredDemangler(PddlEnv(textworld.EnvInfos(won=True, admissible_commands=True)))
out, sys.stdout = sys.stdout, sys.stderr
games = json.loads(sys.stdin.readline())
clock = time.perf_counter
for _ in sys.stdin:
    times = {"fresh": 0.0, "again": 0.0, "step": 0.0}
    for domain, grammar, problem, commands in games:
        start = clock()
        env.load({"pddl_domain": domain, "grammar": grammar, "pddl_problem": problem})
        env.reset()
        times["fresh"] += clock() - start
        start = clock()
        for command in commands:
            env.step(command)
        times["step"] += clock() - start
        start = clock()
        env.reset()
        times["again"] += clock() - start
    print(json.dumps(times), file=out, flush=True)
"""

Times = dict[str, float]
"""Seconds for all games by part."""


def stock(games: list[tuple[GameData, list[str]]]) -> Callable[[], Times]:
    """Start the stock engine; return a function that times one round of it."""
    environment = {**os.environ, "ALFWORLD_DATA": tempfile.mkdtemp()}
    process = subprocess.Popen(
        [sys.executable, "-c", STOCK],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env=environment,
    )
    assert process.stdin and process.stdout
    texts = [(game.domain, game.grammar, game.problem, commands) for game, commands in games]
    print(json.dumps(texts), file=process.stdin, flush=True)

    def measure() -> Times:
        print("go", file=process.stdin, flush=True)
        times: Times = json.loads(process.stdout.readline())
        return times

    return measure


def engine(games: list[tuple[GameData, list[str]]]) -> Callable[[], Times]:
    """Return a function that times one round of vlbench's engine in a new process."""

    def measure() -> Times:
        host = EngineClient()
        host.play(games[0][0], ())  # starts the engine and parses what all games share
        host.close()
        host.play(warm_up(), ())
        times = {"fresh": 0.0, "again": 0.0, "step": 0.0}
        for game, commands in games:
            with timed(times, "fresh"):
                host.play(game, ())
            with timed(times, "step"):
                for number in range(len(commands)):
                    host.play(game, tuple(commands[: number + 1]))
            with timed(times, "again"):
                host.play(game, ())
        host.close()
        return times

    return measure


def environment(instances: list[str], commands: list[list[str]]) -> Callable[[], Times]:
    """Return a function that times one round of the whole environment."""

    def measure() -> Times:
        env = gymnasium.make("vlbench/ALFWorld-v0", disable_env_checker=True)
        inner: Any = env.unwrapped
        inner.game.engine = EngineClient()
        inner.game.engine.play(warm_up(), ())
        times = {"fresh": 0.0, "again": 0.0, "step": 0.0}
        for instance, played in zip(instances, commands, strict=True):
            replies = [vlbench.reply(command) for command in played]
            with timed(times, "fresh"):
                env.reset(options={"instance": instance})
            with timed(times, "step"):
                for reply in replies:
                    env.step(reply)
            with timed(times, "again"):
                env.reset(options={"instance": instance})
        inner.game.engine.close()
        return times

    return measure


def warm_up() -> GameData:
    """Return a game that isn't timed."""
    return AlfworldGame().data("alfworld/look_at_obj_in_light/301-0")


@contextmanager
def timed(times: Times, part: str) -> Iterator[None]:
    """Add the time of the block to a part."""
    start = time.perf_counter()
    yield
    times[part] += time.perf_counter() - start


def select_games(count: int, steps: int) -> tuple[list[str], list[GameData], list[list[str]]]:
    """Return instances of all task types, their data, and random commands that don't end them."""
    rng, game = Random(0), AlfworldGame()
    instances, data, commands = [], [], []
    for number in range(count):
        kind = KINDS[number % len(KINDS)]
        instance = f"alfworld/{kind}/{rng.choice(scenes(kind))}-{number}"
        state, played = game.start(instance), []
        while len(played) < steps:
            command = rng.choice(state.admissible)
            move = game.step(state, command)
            if not move.terminated:
                state = move.state
                played.append(command)
        instances.append(instance)
        data.append(game.data(instance))
        commands.append(played)
    return instances, data, commands


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--games", type=int, default=6)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    arguments = parser.parse_args()
    instances, data, commands = select_games(arguments.games, arguments.steps)
    games = list(zip(data, commands, strict=True))
    players = {
        "stock": stock(games),
        "engine": engine(games),
        "environment": environment(instances, commands),
    }
    rounds: dict[str, list[Times]] = {name: [] for name in players}
    for _ in range(arguments.rounds):
        for name, measure in players.items():
            rounds[name].append(measure())
    calls = {
        "fresh": arguments.games,
        "again": arguments.games,
        "step": arguments.games * arguments.steps,
    }
    results = {
        name: {
            part: median(times[part] for times in measured) / calls[part] * 1e3 for part in calls
        }
        for name, measured in rounds.items()
    }
    if arguments.json:
        print(json.dumps(results, indent=2))
        return
    print(f"{'ms':12}{'fresh':>10}{'again':>10}{'step':>10}{'× again':>10}{'× step':>10}")
    for name, times in results.items():
        again, step = (results["stock"][part] / times[part] for part in ("again", "step"))
        parts = "".join(f"{times[part]:10.2f}" for part in ("fresh", "again", "step"))
        print(f"{name:12}{parts}{again:10.1f}{step:10.1f}")


if __name__ == "__main__":
    main()
