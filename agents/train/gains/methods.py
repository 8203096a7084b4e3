"""The methods of the study: each continues a start and costs what PPO costs."""

import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from agents.train import ppo, sft, sft_data
from agents.train.checkpoint import CHOSEN
from agents.train.distributed import Processes
from agents.train.environments import training_deals
from agents.train.evaluation import EvalResult, evaluate_policy, mixed_val_rows
from agents.train.gains.episodes import PlayedEpisode, play_episodes
from agents.train.gains.lessons import Status, export_model
from agents.train.gains.plan import FORWARD, GAIN_SHARE, Task
from agents.train.log.run_log import METRICS
from agents.train.sft_data import Example
from agents.vlm.loading import load
from agents.vlm.policy import Policy
from agents.vlm.sampling import Sampling
from vlbench.registry import resolve_env_id

MODEL = "model"
"""Folder of what a method made."""
CHOICES = 4
"""Checkpoints of an SFT among which `val` chooses."""


@dataclass(frozen=True)
class Point:
    """An evaluation on `val` during PPO."""

    turns: int
    """Turns played in rollouts."""
    kl: float
    """KL(policy ‖ start) in the last update, in nats a token."""
    success: float


@dataclass(frozen=True)
class Trained:
    """What a method made."""

    checkpoint: Path
    """The one that `val` chose, in float16."""
    val: EvalResult
    """Its greedy results on `val`."""
    last: EvalResult
    """The same of the last checkpoint."""
    examples: float
    """What it cost; see `agents.train.gains.plan`."""
    cpu_seconds: float
    curve: tuple[Point, ...] = ()
    """PPO's evaluations on `val`, in order."""


@dataclass(frozen=True)
class Choice:
    """The checkpoint that `val` chose."""

    checkpoint: Path
    last: EvalResult
    """Greedy results of the last checkpoint on `val`."""
    curve: tuple[Point, ...] = ()
    """PPO's evaluations on `val`, in order."""


@dataclass(frozen=True)
class Run:
    """A method's run with a seed."""

    task: Task
    start: Path
    """Checkpoint to continue."""
    seed: int
    out: Path
    """Its folder; what is finished there is used."""
    status: Status

    def policy(self, checkpoint: Path) -> Policy:
        """Return a checkpoint's policy, with the sampling of PPO's rollouts."""
        return _policy(self.task, checkpoint)

    def play(self, checkpoint: Path, seeds: Sequence[int], turns: int) -> list[PlayedEpisode]:
        """Play sampled episodes on the instances that PPO plays, until so many turns are taken."""
        generator = torch.Generator().manual_seed(seeds[0])
        env_id = resolve_env_id(self.task.env)
        deals, mixture = _kwargs(self.task), self.task.ppo_config().mixture
        return play_episodes(
            self.policy(checkpoint),
            env_id,
            lambda seed: deals | mixture.rules(seed),
            seeds,
            generator,
            turns=turns,
            status=self.status,
        )

    def learn(self, start: Path, data: Path, steps: int, name: str) -> Choice:
        """Fine-tune on data; `val` chooses among CHOICES checkpoints."""
        task, out = self.task, self.out / name
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
                save_every=max(1, steps // CHOICES),
                keep=CHOICES + 1,
                seed=self.seed,
                log="json",
            ),
            Processes(),
        )
        results = {path: evaluate_on_val(task, path) for path in sorted(out.glob("step-*"))}
        best = max(results, key=lambda path: results[path].success.value)
        return Choice(best, results[last])


def run_method(name: str, task: Task, start: Path, seed: int, out: Path, status: Status) -> Trained:
    """Continue a start by a method; an interrupted run goes on."""
    method = {"ppo": _ppo, "sft-more": _sft_more, "best-of-n": _best_of_n, "dagger": _dagger}[name]
    begun = time.process_time()
    choice = method(Run(task, start, seed, out, status))
    model = export_model(choice.checkpoint, out / MODEL)
    val = evaluate_on_val(task, model)
    return Trained(
        model, val, choice.last, task.budget(), time.process_time() - begun, choice.curve
    )


def evaluate_on_val(task: Task, checkpoint: Path) -> EvalResult:
    """Play rows of `val` greedily."""
    return evaluate_policy(_policy(task, checkpoint), _rows(task))


def _ppo(run: Run) -> Choice:
    """Learn from the environment's reward."""
    config = run.task.ppo_config(
        model=str(run.start), out=run.out, seed=run.seed, eval_episodes=run.task.val_episodes
    )
    last, chosen = ppo.train(config, Processes()), run.out / CHOSEN
    return Choice(chosen, evaluate_on_val(run.task, last), tuple(_read_curve(run.out)))


def _read_curve(run: Path) -> Iterator[Point]:
    for line in (run / METRICS).read_text("utf-8").splitlines():
        row = json.loads(line)
        if "eval/success" in row:
            kl = row.get("losses/kl_to_start", 0.0)
            yield Point(row.get("charts/env_steps", 0), round(kl, 6), round(row["eval/success"], 6))


def _sft_more(run: Run) -> Choice:
    """Learn the expert's turns on the instances that PPO plays."""
    task, data = run.task, run.out / "data.jsonl"
    if not data.is_file():
        episodes = task.ppo_config().num_envs * 16
        config = sft_data.Config(
            out=data, seed=run.seed, share=GAIN_SHARE, jitter=3, episodes=episodes, **_env(task)
        )
        sft_data.write(data, sft_data.transcripts(config))
    return run.learn(run.start, data, round(task.budget() / task.batch), "sft")


def _best_of_n(run: Run) -> Choice:
    """Play each instance n times, and learn the best of the episodes that succeeded."""
    task, data = run.task, run.out / "data.jsonl"
    if not data.is_file():
        turns = round(task.budget() / 2 / FORWARD)
        # n episodes of a seed stand together, so that all of an instance are played.
        first = run.seed * 1_000_003
        seeds = [first + number // task.n for number in range(turns)]
        best: dict[int, PlayedEpisode] = {}
        for episode in run.play(run.start, seeds, turns):
            other = best.get(episode.seed)
            if episode.success and (other is None or episode.episode_return > other.episode_return):
                best[episode.seed] = episode
        turns_of_best = [turn for episode in best.values() for turn in episode.own]
        sft_data.write(data, [turn for turn in turns_of_best if turn.action])
    if not data.stat().st_size:
        run.status("no episode succeeded, so there is nothing to learn")
        return Choice(run.start, evaluate_on_val(task, run.start))
    return run.learn(run.start, data, round(task.budget() / 2 / task.batch), "sft")


def _dagger(run: Run) -> Choice:
    """Learn the expert's reply in the states that the model meets, in rounds."""
    task, config = run.task, run.task.ppo_config()
    turns = config.iterations * config.num_envs * config.num_steps // task.rounds
    steps = round((task.budget() - task.rounds * turns * FORWARD) / task.batch / task.rounds)
    examples: list[Example] = []
    checkpoint = run.start
    for number in range(1, task.rounds + 1):
        data = run.out / f"round-{number}.jsonl"
        if data.is_file():
            examples = sft_data.read(data)
        else:
            first = run.seed * 1_000_003 + number * 10_007
            episodes = run.play(checkpoint, range(first, first + turns), turns)
            examples = examples + [turn for episode in episodes for turn in episode.taught]
            sft_data.write(data, examples)
        choice = run.learn(checkpoint, data, steps, f"sft-{number}")
        checkpoint = choice.checkpoint
    return choice


def _policy(task: Task, checkpoint: Path) -> Policy:
    loaded = load(str(checkpoint))
    config = task.ppo_config()
    sampling = Sampling(config.temperature, config.top_p, config.max_new_tokens)
    return Policy(loaded.model, loaded.processor, sampling).eval()


def _rows(task: Task) -> Sequence[Any]:
    config = task.ppo_config()
    rules = {"prompt": config.prompt, "theme": config.theme, **task.rules}
    env_id = resolve_env_id(task.env)
    return mixed_val_rows(env_id, task.val_episodes, rules, config.mixture)


def _env(task: Task) -> dict[str, Any]:
    return {"env": task.env, "env_kwargs": task.rules, "mix": task.mix}


def _kwargs(task: Task) -> dict[str, Any]:
    config = task.ppo_config()
    looks = {"prompt": config.prompt, "theme": config.theme, "jitter": config.jitter}
    return {**training_deals(GAIN_SHARE), **looks, **task.rules}
