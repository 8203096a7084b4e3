"""Compare one thread with torch's default number in an iteration of PPO with a small model.

    python -m benchmarks.threads [--json] [--rounds 5]

The model is the shipped one of NumberLine, the iteration that of `benchmarks/ppo.py` with two
epochs. Rounds alternate. CPU seconds count all threads. The load of the machine is reported, since
threads that wait for a busy processor cost most.
"""

import argparse
import json
import os
import statistics
import time
from typing import Any

import torch

import agents.vlm  # noqa: F401  # before transformers is imported
from agents.train.ppo_config import Config
from benchmarks.ppo import MODEL, Bench


def main() -> None:
    default = torch.get_num_threads()
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument(
        "--threads", type=int, default=default, help="by default torch's own number"
    )
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    config = Config(
        model=str(MODEL),
        num_envs=32,
        num_steps=4,
        max_new_tokens=256,
        theme="classic",
        train_vision="none",
    )
    bench = Bench(config)
    bench.vlbench()  # the first pass pays for allocations
    rounds: list[dict[str, Any]] = []
    for _ in range(options.rounds):
        row: dict[str, Any] = {"load": os.getloadavg()[0]}
        for threads in (1, options.threads):
            torch.set_num_threads(threads)
            wall, cpu = time.perf_counter(), time.process_time()
            bench.vlbench()
            spent = {"wall": time.perf_counter() - wall, "cpu": time.process_time() - cpu}
            row[str(threads)] = {unit: round(value, 3) for unit, value in spent.items()}
        rounds.append(row)
    many = str(options.threads)
    ratios = {
        unit: [row[many][unit] / row["1"][unit] for row in rounds] for unit in ("wall", "cpu")
    }
    result = {"threads": options.threads, "cores": os.cpu_count(), "rounds": rounds}
    result |= {unit: round(statistics.median(values), 3) for unit, values in ratios.items()}
    if options.json:
        print(json.dumps(result))
        return
    for unit, values in ratios.items():
        spread = f"{min(values):.2f} to {max(values):.2f}"
        print(f"{many} threads: {result[unit]:.2f} x one, {unit} (median; {spread})")


if __name__ == "__main__":
    main()
