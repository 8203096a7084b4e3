"""What a rollout leaves behind: turns of N environments over T steps, their advantages, batches."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from agents.vlm.encoding import EncodedPrompt
from agents.vlm.sampling import Generation


def advantages_of(
    rewards: Tensor,
    values: Tensor,
    next_values: Tensor,
    terminated: Tensor,
    ended: Tensor,
    discount: float,
    trace: float,
) -> Tensor:
    """Return generalised advantage estimates (Schulman et al. 2016, eq. 11 and 16).

    δ_t = r_t + γ V(s_{t+1}) (1 − terminated_t) − V(s_t)
    A_t = δ_t + γ λ A_{t+1} (1 − ended_t)

    A truncated episode has a next state, its last observation, whose value counts; a terminated one
    has none. In both no advantage flows back from the episode that follows.

    Args:
        rewards: r, (T, N).
        values: V(s_t), (T, N).
        next_values: V(s_{t+1}), (T, N): of the last observation where an episode was truncated, of
            the next one otherwise; what stands where it terminated doesn't matter.
        terminated: (T, N) bool.
        ended: (T, N) bool, terminated or truncated.
        discount: γ.
        trace: λ of GAE.

    Returns:
        (T, N) float32.
    """
    going = (~terminated).float()
    deltas = rewards + discount * next_values * going - values
    advantages = torch.zeros_like(deltas)
    later = torch.zeros_like(deltas[0])
    for t in reversed(range(len(deltas))):
        later = deltas[t] + discount * trace * later * (~ended[t]).float()
        advantages[t] = later
    return advantages


@dataclass(frozen=True, slots=True, eq=False)
class TurnSample:
    """One turn as it was played: what was shown, what was written."""

    prompt: EncodedPrompt
    """The prompt and picture of that turn."""
    ids: Tensor
    """(n,) int64, the tokens as sampled."""
    weights: Tensor
    """(n,) float32, of each token in log π."""
    log_prob: float
    """log π of the turn under the policy that wrote it, from sampling."""


@dataclass(frozen=True, slots=True, eq=False)
class Minibatch:
    """B turns."""

    prompts: list[EncodedPrompt]
    replies: list[Tensor]
    weights: Tensor
    """(B, R), right-aligned like `Scores`."""
    log_probs: Tensor
    """(B,), log π under the policy that wrote the turns."""
    advantages: Tensor
    """(B,), normalised over the whole rollout unless the run says otherwise."""
    returns: Tensor
    """(B,)."""
    values: Tensor
    """(B,), at the time of the rollout."""


class RolloutBuffer:
    """The turns of one rollout, or a process's share of them.

    Args:
        share: Numbers of the environments that are played here, of 0..N − 1.
        width: How many environments the rollout has in all processes, N.
    """

    def __init__(self, share: range, width: int) -> None:
        self.share = share
        self.width = width
        self.turns: list[list[TurnSample]] = []
        self._rewards: list[Tensor] = []
        self._values: list[Tensor] = []
        self._next_values: list[Tensor] = []
        self._terminated: list[Tensor] = []
        self._ended: list[Tensor] = []

    def add(
        self,
        prompts: Sequence[EncodedPrompt],
        generations: Sequence[Generation],
        weights: Sequence[Tensor],
        rewards: Tensor,
        terminated: Tensor,
        truncated: Tensor,
        last_values: Tensor,
    ) -> None:
        """Keep a step of the n environments that are played here.

        Args:
            prompts: What was shown.
            generations: What was written.
            weights: Of each reply's tokens, (length,).
            rewards: (n,).
            terminated: (n,) bool.
            truncated: (n,) bool.
            last_values: (n,), V of the last observation where an episode was truncated.
        """
        self.turns.append(
            [
                TurnSample(prompt, made.ids, weight, float((weight * made.log_probs).sum()))
                for prompt, made, weight in zip(prompts, generations, weights, strict=True)
            ]
        )
        values = torch.tensor([made.value for made in generations])
        if self._values:
            before = self._ended[-1]
            self._next_values[-1] = torch.where(before, self._next_values[-1], values)
        self._values.append(values)
        self._rewards.append(rewards.float())
        self._terminated.append(terminated)
        self._ended.append(terminated | truncated)
        self._next_values.append(last_values)

    def finish(self, values: Tensor, discount: float, trace: float) -> None:
        """Compute advantages and returns.

        Args:
            values: (n,), V of the observations after the last step.
            discount: γ.
            trace: λ of GAE.
        """
        ended = self._ended[-1]
        self._next_values[-1] = torch.where(ended, self._next_values[-1], values)
        self.values = torch.stack(self._values)
        self.advantages = advantages_of(
            torch.stack(self._rewards),
            self.values,
            torch.stack(self._next_values),
            torch.stack(self._terminated),
            torch.stack(self._ended),
            discount,
            trace,
        )
        self.returns = self.advantages + self.values

    def __len__(self) -> int:
        """Return the number of turns in all processes."""
        return len(self.turns) * self.width

    def normalise(self, everyone: Tensor) -> None:
        """Shift and scale the advantages.

        Args:
            everyone: (T, N), the advantages of all processes.
        """
        deviation = everyone.std(correction=0)
        self.advantages = (self.advantages - everyone.mean()) / (deviation + 1e-8)

    def minibatches(self, size: int, generator: torch.Generator) -> Iterator[list[int]]:
        """Yield the turns' numbers t · N + n in random order, `size` at a time.

        They are those of all processes, which draw the same order.
        """
        order = torch.randperm(len(self), generator=generator).tolist()
        for start in range(0, len(order), size):
            yield order[start : start + size]

    def own(self, numbers: Sequence[int]) -> list[int]:
        """Return those of the turns that were played here."""
        return [number for number in numbers if number % self.width in self.share]

    def take(self, numbers: Sequence[int], device: torch.device) -> Minibatch:
        """Return turns that were played here, by their numbers."""
        places = [(n // self.width, n % self.width - self.share.start) for n in numbers]
        chosen = [self.turns[t][n] for t, n in places]
        longest = max(len(turn.ids) for turn in chosen)
        weights = torch.zeros(len(chosen), longest)
        for row, turn in zip(weights, chosen, strict=True):
            row[longest - len(turn.ids) :] = turn.weights
        index = torch.tensor(places).unbind(1)
        return Minibatch(
            prompts=[turn.prompt for turn in chosen],
            replies=[turn.ids for turn in chosen],
            weights=weights.to(device),
            log_probs=torch.tensor([turn.log_prob for turn in chosen], device=device),
            advantages=self.advantages[index].to(device),
            returns=self.returns[index].to(device),
            values=self.values[index].to(device),
        )
