"""The methods of the study: each continues a start and costs what PPO costs."""

import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from agents.train import ppo, sft, sft_data, tiny
from agents.train.checkpoint import CHOSEN, Checkpoints
from agents.train.distributed import Processes
from agents.train.environments import training_deals
from agents.train.evaluation import EvalResult, evaluate_policy, val_rows
from agents.train.gains.episodes import play_episodes
from agents.train.gains.plan import FORWARD, GAIN_SHARE, START_SHARE, Task
from agents.train.sft_data import Example
from agents.vlm.loading import load
from agents.vlm.policy import Policy
from agents.vlm.sampling import Sampling
from vlbench.registry import resolve_env_id

VAL_EPISODES = 96
"""Rows of `val` by which a checkpoint is chosen."""
CHOICES = 4
"""Checkpoints of an SFT among which `val` chooses."""


@dataclass(frozen=True)
class Trained:
    """What a method made."""

    checkpoint: Path
    """The one that `val` chose."""
    val: EvalResult
    """Its greedy results on `val`."""
    last: EvalResult
    """The same of the last checkpoint."""
    examples: float
    """What it cost; see `agents.train.gains.plan`."""
    cpu_seconds: float


Status = Callable[[str], None]


def make_start(task: Task, seed: int, out: Path, status: Status) -> Path:
    """Train a start; return its checkpoint. A finished stage is used as it is."""
    if last := Checkpoints(out / f"stage-{len(task.stages)}").latest():
        return last
    checkpoint = out / "tiny"
    if not checkpoint.is_dir():
        tiny.build(tiny.Config(out=checkpoint, seed=seed, **task.tiny))
    for number, stage in enumerate(task.stages, 1):
        status(f"stage {number} of {len(task.stages)}")
        data = out / f"stage-{number}.jsonl"
        if not data.is_file():
            config = sft_data.Config(
                out=data, seed=seed + number, share=START_SHARE, **_env(task), **stage.data
            )
            sft_data.write(data, sft_data.transcripts(config))
        checkpoint = sft.train(
            sft.Config(
                model=str(checkpoint),
                data=data,
                out=out / f"stage-{number}",
                seed=seed,
                log="json",
                **stage.sft,
            ),
            Processes(),
        )
    return checkpoint


def run_method(name: str, task: Task, start: Path, seed: int, out: Path, status: Status) -> Trained:
    """Continue a start by a method; an interrupted run goes on."""
    begun = time.process_time()
    if name == "ppo":
        config = task.ppo_config(model=str(start), out=out, seed=seed, eval_episodes=VAL_EPISODES)
        last = ppo.train(config, Processes())
        return _trained(task, last, out / CHOSEN, task.budget(), begun)
    method = {"sft-more": _sft_more, "best-of-n": _best_of_n, "dagger": _dagger}[name]
    return method(task, start, seed, out, status, begun)


def evaluate_on_val(task: Task, checkpoint: Path) -> EvalResult:
    """Play rows of `val` greedily."""
    return evaluate_policy(_policy(task, checkpoint), _rows(task))


def _sft_more(
    task: Task, start: Path, seed: int, out: Path, status: Status, begun: float
) -> Trained:
    """Learn the expert's turns on the instances that PPO plays."""
    steps = round(task.budget() / task.batch)
    data = out / "data.jsonl"
    if not data.is_file():
        episodes = task.ppo_config().num_envs * 16
        config = sft_data.Config(
            out=data, seed=seed, share=GAIN_SHARE, jitter=3, episodes=episodes, **_env(task)
        )
        sft_data.write(data, sft_data.transcripts(config))
    return _learn(task, start, data, steps, seed, out / "sft", task.budget(), begun)


def _best_of_n(
    task: Task, start: Path, seed: int, out: Path, status: Status, begun: float
) -> Trained:
    """Play each instance n times, and learn the best of the episodes that succeeded."""
    turns = round(task.budget() / 2 / FORWARD)
    data = out / "data.jsonl"
    if not data.is_file():
        # n episodes of a seed stand together, so that all of an instance are played.
        first = seed * 1_000_003
        seeds = [first + number // task.n for number in range(turns)]
        generator = torch.Generator().manual_seed(seed)
        played = play_episodes(
            _policy(task, start),
            resolve_env_id(task.env),
            _kwargs(task),
            seeds,
            generator,
            turns=turns,
            status=status,
        )
        best: dict[int, Any] = {}
        for episode in played:
            other = best.get(episode.seed)
            if episode.success and (other is None or episode.episode_return > other.episode_return):
                best[episode.seed] = episode
        kept = [example for episode in best.values() for example in episode.own if example.action]
        sft_data.write(data, kept)
    if not data.stat().st_size:
        status("no episode succeeded, so there is nothing to learn")
        return _trained(task, start, _copy(start, out / CHOSEN), task.budget() / 2, begun)
    steps = round(task.budget() / 2 / task.batch)
    return _learn(task, start, data, steps, seed, out / "sft", task.budget(), begun)


def _dagger(task: Task, start: Path, seed: int, out: Path, status: Status, begun: float) -> Trained:
    """Learn the expert's reply in the states that the model meets, in rounds."""
    config = task.ppo_config()
    turns = config.iterations * config.num_envs * config.num_steps // task.rounds
    steps = round((task.budget() - task.rounds * turns * FORWARD) / task.batch / task.rounds)
    gathered: list[Example] = []
    checkpoint = start
    trained: Trained | None = None
    for number in range(1, task.rounds + 1):
        data = out / f"round-{number}.jsonl"
        if data.is_file():
            gathered = sft_data.read(data)
        else:
            first = seed * 1_000_003 + number * 10_007
            generator = torch.Generator().manual_seed(first)
            played = play_episodes(
                _policy(task, checkpoint),
                resolve_env_id(task.env),
                _kwargs(task),
                range(first, first + turns),
                generator,
                turns=turns,
                status=status,
            )
            gathered = gathered + [example for episode in played for example in episode.taught]
            sft_data.write(data, gathered)
        folder = out / f"sft-{number}"
        trained = _learn(task, checkpoint, data, steps, seed, folder, task.budget(), begun)
        checkpoint = trained.checkpoint
    assert trained is not None
    return trained


def _learn(
    task: Task,
    start: Path,
    data: Path,
    steps: int,
    seed: int,
    out: Path,
    examples: float,
    begun: float,
) -> Trained:
    every = max(1, steps // CHOICES)
    last = sft.train(
        sft.Config(
            model=str(start),
            data=data,
            out=out,
            steps=steps,
            batch=task.batch,
            micro_batch=task.batch,
            lr=task.sft_lr,
            thought_weight=task.ppo_config().thought_weight,
            eval_every=0,
            save_every=every,
            keep=CHOICES + 1,
            seed=seed,
            log="json",
        ),
        Processes(),
    )
    results = {path: evaluate_on_val(task, path) for path in sorted(out.glob("step-*"))}
    best = max(results, key=lambda path: results[path].success.value)
    chosen = _copy(best, out / CHOSEN)
    return Trained(chosen, results[best], results[last], examples, time.process_time() - begun)


def _copy(checkpoint: Path, folder: Path) -> Path:
    """Copy a checkpoint without the trainer's state; return the folder."""
    shutil.rmtree(folder, ignore_errors=True)
    return Path(shutil.copytree(checkpoint, folder, ignore=shutil.ignore_patterns("*.pt")))


def _trained(task: Task, last: Path, chosen: Path, examples: float, begun: float) -> Trained:
    return Trained(
        chosen,
        evaluate_on_val(task, chosen),
        evaluate_on_val(task, last),
        examples,
        time.process_time() - begun,
    )


def _policy(task: Task, checkpoint: Path) -> Policy:
    loaded = load(str(checkpoint))
    config = task.ppo_config()
    sampling = Sampling(config.temperature, config.top_p, config.max_new_tokens)
    return Policy(loaded.model, loaded.processor, sampling).eval()


def _rows(task: Task) -> Sequence[Any]:
    config = task.ppo_config()
    rules = {"prompt": config.prompt, "theme": config.theme, **task.rules}
    return val_rows(resolve_env_id(task.env), VAL_EPISODES, rules)


def _env(task: Task) -> dict[str, Any]:
    return {"env": task.env, "env_kwargs": task.rules}


def _kwargs(task: Task) -> dict[str, Any]:
    config = task.ppo_config()
    looks = {"prompt": config.prompt, "theme": config.theme, "jitter": config.jitter}
    return {**training_deals(GAIN_SHARE), **looks, **task.rules}
