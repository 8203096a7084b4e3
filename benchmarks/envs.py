"""Time steps and resets, in copies of a frame, and compare with other environments.

    python benchmarks/envs.py [--json] [--rounds 5]

Every environment plays random actions with auto-reset through `gymnasium.make`, in interleaved
rounds. The figures are medians of CPU time over the rounds. The unit is one `np.copyto` of the
frame that a step or reset just returned, timed right after it so that the caches are in the same
state. Set `RL4VLM_PATH` to a checkout of the original, with its `gym-cards` folder and its fonts,
to add its environments.
"""

import argparse
import functools
import importlib.util
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import gymnasium
import numpy as np
from gymnasium.vector import AutoresetMode

import vlbench
from vlbench.registry import needed_extra

ENV_IDS = [env_id for env_id in vlbench.ENV_IDS if not needed_extra(env_id)]
STEPS = 1000
WARM_UP = 300


def clock_cost() -> float:
    """Return the time to read the clock, in nanoseconds."""
    start = time.process_time_ns()
    for _ in range(1000):
        time.process_time_ns()
    return (time.process_time_ns() - start) / 1000


def frame_of(env: gymnasium.Env[Any, Any], observation: Any) -> np.ndarray:
    if isinstance(observation, dict):
        return observation["image"]
    if isinstance(observation, np.ndarray) and observation.ndim == 3:
        return observation
    return env.render()


def driver(make: Callable[[], gymnasium.Env[Any, Any]], rendered: bool) -> Callable[[], dict]:
    """Return a function that times one round of an environment."""
    env = make()
    env.action_space.seed(0)
    env.reset(seed=0)
    for _ in range(WARM_UP):  # fills the caches with every card
        env.reset()
    actions = [env.action_space.sample() for _ in range(STEPS)]

    def measure() -> dict[str, float]:
        observation, _ = env.reset()
        target = np.empty_like(frame_of(env, observation))
        reading = clock_cost()

        def timed(call: Callable[..., Any], *arguments: Any) -> tuple[Any, float, float]:
            start = time.process_time_ns()
            result = call(*arguments)
            frame = env.render() if rendered else frame_of(env, result[0])
            done = time.process_time_ns()
            np.copyto(target, frame)
            return result, done - start - reading, time.process_time_ns() - done - reading

        steps, resets = [], []
        for action in actions:
            result, spent, copied = timed(env.step, action)
            steps.append((spent, copied))
            if result[2] or result[3]:
                resets.append(timed(env.reset)[1:])
        resets += [timed(env.reset)[1:] for _ in range(20)]
        step, step_copy = np.mean(steps, axis=0)
        reset, reset_copy = np.mean(resets, axis=0)
        return {
            "step_us": step / 1e3,
            "step_copies": step / step_copy,
            "reset_us": reset / 1e3,
            "reset_copies": reset / reset_copy,
        }

    return measure


def candidates() -> dict[str, tuple[Callable[[], gymnasium.Env[Any, Any]], bool]]:
    """Return name → (function that makes it, whether it needs `render` for a picture)."""
    makers: dict[str, tuple[Callable[[], gymnasium.Env[Any, Any]], bool]] = {}
    for env_id in ENV_IDS:
        makers[env_id] = (lambda env_id=env_id: gymnasium.make(env_id), False)
    if importlib.util.find_spec("pygame"):
        for name in ("Blackjack-v1", "FrozenLake-v1", "CartPole-v1"):
            makers[f"gymnasium {name}"] = (
                lambda name=name: gymnasium.make(name, render_mode="rgb_array"),
                True,
            )
    if importlib.util.find_spec("minigrid"):
        makers["minigrid Empty-8x8 (tile 32)"] = (minigrid, False)
    original = os.environ.get("RL4VLM_PATH")
    if original:
        sys.path.insert(0, str(Path(original) / "gym-cards"))
        import gym_cards  # noqa: F401

        for name in ("NumberLine", "EZPoints", "Points24", "Blackjack"):
            makers[f"gym_cards {name}"] = (
                lambda name=name: gymnasium.make(f"gym_cards/{name}-v0"),
                False,
            )
    return makers


def minigrid() -> gymnasium.Env[Any, Any]:
    import minigrid  # noqa: F401
    from minigrid.wrappers import ImgObsWrapper, RGBImgObsWrapper

    env = gymnasium.make("MiniGrid-Empty-8x8-v0")
    return ImgObsWrapper(RGBImgObsWrapper(env, tile_size=32))


def vector_driver(env: Any, expert: bool) -> Callable[[], float]:
    """Return a function that plays 50 steps and returns the CPU time of a reply, in us."""
    env.reset(seed=0)
    env.single_action_space.seed(0)
    sample = env.single_action_space.sample
    next_step = env.metadata["autoreset_mode"] == AutoresetMode.NEXT_STEP
    resets = np.zeros(env.num_envs, np.bool_)  # environments whose next step is a reset

    def measure() -> float:
        spent = played = 0
        for _ in range(50):
            replies = tuple(
                vlbench.reply(one.unwrapped.expert()) if expert and not rests else sample()
                for one, rests in zip(env.envs, resets, strict=True)
            )
            played += len(replies) - int(resets.sum())
            start = time.process_time_ns()
            _, _, terminated, truncated, info = env.step(replies)
            if "final_obs" in info:
                for i in np.flatnonzero(truncated):
                    info["final_obs"][i]["image"]
            spent += time.process_time_ns() - start
            resets[:] = next_step & (terminated | truncated)
        return spent / played / 1e3

    return measure


def vectors(rounds: int, expert: bool, n: int = 64) -> dict[str, dict[str, float]]:
    """Return, for each id, the speed-up of the native vector env over Gymnasium's.

    `sync` resets in the same step and returns the last observation, as the native one does. The
    benchmark accesses the last pictures of truncated episodes, because a trainer needs their
    values; the native one draws them only then. `default` is the default of `make_vec`: its resets
    are steps of their own, whose replies aren't played. Costs are per played reply.

    Args:
        rounds: Rounds of 50 steps, after one to warm up.
        expert: Play the expert's replies; random ones otherwise.
        n: Number of environments.
    """
    ratios: dict[str, dict[str, float]] = {}
    for env_id in ENV_IDS:
        make = functools.partial(gymnasium.make_vec, env_id, num_envs=n)
        same_step = {"autoreset_mode": AutoresetMode.SAME_STEP}
        envs = {
            "sync": make(vectorization_mode="sync", vector_kwargs=same_step),
            "default": make(vectorization_mode="sync"),
            "copying": make(vectorization_mode="vector_entry_point"),
            "shared": make(vectorization_mode="vector_entry_point", copy=False),
        }
        drivers = {name: vector_driver(env, expert) for name, env in envs.items()}
        costs = [{name: run() for name, run in drivers.items()} for _ in range(rounds + 1)][1:]
        ratios[env_id] = {f"{name}_us": median(cost[name] for cost in costs) for name in envs} | {
            f"{other}/{native}": median(cost[other] / cost[native] for cost in costs)
            for other in ("sync", "default")
            for native in ("copying", "shared")
        }
    return ratios


PROGRAM = """
import time, resource, sys
import gymnasium
before = time.process_time()
import vlbench
env = gymnasium.make(sys.argv[1]); env.reset(seed=0)
print(time.process_time() - before)
rss = lambda: int(open('/proc/self/statm').read().split()[1]) * resource.getpagesize()
start = rss(); more = [gymnasium.make(sys.argv[1]) for _ in range(64)]
for e in more:
    e.reset(seed=0); e.step(""); e.step("")  # Gymnasium's checker keeps the first observations
print((rss() - start) / 64 / 1024)
"""


def cold_starts(rounds: int) -> dict[str, dict[str, float]]:
    """Return CPU seconds of import + make + first reset, and KiB per environment, by id."""
    results = {}
    for env_id in ENV_IDS:
        runs = []
        for _ in range(rounds):
            command = [sys.executable, "-c", PROGRAM, env_id]
            output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
            runs.append([float(line) for line in output.split()])
        results[env_id] = {
            "first_reset_s": median(run[0] for run in runs),
            "kib_per_env": median(run[1] for run in runs),
        }
    return results


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", action="store_true", help="print JSON instead of tables")
    arguments = parser.parse_args()
    drivers = {name: driver(make, rendered) for name, (make, rendered) in candidates().items()}
    rounds: dict[str, list[dict[str, float]]] = {name: [] for name in drivers}
    for _ in range(arguments.rounds):
        for name, measure in drivers.items():
            rounds[name].append(measure())
    single = {
        name: {key: median(r[key] for r in runs) for key in runs[0]}
        for name, runs in rounds.items()
    }
    result = {
        "single": single,
        "vector, random replies": vectors(arguments.rounds, expert=False),
        "vector, expert replies": vectors(arguments.rounds, expert=True),
        "cold": cold_starts(min(arguments.rounds, 3)),
    }
    if arguments.json:
        print(json.dumps(result, indent=2))
        return
    for title, table in result.items():
        columns = list(next(iter(table.values())))
        print(f"\n{title:32}" + "".join(f"{column:>17}" for column in columns))
        for name, row in table.items():
            print(f"{name:32}" + "".join(f"{row[column]:17.2f}" for column in columns))


if __name__ == "__main__":
    main()
