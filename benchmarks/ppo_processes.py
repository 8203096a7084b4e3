"""Measure PPO's turns per second in one process and in two, on two cores.

    python benchmarks/ppo_processes.py [--json] [--model DIR] [--rounds 3]

Each round trains the tiny LLaVA on NumberLine with the same options in one process and under
`torchrun --nproc-per-node 2`, with one thread per process, and divides their turns per second
(rollout and update, without the first iteration). That ratio is meaningless while another program
uses a core, so two more numbers are reported: the load of the machine, and the ratio of turns per
second of the main process's CPU time, an upper bound for two free cores.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agents.train import tiny

ONE = (sys.executable, "-m")
TWO = (sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m")


@dataclass(frozen=True)
class Speed:
    """Turns per second."""

    wall: float
    cpu: float
    """Per second of the main process's CPU time."""


def speed(launcher: tuple[str, ...], model: str, options: argparse.Namespace) -> Speed:
    with tempfile.TemporaryDirectory() as out:
        command = [
            *launcher,
            "agents.train.ppo",
            "--model",
            model,
            "--out",
            out,
            "--theme",
            "classic",
            "--num-envs",
            options.envs,
            "--num-steps",
            options.steps,
            "--epochs",
            options.epochs,
            "--minibatch",
            64,
            "--micro-batch",
            64,
            "--max-new-tokens",
            options.tokens,
            "--iterations",
            options.iterations,
            "--eval-every",
            0,
            "--loggers",
            "json",
            "--critic-iterations",
            0,
        ]
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        subprocess.run(
            [str(part) for part in command], env=environment, check=True, capture_output=True
        )
        rows = [json.loads(line) for line in Path(out, "metrics.jsonl").read_text().splitlines()]
    turns = options.envs * options.steps * (len(rows) - 1)
    cpu = rows[-1]["cpu_seconds"] - rows[0]["cpu_seconds"]
    return Speed(statistics.harmonic_mean(row["charts/SPS"] for row in rows[1:]), turns / cpu)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--model", help="a tiny LLaVA; by default an untrained one")
    parser.add_argument("--envs", type=int, default=32)
    parser.add_argument("--steps", type=int, default=8)
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--tokens", type=int, default=48, help="maximum length of a reply")
    parser.add_argument("--iterations", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        if not options.model:
            tiny.build(tiny.Config(out=Path(folder)))
        model = options.model or folder
        rounds = []
        for _ in range(options.rounds):
            load = os.getloadavg()[0]
            one, two = speed(ONE, model, options), speed(TWO, model, options)
            row = {
                "load": load,
                "one": one.wall,
                "two": two.wall,
                "ratio": two.wall / one.wall,
                "cpu_ratio": two.cpu / one.cpu,
            }
            rounds.append(row)
            rounded = {name: round(value, 2) for name, value in row.items()}
            print(json.dumps(rounded), file=sys.stderr, flush=True)
    result: dict[str, Any] = {"rounds": rounds}
    for name in ("ratio", "cpu_ratio"):
        ratios = [row[name] for row in rounds]
        result |= {f"{name}_best": max(ratios), f"{name}_median": statistics.median(ratios)}
    if options.json:
        print(json.dumps(result))
        return
    print(f"two processes: {result['ratio_median']:.2f} x one (median of {options.rounds} rounds)")
    print(f"               {result['ratio_best']:.2f} x one (best)")
    print(f"               {result['cpu_ratio_median']:.2f} x one by CPU time (median)")


if __name__ == "__main__":
    main()
