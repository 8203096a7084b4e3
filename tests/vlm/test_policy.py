"""What the policy is fed, draws and scores, on an untrained tiny LLaVA; and the agent around it."""

import asyncio
import json
import shutil

import gymnasium
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from support.small_checkpoint import small_checkpoint
from transformers import BertConfig, BertModel
from transformers.modeling_outputs import BaseModelOutputWithPooling

import vlbench
from agents.train import tiny
from agents.train.advantages.value_head import ValueHead
from agents.vlm.agent import Llava
from agents.vlm.capabilities import split_features
from agents.vlm.encoding import pixels
from agents.vlm.loading import add_lora, load, train_parts, vision_modules
from agents.vlm.policy import Policy
from agents.vlm.sampling import Sampling, nucleus
from vlbench.prompts import Exchange, messages
from vlbench.run_folder import RunFolder

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("default")]


@pytest.fixture(scope="module")
def observations():
    """Prompts of different lengths, with pictures that differ and one that repeats."""
    first = []
    for env_id, theme in zip(
        vlbench.CARD_IDS, ("classic", "slate", "parchment", "midnight"), strict=True
    ):
        env = gymnasium.make(env_id, theme=theme, jitter=3)
        first.append(env.reset(seed=1)[0])
    return [*first, first[0]]


def policy_of(folder, **sampling):
    loaded = load(str(folder), trainable=True, device=torch.device("cpu"))
    head = ValueHead(loaded.model.get_output_embeddings().weight.shape[1], (8,), detach=True)
    for weight in head.parameters():
        torch.nn.init.constant_(weight, 0.1)
    return Policy(loaded.model, loaded.processor, Sampling(**sampling), head)


def test_tiny_is_small_real_and_the_same_for_the_same_seed(tmp_path, capsys):
    for name in ("a", "b"):
        tiny.build(tiny.Config(out=tmp_path / name))
    files = sorted(path.name for path in (tmp_path / "a").iterdir())
    assert {"config.json", "model.safetensors", "tokenizer.json", "chat_template.jinja"} <= {*files}
    for name in files:
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes(), name
    loaded = load(str(tmp_path / "a"))
    assert type(loaded.model).__name__ == "LlavaForConditionalGeneration"
    assert type(loaded.processor).__name__ == "LlavaProcessor"
    assert sum(weight.numel() for weight in loaded.model.parameters()) < 3_000_000
    text = '{"current number": 10, "thoughts": "naïve ☃"}'
    ids = loaded.processor.tokenizer(text, add_special_tokens=False).input_ids
    assert loaded.processor.tokenizer.decode(ids) == text


def test_the_model_is_fed_what_its_own_processor_makes_bit_for_bit(checkpoint, observations):
    policy = policy_of(checkpoint)
    prompts = [policy.encoder.encode(observation) for observation in observations]
    batch = policy.encoder.collate(prompts)
    chats = [messages(observation) for observation in observations]
    processor = load(str(checkpoint)).processor
    expected = processor(
        text=[processor.apply_chat_template(c, add_generation_prompt=True) for c in chats],
        images=[Image.fromarray(observation["image"]) for observation in observations],
        padding=True,
        padding_side="left",
        return_tensors="pt",
    )
    assert set(batch) == set(expected)
    for name, tensor in expected.items():
        assert torch.equal(batch[name], tensor), name


def test_a_history_is_fed_as_the_processor_makes_it(checkpoint, observations):
    past = Exchange(observations[1], vlbench.reply("+"))
    observation = {**observations[0], "history": (past,)}
    policy = policy_of(checkpoint)
    prompt = policy.encoder.encode(observation)
    processor = policy.encoder.processor
    expected = processor(
        text=[processor.apply_chat_template(messages(observation), add_generation_prompt=True)],
        images=[Image.fromarray(o["image"]) for o in (observations[1], observations[0])],
        return_tensors="pt",
    )
    assert torch.equal(prompt.sequences["input_ids"], expected["input_ids"][0])
    assert torch.equal(pixels(prompt.pictures)["pixel_values"], expected["pixel_values"])


@pytest.mark.parametrize(
    "sampling", [{}, {"temperature": 0.7}, {"top_p": 0.8}, {"top_k": 5}, {"top_k": 9, "top_p": 0.5}]
)
def test_scores_are_the_log_probabilities_kept_from_sampling(checkpoint, observations, sampling):
    policy = policy_of(checkpoint, max_new_tokens=24, **sampling)
    prompts = [policy.encoder.encode(observation) for observation in observations]
    drawn = policy.generate(prompts, torch.Generator().manual_seed(0))
    scores = policy(prompts, [reply.ids for reply in drawn])
    for row, mask, reply in zip(scores.log_probs, scores.mask, drawn, strict=True):
        assert torch.allclose(row[mask], reply.log_probs, atol=1e-4)
    assert torch.allclose(scores.values, torch.tensor([r.value for r in drawn]), atol=1e-4)
    assert torch.allclose(torch.tensor(policy.values(prompts)), scores.values, atol=1e-4)


def test_only_the_likeliest_tokens_are_drawn():
    log_probs = torch.tensor([0.4, 0.3, 0.2, 0.1]).log()
    assert nucleus(log_probs, 1.0, top_k=2).exp().tolist() == pytest.approx([4 / 7, 3 / 7, 0, 0])
    assert nucleus(log_probs, 0.5, top_k=2).exp().tolist() == pytest.approx([1, 0, 0, 0])
    assert nucleus(log_probs, 0.6, top_k=2).exp().tolist() == pytest.approx([4 / 7, 3 / 7, 0, 0])
    for everything in (0, 4, 9):
        assert nucleus(log_probs, 1.0, top_k=everything).tolist() == log_probs.tolist()
    kept = nucleus(log_probs, 1.0, torch.tensor(3), top_k=2).exp().tolist()
    assert kept == pytest.approx([0.5, 0.375, 0, 0.125]), "what was drawn keeps a probability"


def test_a_row_doesn_t_depend_on_its_batch(checkpoint, observations):
    policy = policy_of(checkpoint, max_new_tokens=24)
    prompts = [policy.encoder.encode(observation) for observation in observations]
    together = policy.generate(prompts)
    for prompt, reply in zip(prompts, together, strict=True):
        (alone,) = policy.generate([prompt])
        assert torch.equal(alone.ids, reply.ids)
        assert alone.value == pytest.approx(reply.value, abs=1e-5)


def test_greedy_replies_are_those_of_generate(checkpoint, observations):
    policy = policy_of(checkpoint, max_new_tokens=24)
    prompts = [policy.encoder.encode(observation) for observation in observations]
    batch = policy.encoder.collate(prompts)
    forbidden = policy.forbidden.nonzero()[:, 0].tolist()
    rows = policy.model.generate(
        **batch, max_new_tokens=24, do_sample=False, suppress_tokens=forbidden
    )
    for reply, row in zip(policy.generate(prompts), rows, strict=True):
        expected = row[batch["input_ids"].shape[1] :][: len(reply.ids)]
        assert torch.equal(reply.ids, expected)


def test_special_tokens_are_never_drawn(checkpoint, observations):
    policy = policy_of(checkpoint, max_new_tokens=8)
    image = policy.model.config.image_token_id
    assert policy.forbidden[image] and policy.forbidden[policy.tokenizer.pad_token_id]
    assert not policy.forbidden[policy.tokenizer.eos_token_id]
    with torch.no_grad():  # a model that would write nothing but image tokens
        policy.model.get_output_embeddings().weight[image] *= 1000
    prompts = [policy.encoder.encode(observation) for observation in observations]
    for reply in policy.generate(prompts, torch.Generator().manual_seed(0)):
        assert image not in reply.ids.tolist()
    scores = policy(prompts, [torch.tensor([5, 6])] * len(prompts), entropy_gradient=True)
    assert torch.isfinite(scores.log_probs).all() and torch.isfinite(scores.entropy).all()
    scores.entropy.sum().backward()
    weights = [w.grad for w in policy.parameters() if w.grad is not None]
    assert weights and all(torch.isfinite(gradient).all() for gradient in weights)


@pytest.mark.parametrize(
    ("generation", "config", "ends"),
    [
        ("</s>", "</s>", {"</s>"}),
        ("<pad>", "</s>", {"<pad>", "</s>"}),  # Kimi's form: the tokenizer's isn't generation's
        (["</s>", "<pad>"], None, {"</s>", "<pad>"}),
        (None, None, {"</s>"}),
        ("0", "1", {"</s>"}),  # a default of the class, which is another tokenizer's token
    ],
)
def test_a_reply_ends_at_every_end_token_that_the_checkpoint_names(
    checkpoint, generation, config, ends
):
    loaded = load(str(checkpoint), device=torch.device("cpu"))
    number = loaded.processor.tokenizer.convert_tokens_to_ids
    loaded.model.generation_config.eos_token_id = number(generation) if generation else None
    loaded.model.config.text_config.eos_token_id = number(config) if config else None
    policy = Policy(loaded.model, loaded.processor, Sampling())
    assert set(policy.end_ids.tolist()) == {number(end) for end in ends}
    assert not policy.forbidden[policy.encoder.encode_reply("{}")].any()


def test_a_processor_whose_tokens_are_not_those_of_its_template_is_refused(checkpoint):
    loaded = load(str(checkpoint), device=torch.device("cpu"))
    processor = loaded.processor

    def apply(*args, tokenize, **options):
        rendered = type(processor).apply_chat_template(
            processor, *args, tokenize=tokenize, **options
        )
        return {"input_ids": rendered["input_ids"][:, 1:]} if tokenize else rendered

    processor.apply_chat_template = apply
    with pytest.raises(ValueError, match=r"reads a rendered chat as \d+ tokens and its own"):
        Policy(loaded.model, processor, Sampling())


def test_only_plain_linear_layers_get_an_adapter(checkpoint):
    class Router(torch.nn.Linear):
        def forward(self, hidden):
            scores = super().forward(hidden)
            return scores, scores.argmax(-1)

    model = load(str(checkpoint), device=torch.device("cpu")).model
    model.model.language_model.layers[0].router = Router(32, 4)
    adapted = add_lora(model, rank=2, alpha=4, dropout=0.0, vision="none")
    assert isinstance(adapted.base_model.model.model.language_model.layers[0].router, Router)


def test_a_tower_whose_output_is_not_pooled_has_no_features_of_its_own():
    output = BaseModelOutputWithPooling(last_hidden_state=torch.zeros(2, 3), pooler_output=None)
    assert split_features(output, 2) is None


def test_features_of_a_frozen_tower_are_computed_once_and_change_nothing(checkpoint, observations):
    policy = policy_of(checkpoint)
    replies = [torch.tensor([7, 8, 9])] * len(observations)
    prompts = [policy.encoder.encode(observation) for observation in observations]
    with torch.no_grad():
        trained = policy(prompts, replies).log_probs
        train_parts(policy.model, "none")
        assert not policy.picture_is_frozen, "it is looked up once"
        del policy.picture_is_frozen
        assert policy.picture_is_frozen
        assert torch.equal(policy(prompts, replies).log_probs, trained)
        features = prompts[0].pictures[0].features
        assert prompts[-1].pictures[0].features is features
        calls = []
        tower = next(iter(vision_modules(policy.model).values()))
        tower.register_forward_hook(lambda *_: calls.append(1))
        policy(prompts, replies)
        assert not calls


def test_lora_is_on_the_language_model_unless_asked(checkpoint):
    for vision, expected in (("none", False), ("all", True)):
        model = add_lora(load(str(checkpoint)).model, rank=4, alpha=8, dropout=0.0, vision=vision)
        trained = [name for name, weight in model.named_parameters() if weight.requires_grad]
        assert trained and all("lora_" in name for name in trained)
        assert any("vision_tower" in name for name in trained) is expected
        assert not any("lm_head" in name for name in trained)


def test_an_adapter_is_loaded_with_its_base(checkpoint, tmp_path):
    model = add_lora(load(str(checkpoint)).model, rank=4, alpha=8, dropout=0.0, vision="none")
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if "lora_B" in name:
                weight.fill_(0.01)
    model.save_pretrained(tmp_path)
    again = load(str(tmp_path))
    assert again.base == str(checkpoint)
    inputs = {"input_ids": torch.tensor([[9, 10, 11]])}
    assert torch.equal(again.model(**inputs).logits, model.eval()(**inputs).logits)


def damaged(checkpoint, folder):
    shutil.copytree(checkpoint, folder)
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:1000])


def incomplete(checkpoint, folder):
    shutil.copytree(checkpoint, folder)
    weights = load_file(folder / "model.safetensors")
    weights.popitem()
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})


def pickled(checkpoint, folder):
    shutil.copytree(checkpoint, folder)
    torch.save(load_file(folder / "model.safetensors"), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()


def of_another_kind(checkpoint, folder):
    config = BertConfig(hidden_size=8, num_hidden_layers=1, num_attention_heads=1, vocab_size=9)
    BertModel(config).save_pretrained(folder)


def adapter_of_another_base(checkpoint, folder):
    wider = folder.with_name("wider")
    small_checkpoint(wider, width=48)
    add_lora(load(str(wider)).model, rank=4, alpha=8, dropout=0.0, vision="none").save_pretrained(
        folder
    )
    settings = json.loads((folder / "adapter_config.json").read_text())
    settings["base_model_name_or_path"] = str(checkpoint)
    (folder / "adapter_config.json").write_text(json.dumps(settings))


def adapter_of_a_lost_base(checkpoint, folder):
    adapter_of_another_base(folder / "nowhere", folder)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda checkpoint, folder: None, "no checkpoint folder"),
        (damaged, "weights are damaged"),
        (incomplete, "1 weights are missing"),
        (pickled, "can't be loaded"),
        (of_another_kind, '"bert" takes no picture'),
        (adapter_of_another_base, "doesn't fit the base"),
        (adapter_of_a_lost_base, "no checkpoint folder"),
    ],
)
def test_a_bad_checkpoint_is_refused_in_one_line(checkpoint, tmp_path, make, message):
    folder = tmp_path / "bad"
    make(checkpoint, folder)
    with pytest.raises(ValueError, match=message) as caught:
        Llava(str(folder))
    assert "\n" not in str(caught.value)


def test_the_agent_answers_those_who_wait_in_one_batch(checkpoint, observations, monkeypatch):
    agent = Llava(str(checkpoint), max_tokens=8)
    sizes = []
    generate = agent._policy.generate
    monkeypatch.setattr(
        agent._policy, "generate", lambda p, g: sizes.append(len(p)) or generate(p, g)
    )

    async def ask():
        return await asyncio.gather(*(agent.act(observation) for observation in observations))

    replies = asyncio.run(ask())
    assert sizes == [len(observations)]
    assert [reply.text for reply in replies] == [
        asyncio.run(agent.act(observation)).text for observation in observations
    ]
    assert {reply.stop_reason for reply in replies} <= {"stop", "length"}
    assert all(reply.prompt_tokens and reply.completion_tokens for reply in replies)


def test_the_agent_survives_a_failed_batch(checkpoint, observations):
    agent = Llava(str(checkpoint), max_tokens=8)

    async def ask():
        with pytest.raises(AttributeError):
            await agent.act({"image": None, "text": "?"})
        return await agent.act(observations[0])

    assert asyncio.run(ask()).text is not None


def test_variables_of_the_chat_template_are_filled_in(checkpoint, observations, tmp_path):
    folder = tmp_path / "thinking"
    shutil.copytree(checkpoint, folder)
    template = folder / "chat_template.jinja"
    template.write_text("{% if hush %}hush {% endif %}" + template.read_text())
    plain, hushed = (
        Llava(str(folder), max_tokens=8, chat_template_kwargs=variables)
        for variables in ({}, {"hush": True})
    )
    text = plain._policy.encoder.encode(observations[0]).text
    assert hushed._policy.encoder.encode(observations[0]).text == f"hush {text}"
    assert hushed.settings["chat_template_kwargs"] == {"hush": True}
    with pytest.raises(ValueError, match='the chat template has no variable "enable_thinking"'):
        Llava(str(folder), chat_template_kwargs={"enable_thinking": False})


def test_flags_of_sampling_reach_a_local_model_and_a_run_records_its_machine(checkpoint, tmp_path):
    from agents.evaluate import main

    flags = ["--temperature", "1", "--top-p", "0.9", "--top-k", "7", "--max-tokens", "4"]
    run = ["--env", "NumberLine", "--episodes", "1", "--out", str(tmp_path)]
    assert main(["--agent", "llava", "--model", str(checkpoint), *flags, *run]) == 0
    header = RunFolder.open(tmp_path).header
    asked = {"temperature": 1.0, "top_p": 0.9, "top_k": 7, "max_tokens": 4}
    assert asked.items() <= header.settings.items()
    (info,) = header.models.values()
    assert (info.dtype, info.device, info.picture_size) == ("float32", "cpu", "48x48")
    assert info.versions.keys() == {"torch", "transformers", "peft"}


@pytest.mark.parametrize("flag", ["--presence-penalty=1", "--json-schema", "--header=X-A=b"])
def test_a_flag_that_means_nothing_to_a_local_model_is_refused(flag, checkpoint, capsys):
    from agents.evaluate import main

    assert main(["--agent", "llava", "--model", str(checkpoint), flag]) == 2
    err = capsys.readouterr().err
    assert err.count("\n") == 1 and 'agent "llava": unknown setting' in err


@pytest.mark.parametrize(
    "settings",
    [{"top_k": -1}, {"temperature": -1}, {"top_p": 0}, {"max_tokens": 0}, {"dtype": "int8"}],
)
def test_a_wrong_setting_is_refused(checkpoint, settings):
    with pytest.raises(ValueError):
        Llava(str(checkpoint), **settings)


def test_a_chat_template_without_a_slot_for_a_picture_is_refused(checkpoint, tmp_path):
    folder = shutil.copytree(checkpoint, tmp_path / "m")
    template = folder / "chat_template.jinja"
    template.write_text(template.read_text().replace("<image>", ""))
    with pytest.raises(ValueError, match="the chat template has no slot for a picture"):
        Llava(str(folder))


def test_inputs_go_to_the_model_s_device(checkpoint):
    loaded = load(str(checkpoint))
    policy = Policy(loaded.model.to("meta"), loaded.processor, Sampling())
    assert policy.device.type == policy.forbidden.device.type == "meta"
