"""From the spans of thoughts and action in a reply's text to a weight for each of its tokens.

log π(turn) = Σ_t w_t log p(token t), with w_t = λ before the action and 1 from it to the end
(RL4VLM, section 4.2: log π = λ log p(thoughts) + log p(action)).
"""

import json
import re
from collections.abc import Callable, Collection, Sequence

import torch
from torch import Tensor

Decode = Callable[[Sequence[int]], str]
"""Token ids → text, as the reply's text was made; longer prefixes of ids give no shorter texts."""

_DECODER = json.JSONDecoder()
_FIELD = re.compile(r'[\s,{]*("(?:[^"\\]|\\.)*")\s*:\s*')
"""What stands before a field's value."""


def span_of_thoughts(reply: str, perception: Collection[str]) -> slice:
    """Return the characters between what a reply says of the picture and its action.

    Of a reply without fields that is all of it.

    Args:
        reply: The whole reply.
        perception: Names of the fields that state what the picture shows.
    """
    start, place = 0, max(reply.find("{"), 0)
    while field := _FIELD.match(reply, place):
        if field[1] == '"action"':
            return slice(start, field.start(1))
        try:
            _, place = _DECODER.raw_decode(reply, field.end())
        except ValueError:
            break
        if json.loads(field[1]) in perception:
            start = place
    return slice(start, len(reply))


def first_token_of(ids: Sequence[int], text: str, start: int, decode: Decode) -> int:
    """Return the index of the first token that reaches beyond a character.

    A token that straddles the character is it. The tokens are decoded, never encoded again: what
    was sampled needn't be what the tokenizer would make of the text.

    Args:
        ids: The reply's n tokens.
        text: `decode(ids)`.
        start: Index of the character.
        decode: Token ids → text.
    """
    low, high = 0, len(ids) - 1  # the answer is in low..high
    while low < high:
        middle = (low + high) // 2
        if _agreeing(decode(ids[: middle + 1]), text) > start:
            high = middle
        else:
            low = middle + 1
    return low


def _agreeing(prefix: str, text: str) -> int:
    """Return how many characters a decoded prefix has in common with the text.

    They differ where a character's bytes are cut, which decodes to U+FFFD.
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
        span: Characters of the deciding action field; None gives every token the weight 1, so that
            a reply that can't be read is punished in full whatever λ is.
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
    """Return the weight of each token: `weight` in a span, 1 outside it and at its two ends.

    Args:
        ids: The reply's n tokens, end token included.
        text: `decode(ids)`.
        span: Characters; a token that reaches into it or out of it weighs 1.
        weight: Of the others in it.
        decode: Token ids → text.

    Returns:
        (n,) float32.
    """
    start = first_token_of(ids, text, span.start - 1, decode) + 1 if span.start else 0
    weights = torch.ones(len(ids))
    weights[start : first_token_of(ids, text, span.stop, decode)] = weight
    return weights
