"""Transcripts as `sft` learns them: prompts, replies and the weights of their tokens."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from agents.train import sft_data
from agents.train.redrawing import ExampleRenderer
from agents.train.thoughts import span_of_thoughts
from agents.train.token_weights import span_weights
from agents.vlm.encoding import EncodedPrompt
from agents.vlm.policy import Policy


@dataclass(frozen=True, slots=True)
class Learned:
    """A reply of n tokens, its end token included."""

    ids: Tensor
    """(n,) int64."""
    weights: Tensor
    """(n,) float32."""


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
        self._replies: dict[str, Learned] = {}

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
        reply = self._examples[index].reply
        if reply not in self._replies:
            ids = self._encoder.encode_reply(reply)
            self._replies[reply] = Learned(ids, self._weigh(reply, ids.tolist()))
        return self._replies[reply]

    def _weigh(self, reply: str, ids: list[int]) -> Tensor:
        if self._thought_weight == 1:
            return torch.ones(len(ids))
        text = self._decode(ids)
        # A template may put space around a reply.
        first, span = max(text.find(reply), 0), span_of_thoughts(reply)
        span = slice(first + span.start, first + span.stop)
        return span_weights(ids, text, span, self._thought_weight, self._decode)
