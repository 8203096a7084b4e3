"""Families whose tower sees a picture, or its tiles, at one size."""

import transformers
from support.small_models import (
    CLIP,
    IDEFICS,
    LLAMA,
    TEXT,
    ids,
    llava_next,
    template,
    tokenizer_with,
)
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil
from transformers.models.idefics2.image_processing_pil_idefics2 import Idefics2ImageProcessorPil

from agents.train import tiny

from .forms import COHERE, COHERE_TOKENS, SIDE, SIGLIP, VICUNA, chat_ml


def llava():
    tokenizer = tokenizer_with(image_token=tiny.IMAGE)
    processor = transformers.LlavaProcessor(
        CLIPImageProcessorPil(size=SIDE, crop_size=SIDE),
        tokenizer,
        patch_size=16,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
        chat_template=template(VICUNA, "<image>\n"),
    )
    config = transformers.LlavaConfig(
        vision_config=transformers.CLIPVisionConfig(**CLIP, projection_dim=64),
        text_config=transformers.LlamaConfig(**TEXT, **ids(tokenizer)),
        image_token_id=tokenizer.image_token_id,
        vision_feature_layer=-2,
        tie_word_embeddings=False,
    )
    return transformers.LlavaForConditionalGeneration(config), processor


def llava_next_llama3():
    """LLaVA-NeXT whose chat template writes the start token that its tokenizer adds."""
    model, processor = llava_next()
    headers = ["<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"]
    processor.tokenizer.add_special_tokens({"additional_special_tokens": headers})
    processor.tokenizer.eos_token = "<|eot_id|>"
    processor.chat_template = template(LLAMA, "<image>\n")
    model.resize_token_embeddings(len(processor.tokenizer), mean_resizing=False)
    return model, processor


def llava_onevision():
    tokenizer, chat = chat_ml("<image>\n", image_token="<image>", video_token="<video>")
    tilings = [[96, 96], [96, 192], [192, 96]]
    processor = transformers.LlavaOnevisionProcessor(
        transformers.LlavaOnevisionImageProcessor(size=SIDE, image_grid_pinpoints=tilings),
        tokenizer,
        transformers.LlavaOnevisionVideoProcessor(size=SIDE),
        num_image_tokens=36,
        vision_feature_select_strategy="full",
        chat_template=chat,
    )
    config = transformers.LlavaOnevisionConfig(
        text_config={**TEXT, **ids(tokenizer), "model_type": "qwen2"},
        vision_config=SIGLIP,
        image_token_index=tokenizer.image_token_id,
        video_token_index=tokenizer.video_token_id,
        image_grid_pinpoints=tilings,
    )
    return transformers.LlavaOnevisionForConditionalGeneration(config), processor


def internvl():
    tokenizer, chat = chat_ml(
        "<IMG_CONTEXT>\n",
        start_image_token="<img>",
        end_image_token="</img>",
        context_image_token="<IMG_CONTEXT>",
        video_token="<video>",
    )
    processor = transformers.InternVLProcessor(
        transformers.GotOcr2ImageProcessor(size=SIDE, crop_to_patches=True, max_patches=2),
        tokenizer,
        transformers.InternVLVideoProcessor(size=SIDE),
        image_seq_length=9,
        chat_template=chat,
    )
    sizes = {name: CLIP[name] for name in CLIP if name not in ("image_size", "patch_size")}
    config = transformers.InternVLConfig(
        text_config={**TEXT, **ids(tokenizer), "model_type": "qwen2"},
        vision_config={**sizes, "image_size": [96, 96], "patch_size": [16, 16]},
        image_token_id=tokenizer.context_image_token_id,
        image_seq_length=9,
        tie_word_embeddings=False,
    )
    return transformers.InternVLForConditionalGeneration(config), processor


def idefics2():
    tokenizer = tokenizer_with(
        "<fake_token_around_image>", "<image>", "<end_of_utterance>", end="<end_of_utterance>"
    )
    processor = transformers.Idefics2Processor(
        Idefics2ImageProcessorPil(size={"shortest_edge": 48, "longest_edge": 96}),
        tokenizer,
        image_seq_len=8,
        chat_template=template(IDEFICS.removeprefix("<s>"), "<image>"),
    )
    config = transformers.Idefics2Config(
        text_config={**TEXT, **ids(tokenizer), "model_type": "mistral"},
        vision_config={
            "hidden_size": 64,
            "intermediate_size": 128,
            "num_hidden_layers": 2,
            "num_attention_heads": 4,
            "image_size": 96,
            "patch_size": 16,
        },
        perceiver_config={
            "hidden_size": 64,
            "resampler_n_latents": 8,
            "resampler_depth": 1,
            "resampler_n_heads": 4,
            "resampler_head_dim": 16,
            "num_key_value_heads": 2,
        },
        image_token_id=tokenizer.convert_tokens_to_ids("<image>"),
        tie_word_embeddings=False,
    )
    return transformers.Idefics2ForConditionalGeneration(config), processor


def smolvlm():
    tokenizer = tokenizer_with(
        "<|im_start|>",
        *(f"<row_{i}_col_{j}>" for i in (1, 2) for j in (1, 2)),
        end="<end_of_utterance>",
        start=False,
        image_token="<image>",
        fake_image_token="<fake_token_around_image>",
        global_image_token="<global-img>",
        end_of_utterance_token="<end_of_utterance>",
        video_token="<video>",
    )
    sizes = {"size": {"longest_edge": 96}, "max_image_size": {"longest_edge": 48}}
    processor = transformers.SmolVLMProcessor(
        transformers.SmolVLMImageProcessor(**sizes),
        tokenizer,
        transformers.SmolVLMVideoProcessor(size={"longest_edge": 48}),
        image_seq_len=9,
        chat_template=template(IDEFICS.replace("<s>", "<|im_start|>"), "<image>"),
    )
    config = transformers.SmolVLMConfig(
        vision_config={
            "hidden_size": 64,
            "intermediate_size": 128,
            "num_hidden_layers": 2,
            "num_attention_heads": 4,
            "image_size": 48,
            "patch_size": 8,
        },
        text_config={**TEXT, **ids(tokenizer), "model_type": "llama"},
        scale_factor=2,
        image_token_id=tokenizer.image_token_id,
        tie_word_embeddings=False,
        pad_token_id=tokenizer.pad_token_id,
    )
    return transformers.SmolVLMForConditionalGeneration(config), processor


def aya_vision():
    tokenizer = tokenizer_with(*COHERE_TOKENS, end="<|END_OF_TURN_TOKEN|>", image_token="<image>")
    processor = transformers.AyaVisionProcessor(
        transformers.GotOcr2ImageProcessor(size=SIDE, crop_to_patches=True, max_patches=2),
        tokenizer,
        patch_size=16,
        img_size=96,
        downsample_factor=2,
        chat_template=template(COHERE, "<image>"),
    )
    config = transformers.AyaVisionConfig(
        text_config={**TEXT, **ids(tokenizer), "model_type": "cohere2", "head_dim": 16},
        vision_config=SIGLIP,
        image_token_index=tokenizer.convert_tokens_to_ids("<|IMG_PATCH|>"),
    )
    return transformers.AyaVisionForConditionalGeneration(config), processor


def cohere2_vision():
    tokenizer = tokenizer_with(
        *COHERE_TOKENS[:4],
        end="<|END_OF_TURN_TOKEN|>",
        image_token="<|IMG_PATCH|>",
        boi_token="<|START_OF_IMG|>",
        eoi_token="<|END_OF_IMG|>",
        img_line_break_token="<|IMG_LINE_BREAK|>",
    )
    processor = transformers.Cohere2VisionProcessor(
        # A tile has patch_size² tokens.
        transformers.Cohere2VisionImageProcessor(size=SIDE, max_patches=2, patch_size=3),
        tokenizer,
        chat_template=template(COHERE, "<|IMG_PATCH|>"),
    )
    config = transformers.Cohere2VisionConfig(
        text_config={**TEXT, **ids(tokenizer), "model_type": "cohere2", "head_dim": 16},
        vision_config=SIGLIP,
        alignment_intermediate_size=128,
        image_token_id=tokenizer.image_token_id,
    )
    return transformers.Cohere2VisionForConditionalGeneration(config), processor


def ovis2():
    indicators = [f"<IMG_{name}>" for name in ("START", "GRID", "COL", "ROW", "END")]
    tokenizer, chat = chat_ml("<image>\n", "<image>", "<IMG_ATOM>", *indicators)
    processor = transformers.Ovis2Processor(
        transformers.Ovis2ImageProcessor(size=SIDE, max_patches=2),
        tokenizer,
        chat_template=chat,
        image_seq_length=36,
    )
    config = transformers.Ovis2Config(
        text_config={**TEXT, **ids(tokenizer), "model_type": "qwen2"},
        vision_config={
            **{name: CLIP[name] for name in CLIP},
            "vocab_size": 128,
            "num_visual_indicator_tokens": 5,
        },
        image_token_id=tokenizer.convert_tokens_to_ids("<IMG_ATOM>"),
        visual_indicator_token_ids=tokenizer.convert_tokens_to_ids(indicators),
        vocab_size=len(tokenizer),
        hidden_size=64,
        tie_word_embeddings=False,
    )
    return transformers.Ovis2ForConditionalGeneration(config), processor


def fast_vlm():
    tokenizer, chat = chat_ml("<image>\n", image_token="<image>")
    side = {"height": 128, "width": 128}
    processor = transformers.LlavaProcessor(
        CLIPImageProcessorPil(size=side, crop_size=side),
        tokenizer,
        patch_size=64,
        vision_feature_select_strategy="full",
        num_additional_image_tokens=0,
        chat_template=chat,
    )
    config = transformers.FastVlmConfig(
        text_config={**TEXT, **ids(tokenizer), "model_type": "qwen2"},
        image_token_index=tokenizer.image_token_id,
        image_seq_length=4,
    )
    return transformers.FastVlmForConditionalGeneration(config), processor
