"""Families with a mixture of experts, and those of several kinds of input."""

import transformers
from support.small_models import CHAT_ML, GEMMA, LLAMA, TEXT, ids, qwen, template, tokenizer_with
from transformers.models.siglip.image_processing_pil_siglip import SiglipImageProcessorPil

from .forms import SIDE, chat_ml, rope

EXPERTS = {"num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 32}


def qwen3_vl_moe():
    return qwen(
        transformers.Qwen3VLProcessor,
        transformers.Qwen3VLMoeConfig,
        transformers.Qwen3VLMoeForConditionalGeneration,
        16,
        {**rope(mrope_section=[2, 3, 3]), **EXPERTS, "head_dim": 16},
        {"num_position_embeddings": 64, "deepstack_visual_indexes": [0, 1]},
    )


def qwen3_5_moe():
    return qwen(
        transformers.Qwen3VLProcessor,
        transformers.Qwen3_5MoeConfig,
        transformers.Qwen3_5MoeForConditionalGeneration,
        16,
        {
            **rope(mrope_section=[2, 3, 3], partial_rotary_factor=1.0),
            **EXPERTS,
            "shared_expert_intermediate_size": 32,
            "head_dim": 16,
            "linear_key_head_dim": 16,
            "linear_value_head_dim": 16,
            "linear_num_key_heads": 2,
            "linear_num_value_heads": 4,
            "layer_types": ["linear_attention", "full_attention"],
        },
        {"num_position_embeddings": 64},
    )


def llama4():
    tokenizer = tokenizer_with(
        "<|start_header_id|>",
        "<|end_header_id|>",
        "<|eot_id|>",
        "<|image|>",
        "<|image_start|>",
        "<|image_end|>",
        "<|patch|>",
        "<|tile_x_separator|>",
        "<|tile_y_separator|>",
        end="<|eot_id|>",
    )
    processor = transformers.Llama4Processor(
        transformers.Llama4ImageProcessor(size=SIDE, max_patches=2),
        tokenizer,
        patch_size=16,
        chat_template=template(LLAMA, "<|image|>"),
    )
    token = tokenizer.convert_tokens_to_ids
    config = transformers.Llama4Config(
        text_config={
            **TEXT,
            **ids(tokenizer),
            "head_dim": 16,
            "intermediate_size_mlp": 128,
            "num_local_experts": 4,
            "attention_chunk_size": 64,
        },
        vision_config={
            "hidden_size": 64,
            "intermediate_size": 256,
            "num_hidden_layers": 2,
            "num_attention_heads": 4,
            "image_size": 96,
            "patch_size": 16,
            "vision_output_dim": 64,
            "projector_input_dim": 64,
            "projector_output_dim": 64,
        },
        boi_token_index=token("<|image_start|>"),
        eoi_token_index=token("<|image_end|>"),
        image_token_index=token("<|patch|>"),
    )
    return transformers.Llama4ForConditionalGeneration(config), processor


def kimi_k25():
    """The generation's end token isn't the tokenizer's, as in Kimi's published checkpoints."""
    tokenizer = tokenizer_with(
        "<|im_start|>",
        "<|im_end|>",
        "<|media_start|>",
        "<|media_end|>",
        end="[EOS]",
        start=False,
        image_token="<|media_pad|>",
        video_token="<|kimi_k25_video_placeholder|>",
    )
    processor = transformers.Kimi_K25Processor(
        transformers.Kimi_K25ImageProcessor(size={"max_height": 8, "max_width": 8}, max_patches=64),
        tokenizer,
        transformers.Kimi_K25VideoProcessor(),
        chat_template=template(CHAT_ML, "<|media_start|><|media_pad|><|media_end|>"),
    )
    config = transformers.Kimi_K25Config(
        text_config={
            **TEXT,
            **ids(tokenizer),
            "model_type": "deepseek_v3",
            "num_key_value_heads": 4,
            "q_lora_rank": 32,
            "kv_lora_rank": 16,
            "qk_nope_head_dim": 16,
            "qk_rope_head_dim": 16,
            "v_head_dim": 16,
            "n_routed_experts": 4,
            "n_group": 1,
            "topk_group": 1,
            "num_experts_per_tok": 2,
            "moe_intermediate_size": 32,
            "first_k_dense_replace": 1,
        },
        vision_config={
            "hidden_size": 64,
            "intermediate_size": 128,
            "num_hidden_layers": 2,
            "num_attention_heads": 4,
            "pos_emb_height": 8,
            "pos_emb_width": 8,
        },
        projection_hidden_size=64,
        image_token_id=tokenizer.image_token_id,
        video_token_id=tokenizer.video_token_id,
        vision_start_token_id=tokenizer.convert_tokens_to_ids("<|media_start|>"),
        vision_end_token_id=tokenizer.convert_tokens_to_ids("<|media_end|>"),
        tie_word_embeddings=False,
    )
    return transformers.Kimi_K25ForConditionalGeneration(config), processor


def qwen2_5_omni():
    tokenizer, chat = chat_ml(
        "<|vision_bos|><|IMAGE|><|vision_eos|>",
        image_token="<|IMAGE|>",
        audio_token="<|AUDIO|>",
        video_token="<|VIDEO|>",
        vision_bos_token="<|vision_bos|>",
        vision_eos_token="<|vision_eos|>",
        audio_bos_token="<|audio_bos|>",
        audio_eos_token="<|audio_eos|>",
    )
    processor = transformers.Qwen2_5OmniProcessor(
        transformers.Qwen2VLImageProcessor(min_pixels=28**2 * 4, max_pixels=28**2 * 16),
        transformers.Qwen2VLVideoProcessor(),
        transformers.WhisperFeatureExtractor(),
        tokenizer,
        chat_template=chat,
    )
    config = transformers.Qwen2_5OmniThinkerConfig(
        text_config={**TEXT, **ids(tokenizer), **rope(mrope_section=[2, 3, 3])},
        vision_config={
            "depth": 2,
            "hidden_size": 64,
            "intermediate_size": 128,
            "num_heads": 4,
            "out_hidden_size": 64,
            "window_size": 56,
            "fullatt_block_indexes": [1],
        },
        audio_config={
            "encoder_layers": 1,
            "encoder_attention_heads": 2,
            "encoder_ffn_dim": 64,
            "d_model": 32,
            "output_dim": 64,
        },
        image_token_index=tokenizer.image_token_id,
        audio_token_index=tokenizer.audio_token_id,
        video_token_index=tokenizer.video_token_id,
        vision_start_token_id=tokenizer.vision_bos_token_id,
        audio_start_token_id=tokenizer.audio_bos_token_id,
        tie_word_embeddings=False,
    )
    return transformers.Qwen2_5OmniThinkerForConditionalGeneration(config), processor


def gemma3n():
    """Its tower's size is fixed: 294 million weights."""
    tokenizer = tokenizer_with(
        "<start_of_turn>",
        "<end_of_turn>",
        end="<end_of_turn>",
        boi_token="<start_of_image>",
        eoi_token="<end_of_image>",
        image_token="<image_soft_token>",
        boa_token="<start_of_audio>",
        eoa_token="<end_of_audio>",
        audio_token="<audio_soft_token>",
    )
    processor = transformers.Gemma3nProcessor(
        transformers.Gemma3nAudioFeatureExtractor(),
        SiglipImageProcessorPil(size={"height": 256, "width": 256}),
        tokenizer,
        chat_template=template(GEMMA, "<image_soft_token>"),
        image_seq_length=256,
    )
    vocabulary = len(tokenizer)
    config = transformers.Gemma3nConfig(
        text_config={
            **TEXT,
            **ids(tokenizer),
            "head_dim": 16,
            "intermediate_size": [128, 128],
            "num_kv_shared_layers": 0,
            "layer_types": ["sliding_attention", "full_attention"],
            "sliding_window": 32,
            "vocab_size_per_layer_input": vocabulary,
            "hidden_size_per_layer_input": 16,
            "laurel_rank": 8,
            "activation_sparsity_pattern": [0.0, 0.0],
        },
        vision_config={"vocab_offset": vocabulary, "vocab_size": 8},
        audio_config={
            "vocab_offset": vocabulary + 8,
            "vocab_size": 8,
            "hidden_size": 32,
            "conf_num_attention_heads": 2,
            "conf_num_hidden_layers": 1,
        },
        image_token_id=tokenizer.image_token_id,
        audio_token_id=tokenizer.audio_token_id,
        boi_token_id=tokenizer.boi_token_id,
        eoi_token_id=tokenizer.eoi_token_id,
        boa_token_id=tokenizer.boa_token_id,
        eoa_token_id=tokenizer.eoa_token_id,
        vision_soft_tokens_per_image=256,
    )
    return transformers.Gemma3nForConditionalGeneration(config), processor
