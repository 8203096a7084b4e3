"""Supervised fine-tuning on expert transcripts: `python -m agents.train.sft --model DIR --data F`.

The loss is the mean cross-entropy of the replies' tokens, weighted by `--thought-weight`; held-out
loss weighs every token equally. The agent `llava` plays the checkpoints. If `--out` holds an
earlier run, that run is resumed.
"""

import json
import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from vlbench.cli import exit_without

if __name__ == "__main__":
    exit_without(("torch", "transformers", "peft", "accelerate"), "sft", extra="train")

import torch

from agents.train import sft_data
from agents.train.distributed import Processes, run_in_processes
from agents.train.environments import PICTURE_HELP, check_share, picture_kwargs
from agents.train.evaluation import evaluate_policy, val_rows
from agents.train.log.run_log import RunLog, check_log
from agents.train.sft_dataset import Examples
from agents.train.trainer import Trainer, take_step
from agents.vlm.loading import adapter_summary, autocast_dtype, load_trainable
from agents.vlm.policy import Policy
from agents.vlm.sampling import Sampling
from agents.vlm.trainable import TrainableWeights, check_model
from vlbench.cli import (
    MAX_SEED,
    existing_file,
    option,
    output_folder,
    parse_options,
    required,
    run_kind,
)
from vlbench.instances import Share, hashed
from vlbench.observation import PICTURES
from vlbench.registry import ENV_HELP, LOOKS, import_environments
from vlbench.suites import Row


@dataclass(frozen=True, kw_only=True)
class Config(TrainableWeights):
    """Options of `sft`."""

    model: str = required("checkpoint to start from: a folder, or hf:<id>", check=check_model)
    data: Path = required("transcripts from sft_data", check=existing_file)
    env: tuple[str, ...] = option((), ENV_HELP, metavar="MODULE:ID")
    out: Path = required(
        "the run's folder; an existing run is resumed", check=output_folder(run_kind("sft"))
    )
    picture: str = option(PICTURES[0], PICTURE_HELP, choices=PICTURES)
    steps: int = option(400, "number of optimizer steps", ge=1)
    batch: int = option(16, "examples per step", ge=1, limit=65_536)
    micro_batch: int = option(16, "examples per forward pass", ge=1, limit=65_536)
    lr: float = option(1.5e-3, "peak learning rate; linear warm-up, then a cosine", gt=0)
    warmup: float = option(0.03, "share of steps in the warm-up", ge=0, le=1)
    weight_decay: float = option(0.0, "weight decay of AdamW", ge=0)
    max_grad_norm: float = option(
        1.0, "maximum norm of the gradients, which are scaled down to it", gt=0
    )
    thought_weight: float = option(
        1.0,
        "λ, the weight of the tokens between a reply's statements about the picture and its "
        "action; long reasoning otherwise dominates the loss",
        ge=0,
        le=1,
    )
    history: int = option(
        0,
        "past turns of the episode that precede an example, as in evaluate --history; for trainers "
        "that keep all turns in the context",
        ge=0,
        limit=1000,
    )
    share: str = option(
        "",
        "learn only share I of N disjoint shares of the data's instances; all by default",
        check=check_share,
        metavar="I/N",
    )
    holdout: float = option(0.05, "share of episodes held out for measurement", ge=0, lt=1)
    eval_every: int = option(
        200, "steps between measurements on held-out examples; 0 for none", ge=0
    )
    eval_episodes: int = option(
        0,
        "rows of each environment's split val to play greedily at the end",
        ge=0,
        limit=100_000,
    )
    save_every: int = option(1000, "steps between checkpoints; the last step is always saved", ge=1)
    keep: int = option(2, "number of newest checkpoints to keep", ge=1)
    log: str = option(
        "json,tensorboard",
        "where metrics go, comma-separated: json (always on), tensorboard, wandb",
        check=check_log,
        alias="--loggers",
    )
    seed: int = option(0, "seed of the examples' order and of new weights", ge=0, le=MAX_SEED)


def learning_rate(step: int, config: Config) -> float:
    """Return the learning rate of a step, 1..steps."""
    rising = max(1, round(config.warmup * config.steps))
    if step <= rising:
        return config.lr * step / rising
    share = (step - rising) / max(1, config.steps - rising)
    return config.lr * 0.5 * (1 + math.cos(math.pi * share))


def indices_of(step: int, size: int, config: Config) -> list[int]:
    """Return the examples of a step; each epoch is shuffled anew."""
    first = (step - 1) * config.batch
    indices: list[int] = []
    for position in range(first, first + config.batch):
        epoch, place = divmod(position, size)
        generator = torch.Generator().manual_seed(config.seed * 1_000_003 + epoch)
        if not indices or place == 0:
            order = torch.randperm(size, generator=generator).tolist()
        indices.append(order[place])
    return indices


def measure(
    policy: Policy, examples: Examples, config: Config, processes: Processes
) -> dict[str, float]:
    """Return loss and token accuracy on examples, with teacher forcing.

    Raises:
        FloatingPointError: The loss isn't finite.
    """
    sums = {"loss": 0.0, "right": 0.0, "tokens": 0.0}
    own = range(len(examples))[processes.number :: processes.count]
    policy.eval()
    with torch.no_grad():
        for start in range(0, len(own), config.batch):
            prompts, replies = examples.batch(own[start : start + config.batch])
            scores = policy(prompts, replies)
            sums["loss"] -= float(scores.log_probs.sum())
            sums["right"] += float(scores.is_likeliest.sum())
            sums["tokens"] += float(scores.mask.sum())
    policy.train()
    sums = processes.sum(sums)
    tokens = sums["tokens"]
    if not math.isfinite(sums["loss"]):
        raise FloatingPointError(f"the held-out loss is {sums['loss']}")
    return {"heldout/loss": sums["loss"] / tokens, "heldout/token_accuracy": sums["right"] / tokens}


def train(config: Config, processes: Processes) -> Path:
    """Fine-tune; return the last checkpoint.

    Raises:
        ValueError: An option or a file is wrong.
        OSError: A checkpoint can't be written.
        FloatingPointError: Loss, gradients or weights are no longer finite.
        KeyboardInterrupt: Stopped by the user, after a checkpoint.
    """
    trainer = Trainer(
        config, method="sft", steps=config.steps, processes=processes, keep=config.keep
    )
    import_environments(config.env, ())
    examples = shown_examples(sft_data.read(config.data), config.picture)
    sft_data.check_training(examples)
    if config.share:
        examples = sft_data.of_share(examples, Share.parse(config.share))
    split = split_examples(examples, config)
    val = val_rows_of(examples, config)
    model = str(trainer.checkpoint or config.model)
    loaded = load_trainable(model, config, processes.device)
    autocast = autocast_dtype(loaded.model.device, loaded.model.dtype)
    policy = Policy(loaded.model, loaded.processor, Sampling(), autocast=autocast)
    learned = Examples(split.learned, policy, config.thought_weight, config.history)
    unseen = Examples(split.held_out, policy, history=config.history)
    weights = [parameter for parameter in policy.parameters() if parameter.requires_grad]
    processes.broadcast_weights(weights)
    optimizer = torch.optim.AdamW(weights, lr=config.lr, weight_decay=config.weight_decay)
    with trainer.running(policy.save, {"optimizer": optimizer}) as log:
        log.log_line(
            f"{sum(weight.numel() for weight in weights):,} trained weights; {len(learned)} "
            f"examples, {len(unseen)} held out"
        )
        if summary := adapter_summary(policy.model):
            log.log_line(summary)
        policy.train()
        for step in trainer.remaining_steps():
            for group in optimizer.param_groups:
                group["lr"] = learning_rate(step, config)
            indices = indices_of(step, len(learned), config)
            loss = accumulate_gradients(policy, learned, indices, config, processes)
            processes.sum_gradients(weights)
            (norm,) = take_step(optimizer, max_norm=config.max_grad_norm, loss=loss)
            metrics = {"loss": loss, "grad_norm": norm, "lr": learning_rate(step, config)}
            if config.eval_every and step % config.eval_every == 0 and len(unseen):
                metrics |= measure(policy, unseen, config, processes)
            log.write(step, metrics)
            log.status(f"step {step}/{config.steps} loss {loss:.4f}")
            if "heldout/loss" in metrics or step == config.steps:
                numbers = "".join(f" {k} {v:.4f}" for k, v in metrics.items() if k != "lr")
                log.log_line(f"step {step}/{config.steps} {log.seconds:.0f} s{numbers}")
        play_val_rows(policy, val, config, log, processes)
    return trainer.last_checkpoint


@dataclass(frozen=True, slots=True)
class Split:
    """Examples to learn, and others to measure on."""

    learned: list[sft_data.Example]
    held_out: list[sft_data.Example]


def split_examples(examples: Sequence[sft_data.Example], config: Config) -> Split:
    """Split examples by hash; whole episodes are held out.

    Raises:
        ValueError: Every example is held out.
    """
    split = Split([], [])
    for example in examples:
        key = f"{example.instance or example.prompt}|{example.presentation}"
        is_held_out = hashed(key) / 2**64 < config.holdout
        (split.held_out if is_held_out else split.learned).append(example)
    if not split.learned:
        raise ValueError(f"{config.data}: every example is held out (holdout {config.holdout})")
    return split


def accumulate_gradients(
    policy: Policy,
    examples: Examples,
    indices: Sequence[int],
    config: Config,
    processes: Processes,
) -> float:
    """Accumulate this process's gradients of a step; return the loss over all processes."""
    weight = examples.weight(indices)
    own = examples.by_length(indices[processes.number :: processes.count])
    total = 0.0
    for start in range(0, len(own), config.micro_batch):
        part = own[start : start + config.micro_batch]
        log_probs = policy(*examples.batch(part)).log_probs
        loss = -(log_probs * examples.weights(part).to(policy.device)).sum() / weight
        loss.backward()
        total += loss.item()
    return processes.sum({"loss": total})["loss"]


def shown_examples(
    examples: Sequence[sft_data.Example], picture: str
) -> Sequence[sft_data.Example]:
    """Return examples whose pictures show something else; the same ones for true pictures."""
    if not (kwargs := picture_kwargs(picture)):
        return examples
    return [
        replace(example, kwargs=json.dumps(json.loads(example.kwargs) | kwargs))
        if example.env_id
        else example
        for example in examples
    ]


def val_rows_of(examples: Sequence[sft_data.Example], config: Config) -> list[tuple[Row, ...]]:
    """Return the val rows to play at the end: those of each environment, rules and prompt."""
    if not config.eval_episodes:
        return []
    tasks = {(e.env_id, _rules_and_prompt(e.kwargs)) for e in examples if e.env_id}
    return [
        val_rows(env_id, config.eval_episodes, json.loads(kwargs))
        for env_id, kwargs in sorted(tasks)
    ]


SHOWN = ("prompt", "picture")
"""Keyword arguments that change what a policy is shown, and not the rules."""


def _rules_and_prompt(kwargs: str) -> str:
    """Return keyword arguments, given as JSON, without those that choose deals and themes."""
    values = json.loads(kwargs)
    kept = {name: values[name] for name in values if name not in LOOKS or name in SHOWN}
    return json.dumps(kept, sort_keys=True)


def play_val_rows(
    policy: Policy,
    val: Sequence[tuple[Row, ...]],
    config: Config,
    log: RunLog,
    processes: Processes,
) -> None:
    """Play val rows of the examples' environments, and log the results."""
    metrics: dict[str, float] = {}
    for rows in filter(None, val):
        env_id = rows[0].env_id
        result = evaluate_policy(policy, rows, processes, status=log.status)
        log.log_line(
            f"{env_id}, val: success {result.success.value:.3f} "
            f"[{result.success.low:.3f}, {result.success.high:.3f}] of {result.episodes}, "
            f"perceived {result.perceived:.3f}, parsed {result.parsed:.3f}"
            + ("" if result.optimal is None else f", optimal {result.optimal:.3f}")
        )
        metrics |= {f"{name}/{env_id}": value for name, value in result.metrics().items()}
    if metrics:
        log.write(config.steps, metrics)


def main(argv: Sequence[str] | None = None) -> int:
    """Train; return 0 on success, 2 on a wrong call, 1 if a checkpoint failed, 130 on Ctrl-C."""
    argv = sys.argv[1:] if argv is None else argv

    def read() -> Config:
        prog = "python -m agents.train.sft"
        return parse_options(Config, argv, prog=prog, description=__doc__)

    return run_in_processes("sft", read, train)


if __name__ == "__main__":
    sys.exit(main())
