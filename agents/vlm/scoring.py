"""Log-probabilities and entropies of tokens, without a whole micro-batch's logits in memory.

The output head runs on the replies' tokens alone, some at a time. With gradient, the logits of each
part are computed again in the backward pass, if there is more than one part.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields
from typing import Any

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from agents.vlm.sampling import Sampling, log_distribution, nucleus

PART_BYTES = 2**27
"""Size of a part's logits in float32; a part has at least one token."""
LEAST_LOG = -1e4
"""Replaces log 0 in products with 0."""


@dataclass(frozen=True, slots=True, eq=False)
class Scores:
    """Scores of B replies, right-aligned. R is the length of the longest."""

    log_probs: Tensor
    """(B, R) float32, 0 outside the replies."""
    whole_log_probs: Tensor
    """(B, R) float32, before the nucleus is cut, so that a divergence from another policy is
    finite; 0 outside."""
    entropy: Tensor
    """(B, R) float32, entropy of each token's distribution; 0 outside."""
    is_likeliest: Tensor
    """(B, R) bool, whether no other token is likelier; False outside."""
    mask: Tensor
    """(B, R) bool, True inside the replies."""
    values: Tensor
    """(B,) float32."""


@dataclass(frozen=True, slots=True, eq=False)
class TokenScores:
    """Scores of n tokens; see `Scores`."""

    log_probs: Tensor
    whole_log_probs: Tensor
    entropy: Tensor
    is_likeliest: Tensor


@dataclass(frozen=True, slots=True, eq=False)
class TokenScorer:
    """Scores tokens under the distribution that replies are sampled from."""

    sampling: Sampling
    forbidden: Tensor
    """(V,) bool, tokens that are never sampled."""
    entropy_gradient: bool
    """Whether the entropy is differentiated."""

    def score(
        self, logits_of: Callable[[Tensor], Tensor], hidden: Tensor, tokens: Tensor
    ) -> TokenScores:
        """Return the scores of tokens.

        Args:
            logits_of: The output head: (n, width) → (n, V).
            hidden: (n, width), last hidden states before the tokens.
            tokens: (n,) int64.
        """
        size = max(1, PART_BYTES // (4 * len(self.forbidden)))
        if len(tokens) <= size:
            return self.score_logits(logits_of(hidden), tokens)

        def score_part(own: Tensor, targets: Tensor) -> tuple[Tensor, ...]:
            scores = self.score_logits(logits_of(own), targets)
            return tuple(getattr(scores, field.name) for field in fields(scores))

        parts = zip(hidden.split(size), tokens.split(size), strict=True)
        scores = [checkpoint(score_part, *part, use_reentrant=False) for part in parts]
        return TokenScores(*map(torch.cat, zip(*scores, strict=True)))

    def score_logits(self, logits: Tensor, tokens: Tensor) -> TokenScores:
        """Return the scores of tokens (n,) from their logits (n, V)."""
        temperature = self.sampling.temperature or 1.0
        whole = log_distribution(logits, temperature, self.forbidden)
        sampled = nucleus(whole, self.sampling.top_p, tokens, self.sampling.top_k)
        whole_log_probs = whole.gather(-1, tokens[:, None])[:, 0]
        is_cut = sampled is not whole
        log_probs = sampled.gather(-1, tokens[:, None])[:, 0] if is_cut else whole_log_probs
        with torch.set_grad_enabled(self.entropy_gradient and torch.is_grad_enabled()):
            own = sampled if self.entropy_gradient else sampled.detach()
            entropy = -(own.exp() * own.clamp_min(LEAST_LOG)).sum(-1)
        is_likeliest = whole.detach().argmax(-1) == tokens
        return TokenScores(log_probs, whole_log_probs, entropy, is_likeliest)


@contextmanager
def skipped_head(head: Any) -> Iterator[None]:
    """Within it, a model's output head computes nothing; its input can be caught by a hook."""
    own = head.__dict__.get("forward")
    head.forward = lambda hidden, *args, **kwargs: hidden[..., :1]
    try:
        yield
    finally:
        if own is None:
            del head.forward
        else:
            head.forward = own
