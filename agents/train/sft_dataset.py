"""Transcripts as `sft` learns them: prompts, replies and the weights of their tokens."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

import vlbench
from agents.train import sft_data
from agents.train.redrawing import ExampleRenderer
from agents.train.token_weights import span_of_thoughts, span_weights
from agents.vlm.encoding import EncodedPrompt
from agents.vlm.policy import Policy
from vlbench.registry import env_class, resolve_env_id
from vlbench.task import perception_names


@dataclass(frozen=True, slots=True)
class Learned:
    """A reply of n tokens, its end token included."""

    ids: Tensor
    """(n,) int64."""
    weights: Tensor
    """(n,) float32."""


@cache
def perception_of(env_id: str) -> frozenset[str]:
    """Return the names of the fields that state what the pictures of an environment show.

    Text without an environment ("") may be in the form of any task's reply.
    """
    env_ids = (resolve_env_id(env_id),) if env_id else vlbench.ENV_IDS
    classes = map(env_class, env_ids)
    return frozenset[str]().union(*[perception_names(owner.fields) for owner in classes])


class Examples:
    """Transcripts, encoded when they are first used.

    Args:
        examples: The transcripts.
        policy: Whose processor encodes them.
        thought_weight: λ, the weight of the tokens between what is seen and the action.
    """

    def __init__(
        self, examples: Sequence[sft_data.Example], policy: Policy, thought_weight: float = 1.0
    ) -> None:
        self._examples = examples
        self._encoder = policy.encoder
        self._decode = policy.decode
        self._redrawer = ExampleRenderer(examples)
        self._thought_weight = thought_weight
        self._replies: dict[tuple[str, str], Learned] = {}

    def __len__(self) -> int:
        """Return the number of examples."""
        return len(self._examples)

    def weight(self, indices: Sequence[int]) -> float:
        """Return the weight of all tokens of their replies."""
        return sum(float(self._learned(i).weights.sum()) for i in indices)

    def by_length(self, indices: Sequence[int]) -> list[int]:
        """Return them by the length of their replies, so that forward passes are padded little."""
        return sorted(indices, key=lambda i: len(self._learned(i).ids))

    def batch(self, indices: Sequence[int]) -> tuple[list[EncodedPrompt], list[Tensor]]:
        """Return prompts and the replies to learn."""
        shown = [self._redrawer.observation(self._examples[i]) for i in indices]
        prompts = [self._encoder.encode(observation) for observation in shown]
        return prompts, [self._learned(i).ids for i in indices]

    def weights(self, indices: Sequence[int]) -> Tensor:
        """Return the weights of the tokens of replies, (B, R) float32; replies end at the right."""
        weights = [self._learned(i).weights for i in indices]
        return pad_sequence(weights, batch_first=True, padding_side="left")

    def _learned(self, index: int) -> Learned:
        example = self._examples[index]
        key = example.env_id, example.reply
        if key not in self._replies:
            ids = self._encoder.encode_reply(example.reply)
            self._replies[key] = Learned(ids, self._weigh(example, ids.tolist()))
        return self._replies[key]

    def _weigh(self, example: sft_data.Example, ids: list[int]) -> Tensor:
        if self._thought_weight == 1:
            return torch.ones(len(ids))
        text = self._decode(ids)
        # A template may put space around a reply.
        first = max(text.find(example.reply), 0)
        span = span_of_thoughts(example.reply, perception_of(example.env_id))
        span = slice(first + span.start, first + span.stop)
        return span_weights(ids, text, span, self._thought_weight, self._decode)
