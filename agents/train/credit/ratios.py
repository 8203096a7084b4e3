"""What is left of an advantage where the update has moved the policy: turn against token ratios."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from agents.train import objective, ppo
from agents.train.advantages.playing import assess
from agents.train.credit.sample import Sample, keys_of
from agents.train.distributed import Processes
from agents.train.ppo_config import Config
from agents.train.rollout_buffer import RolloutBuffer, TurnSample
from agents.train.update import build_learner, update
from agents.vlm.encoding import EncodedPrompt
from agents.vlm.policy import Policy
from vlbench.diagnose.replayed import moments
from vlbench.diagnose.rollouts import read_rollouts

UPDATED = "updated.pt"
"""File of the log-probabilities of a sample's tokens under the updated policy."""
BATCH = 32


def updated_log_probs(
    config: Config,
    update_turns: int,
    samples: tuple[Sample, Sample],
    folders: tuple[Path, Path],
    log: Callable[[str], None],
) -> Tensor:
    """Return the log-probabilities (M, R) of the second sample's tokens after an update.

    The update is one of the trainer's, on turns of the first sample, with its default options and
    the baseline "state".

    Args:
        config: The trainer's options for the game.
        update_turns: Turns of the update.
        samples: A sample to learn from, and one to look at.
        folders: Their folders.
        log: Called with a line about the progress.
    """
    path = folders[1] / UPDATED
    if path.is_file():
        result: Tensor = torch.load(path, weights_only=True)
        return result
    config = replace(config, baseline="state", gamma=1.0)
    torch.manual_seed(config.seed)
    policy = ppo.build_policy(config, config.model)
    processes = Processes()
    learner = build_learner(config, policy, processes)
    buffer = _buffer(samples[0], _prompts(policy, folders[0]), config, processes)
    del buffer.numbers[update_turns:]
    log(f"an update on {len(buffer)} turns")
    update(learner, buffer, config, critic_only=False)
    log("scoring after the update")
    result = _scored(policy.eval(), samples[1], _prompts(policy, folders[1]))
    torch.save(result, path)
    return result


def credit_per_token(
    kind: str, new: Tensor, sample: Sample, advantages: Tensor, config: Config
) -> Tensor:
    """Return how strongly the loss pushes each turn's tokens, (M,).

    It is minus the gradient of the clipped loss, summed over the turn's tokens and divided by the
    sum of their weights; before an update it is the advantage, divided by that sum for the kinds
    "length" and "token".

    Args:
        kind: A ratio of `ppo --ratio`.
        new: (M, R), log-probabilities of the tokens under the updated policy.
        sample: The turns.
        advantages: (M,), normalised.
        config: Options of the trainer: how ratios are clipped.
    """
    new = new.clone().requires_grad_()
    ratios = objective.Ratios(kind, new, sample.log_probs, sample.weights)
    clip = objective.Clip(config.clip, config.clip_high or config.clip, config.dual_clip)
    loss = ratios.mean(objective.surrogate(ratios.values, ratios.column(advantages), clip)).sum()
    (gradient,) = torch.autograd.grad(loss, new)
    return -gradient.sum(-1) / sample.weights.sum(-1)


def _prompts(policy: Policy, folder: Path) -> list[EncodedPrompt]:
    """Return the prompts of a sample's turns, in the order of its tokens."""
    prompts = {
        (moment.record.episode, moment.record.turn): policy.encoder.encode(
            moment.recorder.observation
        )
        for moment in moments(read_rollouts(folder).episodes)
    }
    return [prompts[key] for key in keys_of(folder)]


def _replies(sample: Sample) -> list[Tensor]:
    return [row[row >= 0] for row in sample.ids]


def _buffer(
    sample: Sample, prompts: list[EncodedPrompt], config: Config, processes: Processes
) -> RolloutBuffer:
    """Return a sample as the rollout that the trainer learns from."""
    steps, envs = sample.facts.played.shape
    buffer = RolloutBuffer(steps, range(envs), envs)
    buffer.facts = sample.facts
    turns = iter(
        TurnSample(prompt, ids, weights[: len(ids)], log_probs[: len(ids)], log_probs[: len(ids)])
        for prompt, ids, weights, log_probs in zip(
            prompts, _replies(sample), sample.weights, sample.log_probs, strict=True
        )
    )
    played = sample.facts.played.tolist()
    buffer.turns = [[next(turns) if place else None for place in row] for row in played]
    assess(buffer, config, processes)
    return buffer


@torch.no_grad()
def _scored(policy: Policy, sample: Sample, prompts: list[EncodedPrompt]) -> Tensor:
    """Return the log-probabilities of a sample's tokens, left-aligned like its own."""
    result = torch.zeros_like(sample.log_probs)
    replies = _replies(sample)
    for start in range(0, len(replies), BATCH):
        some = replies[start : start + BATCH]
        rows = policy(prompts[start : start + BATCH], some).log_probs.cpu()
        for number, (reply, row) in enumerate(zip(some, rows, strict=True), start):
            result[number, : len(reply)] = row[-len(reply) :]
    return result
