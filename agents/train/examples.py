"""Transcripts as `sft` learns them: prompts, replies and the weights of their tokens."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from agents.train import sft_data
from agents.train.encoding import EncodedPrompt
from agents.train.policy import Policy
from agents.train.redrawing import Redrawer
from agents.train.thoughts import span_of_thoughts


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
        self._redrawer = Redrawer(examples)
        self._thought_weight = thought_weight
        self._replies: dict[str, Tensor] = {}
        self._weights: dict[str, Tensor] = {}

    def __len__(self) -> int:
        """Return the number of examples."""
        return len(self._examples)

    def weight(self, indices: Sequence[int]) -> float:
        """Return the weight of all tokens of their replies."""
        return sum(float(self._weigh(self._examples[i].reply).sum()) for i in indices)

    def by_length(self, indices: Sequence[int]) -> list[int]:
        """Return them by the length of their replies, so that forward passes are padded little."""
        return sorted(indices, key=lambda i: len(self._reply(self._examples[i].reply)))

    def batch(self, indices: Sequence[int]) -> tuple[list[EncodedPrompt], list[Tensor]]:
        """Return prompts and the replies to learn."""
        some = [self._examples[i] for i in indices]
        prompts = [self._encoder.encode(self._redrawer.observation(e)) for e in some]
        return prompts, [self._reply(example.reply) for example in some]

    def weights(self, indices: Sequence[int]) -> Tensor:
        """Return the weights of the tokens of replies, (B, R) float32; replies end at the right."""
        weights = [self._weigh(self._examples[i].reply) for i in indices]
        return pad_sequence(weights, batch_first=True, padding_side="left")

    def _weigh(self, reply: str) -> Tensor:
        if reply not in self._weights:
            span = span_of_thoughts(reply)
            start, end = (
                len(self._encoder.encode_reply(reply[:place])) - 1
                for place in (span.start, span.stop)
            )
            weights = torch.ones(len(self._reply(reply)))
            weights[start:end] = self._thought_weight
            self._weights[reply] = weights
        return self._weights[reply]

    def _reply(self, reply: str) -> Tensor:
        if reply not in self._replies:
            self._replies[reply] = self._encoder.encode_reply(reply)
        return self._replies[reply]
