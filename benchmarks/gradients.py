"""Compare our sum of gradients with torch's DistributedDataParallel, in two processes.

    python benchmarks/gradients.py [--json] [--rounds 9]

Both go through the minibatches of one rollout of NumberLine with the shipped model, and end with
the same gradients in each process. A process's share of a minibatch varies, and so does the number
of its micro-batches. Ours sums the gradients once a minibatch, whatever a process computed.
DistributedDataParallel sums them in the backward pass of the last micro-batch, so processes make
equally many passes: one with fewer adds a pass of weight 0. Rounds alternate.
"""

import argparse
import contextlib
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch.nn.parallel import DistributedDataParallel

import agents.vlm  # noqa: F401  # before transformers is imported
from agents.train import ppo
from agents.train.advantages.playing import play
from agents.train.distributed import Processes
from agents.train.environments import RolloutEnvs, make_envs
from agents.train.ppo_config import Config
from agents.train.rollout_buffer import RolloutBuffer
from agents.train.update import Learner, build_learner
from agents.train.update.loss import loss_terms
from agents.train.update.micro_batches import micro_batches
from agents.vlm.bundled import CHECKPOINTS

ROOT = Path(__file__).parents[1]
MODEL = CHECKPOINTS / "llava-sft" / "number_line"


def make(options: argparse.Namespace) -> tuple[Config, Learner, RolloutBuffer]:
    """Return a learner and this process's share of a rollout."""
    processes = Processes()
    config = Config(
        model=str(MODEL),
        num_envs=32,
        num_steps=4,
        minibatch=64,
        micro_batch=options.micro_batch,
        max_new_tokens=48,
        theme="classic",
        train_vision=options.train_vision,
    )
    policy = ppo.build_policy(config, config.model, processes.device)
    learner = build_learner(config, policy, processes)
    share = processes.share(config.num_envs)
    envs = RolloutEnvs(make_envs("vlbench/NumberLine-v0", len(share), {}), share, processes)
    envs.reset([*share])
    sampler = torch.Generator().manual_seed(processes.number)
    buffer = play(policy, envs, config, sampler, processes, lambda text: None)
    return config, learner, buffer


def passes(
    learner: Learner, buffer: RolloutBuffer, config: Config, numbers: list[int]
) -> list[list[int]]:
    """Return this process's micro-batches of a minibatch, as turn numbers."""
    own = buffer.own(numbers)
    places = micro_batches(buffer.lengths(own), config.micro_batch, config.micro_tokens)
    return [[own[place] for place in batch] for batch in places]


def ours(learner: Learner, buffer: RolloutBuffer, config: Config, numbers: list[int]) -> int:
    """Sum the gradients of a minibatch once; return the number of passes."""
    parts = passes(learner, buffer, config, numbers)
    for part in parts:
        batch = buffer.take(part, learner.policy.device)
        (loss_terms(learner, batch, config)["loss"] / len(numbers)).backward()
    learner.processes.sum_gradients(learner.weights)
    return len(parts)


def torchs(wrapped: Any) -> Callable[[Learner, RolloutBuffer, Config, list[int]], int]:
    """Return the same by DistributedDataParallel."""

    def step(learner: Learner, buffer: RolloutBuffer, config: Config, numbers: list[int]) -> int:
        parts = passes(learner, buffer, config, numbers)
        most = max(learner.processes.gather(len(parts)))
        weights = [1.0] * len(parts) + [0.0] * (most - len(parts))
        parts += [parts[-1]] * (most - len(parts))
        count = learner.processes.count
        for place, (part, weight) in enumerate(zip(parts, weights, strict=True)):
            batch = buffer.take(part, learner.policy.device)
            last = place == most - 1
            with contextlib.nullcontext() if last else wrapped.no_sync():
                terms = loss_terms(replace(learner, policy=wrapped), batch, config)
                (terms["loss"] * weight * count / len(numbers)).backward()
        return most

    return step


def measure(options: argparse.Namespace) -> list[dict[str, Any]]:
    """Return the rounds, measured in this process: seconds and passes of each way."""
    torch.set_num_threads(1)
    config, learner, buffer = make(options)
    wrapped = DistributedDataParallel(
        learner.policy,
        find_unused_parameters=options.train_vision != "none",  # some of LLaVA's tower
        gradient_as_bucket_view=True,
    )
    ways = {"ours": ours, "ddp": torchs(wrapped)}
    rounds, gradients = [], {}
    for number in range(options.rounds + 1):
        row: dict[str, Any] = {}
        for name, way in ways.items():
            shuffler = torch.Generator().manual_seed(number)
            wall, cpu, count = time.perf_counter(), time.process_time(), 0
            for numbers in buffer.minibatches(config.minibatch, shuffler):
                learner.optimizer.zero_grad()
                count += way(learner, buffer, config, numbers)
            row[name] = {
                "cpu": round(time.process_time() - cpu, 4),
                "wall": round(time.perf_counter() - wall, 4),
                "passes": count,
            }
            gradients[name] = [w.grad.clone() for w in learner.weights if w.grad is not None]
        rounds.append(row)
    pairs = zip(gradients["ours"], gradients["ddp"], strict=True)
    difference = max(float((a - b).abs().max() / (1e-12 + a.abs().max())) for a, b in pairs)
    if learner.processes.main:
        print(
            json.dumps({"rounds": rounds[1:], "difference": difference})
        )  # the first one warms up
    learner.processes.close()
    return rounds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--micro-batch", type=int, default=8)
    parser.add_argument("--train-vision", default="none")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    if "RANK" in os.environ:
        measure(options)
        return
    launch = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    command = [sys.executable, *launch, __file__, *sys.argv[1:]]
    ran = subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE, text=True)
    result = json.loads(ran.stdout)
    ratios = {
        unit: [row["ddp"][unit] / row["ours"][unit] for row in result["rounds"]]
        for unit in ("cpu", "wall", "passes")
    }
    result = {"micro_batch": options.micro_batch, "train_vision": options.train_vision} | result
    result |= {unit: statistics.median(values) for unit, values in ratios.items()}
    if options.json:
        print(json.dumps(result))
        return
    for unit, values in ratios.items():
        spread = f"{min(values):.2f} to {max(values):.2f}"
        print(f"DDP takes {result[unit]:.2f} x ours, {unit} (median of {len(values)}: {spread})")
    print(f"largest relative difference of a gradient: {result['difference']:.0e}")


if __name__ == "__main__":
    main()
