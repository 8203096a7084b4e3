"""An update of PPO: epochs over a rollout, in minibatches, identically in every process."""

import time
from dataclasses import dataclass

from agents.train import objective
from agents.train.ppo_config import Config
from agents.train.rollout_buffer import RolloutBuffer
from agents.train.trainer import take_step
from agents.train.update.learner import NORMS, Learner
from agents.train.update.loss import critic_terms, loss_terms
from agents.train.update.micro_batches import micro_batches
from agents.train.update.rescoring import Mismatch, rescore

MAX_RATIO_ERROR = 0.1
"""Largest mean |π / π at the servers − 1| of a rollout; the same weights differ by rounding."""


@dataclass(frozen=True, slots=True)
class MinibatchTerms:
    """The terms of a minibatch's loss."""

    sums: dict[str, float]
    """Sums over the turns of all processes."""
    ratio_error: float
    """The largest |ratio − 1| of this process's turns."""


def update(
    learner: Learner, buffer: RolloutBuffer, config: Config, critic_only: bool
) -> dict[str, float]:
    """Improve the policy on a rollout, identically in every process; return metrics.

    Args:
        learner: Its policy, optimizer and shuffler change.
        buffer: The rollout with advantages; scored again, and normalised if the run says so.
        config: The run's options.
        critic_only: Train only the value head.

    Raises:
        FloatingPointError: Loss, gradients or weights are no longer finite.
    """
    policy, processes = learner.policy, learner.processes
    if config.normalise_advantages:
        buffer.normalise(buffer.everyones(buffer.advantages, processes))
    metrics: dict[str, float] = {}
    if config.rollouts or not critic_only:
        start = time.monotonic()
        mismatch = rescore(learner, buffer, config)
        metrics = {"losses/mismatch": mismatch.mean, "losses/rescored": mismatch.share}
        metrics["time/rescoring"] = time.monotonic() - start
        if config.rollouts:
            metrics["losses/served_ratio_error"] = check_served(mismatch)
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
            processes.sum_gradients(learner.weights)
            norms = take_step(learner.optimizer, max_norm=config.max_grad_norm, loss=total["loss"])
            for name, norm in zip(NORMS, norms, strict=False):
                total[name] = len(numbers) * norm
            steps += 1
            turns += len(numbers)
            epoch_turns += len(numbers)
            epoch_kl += total.get("approx_kl", 0.0)
            for name, value in total.items():
                sums[name] = sums.get(name, 0.0) + value
        if config.target_kl and epoch_kl / epoch_turns > config.target_kl:
            break
    metrics |= {f"losses/{name}": value / turns for name, value in sums.items()}
    if config.has_critic:
        metrics["losses/explained_variance"] = objective.explained_variance(
            buffer.everyones(buffer.values, processes), buffer.everyones(buffer.returns, processes)
        )
    metrics["losses/ratio_error"] = max(processes.gather(ratio_error))
    metrics["losses/optimizer_steps"] = steps
    return metrics


def check_served(mismatch: Mismatch) -> float:
    """Return how far the ratio π / π at the servers is from 1, on average.

    Raises:
        FloatingPointError: So far that they write with other weights.
    """
    if mismatch.ratio_error > MAX_RATIO_ERROR:
        raise FloatingPointError(
            f"the servers' replies aren't the policy's: π / π at the servers is off by "
            f"{mismatch.ratio_error:.3f} on average, wanted at most {MAX_RATIO_ERROR}; do they "
            "hold the base of --model, in its precision?"
        )
    return mismatch.ratio_error


def accumulate_gradients(
    learner: Learner, buffer: RolloutBuffer, numbers: list[int], config: Config, critic_only: bool
) -> MinibatchTerms:
    """Accumulate this process's gradients of a minibatch, given by turn numbers."""
    names = ["loss", "value_loss"] if config.has_critic else ["loss"]
    if not critic_only:
        names += ["policy_loss", "entropy", "approx_kl", "clipfrac"]
        names += ["kl_to_start"] if learner.reference is not None else []
    own, total, ratio_error = buffer.own(numbers), dict.fromkeys(names, 0.0), 0.0
    lengths = buffer.lengths(own)
    for places in micro_batches(lengths, config.micro_batch, config.micro_tokens):
        batch = buffer.take([own[place] for place in places], learner.policy.device)
        terms = (critic_terms if critic_only else loss_terms)(learner, batch, config)
        (terms["loss"] / len(numbers)).backward()
        if not critic_only:
            ratio_error = max(ratio_error, float(terms["ratio_error"]))
        for name in names:
            total[name] += float(terms[name].detach())
    return MinibatchTerms(learner.processes.sum(total), ratio_error)
