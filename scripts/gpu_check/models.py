"""LLaVA-1.6-7B and Qwen2.5-VL-7B with random weights, and their processors.

Sizes and the treatment of pictures are the published models'. The tokenizer is trained on our
prompts, so that nothing has to be downloaded.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
import transformers
from tokenizers import Tokenizer
from transformers.models.llava_next.image_processing_pil_llava_next import (
    LlavaNextImageProcessorPil,
)
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

from agents.train import tiny
from agents.train.memory.configurations import CONFIGURATIONS

VOCABULARY = 1200
PARTS = (
    "{% for part in message['content'] %}{% if part['type'] == 'image' %}IMAGE"
    "{% else %}{{ part['text'] }}{% endif %}{% endfor %}"
)
MISTRAL = (
    "{% for message in messages %}{% if message['role'] == 'user' %}[INST] PARTS [/INST]"
    "{% else %} PARTS</s>{% endif %}{% endfor %}"
)
CHAT_ML = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\nPARTS<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
SMALL_TEXT = {
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 16,
    "layer_types": None,
    "max_window_layers": 2,
}
SMALL_LLAVA = {
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
}
SMALL_QWEN = {
    "depth": 2,
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_heads": 4,
    "out_hidden_size": 64,
    "fullatt_block_indexes": [1],
}


@dataclass(frozen=True, slots=True)
class Family:
    """A published model to build."""

    processor: Callable[[], Any]
    """Makes the processor, whose tokenizer is ours."""
    shrink: Callable[[dict[str, Any]], None]
    """Makes a configuration's data those of a small model of the same classes."""


def make(name: str, small: bool, device: torch.device, dtype: torch.dtype) -> tuple[Any, Any]:
    """Return a model with random weights on a device, and its processor.

    Args:
        name: One of FAMILIES.
        small: Two layers of width 64, for a CPU; pictures have as many tokens.
        device: Where the weights are made.
        dtype: Their precision.
    """
    family = FAMILIES[name]
    processor = family.processor()
    tokenizer = processor.tokenizer
    published = CONFIGURATIONS[name].make()
    data = published.to_dict()
    if small:
        family.shrink(data)
        data["text_config"]["vocab_size"] = len(tokenizer)
    token = tokenizer.convert_tokens_to_ids
    data |= {
        "image_token_id": tokenizer.image_token_id,
        "image_token_index": tokenizer.image_token_id,
    }
    if name.startswith("qwen"):
        data |= {f"{kind}_token_id": token(text) for kind, text in QWEN_TOKENS.items()}
        data.pop("image_token_index")
    ends = {
        f"{kind}_token_id": getattr(tokenizer, f"{kind}_token_id") for kind in ("pad", "bos", "eos")
    }
    data["text_config"] |= ends
    config = type(published).from_dict(data)
    with device:
        model = transformers.AutoModelForImageTextToText.from_config(config, dtype=dtype)
    model.generation_config.update(**ends)
    return model.eval(), processor


QWEN_TOKENS = {
    "vision_start": "<|vision_start|>",
    "vision_end": "<|vision_end|>",
    "image": "<|image_pad|>",
    "video": "<|video_pad|>",
}
"""Kind of a token → its text."""


def _tokenizer(end: str, **named: str) -> Any:
    """Return our tokenizer with a family's own tokens; `named` ones become its attributes."""
    own = Tokenizer.from_str(
        tiny.make_tokenizer("NumberLine", VOCABULARY).backend_tokenizer.to_str()
    )
    own.add_special_tokens([end, *named.values()])
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=own,
        pad_token=tiny.PAD,
        bos_token=tiny.START,
        eos_token=end,
        extra_special_tokens=named,
        padding_side="left",
        clean_up_tokenization_spaces=False,
    )


def _llava() -> Any:
    config = CONFIGURATIONS["llava-1.6-mistral-7b"].make()
    return transformers.LlavaNextProcessor(
        image_processor=LlavaNextImageProcessorPil(
            size={"shortest_edge": 336},
            crop_size={"height": 336, "width": 336},
            image_grid_pinpoints=config.image_grid_pinpoints,
        ),
        tokenizer=_tokenizer(tiny.END, image_token=tiny.IMAGE),
        patch_size=14,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
        chat_template=MISTRAL.replace("PARTS", PARTS.replace("IMAGE", "<image>\n")),
    )


def _qwen() -> Any:
    tokens = {f"{kind}_token": text for kind, text in QWEN_TOKENS.items()}
    picture = "<|vision_start|><|image_pad|><|vision_end|>"
    return transformers.Qwen2_5_VLProcessor(
        image_processor=Qwen2VLImageProcessorPil(patch_size=14, merge_size=2),
        tokenizer=_tokenizer("<|im_end|>", **tokens),
        video_processor=transformers.Qwen2VLVideoProcessor(patch_size=14, merge_size=2),
        chat_template=CHAT_ML.replace("PARTS", PARTS.replace("IMAGE", picture)),
    )


def _shrink_llava(data: dict[str, Any]) -> None:
    data["text_config"] |= SMALL_TEXT
    data["vision_config"] |= SMALL_LLAVA


def _shrink_qwen(data: dict[str, Any]) -> None:
    data["text_config"] |= SMALL_TEXT
    data["text_config"]["rope_parameters"]["mrope_section"] = [2, 3, 3]
    data["vision_config"] |= SMALL_QWEN


FAMILIES = {
    "llava-1.6-mistral-7b": Family(_llava, _shrink_llava),
    "qwen2.5-vl-7b": Family(_qwen, _shrink_qwen),
}
"""Names of `ppo --estimate-memory` → how the model is built."""
