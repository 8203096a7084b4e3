"""PPO for a vision-language model that acts by writing: `python -m agents.train.ppo --model DIR …`.

As in RL4VLM (Zhai et al. 2024), the action is the whole reply. log π of a turn is λ times the
log-probability of the tokens before the action, plus that of the action's own tokens; each turn has
one clipped ratio (Schulman et al. 2017). The value head reads the last prompt token.

This file has the model and the loop. `advantages` makes the rollouts and tells what each turn was
worth, `update` improves the policy, `objective` has the formulas, `ppo_config` the options;
`trainer` resumes, logs, saves and stops. If `--out` holds an earlier run, that run is resumed.
"""

import math
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from vlbench.cli import exit_without

if __name__ == "__main__":
    exit_without(("torch", "transformers", "peft", "accelerate"), "ppo", extra="train")

import torch

from agents.train.advantages.playing import episode_seeds, new_value_head, new_writer, play
from agents.train.advantages.recorder import TurnRecorder
from agents.train.distributed import Processes, run_in_processes
from agents.train.environments import (
    RolloutEnvs,
    known_kwargs,
    make_envs,
    picture_kwargs,
    training_deals,
)
from agents.train.evaluation import evaluate_policy, mixed_val_rows
from agents.train.memory import estimate_memory
from agents.train.ppo_config import PRESETS, Config
from agents.train.trainer import Stateful, Trainer
from agents.train.update import build_learner, update
from agents.vlm.loading import adapter_summary, autocast_dtype, load_trainable
from agents.vlm.policy import Policy
from agents.vlm.sampling import Sampling
from vlbench.cli import parse_options
from vlbench.registry import resolve_env_id
from vlbench.suites import Row

SUMMARY = {
    "return": "rollout/return",
    "optimal": "rollout/optimal",
    "parsed": "rollout/parse_rate",
    "perceived": "rollout/perceived",
    "kl": "losses/approx_kl",
    "clip": "losses/clipfrac",
    "entropy": "losses/entropy",
    "EVAL success": "eval/success",
}
"""Metrics printed after each iteration: label → metric."""


# Model


def build_policy(config: Config, checkpoint: str, device: torch.device | None = None) -> Policy:
    """Return the policy of a checkpoint, with a new value head if the baseline reads one."""
    loaded = load_trainable(checkpoint, config, device)
    head = new_value_head(config, loaded.model)
    sampling = Sampling(config.temperature, config.top_p, config.max_new_tokens)
    autocast = autocast_dtype(loaded.model.device, loaded.model.dtype)
    return Policy(loaded.model, loaded.processor, sampling, head, autocast=autocast)


# Loop


def train(config: Config, processes: Processes) -> Path:
    """Train; return the last checkpoint.

    Raises:
        ValueError: An option or a file is wrong.
        OSError: A checkpoint can't be written.
        FloatingPointError: Loss, gradients, weights or advantages are no longer finite, or the
            replies that servers write are no longer the policy's.
        KeyboardInterrupt: Stopped by the user, after a checkpoint.
    """
    env_id = resolve_env_id(config.env)
    processes.share(config.num_envs)  # refused before a model is loaded and a folder is made
    looks = {"prompt": config.prompt, "theme": config.theme, **picture_kwargs(config.picture)}
    rules = known_kwargs(env_id, looks | config.env_kwargs)
    episodes = config.eval_episodes if config.eval_every else 0
    rows = mixed_val_rows(env_id, episodes, rules, config.mixture)
    trainer = Trainer(config, method="ppo", steps=config.iterations, processes=processes)
    policy = build_policy(config, str(trainer.checkpoint or config.model), processes.device)
    learner = build_learner(config, policy, processes)
    sampler = torch.Generator(policy.device).manual_seed(trainer.seed)
    envs = new_envs(config, env_id, rules, processes)
    writer = new_writer(config, policy, processes)
    parts: dict[str, Stateful | torch.Generator] = {
        "optimizer": learner.optimizer,
        "shuffler": learner.shuffler,
        "environments": envs,
    }
    if policy.value_head is not None:
        parts["value_head"] = policy.value_head
    with trainer.running(policy.save, parts, {"sampler": sampler}) as log:
        for line in introduce(rows, policy.model):
            log.log_line(line)
        if rows and not trainer.step:
            log.write(0, evaluate_policy(policy, rows, processes, status=log.status).metrics())
        for iteration in trainer.remaining_steps():
            learner.optimizer.param_groups[0]["lr"] = learning_rate(iteration, config)
            start = time.monotonic()
            if config.plays_whole_episodes:
                envs.reset(episode_seeds(config, envs.share, iteration))
            buffer = play(policy, envs, config, sampler, processes, log.status, writer)
            monitor = envs.finish_rollout()
            if envs.recorder:
                envs.recorder.finish(iteration, buffer, config.out, processes)
            middle = time.monotonic()
            log.status(f"iteration {iteration}/{config.iterations}: update")
            critic_only = config.has_critic and iteration <= config.critic_iterations
            metrics = update(learner, buffer, config, critic_only)
            end, turns = time.monotonic(), len(buffer)
            del buffer  # frees its pictures' features before the next rollout
            metrics |= monitor.metrics() | envs.episode_metrics()
            metrics["charts/learning_rate"] = learner.optimizer.param_groups[0]["lr"]
            metrics["charts/env_steps"] = envs.turns
            metrics["charts/SPS"] = turns / (end - start)
            metrics["time/rollout"], metrics["time/update"] = middle - start, end - middle
            if rows and (iteration % config.eval_every == 0 or iteration == config.iterations):
                result = evaluate_policy(policy, rows, processes, status=log.status)
                metrics |= result.metrics()
                trainer.choose(iteration, result.success.value)
            log.write(iteration, metrics)
            log.log_summary(iteration, config.iterations, SUMMARY, metrics)
            for warning in monitor.warnings():
                log.log_line(f"  warning: {warning}")
        if rows and trainer.step == config.iterations:
            log.log_selection()
    return trainer.last_checkpoint


def new_envs(
    config: Config, env_id: str, rules: dict[str, Any], processes: Processes
) -> RolloutEnvs:
    """Return this process's environments, at the start of their first episodes.

    Args:
        config: The options.
        env_id: The environment.
        rules: Its keyword arguments, without what chooses deals and without the mixture.
        processes: The processes that play together.
    """
    share = processes.share(config.num_envs)
    deals = {
        **training_deals(config.share),
        **known_kwargs(env_id, {"jitter": config.jitter}),
        **rules,
    }
    mixture = config.mixture
    own = [mixture.rules(i // config.group) for i in share]
    vector = make_envs(env_id, len(share), deals, own)
    every = config.rollouts_every
    kwargs = [deals | each for each in own]
    recorder = TurnRecorder(env_id, kwargs, share, every, config.baseline) if every else None
    envs = RolloutEnvs(vector, share, processes, recorder)
    envs.reset(episode_seeds(config, share, 0))
    return envs


def introduce(rows: Sequence[Row], model: Any) -> Iterator[str]:
    """Yield on which rows a run is evaluated, if any, and which weights have an adapter."""
    if rows:
        instances = len({row.instance for row in rows})
        yield f"evaluates on {len(rows)} rows of val, {instances} instances"
    if summary := adapter_summary(model):
        yield summary


def learning_rate(iteration: int, config: Config) -> float:
    """Return the model's learning rate in an iteration, 1..iterations, on a cosine."""
    share = (iteration - 1) / max(1, config.iterations - 1)
    return config.end_lr + (config.lr - config.end_lr) * 0.5 * (1 + math.cos(math.pi * share))


def main(argv: Sequence[str] | None = None) -> int:
    """Train; return 0 on success, 2 on a wrong call, 1 on a failed run, 130 on Ctrl-C."""
    argv = sys.argv[1:] if argv is None else argv

    def read() -> Config:
        prog = "python -m agents.train.ppo"
        return parse_options(Config, argv, prog=prog, description=__doc__, presets=PRESETS)

    def run(config: Config, processes: Processes) -> object:
        model = config.estimate_memory
        return estimate_memory(model, config) if model else train(config, processes)

    return run_in_processes("ppo", read, run)


if __name__ == "__main__":
    sys.exit(main())
