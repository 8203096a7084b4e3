"""What a model family allows beyond its plain route, which every family has.

The plain route is the model's own `generate` and `forward`, fed what its own processor made. A
family that allows more is run faster: pictures are seen once where their way is frozen, and replies
are written by a loop that drops finished rows. Nothing here is looked up by a family's name.
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
    """What may be done with a model."""

    keeps_some: bool
    """It computes the logits of the last positions alone (`logits_to_keep`)."""
    places_tokens: bool
    """It finds the positions of a row's tokens itself, from the pictures' grids; else a token's
    position is the number of tokens before it."""
    takes_features: bool
    """It can be handed the features of pictures instead of the pictures (`mm_encoder_outputs`)."""
    steps: bool
    """A reply's tokens can be written one by one from positions, a mask and a cache whose rows can
    be dropped, and from nothing else."""


def plain(model: Any) -> Any:
    """Return the model under an adapter; its layers are the adapted ones."""
    return model.get_base_model() if hasattr(model, "get_base_model") else model


def family_of(model: Any, encoder: Encoder) -> Capabilities:
    """Return what may be done with a model.

    Args:
        model: A model of AutoModelForImageTextToText, or a PeftModel around one.
        encoder: Of its processor.
    """
    inner = plain(model)
    accepted = inspect.signature(type(inner).forward).parameters
    text = inner.config.get_text_config()
    places = hasattr(inner.base_model, "get_rope_index")
    return Capabilities(
        keeps_some="logits_to_keep" in accepted,
        places_tokens=places or "position_ids" not in accepted,
        takes_features=encoder.composes and "mm_encoder_outputs" in accepted,
        steps=(
            not places
            and not inner.config.is_encoder_decoder
            and {"position_ids", "past_key_values", "logits_to_keep"} <= accepted.keys()
            and set(getattr(text, "layer_types", None) or ["full_attention"]) == {"full_attention"}
            and encoder.per_token == {"input_ids"}
        ),
    )


@dataclass(frozen=True, slots=True, eq=False)
class Features:
    """What the picture's way into a model made of one picture."""

    pooled: Tensor
    deep: tuple[Tensor, ...]
    """What is added in deeper layers, in families that do so."""
    stacked: bool
    """Whether the family wants the features of several pictures as one tensor, not as a list."""


def split_features(made: Any, count: int) -> list[Features] | None:
    """Return the features of each picture.

    Args:
        made: What `get_image_features` returned.
        count: Number of pictures.

    Returns:
        None where it isn't one picture's after the other's.
    """
    pooled, layers = made.pooler_output, getattr(made, "deepstack_features", None) or ()
    if any(len(part) != count for part in (pooled, *layers)):
        return None
    stacked = isinstance(pooled, Tensor)
    return [Features(pooled[i], tuple(layer[i] for layer in layers), stacked) for i in range(count)]


def join_features(features: Sequence[Features]) -> Any:
    """Return what `get_image_features` would have returned for these pictures in a row."""
    pooled: Any = [one.pooled for one in features]
    joined = BaseModelOutputWithPooling(
        pooler_output=torch.stack(pooled) if features[0].stacked else pooled
    )
    deep = zip(*(one.deep for one in features), strict=True)
    joined.deepstack_features = [list(layer) for layer in deep]
    return joined


def beside_features(pictures: Sequence[EncodedPicture]) -> dict[str, Tensor]:
    """Return what a model wants to know of pictures whose features it is handed: their sizes."""
    return {
        name: torch.cat([picture.tensors[name] for picture in pictures])
        for name, tensor in pictures[0].tensors.items()
        if not tensor.is_floating_point()
    }
