"""A rollout: turns of N environments over T steps, their advantages, minibatches, and files."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from agents.train.advantages.facts import TurnFacts
from agents.train.advantages.kinds import BASELINES
from agents.train.distributed import Processes
from agents.train.environments import EnvStep
from agents.train.token_weights import token_weights
from agents.vlm.encoding import EncodedPrompt
from agents.vlm.sampling import Generation
from vlbench.diagnose.rollouts import FOLDER, SCHEMA, RolloutTurn, write_turns


@dataclass(frozen=True, slots=True, eq=False)
class TurnSample:
    """One turn of a rollout."""

    prompt: EncodedPrompt
    """Prompt and picture of the turn."""
    ids: Tensor
    """(n,) int64, the sampled tokens."""
    weights: Tensor
    """(n,) float32, weight of each token in log π."""
    log_prob: float
    """log π of the turn under the policy that wrote it, recorded at sampling."""


@dataclass(frozen=True, slots=True, eq=False)
class Minibatch:
    """B turns."""

    prompts: list[EncodedPrompt]
    replies: list[Tensor]
    weights: Tensor
    """(B, R) float32, right-aligned like `Scores`."""
    log_probs: Tensor
    """(B,), log π under the policy that wrote the turns."""
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
                else TurnSample(prompt, reply.ids, weight, float((weight * reply.log_probs).sum()))
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

    def take(self, numbers: Sequence[int], device: torch.device) -> Minibatch:
        """Return turns that this process played, by number."""
        places = [(n // self.width, n % self.width - self.share.start) for n in numbers]
        turns = [turn for t, n in places if (turn := self.turns[t][n]) is not None]
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
        baseline: Name of the baseline behind the advantages, in BASELINES.
    """

    def __init__(
        self, env_id: str, kwargs: Mapping[str, Any], share: range, every: int, baseline: str
    ) -> None:
        self._env_id = env_id
        self._kwargs = dict(kwargs)
        self._baseline = baseline
        self._share = share
        self._every = every
        self._finished = [0] * len(share)  # episodes of each environment in this rollout
        self._turns: list[RolloutTurn] = []

    def add(
        self,
        episodes: Sequence[Mapping[str, Any]],
        replies: Sequence[Generation | None],
        rewards: Sequence[float],
        ended: Sequence[bool],
    ) -> None:
        """Add a turn of the n environments.

        Args:
            episodes: Instance, presentation and earlier replies of each running episode.
            replies: The replies; None for an idle environment.
            rewards: n rewards.
            ended: n flags, whether the episode ended.
        """
        is_first = not self._turns
        for i, (episode, reply) in enumerate(zip(episodes, replies, strict=True)):
            if reply is None:
                continue
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

    def finish(
        self, iteration: int, buffer: RolloutBuffer, run: Path, processes: Processes
    ) -> None:
        """Complete a rollout; write it if it is a k-th one.

        Args:
            iteration: The rollout's number, from 1.
            buffer: The rollout with its advantages, before normalisation.
            run: The run's folder.
            processes: The processes that play together.

        Raises:
            OSError: The file can't be written.
        """
        turns, self._turns = self._turns, []
        self._finished = [0] * len(self._share)
        if iteration % self._every:
            return
        advantages = buffer.advantages[buffer.facts.played].tolist()
        own = [
            replace(
                turn,
                episode=f"{iteration}/{turn.episode}",
                iteration=iteration,
                advantage=advantage,
                estimator=self._baseline,
                oracle=BASELINES[self._baseline].oracle,
            )
            for turn, advantage in zip(turns, advantages, strict=True)
        ]
        everyone = [turn for part in processes.gather(own) for turn in part]
        path = run / FOLDER / f"{iteration:06}.jsonl"
        processes.on_main(lambda: write_turns(path, everyone))
