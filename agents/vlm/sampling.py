"""Sample tokens from a model's logits."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from transformers import LogitsProcessor


@dataclass(frozen=True, slots=True)
class Sampling:
    """How replies are sampled."""

    temperature: float = 1.0
    """0 is greedy."""
    top_p: float = 1.0
    """Probability mass of the nucleus."""
    max_new_tokens: int = 256
    top_k: int = 0
    """Number of likeliest tokens that the nucleus is taken from; 0 for all."""


@dataclass(frozen=True, slots=True, eq=False)
class Generation:
    """A sampled reply."""

    ids: Tensor
    """(n,) int64, including the end token if it was written."""
    log_probs: Tensor
    """(n,) float32, under the distribution that each token was sampled from."""
    value: float
    """Value of the observation; 0 without a value head."""
    text: str
    finished: bool
    """Whether the model wrote an end token."""


def log_distribution(logits: Tensor, temperature: float, forbidden: Tensor) -> Tensor:
    """Return log-probabilities (…, V) float32 at a temperature.

    Args:
        logits: (…, V).
        temperature: Divides the logits; above 0.
        forbidden: (V,) bool, tokens with probability 0.
    """
    return (logits.float() / temperature).masked_fill(forbidden, -torch.inf).log_softmax(-1)


def nucleus(
    log_probs: Tensor, top_p: float, tokens: Tensor | None = None, top_k: int = 0
) -> Tensor:
    """Restrict log-probabilities to the nucleus (Holtzman et al. 2020), and normalise them.

    Args:
        log_probs: (…, V).
        top_p: Keep the fewest tokens with this total probability; the others get probability 0.
        tokens: (…) int64, sampled tokens. They are always kept, so that their probability is never
            0 under a policy that has changed since.
        top_k: Keep this many likeliest tokens first, and normalise; 0 for all.
    """
    if 0 < top_k < log_probs.shape[-1]:
        likeliest = log_probs.topk(top_k, dim=-1).indices
        cut = torch.ones_like(log_probs, dtype=torch.bool).scatter(-1, likeliest, False)
        if tokens is not None:
            cut = cut.scatter(-1, tokens.unsqueeze(-1), False)
        log_probs = log_probs.masked_fill(cut, -torch.inf).log_softmax(-1)
    if top_p >= 1:
        return log_probs
    ordered, order = log_probs.exp().sort(dim=-1, descending=True)
    outside = ordered.cumsum(-1) - ordered >= top_p
    outside[..., 0] = False  # the likeliest token stays, even if top_p is 0 in 32 bits
    cut = torch.zeros_like(outside).scatter(-1, order, outside)
    if tokens is not None:
        cut = cut.scatter(-1, tokens.unsqueeze(-1), False)
    return log_probs.masked_fill(cut, -torch.inf).log_softmax(-1)


class TokenSampler:
    """Samples the replies of a batch token by token.

    Args:
        sampling: Temperature, nucleus and maximum length.
        size: Batch size B.
        end_ids: (k,) int64, tokens that end a reply.
        forbidden: (V,) bool, tokens that are never sampled.
        generator: Source of the draws, owned by the caller. None and temperature 0 are greedy;
            log-probabilities are then those of temperature 1.
    """

    def __init__(
        self,
        sampling: Sampling,
        size: int,
        end_ids: Tensor,
        forbidden: Tensor,
        generator: torch.Generator | None,
    ) -> None:
        self._greedy = generator is None or sampling.temperature == 0
        self._temperature = 1.0 if self._greedy else sampling.temperature
        self._top_p = 1.0 if self._greedy else sampling.top_p
        self._top_k = 0 if self._greedy else sampling.top_k
        self._end_ids, self._forbidden, self._generator = end_ids, forbidden, generator
        shape, device = (size, sampling.max_new_tokens), end_ids.device
        self._ids = torch.zeros(shape, dtype=torch.int64, device=device)
        self._log_probs = torch.zeros(shape, device=device)
        self._lengths = torch.zeros(size, dtype=torch.int64, device=device)
        self._finished = torch.zeros(size, dtype=torch.bool, device=device)
        self._step = 0
        self.rows = torch.arange(size, device=device)
        """(rows,) int64, indices of the replies that the next logits belong to."""

    @property
    def full(self) -> bool:
        """Whether the maximum length is reached."""
        return bool(self._step == self._ids.shape[1])

    @property
    def unfinished(self) -> Tensor:
        """Indices into `rows` of the unfinished replies."""
        return (~self._finished[self.rows]).nonzero()[:, 0]

    def token(self, logits: Tensor) -> Tensor:
        """Sample a token for each of `rows`.

        Args:
            logits: (rows, V); tokens sampled for finished replies are discarded.

        Returns:
            (rows,) int64.

        Raises:
            FloatingPointError: A logit isn't finite.
        """
        distribution = log_distribution(logits, self._temperature, self._forbidden)
        if bool(distribution[:, 0].isnan().any()):  # one bad logit makes its whole row NaN
            raise FloatingPointError("a logit of the model isn't finite")
        distribution = nucleus(distribution, self._top_p, top_k=self._top_k)
        if self._greedy:
            token = distribution.argmax(-1)
        else:
            token = torch.multinomial(distribution.exp(), 1, generator=self._generator)[:, 0]
        rows = self.rows
        self._ids[rows, self._step] = token
        self._log_probs[rows, self._step] = distribution.gather(-1, token[:, None])[:, 0]
        self._lengths[rows] += ~self._finished[rows]
        self._finished[rows] |= torch.isin(token, self._end_ids)
        self._step += 1
        return token

    def replies(self, values: Tensor, decode: Callable[[Sequence[int]], str]) -> list[Generation]:
        """Return the replies.

        Args:
            values: (B,), values of the observations.
            decode: Token ids → text.
        """
        ids, log_probs = self._ids.cpu(), self._log_probs.cpu()
        ends = zip(self._lengths.tolist(), self._finished.tolist(), values.tolist(), strict=True)
        return [
            Generation(ids[i, :n], log_probs[i, :n], value, decode(ids[i, :n].tolist()), finished)
            for i, (n, finished, value) in enumerate(ends)
        ]


class SamplerLogitsProcessor(LogitsProcessor):
    """Makes a model's own `generate` write the sampler's tokens, by forbidding all others."""

    def __init__(self, sampler: TokenSampler) -> None:
        self._sampler = sampler

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        """Return scores (B, V): 0 for the sampled tokens, −∞ for all others."""
        if self._sampler.full:  # `generate` discards these steps
            return scores
        token = self._sampler.token(scores)
        return torch.full_like(scores, -torch.inf).scatter(1, token[:, None], 0.0)
