"""Memory and time of report, compare and pack on runs of very many episodes.

    python -m benchmarks.many_episodes [--episodes 100000] [--results FILE]

The episodes are synthetic: real episodes of Points24, of the expert and of random actions, written
again and again as further repeats of their rows, with a journal as the harness writes it. Prints
the peak of resident memory and the time of each command, in a process of its own; `--results` adds
them to a file, as lines of JSON.
"""

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np

import vlbench
from vlbench.bridges.engines import EnginePlayer
from vlbench.recorder import EpisodeRecorder
from vlbench.records import Episode, Reply, episode_key, to_json
from vlbench.records.run_spec import RunSpec
from vlbench.run_folder import EPISODES, JOURNAL, RunFolder, run_header
from vlbench.suites import frozen_rows

ENV = "vlbench/Points24-v0"
THOUGHTS = "The cards are read from left to right, and the formula is continued. " * 3


def play(number: int, choose: Callable[[Any], str]) -> Episode:
    row = frozen_rows(ENV, "test")[number]
    recording = EpisodeRecorder(gymnasium.make(ENV, **row.kwargs), row, number)
    while not recording.end:
        text = vlbench.reply(choose(recording.env.unwrapped), thoughts=THOUGHTS)
        recording.play(Reply(text, prompt_tokens=300, completion_tokens=60, seconds=0.5))
    return recording.episode()


def write_run(folder: Path, episodes: int, choose: Callable[[Any], str], name: str) -> float:
    """Write a run; return its turns per episode."""
    rows = len(frozen_rows(ENV, "test"))
    spec = RunSpec("test", "cot", repeats=-(-episodes // rows))
    run = RunFolder.start(folder, run_header(EnginePlayer(name), spec, [ENV]))
    run.close()
    played = [to_json(play(number, choose)) for number in range(rows)]
    turns = 0
    with (folder / EPISODES).open("w") as lines, (folder / JOURNAL).open("w") as journal:
        for number in range(episodes):
            data = played[number % rows] | {"repeat": number // rows}
            key = episode_key(ENV, number % rows, number // rows)
            for place, turn in enumerate(data["turns"]):
                reply = {"episode": key, "turn": place, "reply": turn["reply"]}
                journal.write(json.dumps(reply, separators=(",", ":")) + "\n")
            lines.write(json.dumps(data, separators=(",", ":")) + "\n")
            turns += len(data["turns"])
    return turns / episodes


def measure(*command: str) -> dict[str, int]:
    """Run a module in a process of its own; return its seconds and its peak memory in MB."""
    start = time.monotonic()
    process = os.posix_spawn(sys.executable, [sys.executable, "-m", *command], os.environ)
    _, status, usage = os.wait4(process, 0)
    if status:
        raise SystemExit(f"{command[0]} failed")
    return {
        "seconds": round(time.monotonic() - start),
        "cpu_seconds": round(usage.ru_utime + usage.ru_stime),
        "peak_mb": round(usage.ru_maxrss / 1024),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--episodes", type=int, default=100_000)
    parser.add_argument("--results", type=Path)
    options = parser.parse_args()
    episodes = options.episodes
    with tempfile.TemporaryDirectory() as folder:
        first, second = Path(folder, "expert"), Path(folder, "random")
        rng = np.random.default_rng(0)
        players = {
            first: lambda env: str(env.expert()),
            second: lambda env: str(rng.choice(env.vocabulary)),
        }
        for path, choose in players.items():
            turns = write_run(path, episodes, choose, path.name)
            size = sum(file.stat().st_size for file in path.iterdir()) / 2**20
            print(f"{path.name}: {episodes:,} episodes of {turns:.1f} turns, {size:,.0f} MB")
        card = ["--track", "zero-shot", "--weights", "closed"]
        commands = {
            "report": ["agents.report", str(first), f"{folder}/page.html"],
            "compare": ["agents.compare", str(first), str(second)],
            "pack": ["leaderboard.pack", str(first), "--out", f"{folder}/entry.tar.gz", *card],
        }
        for name, command in commands.items():
            line = {"what": "many-episodes", "command": name, "episodes": episodes}
            line |= measure(*command)
            print(json.dumps(line), flush=True)
            if options.results:
                with options.results.open("a") as file:
                    file.write(json.dumps(line) + "\n")


if __name__ == "__main__":
    main()
