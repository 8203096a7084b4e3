"""Learn NumberLine through a bridge: GRPO of TRL, from our own fine-tuning.

    python -m scripts.learn_by_bridges --way turns --rules ring=true --out runs/by-turns
    python -m scripts.learn_by_bridges --way episodes --model RUN/latest --out runs/by-episodes

`turns`: single turns with minus the exact regret as the reward, from the shipped `llava-sft`.
`episodes`: whole episodes with a picture in every turn, from a Qwen2.5-VL that `sft` trained
(`scripts.small_qwen`). The model is scored on presentations of the split `val` that no training
deals, sampled as in training, before and after; the difference is paired. Adds a line to
`--results`.
"""

import argparse
import dataclasses
import json
import random
import time
from pathlib import Path
from typing import Any

import gymnasium
import torch

import vlbench
from agents.train.evaluation import val_rows
from agents.vlm.bundled import CHECKPOINTS
from agents.vlm.loading import load
from agents.vlm.policy import Policy
from agents.vlm.sampling import Sampling
from vlbench.bridges import starts, turns
from vlbench.bridges.conversation import Conversation
from vlbench.intervals import mean, wilson
from vlbench.records import Reply

ENV = "vlbench/NumberLine-v0"
SHIPPED = CHECKPOINTS / "llava-sft" / "number_line"


def play(model: Any, processor: Any, rows: Any, longest: int, history: int) -> list[bool]:
    """Return which rows the model solves, sampled at temperature 1."""
    policy = Policy(model, processor, Sampling(max_new_tokens=longest))
    generator = torch.Generator().manual_seed(0)
    episodes = [Conversation(row, number, history=history) for number, row in enumerate(rows)]
    while going := [episode for episode in episodes if not episode.is_over]:
        prompts = [policy.encoder.encode({**e.observation, "history": e.past}) for e in going]
        for episode, reply in zip(going, policy.generate(prompts, generator), strict=True):
            episode.play(Reply(reply.text))
    return [episode.success for episode in episodes]


def states(episodes: int, rules: dict[str, Any]) -> list[turns.TurnRow]:
    """Return states of the split `train`, on the way of random actions."""
    draw, rows = random.Random(0), []
    for start in starts.deal(ENV, episodes, **rules):
        env = gymnasium.make(ENV, **start.kwargs)
        env.reset(options=start.options)
        played: list[str] = []
        over = False
        while not over:
            kwargs = json.dumps(start.kwargs)
            place = start.instance, start.presentation
            rows.append(turns.TurnRow(ENV, kwargs, *place, tuple(played)))
            best = env.unwrapped.expert()
            action = best if draw.random() < 0.6 else draw.choice(env.unwrapped.vocabulary)
            played.append(action)
            _, _, terminated, truncated, _ = env.step(vlbench.reply(action))
            over = terminated or truncated or len(played) > 5
    draw.shuffle(rows)
    return rows


def rule(text: str) -> tuple[str, Any]:
    """Return the name and the value in NAME=JSON."""
    name, _, value = text.partition("=")
    return name, json.loads(value)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--way", choices=("turns", "episodes"), required=True)
    parser.add_argument("--model", type=Path, default=SHIPPED)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--theme", default="train")
    parser.add_argument("--rules", type=rule, nargs="*", default=[], metavar="NAME=JSON")
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--lr", type=float, default=1e-4)
    parser.add_argument("--rows", type=int, default=128)
    parser.add_argument("--results", type=Path, default=Path("docs/results/bridges.jsonl"))
    options = parser.parse_args()
    from trl import GRPOConfig, GRPOTrainer  # after agents.vlm, which prepares torchvision

    from vlbench.bridges import trl_env

    rules = {"theme": options.theme, **dict(options.rules)}
    began = time.process_time()
    loaded = load(str(options.model), trainable=True)
    model, processor = loaded.model, loaded.processor
    rows = val_rows(ENV, options.rows, rules)
    longest, history = 48, 0 if options.way == "turns" else 10
    before = play(model.eval(), processor, rows, longest, history)
    common = {
        "output_dir": str(options.out),
        "use_cpu": True,
        "bf16": False,
        "report_to": [],
        "save_strategy": "no",
        "seed": 0,
        "num_generations": 8,
        "per_device_train_batch_size": 64 if options.way == "turns" else 32,
        "max_steps": options.steps,
        "learning_rate": options.lr,
        "temperature": 1.0,
        "beta": 0.0,
    }
    if options.way == "turns":
        trainer = GRPOTrainer(
            model=model,
            processing_class=processor,
            train_dataset=turns.dataset(states(200, rules)),
            reward_funcs=turns.trl_reward,
            args=GRPOConfig(max_completion_length=longest, **common),
        )
    else:
        prepared = trl_env.prepare(processor)
        trainer = GRPOTrainer(
            model=model,
            processing_class=prepared,
            train_dataset=trl_env.dataset(ENV, 400, **rules),
            environment_factory=trl_env.environment(ENV, **rules),
            args=GRPOConfig(
                max_completion_length=3000,
                generation_kwargs=trl_env.generation_kwargs(prepared, longest),
                **common,
            ),
        )
    trainer.train()
    after = play(model.eval(), loaded.processor, rows, longest, history)
    instances = [row.instance for row in rows]
    gain = mean([float(b) - float(a) for a, b in zip(before, after, strict=True)], instances)
    result = {
        "what": "learning",
        "way": options.way,
        "model": str(options.model.relative_to(Path.cwd()))
        if options.model.is_relative_to(Path.cwd())
        else "/".join(options.model.parts[-2:]),
        "rules": rules,
        "steps": options.steps,
        "lr": options.lr,
        "rows": len(rows),
        "instances": len(set(instances)),
        "before": dataclasses.asdict(wilson(sum(before), len(rows))),
        "after": dataclasses.asdict(wilson(sum(after), len(rows))),
        "gain": dataclasses.asdict(gain),
        "cpu_seconds": round(time.process_time() - began),
    }
    with options.results.open("a") as file:
        file.write(json.dumps(result) + "\n")
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
