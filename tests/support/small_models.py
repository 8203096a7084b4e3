"""Small models of several families: random weights, each with its own processor and template."""

import functools

import transformers
from tokenizers import Tokenizer
from tokenizers.processors import TemplateProcessing
from transformers import AutoProcessor
from transformers.models.gemma3.image_processing_pil_gemma3 import Gemma3ImageProcessorPil
from transformers.models.idefics3.image_processing_pil_idefics3 import Idefics3ImageProcessorPil
from transformers.models.llava_next.image_processing_pil_llava_next import (
    LlavaNextImageProcessorPil,
)
from transformers.models.mllama.image_processing_pil_mllama import MllamaImageProcessorPil
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

from agents.train import tiny

VOCABULARY = 1200
PARTS = (
    "{% for part in message['content'] %}{% if part['type'] == 'image' %}IMAGE"
    "{% else %}{{ part['text'] }}{% endif %}{% endfor %}"
)
LLAVA_NEXT = (
    "{% for message in messages %}{% if message['role'] == 'user' %}[INST] PARTS [/INST]"
    "{% else %} PARTS</s>{% endif %}{% endfor %}"
)
CHAT_ML = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\nPARTS<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
GEMMA = (
    "<s>{% for message in messages %}<start_of_turn>"
    "{{ 'model' if message['role'] == 'assistant' else 'user' }}\nPARTS<end_of_turn>\n"
    "{% endfor %}{% if add_generation_prompt %}<start_of_turn>model\n{% endif %}"
)
LLAMA = (
    "<s>{% for message in messages %}<|start_header_id|>{{ message['role'] }}<|end_header_id|>\n\n"
    "PARTS<|eot_id|>{% endfor %}{% if add_generation_prompt %}<|start_header_id|>assistant"
    "<|end_header_id|>\n\n{% endif %}"
)
IDEFICS = (
    "<s>{% for message in messages %}{{ message['role'] | capitalize }}: PARTS"
    "<end_of_utterance>\n{% endfor %}{% if add_generation_prompt %}Assistant:{% endif %}"
)
TEXT = {
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 2048,
    "initializer_range": 0.08,
}
CLIP = {
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "image_size": 96,
    "patch_size": 16,
    "initializer_range": 0.08,
}


def template(family, image):
    return family.replace("PARTS", PARTS.replace("IMAGE", image))


@functools.cache
def own_tokenizer():
    return tiny.make_tokenizer("NumberLine,EZPoints", VOCABULARY).backend_tokenizer.to_str()


def tokenizer_with(*special, end="</s>", start=True, **named):
    """Return our tokenizer with a family's special tokens; `named` ones become its attributes.

    It begins each text with the start token, as most families' tokenizers do, unless `start` is
    False.
    """
    trained = Tokenizer.from_str(own_tokenizer())
    trained.add_special_tokens([*special, *named.values()])
    if start:
        trained.post_processor = TemplateProcessing(
            single=f"{tiny.START} $A",
            special_tokens=[(tiny.START, trained.token_to_id(tiny.START))],
        )
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=trained,
        pad_token=tiny.PAD,
        bos_token=tiny.START,
        eos_token=end,
        extra_special_tokens=named,
        additional_special_tokens=list(special),
        padding_side="left",
        clean_up_tokenization_spaces=False,
    )


def ids(tokenizer):
    return {
        "vocab_size": len(tokenizer),
        "pad_token_id": tokenizer.pad_token_id,
        "bos_token_id": tokenizer.bos_token_id,
        "eos_token_id": tokenizer.eos_token_id,
    }


def llava_next():
    tokenizer = tokenizer_with(image_token=tiny.IMAGE)
    tilings = [[96, 192], [192, 96]]
    side = {"height": 96, "width": 96}
    processor = transformers.LlavaNextProcessor(
        image_processor=LlavaNextImageProcessorPil(
            size={"shortest_edge": 96}, crop_size=side, image_grid_pinpoints=tilings
        ),
        tokenizer=tokenizer,
        patch_size=16,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
        chat_template=template(LLAVA_NEXT, "<image>\n"),
    )
    config = transformers.LlavaNextConfig(
        vision_config=transformers.CLIPVisionConfig(**CLIP, projection_dim=64),
        text_config=transformers.MistralConfig(**TEXT, **ids(tokenizer), sliding_window=None),
        image_token_id=tokenizer.convert_tokens_to_ids(tiny.IMAGE),
        vision_feature_layer=-2,
        image_grid_pinpoints=tilings,
        tie_word_embeddings=False,
    )
    return transformers.LlavaNextForConditionalGeneration(config), processor


def without_videos(base):
    """Return a Qwen processor without its video processor, which needs torchvision."""

    def __init__(self, image_processor=None, tokenizer=None, chat_template=None):
        base.__init__(self, image_processor, tokenizer, None, chat_template=chat_template)

    return type(f"{base.__name__}WithoutVideos", (base,), {"__init__": __init__})


def qwen(base, config, model, patch, text, vision):
    tokenizer = tokenizer_with(
        "<|im_start|>",
        "<|im_end|>",
        end="<|im_end|>",
        start=False,
        vision_start_token="<|vision_start|>",
        vision_end_token="<|vision_end|>",
        image_token="<|image_pad|>",
        video_token="<|video_pad|>",
    )
    kind = without_videos(base)
    AutoProcessor.register(config, kind, exist_ok=True)
    side = 2 * patch
    processor = kind(
        Qwen2VLImageProcessorPil(
            patch_size=patch, merge_size=2, min_pixels=side**2 * 4, max_pixels=side**2 * 16
        ),
        tokenizer,
        template(CHAT_ML, "<|vision_start|><|image_pad|><|vision_end|>"),
    )
    sizes = {**TEXT, **text, **ids(tokenizer)}
    made = config(
        text_config=sizes,
        tie_word_embeddings=False,
        image_token_id=tokenizer.image_token_id,
        vision_config={
            "depth": 2,
            "hidden_size": 64,
            "intermediate_size": 128,
            "num_heads": 4,
            "out_hidden_size": 64,
            "patch_size": patch,
            "spatial_merge_size": 2,
            "temporal_patch_size": 2,
            **vision,
        },
        video_token_id=tokenizer.video_token_id,
        vision_start_token_id=tokenizer.vision_start_token_id,
        vision_end_token_id=tokenizer.vision_end_token_id,
    )
    return model(made), processor


def rope(**more):
    return {"rope_parameters": {"rope_type": "default", "rope_theta": 1e4, **more}}


def qwen2_5_vl():
    return qwen(
        transformers.Qwen2_5_VLProcessor,
        transformers.Qwen2_5_VLConfig,
        transformers.Qwen2_5_VLForConditionalGeneration,
        14,
        rope(mrope_section=[2, 3, 3]),
        {"window_size": 56, "fullatt_block_indexes": [1]},
    )


def qwen3_vl():
    return qwen(
        transformers.Qwen3VLProcessor,
        transformers.Qwen3VLConfig,
        transformers.Qwen3VLForConditionalGeneration,
        16,
        {**rope(mrope_section=[2, 3, 3]), "head_dim": 16},
        {"num_position_embeddings": 64, "deepstack_visual_indexes": [0, 1]},
    )


def qwen3_5():
    return qwen(
        transformers.Qwen3VLProcessor,
        transformers.Qwen3_5Config,
        transformers.Qwen3_5ForConditionalGeneration,
        16,
        {
            **rope(mrope_section=[2, 3, 3], partial_rotary_factor=1.0),
            "head_dim": 16,
            "linear_key_head_dim": 16,
            "linear_value_head_dim": 16,
            "linear_num_key_heads": 2,
            "linear_num_value_heads": 4,
            "layer_types": ["linear_attention", "full_attention"],
        },
        {"num_position_embeddings": 64},
    )


def qwen4_exp():
    return qwen(
        transformers.Qwen3VLProcessor,
        transformers.Qwen4ExpConfig,
        transformers.Qwen4ExpForConditionalGeneration,
        16,
        {
            **rope(mrope_section=[2, 3, 3], partial_rotary_factor=1.0),
            "head_dim": 16,
            "linear_key_head_dim": 16,
            "linear_value_head_dim": 16,
            "linear_num_key_heads": 2,
            "linear_num_value_heads": 4,
            "layer_types": ["linear_attention", "full_attention"],
            "moe_intermediate_size": 32,
            "shared_expert_intermediate_size": 32,
            "num_experts": 4,
            "num_experts_per_tok": 2,
            "hc_lowrank": 16,
            "indexer_n_heads": 2,
            "indexer_kv_heads": 1,
            "indexer_head_dim": 16,
            "indexer_budget": 2048,
            "indexer_compress_ratio": 4,
        },
        {"num_position_embeddings": 64},
    )


def gemma3():
    tokenizer = tokenizer_with(
        "<start_of_turn>",
        "<end_of_turn>",
        end="<end_of_turn>",
        boi_token="<start_of_image>",
        eoi_token="<end_of_image>",
        image_token="<image_soft_token>",
    )
    processor = transformers.Gemma3Processor(
        Gemma3ImageProcessorPil(size={"height": 96, "width": 96}),
        tokenizer,
        template(GEMMA, "<start_of_image>"),
        image_seq_length=9,
    )
    config = transformers.Gemma3Config(
        text_config={
            **TEXT,
            **ids(tokenizer),
            "head_dim": 16,
            "sliding_window": 32,
            "layer_types": ["sliding_attention", "full_attention"],
        },
        vision_config={**CLIP, "vision_use_head": False},
        mm_tokens_per_image=9,
        image_token_index=tokenizer.image_token_id,
        boi_token_index=tokenizer.boi_token_id,
        eoi_token_index=tokenizer.eoi_token_id,
        tie_word_embeddings=False,
    )
    return transformers.Gemma3ForConditionalGeneration(config), processor


def mllama():
    tokenizer = tokenizer_with(
        "<|start_header_id|>",
        "<|end_header_id|>",
        "<|eot_id|>",
        "<|python_tag|>",
        end="<|eot_id|>",
        image_token="<|image|>",
    )
    processor = transformers.MllamaProcessor(
        MllamaImageProcessorPil(size={"height": 96, "width": 96}, max_image_tiles=2),
        tokenizer,
        template(LLAMA, "<|image|>"),
    )
    config = transformers.MllamaConfig(
        vision_config={
            "hidden_size": 64,
            "intermediate_size": 128,
            "num_hidden_layers": 2,
            "num_global_layers": 1,
            "attention_heads": 4,
            "image_size": 96,
            "patch_size": 16,
            "max_num_tiles": 2,
            "intermediate_layers_indices": [0],
            "vision_output_dim": 128,
            "supported_aspect_ratios": [[1, 1], [1, 2], [2, 1]],
        },
        text_config={**TEXT, **ids(tokenizer), "cross_attention_layers": [1]},
        image_token_index=tokenizer.image_token_id,
    )
    return transformers.MllamaForConditionalGeneration(config), processor


def idefics3():
    tokenizer = tokenizer_with(
        "<fake_token_around_image>",
        "<image>",
        "<end_of_utterance>",
        "<global-img>",
        "<|im_start|>",
        *(f"<row_{i}_col_{j}>" for i in (1, 2) for j in (1, 2)),
        end="<end_of_utterance>",
    )
    processor = transformers.Idefics3Processor(
        Idefics3ImageProcessorPil(size={"longest_edge": 96}, max_image_size={"longest_edge": 48}),
        tokenizer,
        image_seq_len=9,
        chat_template=template(IDEFICS, "<image>"),
    )
    config = transformers.Idefics3Config(
        vision_config={
            "hidden_size": 64,
            "intermediate_size": 128,
            "num_hidden_layers": 2,
            "num_attention_heads": 4,
            "image_size": 48,
            "patch_size": 8,
        },
        text_config=transformers.LlamaConfig(**TEXT, **ids(tokenizer)),
        scale_factor=2,
        image_token_id=tokenizer.convert_tokens_to_ids("<image>"),
        tie_word_embeddings=False,
        pad_token_id=tokenizer.pad_token_id,
    )
    return transformers.Idefics3ForConditionalGeneration(config), processor
