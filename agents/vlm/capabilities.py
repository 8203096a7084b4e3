"""What can be done with a model faster than by its own `generate` and `forward`.

Every model can be run by those two, fed what its own processor makes. Where a probe shows that more
is possible, the features of a frozen vision tower are computed once a picture, and replies are
written by a loop that drops finished rows. Nothing is looked up by a model family's name.
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
    """What can be done with a model."""

    logits_to_keep: bool
    """It can compute the logits of the last positions alone."""
    computes_positions: bool
    """It finds the positions of a row's tokens itself, from the pictures' grids; otherwise a
    token's position is the number of tokens before it."""
    accepts_image_features: bool
    """It takes the features of pictures instead of the pictures (`mm_encoder_outputs`)."""
    stepwise_decoding: bool
    """A reply's tokens can be written one by one from positions, a mask and a cache whose rows can
    be dropped, and from nothing else."""


def base_model(model: Any) -> Any:
    """Return the model under an adapter; its layers are the adapted ones."""
    return model.get_base_model() if hasattr(model, "get_base_model") else model


def probe_capabilities(model: Any, encoder: Encoder) -> Capabilities:
    """Find out what can be done with a model.

    Args:
        model: A model of AutoModelForImageTextToText, or a PeftModel around one.
        encoder: The encoder of its processor.
    """
    inner = base_model(model)
    parameters = inspect.signature(type(inner).forward).parameters
    text = inner.config.get_text_config()
    has_grid_positions = hasattr(inner.base_model, "get_rope_index")
    layer_types = set(getattr(text, "layer_types", None) or ["full_attention"])
    return Capabilities(
        logits_to_keep="logits_to_keep" in parameters,
        computes_positions=has_grid_positions or "position_ids" not in parameters,
        accepts_image_features=encoder.composes and "mm_encoder_outputs" in parameters,
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
    """The features of one picture, as a model's vision tower and projector compute them."""

    pooled: Tensor
    deep: tuple[Tensor, ...]
    """What is added in deeper layers, in model families that do so."""
    stacked: bool
    """Whether the model takes the features of several pictures as one tensor, not as a list."""


def split_features(output: Any, count: int) -> list[Features] | None:
    """Return the features of each picture.

    Args:
        output: What `get_image_features` returned.
        count: Number of pictures.

    Returns:
        None if the output isn't one picture's after the other's.
    """
    pooled, layers = output.pooler_output, getattr(output, "deepstack_features", None) or ()
    if any(len(part) != count for part in (pooled, *layers)):
        return None
    stacked = isinstance(pooled, Tensor)
    return [Features(pooled[i], tuple(layer[i] for layer in layers), stacked) for i in range(count)]


def join_features(features: Sequence[Features]) -> Any:
    """Return what `get_image_features` would have returned for these pictures in a row."""
    pooled: Any = [one.pooled for one in features]
    output = BaseModelOutputWithPooling(
        pooler_output=torch.stack(pooled) if features[0].stacked else pooled
    )
    deep = zip(*(one.deep for one in features), strict=True)
    output.deepstack_features = [list(layer) for layer in deep]
    return output


def picture_sizes(pictures: Sequence[EncodedPicture]) -> dict[str, Tensor]:
    """Return the tensors that a model needs beside the features of pictures: their sizes."""
    return {
        name: torch.cat([picture.tensors[name] for picture in pictures])
        for name, tensor in pictures[0].tensors.items()
        if not tensor.is_floating_point()
    }
