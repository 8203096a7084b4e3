"""Measure what a forward and backward pass over a micro-batch keeps, on the meta device.

The passes are the update's: the language model over prompts and replies, the output head in parts,
the tower if it is trained, and layers that are computed again if the run says so. Tensors on the
meta device have sizes but no memory, so a 7B model takes seconds on a laptop.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as functional
from torch import Tensor, nn

from agents.train.memory.live_bytes import LiveBytes
from agents.vlm.capabilities import base_model
from agents.vlm.sampling import Sampling
from agents.vlm.scoring import TokenScorer


@dataclass(frozen=True, slots=True)
class Shape:
    """The size of a micro-batch."""

    rows: int
    prompt: int
    """Tokens of a prompt, those of its picture included."""
    reply: int

    @property
    def width(self) -> int:
        """Tokens of a row."""
        return self.prompt + self.reply


@dataclass(frozen=True, slots=True)
class PassBytes:
    """Memory of a micro-batch, without weights and their gradients."""

    kept: int
    """What autograd keeps at the end of the forward pass."""
    peak: int
    """The most at any time, `kept` included."""


def measure_pass(
    model: nn.Module,
    shape: Shape,
    sampling: Sampling,
    pixels: Mapping[str, Tensor] | None = None,
    autocast: torch.dtype | None = None,
) -> PassBytes:
    """Return the memory of a forward and backward pass.

    Args:
        model: On the meta device, with the weights to train marked; in training mode.
        shape: The micro-batch.
        sampling: Temperature and nucleus that tokens are scored under.
        pixels: The processor's tensors of one picture; None if the tower is frozen.
        autocast: Precision of products with weights; None for the weights' own.
    """
    for weight in model.parameters():
        if weight.requires_grad:  # gradients exist before, and are counted elsewhere
            weight.grad = torch.empty_like(weight)
    live = LiveBytes()
    with torch.device("meta"), _kernels_of_an_accelerator(autocast), live:
        hidden = _hidden_states(model, shape, pixels)
        count = shape.rows * shape.reply
        head: Any = base_model(model).get_output_embeddings()
        own = hidden[:, -shape.reply - 1 : -1].reshape(count, -1)
        forbidden = torch.zeros(head.weight.shape[0], dtype=torch.bool)
        tokens = torch.zeros(count, dtype=torch.int64)
        scores = TokenScorer(sampling, forbidden, False).score(head, own, tokens)
        kept = live.now
        scores.log_probs.sum().backward()
    return PassBytes(kept, live.peak)


def _hidden_states(model: Any, shape: Shape, pixels: Mapping[str, Tensor] | None) -> Tensor:
    inner = base_model(model)
    ids = torch.zeros(shape.rows, shape.width, dtype=torch.int64)
    embedded = inner.get_input_embeddings()(ids)
    if inputs := _picture_inputs(inner, shape.rows, pixels or {}):
        pictures: Any = inner.get_image_features(**inputs)  # alive to the end, as in an update
        features = _features(pictures.pooler_output).to(embedded.dtype)
        place = torch.zeros(shape.rows, shape.width, 1, dtype=torch.bool)
        embedded = embedded.masked_scatter(place.expand_as(embedded), features)
    mask = torch.ones(shape.rows, 1, shape.width, shape.width, dtype=torch.bool)
    output = inner.model.language_model(
        inputs_embeds=embedded,
        attention_mask=mask,
        use_cache=False,
    )
    hidden: Tensor = output.last_hidden_state
    return hidden


def _picture_inputs(inner: Any, rows: int, pixels: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the inputs of one picture a row."""
    return {
        # Sizes and grids decide shapes, so they keep their numbers.
        name: torch.cat([tensor.to("meta", inner.dtype)] * rows)
        if tensor.is_floating_point()
        else torch.cat([tensor.cpu()] * rows)
        for name, tensor in pixels.items()
    }


def _features(pooled: Any) -> Tensor:
    """Return the features of all pictures in one tensor."""
    parts = [pooled] if isinstance(pooled, Tensor) else list(pooled)
    return torch.cat([part.flatten(0, -2).to("meta") for part in parts])


class _Attention(torch.autograd.Function):
    """Keeps what fused kernels of attention keep; on the meta device torch takes the plain ones."""

    @staticmethod
    def forward(ctx: Any, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        output = query.new_empty(*query.shape[:-1], value.shape[-1])
        normaliser = query.new_empty(query.shape[:-1], dtype=torch.float32)
        ctx.save_for_backward(query, key, value, output, normaliser)
        return output

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Any:
        query, key, value, _, _ = ctx.saved_tensors
        return torch.empty_like(query), torch.empty_like(key), torch.empty_like(value)


@contextmanager
def _kernels_of_an_accelerator(autocast: torch.dtype | None) -> Iterator[None]:
    """Within it, attention on the meta device is fused, and products are cast as by autocast."""
    names = ("scaled_dot_product_attention", "linear", "conv2d", "conv3d")
    plain = {name: getattr(functional, name) for name in names}

    def cast(tensor: Any) -> Any:
        is_float = isinstance(tensor, Tensor) and tensor.is_floating_point()
        return tensor.to(autocast) if autocast and is_float else tensor

    def attend(query: Tensor, key: Tensor, value: Tensor, *args: Any, **kwargs: Any) -> Any:
        if query.device.type != "meta":
            return plain["scaled_dot_product_attention"](query, key, value, *args, **kwargs)
        return _Attention.apply(  # type: ignore[no-untyped-call]
            cast(query), cast(key), cast(value)
        )

    def product(name: str) -> Any:
        return lambda *args, **kwargs: plain[name](*map(cast, args), **kwargs)

    # Backward passes may run in other threads, where a mode of torch doesn't hold.
    changes = {"scaled_dot_product_attention": attend, **{n: product(n) for n in names[1:]}}
    try:
        for name, function in changes.items():
            setattr(functional, name, function)
        yield
    finally:
        for name, function in plain.items():
            setattr(functional, name, function)
