"""A rollout: turns of N environments over T steps, their advantages, and minibatches of them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from agents.train.environments import EnvStep
from agents.vlm.encoding import EncodedPrompt
from agents.vlm.sampling import Generation


@dataclass(frozen=True, slots=True, eq=False)
class TurnSample:
    """One turn as it was played."""

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
        steps: Turns T of each environment.
        share: Numbers of the n environments that are played here, of 0..N − 1.
        width: Number of environments N of all processes.
    """

    def __init__(self, steps: int, share: range, width: int) -> None:
        self.share = share
        self.width = width
        self.turns: list[list[TurnSample]] = []
        """T rows of n."""
        shape = (steps, len(share))
        self.rewards = torch.zeros(shape)
        """(T, n) float32, as are the next four."""
        self.values = torch.zeros(shape)
        """V of each turn's observation."""
        self.next_values = torch.zeros(shape)
        """V of the observation after each turn; where an episode was truncated, of its last one."""
        self.advantages = torch.zeros(shape)
        """What a method of training makes of the rewards; see `set_advantages`."""
        self.returns = torch.zeros(shape)
        """What the values should have been."""
        self.terminated = torch.zeros(shape, dtype=torch.bool)
        """(T, n) bool."""
        self.ended = torch.zeros(shape, dtype=torch.bool)
        """(T, n) bool, terminated or truncated."""

    def add(
        self,
        prompts: Sequence[EncodedPrompt],
        replies: Sequence[Generation],
        weights: Sequence[Tensor],
        outcome: EnvStep,
        last_values: Tensor,
    ) -> None:
        """Append a turn of the n environments that are played here.

        Args:
            prompts: The prompts.
            replies: The replies to them.
            weights: Weights of each reply's tokens, (length,).
            outcome: What the environments gave.
            last_values: (n,), V of the last observation where an episode was truncated.
        """
        t = len(self.turns)
        self.turns.append(
            [
                TurnSample(prompt, reply.ids, weight, float((weight * reply.log_probs).sum()))
                for prompt, reply, weight in zip(prompts, replies, weights, strict=True)
            ]
        )
        self.values[t] = torch.tensor([reply.value for reply in replies])
        self.rewards[t] = torch.from_numpy(outcome.rewards)
        self.terminated[t] = torch.from_numpy(outcome.terminated)
        self.ended[t] = torch.from_numpy(outcome.terminated | outcome.truncated)
        self.next_values[t] = last_values
        if t:
            self._continue(t - 1, self.values[t])

    def finish(self, values: Tensor) -> None:
        """End the rollout.

        Args:
            values: (n,), V of the observations after the last turn.
        """
        self._continue(len(self.turns) - 1, values)

    def _continue(self, t: int, values: Tensor) -> None:
        """Set the values after a turn, where its episode goes on."""
        self.next_values[t] = torch.where(self.ended[t], self.next_values[t], values)

    def set_advantages(self, advantages: Tensor) -> None:
        """Set advantages (T, n), and the returns that follow from them."""
        self.advantages = advantages
        self.returns = advantages + self.values

    def __len__(self) -> int:
        """Return the number of turns of all processes."""
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
        turns = [self.turns[t][n] for t, n in places]
        longest = max(len(turn.ids) for turn in turns)
        weights = torch.zeros(len(turns), longest)
        for row, turn in zip(weights, turns, strict=True):
            row[longest - len(turn.ids) :] = turn.weights
        index = torch.tensor(places).unbind(1)
        return Minibatch(
            prompts=[turn.prompt for turn in turns],
            replies=[turn.ids for turn in turns],
            weights=weights.to(device),
            log_probs=torch.tensor([turn.log_prob for turn in turns], device=device),
            advantages=self.advantages[index].to(device),
            returns=self.returns[index].to(device),
            values=self.values[index].to(device),
        )
