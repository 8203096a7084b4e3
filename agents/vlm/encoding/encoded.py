"""A model's inputs: of a picture, of a prompt, and of a batch."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor


@dataclass(slots=True, eq=False)
class EncodedPicture:
    """The model inputs of one picture."""

    tensors: dict[str, Tensor]
    """The processor's tensors of this picture alone, e.g. `pixel_values`; a batch concatenates them
    along the first dimension. Empty if batches are processed as a whole."""
    image: Any = None
    """The picture itself, (H, W, 3) uint8, if batches are processed as a whole."""
    features: Any = None
    """Features from a frozen vision tower; set by the policy."""


@dataclass(frozen=True, slots=True, eq=False)
class EncodedPrompt:
    """The model inputs of one prompt."""

    text: str
    """The rendered chat template."""
    sequences: dict[str, Tensor]
    """`input_ids` (L,) int64, and the processor's other per-token inputs, (L, …)."""
    pictures: tuple[EncodedPicture, ...]

    def __len__(self) -> int:
        """Return the number of tokens."""
        return len(self.sequences["input_ids"])


def picture_size(tensors: Mapping[str, Tensor], processor: Any) -> str:
    """Return the height×width of the picture in a processor's tensors; "" if it is unknown."""
    grid = tensors.get("image_grid_thw")
    patch = getattr(getattr(processor, "image_processor", None), "patch_size", None)
    if grid is not None and isinstance(patch, int):  # the picture is cut into patches
        return "x".join(str(int(count) * patch) for count in grid[0, 1:])
    frames = tensors.get("pixel_values")
    if frames is None or frames.ndim < 4:
        return ""
    return "x".join(map(str, frames.shape[-2:]))


def split_by_row(inputs: Mapping[str, Tensor]) -> tuple[list[dict[str, Tensor]], dict[str, Tensor]]:
    """Split a processor's output into per-token inputs, by unpadded row, and the rest."""
    mask = inputs["attention_mask"].bool()
    rows: list[dict[str, Tensor]] = [{} for _ in mask]
    rest: dict[str, Tensor] = {}
    for name, tensor in inputs.items():
        if tensor.shape[:2] != mask.shape:
            rest[name] = tensor
        elif name not in ("attention_mask", "labels"):
            for row, values, used in zip(rows, tensor, mask, strict=True):
                row[name] = values[used]
    return rows, rest


def pixels(pictures: Sequence[EncodedPicture]) -> dict[str, Tensor]:
    """Return the processor's tensors of pictures, concatenated."""
    return {
        name: torch.cat([picture.tensors[name] for picture in pictures])
        for name in (pictures[0].tensors if pictures else ())
    }


def pictures_of(prompts: Sequence[EncodedPrompt]) -> list[EncodedPicture]:
    """Return the pictures of a batch, in order."""
    return [picture for prompt in prompts for picture in prompt.pictures]
