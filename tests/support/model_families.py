"""All families of small models, with those whose forms are odd, and how one is built."""

import torch
import transformers
from support import small_models
from support.families import experts, llava, native
from support.families.forms import SIDE
from support.small_models import CLIP, LLAMA, TEXT, ids, template, tokenizer_with
from transformers.models.deepseek_vl.image_processing_pil_deepseek_vl import (
    DeepseekVLImageProcessorPil,
)
from transformers.models.siglip.image_processing_pil_siglip import SiglipImageProcessorPil

from agents.train import tiny


def paligemma():
    tokenizer = tokenizer_with(image_token=tiny.IMAGE)
    image_processor = SiglipImageProcessorPil(size=SIDE)
    image_processor.image_seq_length = 36
    processor = transformers.PaliGemmaProcessor(
        image_processor, tokenizer, chat_template=template(LLAMA.removeprefix("<s>"), "<image>")
    )
    config = transformers.PaliGemmaConfig(
        text_config={**TEXT, **ids(tokenizer), "head_dim": 16, "model_type": "gemma"},
        vision_config={**CLIP, "vision_use_head": False, "model_type": "siglip_vision_model"},
        image_token_index=tokenizer.convert_tokens_to_ids(tiny.IMAGE),
        projection_dim=64,
        hidden_size=64,
        **{k: v for k, v in ids(tokenizer).items() if k != "vocab_size"},
    )
    return transformers.PaliGemmaForConditionalGeneration(config), processor


def deepseek_vl():
    tokenizer = tokenizer_with(image_token="<image_placeholder>")
    processor = transformers.DeepseekVLProcessor(
        DeepseekVLImageProcessorPil(size=SIDE, min_size=14),
        tokenizer,
        chat_template=template(LLAMA, "<image_placeholder>"),
        num_image_tokens=36,
    )
    config = transformers.DeepseekVLConfig(
        text_config={**TEXT, **ids(tokenizer), "model_type": "llama"},
        vision_config={**CLIP, "vision_use_head": False, "model_type": "siglip_vision_model"},
        image_token_id=tokenizer.image_token_id,
    )
    return transformers.DeepseekVLForConditionalGeneration(config), processor


FAMILIES = {
    f.__name__: f
    for f in (
        small_models.llava_next,
        small_models.qwen2_5_vl,
        small_models.qwen3_vl,
        small_models.qwen3_5,
        small_models.qwen4_exp,
        small_models.gemma3,
        small_models.mllama,
        small_models.idefics3,
        paligemma,
        deepseek_vl,
    )
}
"""Families that need neither torchvision nor timm nor num2words."""
MORE = {
    f.__name__: f
    for f in (
        llava.llava,
        llava.llava_next_llama3,
        llava.llava_onevision,
        llava.internvl,
        llava.idefics2,
        llava.smolvlm,
        llava.aya_vision,
        llava.cohere2_vision,
        llava.ovis2,
        llava.fast_vlm,
        native.pixtral,
        native.mistral3,
        native.qwen2_vl,
        native.glm4v,
        native.glm46v,
        native.lfm2_vl,
        native.minicpmv4_6,
        native.gemma4,
        experts.qwen3_vl_moe,
        experts.qwen3_5_moe,
        experts.qwen2_5_omni,
        experts.llama4,
        experts.kimi_k25,
        experts.gemma3n,
    )
}
ALL = FAMILIES | MORE
ENDS = {"kimi_k25": "<|im_end|>"}
"""The end token of a family's generation configuration, if it isn't the tokenizer's."""


def build(family):
    """Return a model in float32, the same at every call, and its processor."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model, processor = ALL[family]()
        for weight in model.parameters():
            if not weight.any():  # a gate or a projection that lets no picture through at first
                torch.nn.init.normal_(weight, std=0.5)
    tokenizer, generation = processor.tokenizer, model.generation_config
    end = ENDS.get(family, tokenizer.eos_token)
    generation.eos_token_id = tokenizer.convert_tokens_to_ids(end)
    generation.pad_token_id = tokenizer.pad_token_id
    return model.eval(), processor
