"""A rollout: turns of N environments over T steps, their advantages, minibatches, and files."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from agents.train.distributed import Processes
from agents.train.environments import EnvStep
from agents.train.token_weights import token_weights
from agents.vlm.encoding import EncodedPrompt
from agents.vlm.sampling import Generation
from vlbench.diagnose.rollouts import FOLDER, SCHEMA, RolloutTurn, write_turns


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
        steps: Turns T per environment.
        share: Indices of this process's n environments, in 0..N − 1.
        width: Number of environments N of all processes.
    """

    def __init__(self, steps: int, share: range, width: int) -> None:
        self.share = share
        self.width = width
        self.turns: list[list[TurnSample]] = []
        """T rows of n turns."""
        shape = (steps, len(share))
        self.rewards = torch.zeros(shape)
        """(T, n) float32, as are the next four."""
        self.values = torch.zeros(shape)
        """V of each turn's observation."""
        self.next_values = torch.zeros(shape)
        """V of the observation after each turn; at a truncation, of the episode's last one."""
        self.advantages = torch.zeros(shape)
        """Set by `set_advantages`."""
        self.returns = torch.zeros(shape)
        """Targets of the values; set by `set_advantages`."""
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
        """Append a turn of this process's n environments.

        Args:
            prompts: The prompts.
            replies: The replies to them.
            weights: Token weights of each reply, (length,) float32.
            outcome: The result of the turn.
            last_values: (n,), V of the last observation of episodes truncated in this turn.
        """
        t = len(self.turns)
        self.turns.append(
            [
                TurnSample(prompt, reply.ids, weight, reply.log_probs, reply.log_probs)
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
        """Complete the rollout.

        Args:
            values: (n,), V of the observations after the last turn.
        """
        self._continue(len(self.turns) - 1, values)

    def _continue(self, t: int, values: Tensor) -> None:
        """Set the values after a turn, except where its episode ended."""
        self.next_values[t] = torch.where(self.ended[t], self.next_values[t], values)

    def set_advantages(self, advantages: Tensor) -> None:
        """Set advantages (T, n), and returns as advantages + values."""
        self.advantages = advantages
        self.returns = advantages + self.values

    def __len__(self) -> int:
        """Return the number of turns of all processes."""
        return len(self.turns) * self.width

    def normalise(self, everyone: Tensor) -> None:
        """Normalise the advantages.

        Args:
            everyone: (T, N), the advantages of all processes.
        """
        deviation = everyone.std(correction=0)
        self.advantages = (self.advantages - everyone.mean()) / (deviation + 1e-8)

    def minibatches(self, size: int, generator: torch.Generator) -> Iterator[list[int]]:
        """Yield turn numbers t · N + n in random order, `size` at a time.

        They cover the turns of all processes; every process must draw the same order.
        """
        order = torch.randperm(len(self), generator=generator).tolist()
        for start in range(0, len(order), size):
            yield order[start : start + size]

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
        return [self.turns[t][n] for t, n in map(self._place, numbers)]


def _rows(numbers: Sequence[Tensor]) -> Tensor:
    """Return numbers of each turn's tokens, (n_i,), right-aligned as (B, R); 0 outside."""
    longest = max(map(len, numbers))
    rows = torch.zeros(len(numbers), longest)
    for row, own in zip(rows, numbers, strict=True):
        row[longest - len(own) :] = own
    return rows


def weights_of(
    replies: Sequence[Generation],
    outcome: EnvStep,
    thought_weight: float,
    decode: Callable[[Sequence[int]], str],
) -> list[Tensor]:
    """Return the token weights of each reply in log π, (n_i,) float32.

    Args:
        replies: The replies of a turn.
        outcome: The result of the turn, which says where each action stands.
        thought_weight: λ, the weight of the tokens before an action.
        decode: Token ids → text.
    """
    return [
        token_weights(reply.ids.tolist(), reply.text, span, thought_weight, decode)
        for reply, span in zip(replies, outcome.spans, strict=True)
    ]


class TurnRecorder:
    """Writes every k-th rollout's turns and advantages, for `vlbench.diagnose`.

    Args:
        env_id: The environment's id.
        kwargs: Its keyword arguments.
        share: Indices of this process's n environments, in 0..N − 1.
        every: k.
    """

    def __init__(self, env_id: str, kwargs: Mapping[str, Any], share: range, every: int) -> None:
        self._env_id = env_id
        self._kwargs = dict(kwargs)
        self._share = share
        self._every = every
        self._finished = [0] * len(share)  # episodes of each environment in this rollout
        self._turns: list[RolloutTurn] = []

    def add(
        self,
        episodes: Sequence[Mapping[str, Any]],
        replies: Sequence[Generation],
        rewards: Sequence[float],
        ended: Sequence[bool],
    ) -> None:
        """Add a turn of the n environments.

        Args:
            episodes: Instance, presentation and earlier replies of each running episode.
            replies: The replies.
            rewards: n rewards.
            ended: n flags, whether the episode ended.
        """
        is_first = not self._turns
        for i, (episode, reply) in enumerate(zip(episodes, replies, strict=True)):
            turn = RolloutTurn(
                SCHEMA,
                self._env_id,
                self._kwargs,
                episode["instance"],
                episode["presentation"],
                episode=f"{self._share[i]}-{self._finished[i]}",
                turn=len(episode["replies"]),
                reply=reply.text,
                earlier=tuple(episode["replies"]) if is_first else (),
                reward=rewards[i],
                value=float(reply.value),
                log_prob=float(reply.log_probs.sum()),
            )
            self._turns.append(turn)
            self._finished[i] += ended[i]

    def finish(self, iteration: int, advantages: Tensor, run: Path, processes: Processes) -> None:
        """Complete a rollout; write it if it is a k-th one.

        Args:
            iteration: The rollout's number, from 1.
            advantages: (T, n), before normalisation.
            run: The run's folder.
            processes: The processes that play together.

        Raises:
            OSError: The file can't be written.
        """
        turns, self._turns = self._turns, []
        self._finished = [0] * len(self._share)
        if iteration % self._every:
            return
        own = [
            replace(
                turn,
                episode=f"{iteration}/{turn.episode}",
                iteration=iteration,
                advantage=advantage,
            )
            for turn, advantage in zip(turns, advantages.flatten().tolist(), strict=True)
        ]
        everyone = [turn for part in processes.gather(own) for turn in part]
        path = run / FOLDER / f"{iteration:06}.jsonl"
        processes.on_main(lambda: write_turns(path, everyone))
