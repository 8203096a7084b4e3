"""Estimate parameters, memory and tokens of a run without loading weights."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gymnasium
import torch
from transformers import (
    AutoConfig,
    AutoModelForImageTextToText,
    CLIPVisionConfig,
    LlavaNextConfig,
    MistralConfig,
    Qwen2_5_VLConfig,
)

from agents.train.environments import make_env
from agents.train.ppo_config import Config
from agents.vlm.checkpoint_files import check_config
from agents.vlm.loading import add_lora, train_parts, vision_modules
from agents.vlm.trial import reason_to_refuse
from vlbench.errors import unknown_name
from vlbench.prompts import CHARACTERS_PER_TOKEN
from vlbench.registry import resolve_env_id

BYTES = {"bfloat16": 2, "float32": 4}


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


def qwen2_5_vl_7b() -> Qwen2_5_VLConfig:
    """Qwen2.5-VL-7B: a window-attention tower that merges 2 × 2 patches of 14 pixels."""
    text = {
        "hidden_size": 3584,
        "intermediate_size": 18944,
        "num_hidden_layers": 28,
        "num_attention_heads": 28,
        "num_key_value_heads": 4,
        "vocab_size": 152064,
        "max_position_embeddings": 128000,
        "rms_norm_eps": 1e-6,
        "tie_word_embeddings": False,
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
        "out_hidden_size": 3584,
        "patch_size": 14,
        "spatial_merge_size": 2,
        "temporal_patch_size": 2,
        "window_size": 112,
        "fullatt_block_indexes": [7, 15, 23, 31],
    }
    return Qwen2_5_VLConfig(text_config=text, vision_config=vision, tie_word_embeddings=False)


# LLaVA-1.6 tiles a 300 × 300 picture as 336 × 672: 576 tokens for the whole picture, and 24 rows of
# 24 with a line break each for the enlarged one. Qwen2.5 resizes it to 308 × 308: 22 × 22 patches,
# merged by four.
CONFIGURATIONS = {
    "llava-1.6-mistral-7b": (llava_1_6_mistral_7b, 576 + 24 * 25),
    "qwen2.5-vl-7b": (qwen2_5_vl_7b, 11 * 11),
}
"""Name → function that returns the configuration, and tokens per picture."""


@dataclass(frozen=True, slots=True)
class Size:
    """Parameter counts of a model, from the meta device."""

    parameters: int
    vision: int
    """Parameters of vision tower and projector."""
    trained: int


def measure(config: Any, options: Config) -> tuple[Size, Any]:
    """Count a configuration's parameters; return them and its text configuration.

    Args:
        config: A transformers configuration.
        options: Whether and how to add a LoRA adapter.
    """
    with torch.device("meta"):
        model: Any = AutoModelForImageTextToText.from_config(config, dtype=torch.bfloat16)
        parameters = sum(weight.numel() for weight in model.parameters())
        vision = sum(
            weight.numel()
            for module in vision_modules(model).values()
            for weight in module.parameters()
        )
        if options.lora:
            model = add_lora(
                model,
                rank=options.lora_rank,
                alpha=options.lora_alpha,
                dropout=0.0,
                vision=options.train_vision,
            )
        else:
            train_parts(model, options.train_vision)
        trained = sum(weight.numel() for weight in model.parameters() if weight.requires_grad)
    return Size(parameters, vision, trained), config.get_text_config()


def estimate_memory(name: str, options: Config) -> str:
    """Return a report of a run's parameters, memory by part, and tokens.

    Args:
        name: One of CONFIGURATIONS, or a checkpoint's folder.
        options: The run's options.

    Raises:
        ValueError: There is no such configuration or folder, or the folder's configuration is
            wrong.
    """
    if name in CONFIGURATIONS:
        make, picture = CONFIGURATIONS[name]
        return _report(name, make(), picture, options)
    if not Path(name, "config.json").is_file():
        raise ValueError(unknown_name("configuration", name, CONFIGURATIONS) + " or a folder")
    check_config(Path(name))

    def report_of_folder() -> str:
        config = AutoConfig.from_pretrained(name)
        return _report(name, config, getattr(config, "image_seq_length", 576), options)

    if reason := reason_to_refuse(report_of_folder):
        raise ValueError(f"{name} can't be measured: {reason}")
    return report_of_folder()


def _report(name: str, config: Any, picture: int, options: Config) -> str:
    size, text = measure(config, options)
    env_id = resolve_env_id(options.env)
    observation, _ = _first_observation(env_id, options)
    prompt = round(len(observation["text"]) / CHARACTERS_PER_TOKEN)
    memory = memory_parts(size, text, picture, prompt, options)
    turns = options.num_envs * options.num_steps
    row = picture + prompt + options.max_new_tokens
    steps = options.epochs * -(-turns // options.minibatch)
    disk = size.trained * BYTES["float32"] if options.lora else size.parameters * BYTES["bfloat16"]
    lines = [
        f"{name} on {env_id}, counted on the meta device; memory and tokens are estimates",
        f"parameters         {size.parameters:>16,}",
        f"  vision           {size.vision:>16,}",
        f"  trained          {size.trained:>16,}{' (LoRA)' if options.lora else ''}",
        f"{'adapter' if options.lora else 'model'} on disk: {disk / 2**20:,.0f} MiB",
        *(f"{amount / 2**30:8.2f} GiB  {part}" for part, amount in memory.items()),
        f"{sum(memory.values()) / 2**30:8.2f} GiB  total",
        f"per turn: {picture} picture + about {prompt} prompt + at most {options.max_new_tokens} "
        "reply tokens",
        f"per iteration: {turns} turns, {turns * (picture + prompt):,} prompt tokens read, at most "
        f"{turns * options.max_new_tokens:,} written, at most {turns * row * options.epochs:,} "
        f"trained on, {steps} optimizer steps",
        f"run: {options.iterations} iterations, {turns * options.iterations:,} turns",
    ]
    return "\n".join(lines)


def memory_parts(
    size: Size, text: Any, picture: int, prompt: int, options: Config
) -> dict[str, int]:
    """Return bytes of memory by part.

    Args:
        size: The model's parameter counts.
        text: Configuration of its language model.
        picture: Tokens per picture.
        prompt: Tokens per prompt, without its picture.
        options: The run's options.
    """
    turns = options.num_envs * options.num_steps
    row = picture + prompt + options.max_new_tokens
    heads, width = text.num_attention_heads, text.hidden_size
    keys = text.num_key_value_heads * (width // heads)
    inner, layers, vocab = text.intermediate_size, text.num_hidden_layers, text.vocab_size
    half, full = BYTES["bfloat16"], BYTES["float32"]
    return {
        "weights (bfloat16)": size.parameters * half,
        # peft keeps adapters in float32; full training is all bfloat16.
        (
            "adapter, gradients, Adam state (float32)"
            if options.lora
            else "gradients, Adam state (bfloat16)"
        ): size.trained * (4 * full if options.lora else 3 * half),
        f"KV cache of {options.num_envs} replies": (
            options.num_envs * row * layers * 2 * keys * half
        ),
        # Inputs of the seven linear layers and the norms, the activation and its product.
        f"activations of a micro-batch of {options.micro_batch}, no recomputation": (
            options.micro_batch * row * layers * (8 * width + 2 * keys + 4 * inner) * half
        ),
        "its logits, three copies (float32)": (
            options.micro_batch * options.max_new_tokens * vocab * full * 3
        ),
        f"features of {turns} pictures": (
            turns * picture * width * half if options.train_vision == "none" else 0
        ),
    }


def _first_observation(env_id: str, options: Config) -> tuple[Any, dict[str, Any]]:
    rules = {"prompt": options.prompt, "theme": options.theme, **options.env_kwargs}
    env: gymnasium.Env[Any, str] = make_env(env_id, rules)
    return env.reset(seed=0)
