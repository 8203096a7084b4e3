"""LoRA layers without peft's bookkeeping, for decoding.

A step of decoding is short, so the Python code around each layer counts: peft's makes a step of a
small model about twice as long. The weights aren't touched, unlike by a merge, which rounds them.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from peft.tuners.lora import Linear as LoraLinear
from torch import Tensor, nn
from torch.nn.functional import linear


@contextmanager
def plain_lora(model: nn.Module) -> Iterator[None]:
    """Within it, plain LoRA layers compute W x + s B A x directly; others are as they were.

    Use it in evaluation mode, without gradient, and don't change the adapter inside.
    """
    layers = [module for module in model.modules() if _is_plain(module)]
    try:
        for layer in layers:
            layer.forward = _product(layer)
        yield
    finally:
        for layer in layers:
            layer.__dict__.pop("forward", None)


def _is_plain(module: Any) -> bool:
    """Return whether a module is a linear layer plus one low-rank product, and nothing more."""
    if type(module) is not LoraLinear or type(module.base_layer) is not nn.Linear:
        return False
    names = module.active_adapters
    return (
        len(names) == 1
        and names[0] in module.lora_A
        and not module.disable_adapters
        and not module.merged
        and not getattr(module, "lora_variant", {})
        and "forward" not in module.__dict__
        and module.lora_B[names[0]].bias is None
    )


@torch.no_grad()
def _product(layer: Any) -> Callable[..., Tensor]:
    (name,) = layer.active_adapters
    weight, bias = layer.base_layer.weight, layer.base_layer.bias
    down, up = layer.lora_A[name].weight, layer.lora_B[name].weight * layer.scaling[name]
    if weight.dtype == down.dtype:

        def same(x: Tensor, *args: Any, **kwargs: Any) -> Tensor:
            return linear(x, weight, bias).add_(linear(linear(x, down), up))

        return same

    def mixed(x: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        product = linear(x, weight, bias)
        return (product + linear(linear(x.to(down.dtype), down), up)).to(product.dtype)

    return mixed
