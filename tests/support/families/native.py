"""Families whose tower sees a picture at its own size."""

import transformers
from support.small_models import GEMMA, TEXT, ids, qwen, template, tokenizer_with

from .forms import GLM, MISTRAL, chat_ml, rope

TOWER = {
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "patch_size": 16,
}


def mistral(config, model, merge):
    """Return a model with Pixtral's tower, which merges `merge` × `merge` patches."""
    tokenizer = tokenizer_with("[INST]", "[/INST]", "[IMG]", "[IMG_BREAK]", "[IMG_END]")
    processor = transformers.PixtralProcessor(
        transformers.PixtralImageProcessor(size={"longest_edge": 96}, patch_size=16 * merge),
        tokenizer,
        patch_size=16,
        spatial_merge_size=merge,
        chat_template=template(MISTRAL, "[IMG]"),
    )
    made = config(
        text_config={**TEXT, **ids(tokenizer), "model_type": "mistral", "head_dim": 16},
        vision_config={**TOWER, "image_size": 96, "head_dim": 16, "model_type": "pixtral"},
        image_token_index=tokenizer.convert_tokens_to_ids("[IMG]"),
        vision_feature_layer=-1,
        tie_word_embeddings=False,
    )
    return model(made), processor


def pixtral():
    def config(image_token_index, **more):
        more["text_config"]["model_type"] = "mistral"
        return transformers.LlavaConfig(
            image_token_id=image_token_index, vision_feature_select_strategy="full", **more
        )

    return mistral(config, transformers.LlavaForConditionalGeneration, 1)


def mistral3():
    def config(**more):
        return transformers.Mistral3Config(spatial_merge_size=2, **more)

    return mistral(config, transformers.Mistral3ForConditionalGeneration, 2)


def qwen2_vl():
    return qwen(
        transformers.Qwen2VLProcessor,
        transformers.Qwen2VLConfig,
        transformers.Qwen2VLForConditionalGeneration,
        14,
        rope(mrope_section=[2, 3, 3]),
        {"embed_dim": 64, "hidden_size": 64, "mlp_ratio": 2},
    )


def glm(processor, image_processor, video_processor, config, model):
    tokenizer = tokenizer_with(
        "<|user|>",
        "<|assistant|>",
        "<|begin_of_image|>",
        "<|end_of_image|>",
        "<|begin_of_video|>",
        "<|end_of_video|>",
        end="<|user|>",
        start=False,
        image_token="<|image|>",
        video_token="<|video|>",
    )
    sides = {"shortest_edge": 28**2 * 4, "longest_edge": 28**2 * 16}
    made = processor(
        image_processor(size=sides),
        tokenizer,
        video_processor(),
        chat_template=template(GLM, "<|begin_of_image|><|image|><|end_of_image|>"),
    )
    token = tokenizer.convert_tokens_to_ids
    settings = config(
        text_config={
            **TEXT,
            **ids(tokenizer),
            **rope(mrope_section=[2, 3, 3], partial_rotary_factor=1.0),
            "model_type": "glm4v_text",
        },
        vision_config={
            "depth": 2,
            "hidden_size": 64,
            "intermediate_size": 128,
            "num_heads": 4,
            "out_hidden_size": 64,
            "image_size": 112,
            "patch_size": 14,
        },
        image_token_id=tokenizer.image_token_id,
        video_token_id=tokenizer.video_token_id,
        image_start_token_id=token("<|begin_of_image|>"),
        image_end_token_id=token("<|end_of_image|>"),
        video_start_token_id=token("<|begin_of_video|>"),
        video_end_token_id=token("<|end_of_video|>"),
    )
    return model(settings), made


def glm4v():
    return glm(
        transformers.Glm4vProcessor,
        transformers.Glm4vImageProcessor,
        transformers.Glm4vVideoProcessor,
        transformers.Glm4vConfig,
        transformers.Glm4vForConditionalGeneration,
    )


def glm46v():
    return glm(
        transformers.Glm46VProcessor,
        transformers.Glm46VImageProcessor,
        transformers.Glm46VVideoProcessor,
        transformers.Glm46VConfig,
        transformers.Glm46VForConditionalGeneration,
    )


def lfm2_vl():
    tokenizer, chat = chat_ml(
        "<image>",
        start=True,
        image_token="<image>",
        image_start_token="<|image_start|>",
        image_end_token="<|image_end|>",
        image_thumbnail_token="<|img_thumbnail|>",
    )
    processor = transformers.Lfm2VlProcessor(
        transformers.Lfm2VlImageProcessor(
            encoder_patch_size=16,
            tile_size=96,
            size={"height": 96, "width": 96},
            min_image_tokens=4,
            max_image_tokens=9,
            do_image_splitting=False,
        ),
        tokenizer,
        chat_template="<s>" + chat,
    )
    text = {name: TEXT[name] for name in TEXT if name != "max_position_embeddings"}
    config = transformers.Lfm2VlConfig(
        text_config={
            **text,
            **ids(tokenizer),
            "model_type": "lfm2",
            "layer_types": ["conv", "full_attention"],
            "block_auto_adjust_ff_dim": False,
        },
        vision_config={**TOWER, "num_patches": 36, "model_type": "siglip2_vision_model"},
        image_token_id=tokenizer.image_token_id,
        projector_hidden_size=64,
        tie_word_embeddings=False,
    )
    return transformers.Lfm2VlForConditionalGeneration(config), processor


def minicpmv4_6():
    tokenizer, chat = chat_ml(
        "<|image_pad|>",
        image_token="<|image_pad|>",
        video_token="<|video_pad|>",
        image_start_token="<image>",
        image_end_token="</image>",
        slice_start_token="<slice>",
        slice_end_token="</slice>",
        image_id_start_token="<image_id>",
        image_id_end_token="</image_id>",
    )
    sizes = {"scale_resolution": 112, "max_slice_nums": 1, "patch_size": 14}
    processor = transformers.MiniCPMV4_6Processor(
        transformers.MiniCPMV4_6ImageProcessor(**sizes),
        transformers.MiniCPMV4_6VideoProcessor(**sizes),
        tokenizer,
        chat_template=chat,
    )
    config = transformers.MiniCPMV4_6Config(
        text_config={
            **TEXT,
            **ids(tokenizer),
            **rope(mrope_section=[2, 3, 3], partial_rotary_factor=1.0),
            "model_type": "qwen3_5_text",
            "head_dim": 16,
            "linear_key_head_dim": 16,
            "linear_value_head_dim": 16,
            "linear_num_key_heads": 2,
            "linear_num_value_heads": 4,
            "layer_types": ["linear_attention", "full_attention"],
        },
        vision_config={**TOWER, "patch_size": 14, "image_size": 112},
        insert_layer_id=0,
        image_size=112,
        image_token_id=tokenizer.image_token_id,
        video_token_id=tokenizer.video_token_id,
    )
    return transformers.MiniCPMV4_6ForConditionalGeneration(config), processor


def gemma4():
    tokenizer = tokenizer_with(
        "<start_of_turn>",
        "<end_of_turn>",
        end="<end_of_turn>",
        boi_token="<|image>",
        eoi_token="<image|>",
        image_token="<|image|>",
        boa_token="<|audio>",
        eoa_token="<audio|>",
        audio_token="<|audio|>",
    )
    processor = transformers.Gemma4Processor(
        transformers.Gemma4AudioFeatureExtractor(),
        transformers.Gemma4ImageProcessor(max_soft_tokens=70, patch_size=4),
        tokenizer,
        transformers.Gemma4VideoProcessor(max_soft_tokens=70, patch_size=4),
        chat_template=template(GEMMA, "<|image|>"),
        image_seq_length=70,
    )
    config = transformers.Gemma4Config(
        text_config={
            **TEXT,
            **ids(tokenizer),
            "head_dim": 16,
            "global_head_dim": 16,
            "sliding_window": 32,
            "layer_types": ["sliding_attention", "full_attention"],
            "vocab_size_per_layer_input": len(tokenizer),
            "hidden_size_per_layer_input": 16,
        },
        vision_config={
            **TOWER,
            "patch_size": 4,
            "num_key_value_heads": 4,
            "head_dim": 16,
            "position_embedding_size": 256,
        },
        audio_config=None,
        boi_token_id=tokenizer.boi_token_id,
        eoi_token_id=tokenizer.eoi_token_id,
        image_token_id=tokenizer.image_token_id,
        video_token_id=processor.video_token_id,
        tie_word_embeddings=True,
    )
    return transformers.Gemma4ForConditionalGeneration(config), processor
