"""Supervised fine-tuning on expert transcripts: `python -m agents.train.sft --model DIR --data F`.

The loss is the mean cross-entropy of the replies' tokens, weighted by `--thought-weight`; on
held-out examples every token weighs the same. Writes a checkpoint that plays, and goes on where it
stopped when it is called again with the same folder.
"""

import contextlib
import json
import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vlbench.cli import exit_without

if __name__ == "__main__":
    exit_without(("torch", "transformers", "peft", "accelerate"), "sft", extra="train")

import torch

from agents.train import sft_data
from agents.train.checkpoint import Checkpoints, Interruption, load_state, step_of
from agents.train.distributed import Processes, run_in_processes
from agents.train.evaluation import eval_rows, evaluate_policy
from agents.train.logbook import Logbook
from agents.train.sft_dataset import Examples
from agents.vlm.loading import load_trainable
from agents.vlm.policy import Policy
from agents.vlm.sampling import Sampling
from agents.vlm.trainable import TrainableWeights
from vlbench.cli import (
    MAX_SEED,
    existing_file,
    option,
    parse_options,
    required,
    writable_folder,
)
from vlbench.instances import hashed


@dataclass(frozen=True, kw_only=True)
class Config(TrainableWeights):
    """Options of `sft`."""

    model: str = required("checkpoint to start from: a folder, or hf:<id>")
    data: Path = required("transcripts from sft_data", check=existing_file)
    out: Path = required("the run's folder; one that is there goes on", check=writable_folder)
    steps: int = option(400, "optimizer steps", ge=1)
    batch: int = option(16, "examples in a step", ge=1)
    micro_batch: int = option(16, "examples in one forward pass", ge=1)
    lr: float = option(
        1.5e-3, "largest learning rate; it rises linearly and falls as a cosine", gt=0
    )
    warmup: float = option(0.03, "share of the steps in which the learning rate rises", ge=0, le=1)
    weight_decay: float = option(0.0, "of AdamW", ge=0)
    max_grad_norm: float = option(1.0, "gradients are scaled down to this norm", gt=0)
    thought_weight: float = option(
        1.0,
        "λ, the weight of the tokens between what a reply says of the picture and its action: "
        "long thoughts drown both",
        ge=0,
        le=1,
    )
    holdout: float = option(
        0.05, "share of the episodes whose examples are never learned, only measured", ge=0, lt=1
    )
    eval_every: int = option(
        200, "steps between measurements on held-out examples; 0 for none", ge=0
    )
    eval_episodes: int = option(
        0,
        "rows of the frozen test set of each environment that are played greedily at the end",
        ge=0,
    )
    save_every: int = option(
        1000, "steps between checkpoints; there is always one at the end", ge=1
    )
    keep: int = option(2, "checkpoints that are kept, the newest ones", ge=1)
    tensorboard: bool = option(False, "write TensorBoard events too")
    seed: int = option(0, "seed of the order of the examples", ge=0, le=MAX_SEED)


def learning_rate(step: int, config: Config) -> float:
    """Return the learning rate of a step, 1..steps."""
    rising = max(1, round(config.warmup * config.steps))
    if step <= rising:
        return config.lr * step / rising
    share = (step - rising) / max(1, config.steps - rising)
    return config.lr * 0.5 * (1 + math.cos(math.pi * share))


def indices_of(step: int, size: int, config: Config) -> list[int]:
    """Return the examples of a step: epochs of shuffled examples, one after the other."""
    first = (step - 1) * config.batch
    chosen: list[int] = []
    for position in range(first, first + config.batch):
        epoch, place = divmod(position, size)
        generator = torch.Generator().manual_seed(config.seed * 1_000_003 + epoch)
        if not chosen or place == 0:
            order = torch.randperm(size, generator=generator).tolist()
        chosen.append(order[place])
    return chosen


def measure(
    policy: Policy, examples: Examples, config: Config, processes: Processes
) -> dict[str, float]:
    """Return loss and token accuracy on examples, by teacher forcing."""
    sums = {"loss": 0.0, "right": 0.0, "tokens": 0.0}
    mine = range(len(examples))[processes.number :: processes.count]
    policy.eval()
    with torch.no_grad():
        for start in range(0, len(mine), config.batch):
            prompts, replies = examples.batch(mine[start : start + config.batch])
            scores = policy(prompts, replies)
            wanted = torch.cat([reply.to(policy.device) for reply in replies])
            guessed = scores.distributions.argmax(-1)[scores.mask]
            sums["loss"] -= float(scores.log_probs.sum())
            sums["right"] += float((guessed == wanted).sum())
            sums["tokens"] += len(wanted)
    policy.train()
    sums = processes.sum(sums)
    tokens = sums["tokens"]
    return {"heldout/loss": sums["loss"] / tokens, "heldout/token_accuracy": sums["right"] / tokens}


def train(config: Config, processes: Processes) -> Path:
    """Fine-tune; return the last checkpoint.

    Raises:
        ValueError: An argument or a file is wrong.
        OSError: A checkpoint can't be written.
        KeyboardInterrupt: Stopped, after a checkpoint.
    """
    examples = sft_data.read(config.data)
    shares = [hashed(f"{e.instance or e.prompt}|{e.presentation}") / 2**64 for e in examples]
    held = [share < config.holdout for share in shares]
    checkpoints = Checkpoints(config.out, config.keep)
    resumed = processes.on_main(checkpoints.latest)
    done = step_of(resumed) if resumed else 0
    # Dropout and a new adapter take torch's own draws.
    torch.manual_seed(processes.seed(config.seed, done))
    loaded = load_trainable(str(resumed or config.model), config, processes.device)
    policy = Policy(loaded.model, loaded.processor, Sampling())
    weights = [parameter for parameter in policy.parameters() if parameter.requires_grad]
    processes.align(weights)
    optimizer = torch.optim.AdamW(weights, lr=config.lr, weight_decay=config.weight_decay)
    if resumed:
        state = load_state(resumed)
        optimizer.load_state_dict(state["optimizer"])
        if len(state["random"]) == processes.count:
            torch.set_rng_state(state["random"][processes.number])
    taught = [e for e, h in zip(examples, held, strict=True) if not h]
    learned = Examples(taught, policy, config.thought_weight)
    unseen = Examples([e for e, h in zip(examples, held, strict=True) if h], policy)
    if not len(learned):
        raise ValueError(f"{config.data}: every example is held out (holdout {config.holdout})")

    def save(step: int) -> Path:
        random = processes.gather(torch.get_rng_state())
        state = {"optimizer": optimizer.state_dict(), "random": random}
        return processes.on_main(lambda: checkpoints.save(step, policy.save, state))

    processes.on_main(lambda: config.out.mkdir(parents=True, exist_ok=True))
    log = Logbook(
        config.out,
        step=done,
        tensorboard=config.tensorboard,
        stream=sys.stderr,
        silent=not processes.main,
    )
    log.say(
        f"{sum(w.numel() for w in weights):,} trained weights; {len(learned)} examples, "
        f"{len(unseen)} held out" + (f"; goes on after step {done}" if done else "")
    )
    policy.train()
    kept = resumed
    stopped = Interruption(launched=processes.count > 1)
    with stopped as interruption, contextlib.closing(log):
        for step in range(done + 1, config.steps + 1):
            for group in optimizer.param_groups:
                group["lr"] = learning_rate(step, config)
            chosen = indices_of(step, len(learned), config)
            weight = learned.weight(chosen)
            mine = learned.by_length(chosen[processes.number :: processes.count])
            loss = 0.0
            for start in range(0, len(mine), config.micro_batch):
                some = mine[start : start + config.micro_batch]
                log_probs = policy(*learned.batch(some)).log_probs
                share = -(log_probs * learned.weights(some).to(policy.device)).sum() / weight
                share.backward()
                loss += share.item()
            processes.sum_gradients(weights)
            norm = torch.nn.utils.clip_grad_norm_(weights, config.max_grad_norm)
            optimizer.step()
            optimizer.zero_grad()
            loss = processes.sum({"loss": loss})["loss"]
            metrics = {"loss": loss, "grad_norm": float(norm), "lr": learning_rate(step, config)}
            if config.eval_every and step % config.eval_every == 0 and len(unseen):
                metrics |= measure(policy, unseen, config, processes)
            log.write(step, metrics)
            log.doing(f"step {step}/{config.steps} loss {loss:.4f}")
            if "heldout/loss" in metrics or step == config.steps:
                told = "".join(f" {k} {v:.4f}" for k, v in metrics.items() if k != "lr")
                log.say(f"step {step}/{config.steps} {log.seconds:.0f} s{told}")
            stopping = processes.any(interruption.asked)
            last = step == config.steps or stopping
            if last or step % config.save_every == 0:
                kept = save(step)
            if stopping and step < config.steps:
                raise KeyboardInterrupt
        _examine(policy, examples, config, log, processes)
    assert kept is not None
    return kept


def _examine(
    policy: Policy,
    examples: Sequence[sft_data.Example],
    config: Config,
    log: Logbook,
    processes: Processes,
) -> None:
    """Play frozen rows of the environments that were learned."""
    if not config.eval_episodes:
        return
    played = [example for example in examples if example.env_id]
    kinds = {
        (e.env_id, kwargs.get("group", ""), kwargs["prompt"])
        for e in played
        for kwargs in [json.loads(e.kwargs)]
    }
    metrics: dict[str, Any] = {}
    for env_id, group, prompt in sorted(kinds):
        rules = {"prompt": prompt, **({"group": group} if group else {})}
        rows = eval_rows(env_id, config.eval_episodes, rules)
        exam = evaluate_policy(policy, rows, processes, told=log.doing)
        log.say(
            f"{env_id}: success {exam.success.value:.3f} "
            f"[{exam.success.low:.3f}, {exam.success.high:.3f}] of {exam.episodes}, "
            f"perceived {exam.perceived:.3f}, optimal {exam.optimal:.3f}, parsed {exam.parsed:.3f}"
        )
        metrics |= {f"{name}/{env_id}": value for name, value in exam.metrics().items()}
    log.write(config.steps, metrics)


def main(argv: Sequence[str] | None = None) -> int:
    """Train; exit 0 when done, 2 on a wrong call, 1 if a checkpoint failed, 130 on Ctrl-C."""
    argv = sys.argv[1:] if argv is None else argv

    def read() -> Config:
        prog = "python -m agents.train.sft"
        return parse_options(Config, argv, prog=prog, description=__doc__)

    return run_in_processes("sft", read, train)


if __name__ == "__main__":
    sys.exit(main())
