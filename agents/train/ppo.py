"""PPO for a vision-language model that acts by writing: `python -m agents.train.ppo --model DIR …`.

As in RL4VLM (Zhai et al. 2024), the action is the whole reply. log π of a turn is λ times the
log-probability of the tokens before the action, plus that of the action's own tokens; each turn has
one clipped ratio (Schulman et al. 2017). The value head reads the last prompt token.

This file reads top to bottom: model, rollout, update, loop. `objective` has the formulas,
`ppo_config` the options; `trainer` resumes, logs, saves and stops. If `--out` holds an earlier run,
that run is resumed.
"""

import math
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from vlbench.cli import exit_without

if __name__ == "__main__":
    exit_without(("torch", "transformers", "peft", "accelerate"), "ppo", extra="train")

import torch
from torch import Tensor

from agents.train import objective
from agents.train.distributed import Processes, run_in_processes
from agents.train.environments import RolloutEnvs, make_envs
from agents.train.evaluation import eval_rows, evaluate_policy
from agents.train.memory import estimate_memory
from agents.train.ppo_config import PRESETS, Config
from agents.train.rollout_buffer import Minibatch, RolloutBuffer, TurnRecorder
from agents.train.token_weights import token_weights
from agents.train.trainer import Stateful, Trainer, are_finite, take_step
from agents.vlm.loading import load_trainable
from agents.vlm.policy import Policy, ValueHead
from agents.vlm.reference import Reference, load_reference
from agents.vlm.sampling import Sampling
from vlbench.cli import parse_options
from vlbench.registry import resolve_env_id

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


@dataclass(frozen=True)
class Learner:
    """The policy, its optimizer, and what an update needs."""

    policy: Policy
    reference: Reference | None
    """For the KL penalty."""
    optimizer: torch.optim.Optimizer
    shuffler: torch.Generator
    """Draws the order of the turns; the same in every process."""
    processes: Processes

    @property
    def weights(self) -> list[Tensor]:
        """The trained weights."""
        return [weight for group in self.optimizer.param_groups for weight in group["params"]]


def build_policy(config: Config, checkpoint: str, device: torch.device | None = None) -> Policy:
    """Return the policy of a checkpoint, with a new value head."""
    loaded = load_trainable(checkpoint, config, device)
    width = loaded.model.get_output_embeddings().weight.shape[1]
    head = ValueHead(width, (config.value_width or width,), config.value_detach)
    sampling = Sampling(config.temperature, config.top_p, config.max_new_tokens)
    return Policy(loaded.model, loaded.processor, sampling, head.to(loaded.model.device))


def build_learner(config: Config, policy: Policy, processes: Processes) -> Learner:
    """Return the learner; every process starts with the main process's weights."""
    reference = None
    if config.kl_coef:
        reference = load_reference(policy, config.model, config.trust_remote_code)
    assert policy.value_head is not None
    head = list(policy.value_head.parameters())
    body = [weight for weight in policy.model.parameters() if weight.requires_grad]
    processes.broadcast_weights([*body, *head])
    groups = [{"params": body, "lr": config.lr}, {"params": head, "lr": config.value_lr}]
    return Learner(
        policy,
        reference,
        torch.optim.Adam(groups, eps=config.adam_eps),
        torch.Generator().manual_seed(config.seed),
        processes,
    )


# Rollout


def rollout(
    policy: Policy,
    envs: RolloutEnvs,
    config: Config,
    generator: torch.Generator,
    show_status: Callable[[str], None],
) -> RolloutBuffer:
    """Let the policy play T turns in all environments."""
    buffer = RolloutBuffer(config.num_steps, envs.share, config.num_envs)
    for step in range(config.num_steps):
        show_status(f"rollout {step * config.num_envs}/{config.num_steps * config.num_envs} turns")
        prompts = [policy.encoder.encode(observation) for observation in envs.observations]
        replies = policy.generate(prompts, generator)
        outcome = envs.step(replies)
        weights = [
            token_weights(
                reply.ids.tolist(), reply.text, action_span, config.thought_weight, policy.decode
            )
            for reply, action_span in zip(replies, outcome.spans, strict=True)
        ]
        # A truncated episode would have continued: its last observation has a value.
        last_values = torch.zeros(len(replies))
        if outcome.last_observations:
            truncated_observations = outcome.last_observations
            truncated_prompts = [
                policy.encoder.encode(observation)
                for observation in truncated_observations.values()
            ]
            last_values[list(truncated_observations)] = torch.tensor(
                policy.values(truncated_prompts)
            )
        buffer.add(prompts, replies, weights, outcome, last_values)
    prompts = [policy.encoder.encode(observation) for observation in envs.observations]
    buffer.finish(torch.tensor(policy.values(prompts)))
    return buffer


def estimate_advantages(buffer: RolloutBuffer, config: Config) -> Tensor:
    """Return the advantages (T, n) of a rollout's turns.

    Raises:
        FloatingPointError: One isn't finite.
    """
    advantages = objective.generalized_advantages(
        buffer.rewards,
        buffer.values,
        buffer.next_values,
        buffer.terminated,
        buffer.ended,
        config.gamma,
        config.gae_lambda,
    )
    if not are_finite([buffer.rewards]):
        raise FloatingPointError("a reward isn't finite; mend the environment")
    if not are_finite([advantages]):
        raise FloatingPointError("an advantage isn't finite")
    return advantages


def play(
    policy: Policy,
    envs: RolloutEnvs,
    config: Config,
    generator: torch.Generator,
    show_status: Callable[[str], None],
) -> RolloutBuffer:
    """Return a rollout with its advantages."""
    buffer = rollout(policy, envs, config, generator, show_status)
    buffer.set_advantages(estimate_advantages(buffer, config))
    return buffer


# Update


@dataclass(frozen=True, slots=True)
class MinibatchTerms:
    """The terms of a minibatch's loss."""

    sums: dict[str, float]
    """Sums over the turns of all processes."""
    ratio_error: float
    """The largest |ratio − 1| of this process's turns."""


def loss_terms(
    learner: Learner, batch: Minibatch, config: Config, critic_only: bool
) -> dict[str, Tensor]:
    """Return the loss and its terms, summed over the turns; `ratio_error` is the largest."""
    scores = learner.policy(batch.prompts, batch.replies)
    lengths = scores.mask.sum(-1)
    log_probs = objective.turn_log_prob(scores.log_probs, batch.weights)
    ratio = objective.ratio_of(log_probs, batch.log_probs)
    terms = {
        "policy_loss": objective.surrogate(ratio, batch.advantages, config.clip),
        "value_loss": objective.value_loss(
            scores.values, batch.values, batch.returns, config.value_clip
        ),
        "entropy": (scores.entropy.sum(-1) / lengths).sum(),
        "approx_kl": objective.approximate_kl(ratio),
        "clipfrac": ((ratio - 1).abs() > config.clip).sum(),
        "ratio_error": (ratio - 1).abs().max(),
    }
    loss = config.value_coef * terms["value_loss"]
    if not critic_only:
        loss = loss + terms["policy_loss"] - config.entropy_coef * terms["entropy"]
    if not critic_only and learner.reference is not None:
        start = learner.reference.distributions(batch.prompts, batch.replies)
        kl = objective.token_kl(scores.distributions, start) * scores.mask
        terms["kl_to_start"] = (kl.sum(-1) / lengths).sum()
        loss = loss + config.kl_coef * terms["kl_to_start"]
    return {"loss": loss, **terms}


def update(
    learner: Learner, buffer: RolloutBuffer, config: Config, critic_only: bool
) -> dict[str, float]:
    """Improve the policy on a rollout, identically in every process; return metrics.

    Args:
        learner: Its policy, optimizer and shuffler change.
        buffer: The rollout with advantages; normalised in place if the run says so.
        config: The run's options.
        critic_only: Train only the value head.

    Raises:
        FloatingPointError: Loss, gradients or weights are no longer finite.
    """
    policy, processes, weights = learner.policy, learner.processes, learner.weights
    if config.normalise_advantages:
        buffer.normalise(processes.gather_columns(buffer.advantages))
    sums: dict[str, float] = {}
    turns = steps = 0
    ratio_error = 0.0
    policy.train()
    for _ in range(config.epochs):
        epoch_kl = epoch_turns = 0.0
        for numbers in buffer.minibatches(config.minibatch, learner.shuffler):
            terms = accumulate_gradients(learner, buffer, numbers, config, critic_only)
            total = terms.sums
            if not steps:  # nothing has been updated yet, so the ratio should be 1
                ratio_error = terms.ratio_error
            processes.sum_gradients(weights)
            norm = take_step(
                learner.optimizer, weights, max_norm=config.max_grad_norm, loss=total["loss"]
            )
            total["grad_norm"] = len(numbers) * norm
            steps += 1
            turns += len(numbers)
            epoch_turns += len(numbers)
            epoch_kl += total["approx_kl"]
            for name, value in total.items():
                sums[name] = sums.get(name, 0.0) + value
        if config.target_kl and epoch_kl / epoch_turns > config.target_kl:
            break
    metrics = {f"losses/{name}": value / turns for name, value in sums.items()}
    metrics["losses/explained_variance"] = objective.explained_variance(
        processes.gather_columns(buffer.values), processes.gather_columns(buffer.returns)
    )
    metrics["losses/ratio_error"] = max(processes.gather(ratio_error))
    metrics["losses/optimizer_steps"] = steps
    return metrics


def accumulate_gradients(
    learner: Learner, buffer: RolloutBuffer, numbers: list[int], config: Config, critic_only: bool
) -> MinibatchTerms:
    """Accumulate this process's gradients of a minibatch, given by turn numbers."""
    names = ["loss", "policy_loss", "value_loss", "entropy", "approx_kl", "clipfrac"]
    names += ["kl_to_start"] if learner.reference is not None and not critic_only else []
    own, total, ratio_error = buffer.own(numbers), dict.fromkeys(names, 0.0), 0.0
    for start in range(0, len(own), config.micro_batch):
        batch = buffer.take(own[start : start + config.micro_batch], learner.policy.device)
        terms = loss_terms(learner, batch, config, critic_only)
        (terms["loss"] / len(numbers)).backward()
        ratio_error = max(ratio_error, float(terms["ratio_error"].detach()))
        for name in names:
            total[name] += float(terms[name].detach())
    return MinibatchTerms(learner.processes.sum(total), ratio_error)


# Loop


def train(config: Config, processes: Processes) -> Path:
    """Train; return the last checkpoint.

    Raises:
        ValueError: An option or a file is wrong.
        OSError: A checkpoint can't be written.
        FloatingPointError: Loss, gradients, weights or advantages are no longer finite.
        KeyboardInterrupt: Stopped by the user, after a checkpoint.
    """
    env_id = resolve_env_id(config.env)
    rules = {"prompt": config.prompt, "theme": config.theme, **config.env_kwargs}
    rows = eval_rows(env_id, config.eval_episodes if config.eval_every else 0, rules)
    share = processes.share(config.num_envs)
    trainer = Trainer(config, method="ppo", steps=config.iterations, processes=processes)
    policy = build_policy(config, str(trainer.checkpoint or config.model), processes.device)
    learner = build_learner(config, policy, processes)
    sampler = torch.Generator(policy.device).manual_seed(trainer.seed)
    deals = {"split": config.split, "jitter": config.jitter, **rules}
    vector = make_envs(env_id, len(share), deals)
    every = config.rollouts_every
    recorder = TurnRecorder(env_id, deals, share, every) if every else None
    envs = RolloutEnvs(vector, share, processes, recorder)
    envs.reset([config.seed * config.num_envs + number for number in share])
    assert policy.value_head is not None
    parts: dict[str, Stateful | torch.Generator] = {
        "value_head": policy.value_head,
        "optimizer": learner.optimizer,
        "shuffler": learner.shuffler,
        "environments": envs,
    }
    with trainer.running(policy.save, parts, {"sampler": sampler}) as log:
        if rows and not trainer.step:
            log.write(0, evaluate_policy(policy, rows, processes, status=log.status).metrics())
        for iteration in trainer.remaining_steps():
            learner.optimizer.param_groups[0]["lr"] = learning_rate(iteration, config)
            start = time.monotonic()
            buffer = processes.together(lambda: play(policy, envs, config, sampler, log.status))
            monitor = envs.finish_rollout()
            if recorder:
                recorder.finish(iteration, buffer.advantages, config.out, processes)
            middle = time.monotonic()
            log.status(f"iteration {iteration}/{config.iterations}: update")
            metrics = update(learner, buffer, config, iteration <= config.critic_iterations)
            end, turns = time.monotonic(), len(buffer)
            del buffer  # frees its pictures' features before the next rollout
            metrics |= monitor.metrics() | envs.episode_metrics()
            metrics["charts/learning_rate"] = learner.optimizer.param_groups[0]["lr"]
            metrics["charts/env_steps"] = iteration * config.num_envs * config.num_steps
            metrics["charts/SPS"] = turns / (end - start)
            metrics["time/rollout"], metrics["time/update"] = middle - start, end - middle
            if rows and (iteration % config.eval_every == 0 or iteration == config.iterations):
                metrics |= evaluate_policy(policy, rows, processes, status=log.status).metrics()
            log.write(iteration, metrics)
            log.log_summary(iteration, config.iterations, SUMMARY, metrics)
            for warning in monitor.warnings():
                log.log_line(f"  warning: {warning}")
    return trainer.last_checkpoint


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
