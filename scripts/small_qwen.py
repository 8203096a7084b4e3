"""Write a small Qwen2.5-VL with random weights: `python -m scripts.small_qwen FOLDER`.

Its tokenizer is the tiny LLaVA's with Qwen's special tokens. It reads a picture at 168 × 168, in 36
tokens. With the usual initial weights so small a model never learns to read a picture.
"""

import argparse
from pathlib import Path

import torch
import transformers

from agents.train import tiny

PATCH, MERGE, TOKENS, WIDTH = 14, 2, 36, 96
CHAT = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n"
    "{% if message['content'] is string %}{{ message['content'] }}{% else %}"
    "{% for part in message['content'] %}{% if part['type'] == 'image' %}"
    "<|vision_start|><|image_pad|><|vision_end|>{% else %}{{ part['text'] }}{% endif %}"
    "{% endfor %}{% endif %}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
NAMED = {
    "vision_start_token": "<|vision_start|>",
    "vision_end_token": "<|vision_end|>",
    "image_token": "<|image_pad|>",
    "video_token": "<|video_pad|>",
}


def make_processor(env: str) -> transformers.Qwen2_5_VLProcessor:
    """Return a processor whose tokenizer knows the texts of `env`."""
    backend = tiny.make_tokenizer(env, 1200).backend_tokenizer
    backend.add_special_tokens(["<|im_start|>", "<|im_end|>", *NAMED.values()])
    tokenizer = transformers.PreTrainedTokenizerFast(
        tokenizer_object=backend,
        pad_token=tiny.PAD,
        eos_token="<|im_end|>",
        extra_special_tokens=NAMED,
        additional_special_tokens=["<|im_start|>", "<|im_end|>"],
        padding_side="left",
        clean_up_tokenization_spaces=False,
    )
    pixels = (PATCH * MERGE) ** 2 * TOKENS
    pictures = transformers.Qwen2VLImageProcessorPil(
        patch_size=PATCH,
        merge_size=MERGE,
        min_pixels=pixels,
        max_pixels=pixels,
        image_mean=[1.0, 1.0, 1.0],
        image_std=[0.25, 0.25, 0.25],
    )
    return transformers.Qwen2_5_VLProcessor(
        pictures, tokenizer, transformers.Qwen2VLVideoProcessor(), chat_template=CHAT
    )


def make_model(
    processor: transformers.Qwen2_5_VLProcessor, seed: int
) -> transformers.Qwen2_5_VLForConditionalGeneration:
    """Return a model for a processor."""
    torch.manual_seed(seed)
    tokenizer = processor.tokenizer
    ids = {f"{name}_id": tokenizer.convert_tokens_to_ids(token) for name, token in NAMED.items()}
    sizes = {"hidden_size": WIDTH, "intermediate_size": 256, "initializer_range": 0.08}
    config = transformers.Qwen2_5_VLConfig(
        text_config={
            **sizes,
            "vocab_size": len(tokenizer),
            "pad_token_id": tokenizer.pad_token_id,
            "eos_token_id": tokenizer.eos_token_id,
            "num_hidden_layers": 2,
            "num_attention_heads": 4,
            "num_key_value_heads": 2,
            "max_position_embeddings": 4096,
            "rope_parameters": {
                "rope_type": "default",
                "rope_theta": 1e4,
                "mrope_section": [4, 4, 4],
            },
        },
        vision_config={
            **sizes,
            "depth": 2,
            "num_heads": 4,
            "out_hidden_size": WIDTH,
            "patch_size": PATCH,
            "spatial_merge_size": MERGE,
            "temporal_patch_size": 2,
            "window_size": 56,
            "fullatt_block_indexes": [1],
        },
        tie_word_embeddings=False,
        **ids,
    )
    return transformers.Qwen2_5_VLForConditionalGeneration(config)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--env", default="NumberLine")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    processor = make_processor(options.env)
    make_model(processor, options.seed).save_pretrained(options.folder)
    processor.save_pretrained(options.folder)


if __name__ == "__main__":
    main()
