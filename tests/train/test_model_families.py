"""The trainer over many families: their positions, masks, tilings, picture tensors and caches."""

import json

import gymnasium
import pytest
import torch
from PIL import Image
from support import model_families

from agents import evaluate
from agents.train import ppo, sft, sft_data
from agents.train.advantages.value_head import ValueHead
from agents.vlm.loading import adapter_summary, add_lora, load, train_parts
from agents.vlm.policy import Policy
from agents.vlm.sampling import Sampling
from vlbench.prompts import Exchange, messages

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("default")]


def policy_of(family, **sampling):
    model, processor = model_families.build(family)
    head = ValueHead(model.get_output_embeddings().weight.shape[1], (8,), detach=True)
    torch.nn.init.constant_(head.layers[-1].weight, 0.1)
    return Policy(model, processor, Sampling(max_new_tokens=16, **sampling), head)


@pytest.fixture(scope="module")
def observations():
    """Prompts of two lengths; the last one comes after an exchange, so it has two pictures."""
    first = [
        gymnasium.make(f"vlbench/{name}-v0", theme="train").reset(seed=seed)[0]
        for name in ("NumberLine", "EZPoints")
        for seed in range(2)
    ]
    return [*first, {**first[0], "history": (Exchange(first[2], '{"action": "+"}'),)}]


@pytest.mark.parametrize("family", model_families.FAMILIES)
def test_every_family_draws_and_scores_alike(family, observations):
    policy = policy_of(family, temperature=0.8)
    prompts = [policy.encoder.encode(observation) for observation in observations]
    drawn = policy.generate(prompts, torch.Generator().manual_seed(0))
    replies = [reply.ids for reply in drawn]
    with torch.no_grad():
        scores = policy(prompts, replies)
        for row, mask, reply in zip(scores.log_probs, scores.mask, drawn, strict=True):
            assert torch.allclose(row[mask], reply.log_probs, atol=1e-4)
        assert torch.allclose(scores.values, torch.tensor([r.value for r in drawn]), atol=1e-4)
        train_parts(policy.model, "none")
        policy.__dict__.pop("picture_is_frozen", None)  # may have been looked up before
        assert policy.picture_is_frozen
        assert torch.allclose(policy(prompts, replies).log_probs, scores.log_probs, atol=1e-5)
        dark = {**observations[0], "image": observations[0]["image"] // 3}
        other = policy([policy.encoder.encode(dark)], replies[:1]).log_probs
        assert not torch.allclose(other[0], scores.log_probs[0, -other.shape[1] :], atol=1e-3)


def reference_inputs(processor, observation):
    """Return a prompt as the processor's own `apply_chat_template` tokenizes it."""
    chat = messages(observation)
    for message in chat:
        for part in message["content"]:
            if part["type"] == "image":
                part["image"] = Image.fromarray(part["image"])
    return processor.apply_chat_template(
        chat, tokenize=True, add_generation_prompt=True, return_dict=True, return_tensors="pt"
    )


@pytest.mark.parametrize("family", model_families.FAMILIES)
def test_greedy_replies_of_a_batch_are_those_of_the_model_and_its_processor_one_by_one(
    family, observations
):
    policy = policy_of(family)
    drawn = policy.generate([policy.encoder.encode(observation) for observation in observations])
    model, processor = model_families.build(family)
    forbidden = policy.forbidden.nonzero()[:, 0].tolist()
    for mine, observation in zip(drawn, observations, strict=True):
        inputs = reference_inputs(processor, observation)
        written = model.generate(
            **inputs, max_new_tokens=16, do_sample=False, suppress_tokens=forbidden
        )[0, inputs["input_ids"].shape[1] :]
        assert torch.equal(mine.ids, written[: len(mine.ids)])


@pytest.mark.parametrize("family", model_families.FAMILIES)
def test_scores_of_a_batch_are_those_of_a_plain_forward_pass_one_by_one(family, observations):
    policy = policy_of(family)
    prompts = [policy.encoder.encode(observation) for observation in observations]
    reply = policy.encoder.encode_reply('{"action": "+"}')
    model, processor = model_families.build(family)
    with torch.no_grad():
        scores = policy(prompts, [reply] * len(prompts)).log_probs
        for row, prompt, observation in zip(scores, prompts, observations, strict=True):
            inputs = reference_inputs(processor, observation)
            assert torch.equal(prompt.sequences["input_ids"], inputs["input_ids"][0])
            more = {
                name: torch.cat([tensor, tensor[:, -1:].repeat_interleave(len(reply), 1)], 1)
                for name, tensor in inputs.items()
                if tensor.shape[:2] == inputs["input_ids"].shape
            }
            more["input_ids"][0, -len(reply) :] = reply
            if more.pop("labels", None) is not None:  # PaliGemma's type of what follows a prompt
                more["token_type_ids"][0, -len(reply) :] = 1
                inputs.pop("labels")
            logits = model(**{**inputs, **more}).logits[0, -len(reply) - 1 : -1]
            expected = logits.masked_fill(policy.forbidden, -torch.inf).log_softmax(-1)
            assert torch.allclose(row, expected.gather(-1, reply[:, None])[:, 0], atol=1e-4)


@pytest.mark.parametrize("family", ["paligemma", "deepseek_vl"])
def test_an_adapter_of_an_odd_family_scores_as_its_base_before_it_is_trained(family, observations):
    policy = policy_of(family)
    prompts = [policy.encoder.encode(observation) for observation in observations]
    replies = [policy.encoder.encode_reply('{"action": "+"}')] * len(prompts)
    with torch.no_grad():
        expected = policy(prompts, replies).log_probs
    adapted = add_lora(policy.model, rank=2, alpha=4, dropout=0.0, vision="none")
    scores = Policy(adapted, policy.encoder.processor, policy.sampling).train()(prompts, replies)
    assert torch.allclose(scores.log_probs, expected, atol=1e-4)
    scores.log_probs.sum().backward()


def test_what_a_family_allows_is_found_out_from_its_model_and_processor():
    allowed = {
        name: (
            policy.encoder.composes,
            policy.capabilities.accepts_image_features,
            policy.capabilities.stepwise_decoding,
        )
        for name in model_families.FAMILIES
        for policy in [policy_of(name)]
    }
    assert allowed == {
        "llava_next": (True, True, True),
        "qwen2_5_vl": (True, True, False),  # positions in the picture's plane
        "qwen3_vl": (True, True, False),
        "qwen3_5": (True, True, False),
        "qwen4_exp": (True, True, False),
        "gemma3": (True, True, False),  # a picture's tokens see each other, and a sliding window
        "mllama": (False, False, False),  # a cross-attention mask
        "idefics3": (False, False, True),  # pictures padded to the batch's longest row of them
        "paligemma": (True, True, False),  # a prompt's tokens see each other
        "deepseek_vl": (True, False, True),  # no function for a picture's features
    }


@pytest.mark.parametrize("family", ["llava_next", "qwen3_vl"])
def test_features_of_a_frozen_tower_are_computed_once_a_picture(family, observations):
    policy = policy_of(family)
    train_parts(policy.model, "none")
    prompts = [policy.encoder.encode(observation) for observation in observations]
    replies = [torch.tensor([7, 8, 9])] * len(prompts)
    policy(prompts, replies).log_probs.sum().backward()
    calls = []
    for name, module in policy.model.named_modules():
        if name.endswith(("vision_tower", "visual")):
            module.register_forward_hook(lambda *_: calls.append(1))
    policy(prompts, replies)
    policy.generate(prompts)
    assert not calls


@pytest.mark.parametrize("lora", [False, True], ids=["full", "lora"])
@pytest.mark.parametrize("family", ["llava_next", "qwen3_vl"])
def test_data_sft_ppo_and_evaluate_run_end_to_end(family, lora, tmp_path, capsys):
    model, processor = model_families.build(family)
    start, data = tmp_path / "start", tmp_path / "data.jsonl"
    model.save_pretrained(start)
    processor.save_pretrained(start)
    adapter = ["--lora", "--lora-rank", "8", "--lora-alpha", "16", "--train-vision", "none"]
    ways = adapter if lora else []

    def run(command, *options):
        assert command.main([str(option) for option in options]) == 0
        return capsys.readouterr().out.strip()

    run(sft_data, "--env", "NumberLine", "--episodes", 30, "--theme", "classic", "--out", data)
    taught = run(
        sft,
        "--model",
        start,
        "--data",
        data,
        "--out",
        tmp_path / "sft",
        "--steps",
        30,
        "--lr",
        5e-3,
        *ways,
    )
    rows = [json.loads(line) for line in (tmp_path / "sft/metrics.jsonl").read_text().splitlines()]
    assert rows[-1]["loss"] < 0.8 * rows[0]["loss"]
    trained = run(
        ppo,
        "--model",
        taught,
        "--out",
        tmp_path / "ppo",
        "--iterations",
        2,
        "--num-envs",
        4,
        "--num-steps",
        3,
        "--minibatch",
        6,
        "--micro-batch",
        3,
        "--max-new-tokens",
        40,
        "--eval-every",
        2,
        "--eval-episodes",
        2,
        "--log",
        "json",
        "--critic-iterations",
        0,
        "--kl-coef",
        0.1,
        *ways,
    )
    rows = [json.loads(line) for line in (tmp_path / "ppo/metrics.jsonl").read_text().splitlines()]
    assert rows[1]["losses/ratio_error"] < 1e-3 and rows[2]["losses/ratio_error"] < 1e-3
    assert 0 <= rows[2]["eval/parse_rate"] <= 1
    before, after = (dict(load(folder).model.named_parameters()) for folder in (taught, trained))
    moved = {name for name in after if not torch.equal(before[name], after[name])}
    assert moved and all("lora_" in name for name in moved) is lora
    answer = run(
        evaluate,
        "--agent",
        "llava",
        "--model",
        trained,
        "--env",
        "NumberLine",
        "--episodes",
        3,
        "--out",
        tmp_path / "run",
        "--json",
    )
    (card,) = json.loads(answer)["scorecards"]
    assert card["episodes"] == 3 and card["errored"] == 0


EXPERTS = "experts.down_proj, experts.gate_up_proj"


@pytest.mark.parametrize(
    ("family", "adapted", "without"),
    [
        ("qwen2_5_vl", "down_proj, gate_proj, k_proj, o_proj, q_proj, up_proj, v_proj", ""),
        ("qwen4_exp", "shared_expert_gate", f"{EXPERTS}, linear_attn.conv1d, mlp.gate"),
    ],
)
def test_a_run_says_which_weights_get_an_adapter_and_which_experts_get_none(
    family, adapted, without
):
    model, _ = model_families.build(family)
    assert adapter_summary(model) == ""
    with_adapter = add_lora(model, rank=2, alpha=4, dropout=0.0, vision="none")
    line = adapter_summary(with_adapter)
    own, _, rest = line.partition("; none on ")
    assert adapted in own and rest.partition(" weights: ")[2] == without
    experts = [weight for name, weight in with_adapter.named_parameters() if "experts." in name]
    assert bool(experts) is bool(without) and not any(w.requires_grad for w in experts)
