"""Optional fast paths of a model, detected by probing.

The fallback for every model is its own `generate` and `forward` on its own processor's output.
Where the probes succeed, the features of a frozen vision tower are computed once per picture, and a
decoding loop drops finished rows. Nothing depends on the name of a model family.
"""

import inspect
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from transformers.modeling_outputs import BaseModelOutputWithPooling

from agents.vlm.encoding import EncodedPicture, Encoder


@dataclass(frozen=True, slots=True)
class Capabilities:
    """The fast paths that a model supports."""

    logits_to_keep: bool
    """`forward` can compute the logits of the last positions only."""
    computes_positions: bool
    """The model derives position ids itself, from the pictures' grids; otherwise a token's position
    is the number of tokens before it."""
    accepts_image_features: bool
    """`forward` accepts features of pictures instead of pictures (`mm_encoder_outputs`)."""
    stepwise_decoding: bool
    """Decoding needs only position ids, an attention mask and a cache, and rows of the cache can be
    dropped."""


def base_model(model: Any) -> Any:
    """Return the model inside an adapter; its layers include the adapter's."""
    return model.get_base_model() if hasattr(model, "get_base_model") else model


def probe_capabilities(model: Any, encoder: Encoder) -> Capabilities:
    """Detect the fast paths of a model.

    Args:
        model: A model of AutoModelForImageTextToText, or a PeftModel around one.
        encoder: An encoder with its processor.
    """
    inner = base_model(model)
    parameters = inspect.signature(type(inner).forward).parameters
    text = inner.config.get_text_config()
    has_grid_positions = hasattr(inner.base_model, "get_rope_index")
    layer_types = set(getattr(text, "layer_types", None) or ["full_attention"])
    return Capabilities(
        logits_to_keep="logits_to_keep" in parameters,
        computes_positions=has_grid_positions or "position_ids" not in parameters,
        accepts_image_features=(
            encoder.composes
            and "mm_encoder_outputs" in parameters
            and hasattr(inner, "get_image_features")
        ),
        stepwise_decoding=(
            not has_grid_positions
            and not inner.config.is_encoder_decoder
            and {"position_ids", "past_key_values", "logits_to_keep"} <= parameters.keys()
            and layer_types == {"full_attention"}
            and encoder.per_token == {"input_ids"}
        ),
    )


@dataclass(frozen=True, slots=True, eq=False)
class Features:
    """The features of one picture, computed by the vision tower and projector."""

    pooled: Tensor
    deep: tuple[Tensor, ...]
    """Features that deeper layers add; empty in most model families."""
    stacked: bool
    """Whether the model takes several pictures' features as one tensor, not as a list."""


KNOWN_FEATURES = frozenset(
    {"pooler_output", "deepstack_features", "last_hidden_state", "hidden_states", "attentions"}
)
"""Parts of the output of `get_image_features`: those that a model reads, and its tower's own."""


def split_features(output: Any, count: int) -> list[Features] | None:
    """Split the output of `get_image_features` by picture.

    Args:
        output: The output.
        count: Number of pictures.

    Returns:
        The features of each picture; None if the output isn't divided by picture, or has parts
        besides those that `join_features` gives back.
    """
    pooled, layers = output.pooler_output, getattr(output, "deepstack_features", None) or ()
    if output.keys() - KNOWN_FEATURES:
        return None
    if pooled is None or any(len(part) != count for part in (pooled, *layers)):
        return None
    stacked = isinstance(pooled, Tensor)
    return [Features(pooled[i], tuple(layer[i] for layer in layers), stacked) for i in range(count)]


def join_features(features: Sequence[Features]) -> Any:
    """Return features in the form that `get_image_features` gives them."""
    pooled: Any = [one.pooled for one in features]
    output = BaseModelOutputWithPooling(
        pooler_output=torch.stack(pooled) if features[0].stacked else pooled
    )
    deep = zip(*(one.deep for one in features), strict=True)
    output.deepstack_features = [list(layer) for layer in deep]
    return output


def picture_sizes(pictures: Sequence[EncodedPicture]) -> dict[str, Tensor]:
    """Return the tensors that a model needs besides the features: the pictures' sizes."""
    return {
        name: torch.cat([picture.tensors[name] for picture in pictures])
        for name, tensor in pictures[0].tensors.items()
        if not tensor.is_floating_point()
    }
