"""The estimate of memory, against real passes over small real models."""

import copy
import dataclasses
from pathlib import Path

import gymnasium
import pytest
import torch
from support import model_families

import agents
from agents.train.memory.live_bytes import LiveBytes
from agents.train.memory.passes import Shape, measure_pass
from agents.train.memory.report import _micro_batch, _turn, estimate_memory
from agents.train.ppo_config import PRESETS, Config
from agents.vlm.encoding import pixels
from agents.vlm.loading import add_lora, checkpoint_layers, load, train_parts
from agents.vlm.policy import Policy
from agents.vlm.sampling import Sampling

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("default")]

ROWS, REPLY = 3, 20


def test_bytes_are_counted_until_they_are_freed():
    for device in ("cpu", "meta"):
        live = LiveBytes()
        with live:
            a = torch.zeros(100, device=device)
            view = a[:50]
            assert live.now == 400
            b = a * 2
            assert live.now == live.peak == 800
            del a
            assert live.now == 800, "the view keeps it"
            del view
            assert live.now == 400
            b.add_(1)
            assert live.now == 400 and live.peak == 800


def real_pass(policy, prompt):
    """Return what a real forward and backward pass keeps, and its peak, in bytes."""
    prompts, replies = [prompt] * ROWS, [torch.full((REPLY - i,), 7) for i in range(ROWS)]
    policy.train()
    policy(prompts, replies).log_probs.sum().backward()  # gradients and features exist before
    live = LiveBytes()
    with live:
        total = policy(prompts, replies).log_probs.sum()
        kept = live.now
        total.backward()
    return kept, live.peak


@pytest.mark.parametrize(
    ("family", "lora", "vision", "recompute", "autocast"),
    [
        ("tiny", True, "none", False, None),
        ("tiny", False, "all", False, None),
        ("tiny", False, "none", False, torch.bfloat16),
        ("tiny", False, "none", True, None),
        ("qwen2_5_vl", True, "none", False, None),
        ("llava_next", False, "all", False, None),
    ],
)
def test_the_estimate_is_within_a_tenth_of_a_real_pass(family, lora, vision, recompute, autocast):
    torch.manual_seed(0)
    if family == "tiny":
        folder = Path(agents.__file__).parent / "checkpoints" / "llava-sft" / "number_line"
        loaded = load(str(folder), trainable=True)
        model, processor = loaded.model, loaded.processor
    else:
        model, processor = model_families.build(family)
    models = [model, copy.deepcopy(model).to("meta")]
    for number, one in enumerate(models):
        if lora:
            models[number] = add_lora(one, rank=8, alpha=16, dropout=0.0, vision=vision)
        else:
            train_parts(one, vision)
        if recompute:
            checkpoint_layers(models[number])
    policy = Policy(models[0], processor, Sampling(), autocast=autocast)
    env = gymnasium.make("vlbench/NumberLine-v0")
    prompt = policy.encoder.encode(env.reset(seed=0)[0])
    kept, peak = real_pass(policy, prompt)
    picture = None if vision == "none" else pixels(prompt.pictures)
    shape = Shape(ROWS, len(prompt), REPLY)
    estimate = measure_pass(models[1].to("meta").train(), shape, Sampling(), picture, autocast)
    assert estimate.peak == pytest.approx(peak, rel=0.1)
    if not recompute:  # checkpointing keeps a layer's input outside of autograd
        assert estimate.kept == pytest.approx(kept, rel=0.1)


def test_the_processor_says_how_many_tokens_a_picture_has(checkpoint):
    config = Config(model="x", num_envs=4, num_steps=2, log="json")
    turn = _turn(str(checkpoint), config)
    loaded = load(str(checkpoint))
    policy = Policy(loaded.model, loaded.processor, Sampling())
    env = gymnasium.make("vlbench/NumberLine-v0", theme="train")
    ids = policy.encoder.encode(env.reset(seed=0)[0]).sequences["input_ids"]
    assert turn.picture == int((ids == loaded.model.config.image_token_id).sum()) > 1
    assert turn.text + turn.picture == len(ids)
    report = estimate_memory(str(checkpoint), config)
    assert f"{turn.picture} picture + {turn.text} prompt" in report
    limited = dataclasses.replace(config, micro_tokens=3 * (len(ids) + config.max_new_tokens))
    assert _micro_batch(turn, config).rows == 8 and _micro_batch(turn, limited).rows == 3


@pytest.mark.parametrize(
    ("name", "parameters", "kept"),
    [
        # GiB that a review measured by saved tensors, for turns of 1,606 and 616 tokens
        ("llava-1.6-mistral-7b", "7,566,747,648", 14.3),
        ("qwen2.5-vl-7b", "8,292,166,656", 5.2),
    ],
)
def test_a_published_model_is_measured_without_its_files(name, parameters, kept):
    preset = PRESETS["rl4vlm-numberline"]
    length = {"llava-1.6-mistral-7b": 256, "qwen2.5-vl-7b": 616 - 121 - 174}[name]
    options = {**preset, "theme": "train", "micro_batch": 1, "max_new_tokens": length}
    report = estimate_memory(name, Config(**options))
    assert parameters in report and "(LoRA)" in report
    (line,) = [line for line in report.splitlines() if "autograd keeps" in line]
    assert float(line.split()[0]) == pytest.approx(kept, rel=0.1)
