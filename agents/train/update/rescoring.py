"""Score a rollout's turns once, before its update changes the policy.

An update compares the policy with the policy before it. That one's log-probabilities were recorded
at sampling, by other code than the update's: with a cache, a merged or served adapter, another
precision. So the update's own forward pass gives them again, unless it agrees on a sample of the
turns. What is left of the difference weighs the turns: see `agents.train.update.loss`.

The reference policy of a KL penalty scores the turns in the same pass.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from agents.train.objective import ratio_of, turn_log_prob
from agents.train.ppo_config import Config
from agents.train.rollout_buffer import RolloutBuffer, TurnSample
from agents.train.update.learner import Learner
from agents.train.update.micro_batches import micro_batches
from agents.vlm.policy import Policy

EQUAL = 2e-5
"""Largest difference of log-probabilities of a token that counts as rounding in float32."""


@dataclass(frozen=True, slots=True)
class Mismatch:
    """How the log-probabilities at sampling differ from those of the update's forward pass."""

    mean: float
    """Mean |difference| of a token's log-probability, over the tokens that were scored again."""
    share: float
    """Share of the turns that were scored again."""
    ratio_error: float
    """Mean |π before the update / π at sampling − 1| of the turns that were scored again."""


@torch.no_grad()
def rescore(learner: Learner, buffer: RolloutBuffer, config: Config) -> Mismatch:
    """Set `log_probs` and `start_log_probs` of this process's turns.

    Returns:
        The mismatch, over the turns of all processes, which call this together.
    """
    turns = [turn for row in buffer.turns for turn in row if turn is not None]
    batches = micro_batches(
        [len(turn.prompt) + len(turn.ids) for turn in turns],
        config.micro_batch,
        config.micro_tokens,
    )
    names = ("difference", "tokens", "ratio_error", "scored")
    sums = dict.fromkeys(names, 0.0) | {"turns": float(len(turns))}
    for number, batch in enumerate(batches):
        some = [turns[i] for i in batch]
        largest = 0.0
        for turn, log_probs in zip(some, _log_probs(learner.policy.eval(), some), strict=True):
            turn.log_probs = log_probs
            differences = (log_probs - turn.sampled_log_probs).abs()
            largest = max(largest, float(differences.max()))
            sums["difference"] += float(differences.sum())
            sums["tokens"] += len(turn.ids)
            now, then = (
                turn_log_prob(p, turn.weights) for p in (log_probs, turn.sampled_log_probs)
            )
            sums["ratio_error"] += float((ratio_of(now, then) - 1).abs())
        sums["scored"] += len(some)
        if not number and largest <= EQUAL:  # sampling gives the same numbers: keep the others
            break
    if learner.reference is not None:
        with learner.reference.active() as start:
            for batch in batches:
                some = [turns[i] for i in batch]
                for turn, log_probs in zip(some, _log_probs(start, some, True), strict=True):
                    turn.start_log_probs = log_probs
    sums = learner.processes.sum(sums)
    return Mismatch(
        sums["difference"] / sums["tokens"],
        sums["scored"] / sums["turns"],
        sums["ratio_error"] / sums["scored"],
    )


def _log_probs(
    policy: Policy, turns: Sequence[TurnSample], before_the_cut: bool = False
) -> list[Tensor]:
    """Return the log-probabilities of each turn's tokens, (n_i,)."""
    scores = policy([turn.prompt for turn in turns], [turn.ids for turn in turns])
    rows = (scores.whole_log_probs if before_the_cut else scores.log_probs).cpu()
    return [row[-len(turn.ids) :] for turn, row in zip(turns, rows, strict=True)]
