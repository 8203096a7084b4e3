"""Token weights in log π, from the spans of thoughts and action in a reply's text.

log π(turn) = Σ_t w_t log p(token t), with w_t = λ before the action and 1 from it to the end
(RL4VLM, section 4.2: log π = λ log p(thoughts) + log p(action)).
"""

import json
import re
from collections.abc import Callable, Collection, Sequence

import torch
from torch import Tensor

Decode = Callable[[Sequence[int]], str]
"""Token ids → text, as in the reply's text; a longer prefix never gives a shorter text."""

_DECODER = json.JSONDecoder()
_FIELD = re.compile(r'[\s,{]*("(?:[^"\\]|\\.)*")\s*:\s*')
"""Everything before a field's value."""


def span_of_thoughts(reply: str, perception: Collection[str]) -> slice:
    """Return the characters between a reply's statements about the picture and its action.

    In a reply without fields, that is the whole reply.

    Args:
        reply: The whole reply.
        perception: Names of the fields with statements about the picture.
    """
    start, place = 0, max(reply.find("{"), 0)
    while match := _FIELD.match(reply, place):
        if match[1] == '"action"':
            return slice(start, match.start(1))
        try:
            _, place = _DECODER.raw_decode(reply, match.end())
        except ValueError:
            break
        if json.loads(match[1]) in perception:
            start = place
    return slice(start, len(reply))


def first_token_of(ids: Sequence[int], text: str, start: int, decode: Decode) -> int:
    """Return the index of the first token that contains or follows a character.

    If a token spans the character, that token is returned. Tokens are decoded, never encoded again:
    the sampled tokens may differ from the tokenizer's encoding of the text.

    Args:
        ids: The reply's n tokens.
        text: `decode(ids)`.
        start: Index of the character.
        decode: Token ids → text.
    """
    low, high = 0, len(ids) - 1  # the result is in low..high
    first, last = 0, len(text)  # characters before `low`, and up to `high`
    guesses = True
    while low < high:
        # Tokens have similar lengths, so a guess by proportion is often next to the result; every
        # other step halves, in case they haven't.
        share = (start - first) / max(1, last - first) if guesses else 0.5
        middle = min(max(low, low + int(share * (high - low))), high - 1)
        guesses = not guesses
        length = _common_length(decode(ids[: middle + 1]), text)
        if length > start:
            high, last = middle, length
        else:
            low, first = middle + 1, length
    return low


def _common_length(prefix: str, text: str) -> int:
    """Return the length of the common start of a decoded prefix and the text.

    They differ if the prefix ends inside a character's bytes, which decode to U+FFFD.
    """
    if text.startswith(prefix):
        return len(prefix)
    return next(i for i, (a, b) in enumerate(zip(prefix, text, strict=False)) if a != b)


def token_weights(
    ids: Sequence[int],
    text: str,
    span: tuple[int, int] | None,
    thought_weight: float,
    decode: Decode,
) -> Tensor:
    """Return the weight of each token in log π.

    Args:
        ids: The reply's n tokens, end token included.
        text: The reply's text.
        span: Start and end of the action field, in characters. None, for a reply that can't be
            read, gives every token weight 1, so that its penalty doesn't depend on λ.
        thought_weight: λ.
        decode: Token ids → text.

    Returns:
        (n,) float32.
    """
    if span is None:
        return torch.ones(len(ids))
    return span_weights(ids, text, slice(0, span[0]), thought_weight, decode)


def span_weights(
    ids: Sequence[int], text: str, span: slice, weight: float, decode: Decode
) -> Tensor:
    """Return token weights: `weight` inside a span, 1 outside it and across its ends.

    Args:
        ids: The reply's n tokens, end token included.
        text: `decode(ids)`.
        span: Characters; a token that is partly inside weighs 1.
        weight: Weight of the tokens inside the span.
        decode: Token ids → text.

    Returns:
        (n,) float32.
    """
    start = first_token_of(ids, text, span.start - 1, decode) + 1 if span.start else 0
    weights = torch.ones(len(ids))
    weights[start : first_token_of(ids, text, span.stop, decode)] = weight
    return weights
