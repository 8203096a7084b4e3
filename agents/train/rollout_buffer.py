"""A rollout: turns of N environments over T steps, their advantages, and minibatches."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from agents.train.advantages.facts import TurnFacts
from agents.train.distributed import Processes
from agents.train.environments import EnvStep
from agents.train.token_weights import token_weights
from agents.vlm.encoding import EncodedPrompt
from agents.vlm.sampling import Generation


@dataclass(slots=True, eq=False)
class TurnSample:
    """One turn of a rollout; `agents.train.update.rescoring` sets the last two fields."""

    prompt: EncodedPrompt
    """Prompt and picture of the turn."""
    ids: Tensor
    """(n,) int64, the sampled tokens."""
    weights: Tensor
    """(n,) float32, weight of each token in log π."""
    sampled_log_probs: Tensor
    """(n,) float32, log-probability of each token, recorded at sampling."""
    log_probs: Tensor
    """(n,) float32, under the policy before the update, as the update's forward pass gives it."""
    start_log_probs: Tensor | None = None
    """(n,) float32, under the start of the run, before a nucleus is cut; None without penalty."""


@dataclass(frozen=True, slots=True, eq=False)
class Minibatch:
    """B turns."""

    prompts: list[EncodedPrompt]
    replies: list[Tensor]
    weights: Tensor
    """(B, R) float32, right-aligned like `Scores`."""
    log_probs: Tensor
    """(B, R), see `TurnSample`, as are the next two."""
    sampled_log_probs: Tensor
    start_log_probs: Tensor | None
    advantages: Tensor
    """(B,), normalised over the whole rollout unless the run disables it."""
    returns: Tensor
    """(B,)."""
    values: Tensor
    """(B,), recorded at the rollout."""


class RolloutBuffer:
    """The turns of one rollout, or of one process's share.

    Args:
        steps: Turns T per environment; a rollout of whole episodes may have more.
        share: Indices of this process's n environments, in 0..N − 1.
        width: Number of environments N of all processes.
    """

    def __init__(self, steps: int, share: range, width: int) -> None:
        self.share = share
        self.width = width
        self.turns: list[list[TurnSample | None]] = []
        """T rows of n turns; None where an environment is idle."""
        self.facts = TurnFacts.idle(steps, len(share))
        """What the baselines read."""
        self.advantages = torch.zeros(steps, len(share))
        """(T, n) float32, set by `set_advantages`."""
        self.returns = self.advantages
        """(T, n) float32, targets of the values; set by `set_advantages`."""
        self.numbers = list(range(steps * width))
        """Turn numbers t · N + n of the turns that all processes played."""

    @property
    def values(self) -> Tensor:
        """V of each turn's observation, (T, n) float32."""
        return self.facts.values

    def add(
        self,
        prompts: Sequence[EncodedPrompt | None],
        replies: Sequence[Generation | None],
        weights: Sequence[Tensor | None],
        outcome: EnvStep,
        last_values: Tensor,
    ) -> None:
        """Append a turn of this process's n environments.

        Args:
            prompts: The prompts; None for an idle environment, as in the next two.
            replies: The replies to them.
            weights: Token weights of each reply, (length,) float32.
            outcome: The result of the turn.
            last_values: (n,), V of the last observation of episodes truncated in this turn.
        """
        t = len(self.turns)
        if t == len(self.facts.rewards):
            self.pad(2 * t)
        self.turns.append(
            [
                None
                if prompt is None or reply is None or weight is None
                else TurnSample(prompt, reply.ids, weight, reply.log_probs, reply.log_probs)
                for prompt, reply, weight in zip(prompts, replies, weights, strict=True)
            ]
        )
        facts = self.facts
        facts.played[t] = played = torch.tensor([reply is not None for reply in replies])
        facts.values[t] = torch.tensor([reply.value if reply else 0.0 for reply in replies])
        facts.rewards[t] = torch.from_numpy(outcome.rewards)
        facts.terminated[t] = torch.from_numpy(outcome.terminated) | ~played
        facts.ended[t] = torch.from_numpy(outcome.terminated | outcome.truncated) | ~played
        facts.next_values[t] = last_values
        for name in ("numbers", "starts", "states", "regrets"):
            getattr(facts, name)[t] = torch.from_numpy(getattr(outcome, name))
        if t:
            self._continue(t - 1, facts.values[t])

    def finish(self, values: Tensor) -> None:
        """Complete the rollout.

        Args:
            values: (n,), V of the observations after the last turn.
        """
        self.pad(len(self.turns))
        self._continue(len(self.turns) - 1, values)

    def _continue(self, t: int, values: Tensor) -> None:
        """Set the values after a turn, except where its episode ended."""
        facts = self.facts
        facts.next_values[t] = torch.where(facts.ended[t], facts.next_values[t], values)

    def pad(self, steps: int) -> None:
        """Make room for `steps` turns per environment, or cut off room that isn't needed."""
        self.facts = self.facts.resized(steps)

    def set_advantages(self, advantages: Tensor, played: Tensor) -> None:
        """Set the advantages, and the targets of the values to advantages + values.

        Args:
            advantages: (T, n), of this process's turns.
            played: (T, N) bool, which turns all processes played.
        """
        self.advantages = advantages
        self.returns = advantages + self.values
        self.numbers = played.flatten().nonzero().flatten().tolist()

    def __len__(self) -> int:
        """Return the number of turns of all processes."""
        return len(self.numbers)

    def everyones(self, own: Tensor, processes: Processes) -> Tensor:
        """Return (len(self),), a number of each turn of all processes, from this process's (T, n).

        The processes call it together.
        """
        return processes.gather_columns(own).flatten()[self.numbers]

    def normalise(self, everyone: Tensor) -> None:
        """Normalise the advantages.

        Args:
            everyone: The advantages of all turns of all processes.
        """
        deviation = everyone.std(correction=0)
        self.advantages = (self.advantages - everyone.mean()) / (deviation + 1e-8)

    def minibatches(self, size: int, generator: torch.Generator) -> Iterator[list[int]]:
        """Yield turn numbers t · N + n in random order, `size` at a time.

        They cover the turns of all processes; every process must draw the same order.
        """
        order = torch.randperm(len(self), generator=generator).tolist()
        for start in range(0, len(order), size):
            yield [self.numbers[place] for place in order[start : start + size]]

    def own(self, numbers: Sequence[int]) -> list[int]:
        """Return the numbers of turns that this process played."""
        return [number for number in numbers if number % self.width in self.share]

    def lengths(self, numbers: Sequence[int]) -> list[int]:
        """Return the tokens of prompt and reply of turns that this process played, by number."""
        return [len(turn.prompt) + len(turn.ids) for turn in self._turns(numbers)]

    def take(self, numbers: Sequence[int], device: torch.device) -> Minibatch:
        """Return turns that this process played, by number."""
        turns = self._turns(numbers)
        starts = [turn.start_log_probs for turn in turns if turn.start_log_probs is not None]
        index = torch.tensor([self._place(number) for number in numbers]).unbind(1)
        return Minibatch(
            prompts=[turn.prompt for turn in turns],
            replies=[turn.ids for turn in turns],
            weights=_rows([turn.weights for turn in turns]).to(device),
            log_probs=_rows([turn.log_probs for turn in turns]).to(device),
            sampled_log_probs=_rows([turn.sampled_log_probs for turn in turns]).to(device),
            start_log_probs=_rows(starts).to(device) if starts else None,
            advantages=self.advantages[index].to(device),
            returns=self.returns[index].to(device),
            values=self.values[index].to(device),
        )

    def _place(self, number: int) -> tuple[int, int]:
        """Return a turn's row and column in this process."""
        return number // self.width, number % self.width - self.share.start

    def _turns(self, numbers: Sequence[int]) -> list[TurnSample]:
        turns = [self.turns[t][n] for t, n in map(self._place, numbers)]
        return [turn for turn in turns if turn is not None]


def _rows(numbers: Sequence[Tensor]) -> Tensor:
    """Return numbers of each turn's tokens, (n_i,), right-aligned as (B, R); 0 outside."""
    longest = max(map(len, numbers))
    rows = torch.zeros(len(numbers), longest)
    for row, own in zip(rows, numbers, strict=True):
        row[longest - len(own) :] = own
    return rows


def weights_of(
    replies: Sequence[Generation | None],
    outcome: EnvStep,
    thought_weight: float,
    decode: Callable[[Sequence[int]], str],
) -> list[Tensor | None]:
    """Return the token weights of each reply in log π, (n_i,) float32.

    Args:
        replies: The replies of a turn; None for an idle environment.
        outcome: The result of the turn, which says where each action stands.
        thought_weight: λ, the weight of the tokens before an action.
        decode: Token ids → text.
    """
    return [
        token_weights(reply.ids.tolist(), reply.text, span, thought_weight, decode)
        if reply
        else None
        for reply, span in zip(replies, outcome.spans, strict=True)
    ]
