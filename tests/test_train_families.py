"""The policy over other families than LLaVA: their positions, tilings and picture tensors."""

import pytest

torch = pytest.importorskip("torch")
torch.set_num_threads(1)  # more threads on a busy machine are slower, and sum in another order
transformers = pytest.importorskip("transformers")

import gymnasium  # noqa: E402

from agents.train import tiny  # noqa: E402
from agents.train.loading import train_parts  # noqa: E402
from agents.train.plan import CONFIGURATIONS, plan  # noqa: E402
from agents.train.policy import Policy, Sampling, ValueHead  # noqa: E402
from agents.train.ppo_config import PRESETS, Config  # noqa: E402

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("default")]


def llava_next(config):
    from transformers.models.llava_next.image_processing_pil_llava_next import (
        LlavaNextImageProcessorPil,
    )

    base = tiny.make_processor(config)
    llava = tiny.make_model(config, base.tokenizer)
    tilings = [[96, 192], [192, 96]]
    model = transformers.LlavaNextForConditionalGeneration(transformers.LlavaNextConfig(
        vision_config=llava.config.vision_config, text_config=llava.config.text_config,
        image_token_id=llava.config.image_token_id, vision_feature_layer=-1,
        image_grid_pinpoints=tilings, tie_word_embeddings=False,
    ))  # fmt: skip
    side = {"height": 96, "width": 96}
    images = LlavaNextImageProcessorPil(
        size={"shortest_edge": 96}, crop_size=side, image_grid_pinpoints=tilings
    )
    return model, transformers.LlavaNextProcessor(
        image_processor=images, tokenizer=base.tokenizer, patch_size=16,
        vision_feature_select_strategy="default", num_additional_image_tokens=1,
        chat_template=tiny.CHAT_TEMPLATE,
    )  # fmt: skip


def qwen2_5_vl(config):
    from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

    class Processor(transformers.Qwen2_5_VLProcessor):
        """Without videos, whose processor needs torchvision."""

        def check_argument_for_proper_class(self, *_, **__):
            return None

    tokenizer = tiny.make_tokenizer(config.vocab_size)
    around = ["<|vision_start|>", "<|vision_end|>", "<|video_pad|>"]
    tokenizer.add_special_tokens({"additional_special_tokens": around})
    start, end, video = map(tokenizer.convert_tokens_to_ids, around)
    processor = Processor(
        image_processor=Qwen2VLImageProcessorPil(min_pixels=28 * 28 * 4, max_pixels=28 * 28 * 16),
        tokenizer=tokenizer,
        chat_template=tiny.CHAT_TEMPLATE.replace("<image>", f"{around[0]}<image>{around[1]}"),
    )
    text = {
        "hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2,
        "num_attention_heads": 4, "num_key_value_heads": 2, "vocab_size": len(tokenizer),
        "rope_parameters": {
            "rope_type": "default", "rope_theta": 1e4, "mrope_section": [2, 3, 3],
        },
        "max_position_embeddings": 1024, "initializer_range": 0.08,
        "bos_token_id": tokenizer.bos_token_id, "eos_token_id": tokenizer.eos_token_id,
    }  # fmt: skip
    vision = {
        "depth": 2, "hidden_size": 64, "intermediate_size": 128, "num_heads": 4,
        "out_hidden_size": 64, "patch_size": 14, "spatial_merge_size": 2,
        "temporal_patch_size": 2, "window_size": 56, "fullatt_block_indexes": [1],
    }  # fmt: skip
    torch.manual_seed(0)
    model = transformers.Qwen2_5_VLForConditionalGeneration(transformers.Qwen2_5_VLConfig(
        text_config=text, vision_config=vision, tie_word_embeddings=False,
        image_token_id=tokenizer.convert_tokens_to_ids(tiny.IMAGE), video_token_id=video,
        vision_start_token_id=start, vision_end_token_id=end,
    ))  # fmt: skip
    return model, processor


@pytest.mark.parametrize("make", [llava_next, qwen2_5_vl])
def test_another_family_draws_and_scores_alike(make, tmp_path):
    model, processor = make(tiny.Config(out=tmp_path))
    model.generation_config.eos_token_id = processor.tokenizer.eos_token_id
    head = ValueHead(model.get_output_embeddings().weight.shape[1], (8,), detach=True)
    policy = Policy(model, processor, Sampling(1.0, 0.9, 16), head)
    shown = [
        gymnasium.make(f"vlbench/{name}-v0", theme="train").reset(seed=seed)[0]
        for name in ("NumberLine", "EZPoints")
        for seed in range(3)
    ]
    prompts = [policy.encoder.encode(observation) for observation in shown]
    drawn = policy.generate(prompts, torch.Generator().manual_seed(0))
    replies = [reply.ids for reply in drawn]
    with torch.no_grad():
        scores = policy(prompts, replies)
        for row, mask, reply in zip(scores.log_probs, scores.mask, drawn, strict=True):
            assert torch.allclose(row[mask], reply.log_probs, atol=1e-4)
        train_parts(model, "none")
        assert policy.picture_is_frozen()
        assert torch.equal(policy(prompts, replies).log_probs, scores.log_probs)
    (alone,) = policy.generate(prompts[:1])
    assert torch.equal(alone.ids, policy.generate(prompts)[0].ids)


@pytest.mark.parametrize(
    ("name", "parameters"),
    [("llava-1.6-mistral-7b", "7,566,747,648"), ("qwen2.5-vl-7b", "8,292,166,656")],
)
def test_the_plan_counts_the_published_parameters(name, parameters):
    assert name in CONFIGURATIONS
    told = plan(name, Config(**PRESETS["rl4vlm-points24"]))
    assert parameters in told
    assert "LoRA" in told and "GiB  in all" in told
