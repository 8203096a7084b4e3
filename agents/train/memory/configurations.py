"""Configurations of published models, for estimates without their files."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from transformers import CLIPVisionConfig, LlavaNextConfig, MistralConfig, Qwen2_5_VLConfig


def llava_1_6_mistral_7b() -> LlavaNextConfig:
    """LLaVA-1.6 on Mistral-7B: CLIP ViT-L/14 at 336 pixels, five tilings."""
    vision = CLIPVisionConfig(
        hidden_size=1024,
        intermediate_size=4096,
        num_hidden_layers=24,
        num_attention_heads=16,
        image_size=336,
        patch_size=14,
        projection_dim=768,
    )
    text = MistralConfig(
        hidden_size=4096,
        intermediate_size=14336,
        num_hidden_layers=32,
        num_attention_heads=32,
        num_key_value_heads=8,
        vocab_size=32064,
        max_position_embeddings=32768,
        rope_parameters={"rope_type": "default", "rope_theta": 1e6},
        sliding_window=None,
        tie_word_embeddings=False,
    )
    return LlavaNextConfig(
        vision_config=vision,
        text_config=text,
        image_token_index=32000,
        vision_feature_layer=-2,
        image_grid_pinpoints=[[336, 672], [672, 336], [672, 672], [1008, 336], [336, 1008]],
        tie_word_embeddings=False,
    )


def qwen2_5_vl_3b() -> Qwen2_5_VLConfig:
    """Qwen2.5-VL-3B, whose output head is its embedding."""
    return _qwen2_5_vl(
        tied=True,
        hidden_size=2048,
        intermediate_size=11008,
        num_hidden_layers=36,
        num_attention_heads=16,
        num_key_value_heads=2,
        vocab_size=151936,
    )


def qwen2_5_vl_7b() -> Qwen2_5_VLConfig:
    """Qwen2.5-VL-7B."""
    return _qwen2_5_vl(
        tied=False,
        hidden_size=3584,
        intermediate_size=18944,
        num_hidden_layers=28,
        num_attention_heads=28,
        num_key_value_heads=4,
        vocab_size=152064,
    )


def _qwen2_5_vl(tied: bool, **sizes: int) -> Qwen2_5_VLConfig:
    """Return a language model behind a window-attention tower that merges 2 × 2 patches of 14."""
    text = {
        **sizes,
        "max_position_embeddings": 128000,
        "rms_norm_eps": 1e-6,
        "tie_word_embeddings": tied,
        "rope_parameters": {
            "rope_type": "default",
            "rope_theta": 1e6,
            "mrope_section": [16, 24, 24],
        },
    }
    vision = {
        "depth": 32,
        "hidden_size": 1280,
        "intermediate_size": 3420,
        "num_heads": 16,
        "out_hidden_size": sizes["hidden_size"],
        "patch_size": 14,
        "spatial_merge_size": 2,
        "temporal_patch_size": 2,
        "window_size": 112,
        "fullatt_block_indexes": [7, 15, 23, 31],
    }
    return Qwen2_5_VLConfig(text_config=text, vision_config=vision, tie_word_embeddings=tied)


@dataclass(frozen=True, slots=True)
class Configuration:
    """A published model's configuration, and what its processor makes of a task's picture."""

    make: Callable[[], Any]
    """Returns the configuration."""
    picture: int
    """Tokens of a picture of 300 × 300 pixels."""
    pixels: Callable[[], dict[str, Tensor]]
    """Returns the processor's tensors of the picture; those of floats are on the meta device."""


def _tiles() -> dict[str, Tensor]:
    pixels = torch.empty(1, 3, 3, 336, 336, device="meta")
    return {"pixel_values": pixels, "image_sizes": torch.tensor([[300, 300]])}


def _patches() -> dict[str, Tensor]:
    pixels = torch.empty(22 * 22, 3 * 2 * 14 * 14, device="meta")
    return {"pixel_values": pixels, "image_grid_thw": torch.tensor([[1, 22, 22]])}


# LLaVA-1.6 tiles a 300 × 300 picture as 336 × 672: 576 tokens for the whole picture, and 24 rows of
# 24 with a line break each for the enlarged one. Qwen2.5 resizes it to 308 × 308: 22 × 22 patches,
# merged by four.
CONFIGURATIONS = {
    "llava-1.6-mistral-7b": Configuration(llava_1_6_mistral_7b, 576 + 24 * 25, _tiles),
    "qwen2.5-vl-3b": Configuration(qwen2_5_vl_3b, 11 * 11, _patches),
    "qwen2.5-vl-7b": Configuration(qwen2_5_vl_7b, 11 * 11, _patches),
}
"""Name → configuration; a folder's own processor is asked instead."""
