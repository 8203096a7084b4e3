"""An adapter's weights load whole or not at all; full models likewise."""

import json
import shutil

import pytest
import torch
from peft import LoraConfig, get_peft_model
from safetensors.torch import load_file, save_file
from support import model_families

from agents.vlm import merge
from agents.vlm.agent import Llava
from agents.vlm.loading import add_lora, load

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("default")]

IDS = {"input_ids": torch.tensor([[9, 10, 11]])}
WEIGHTS, CONFIG = "adapter_model.safetensors", "adapter_config.json"


def make_it_act(model):
    """Give an adapter weights that change the logits."""
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for weight in model.parameters():
            if weight.requires_grad:
                weight.add_(torch.randn(weight.shape, generator=generator), alpha=0.3)
    return model.eval()


@torch.no_grad()
def logits(model):
    return model.eval()(**IDS).logits


def adapter_of(base, folder, **options):
    """Save an adapter that acts, with peft's options; return the logits that it gives."""
    if options:
        model = get_peft_model(load(str(base)).model, LoraConfig(r=2, lora_alpha=4, **options))
    else:
        model = add_lora(load(str(base)).model, rank=2, alpha=4, dropout=0.0, vision="none")
    make_it_act(model).save_pretrained(folder)
    return logits(model)


def edit(path, change):
    """Change the object of a JSON file."""
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


def edit_weights(folder, change, file=WEIGHTS):
    """Replace the weights by those that a function returns for them."""
    save_file(change(load_file(folder / file)), folder / file, {"format": "pt"})


def short_targets(folder):
    def change(settings):
        names = settings["target_modules"]
        settings["target_modules"] = sorted({name.rpartition(".")[2] for name in names})

    edit(folder / CONFIG, change)


def text_only(folder):
    """Name the weights as training on a text-only class does."""
    short_targets(folder)
    edit_weights(
        folder, lambda weights: {k.replace("language_model.", ""): v for k, v in weights.items()}
    )


def without_half(folder):
    edit_weights(folder, lambda weights: {k: v for k, v in weights.items() if "v_proj" not in k})


def with_one_more(folder):
    more = {"base_model.model.score.weight": torch.ones(2)}
    edit_weights(folder, lambda weights: weights | more)


def with_fewer_targets(folder):
    def change(settings):
        names = settings["target_modules"]
        settings["target_modules"] = [name for name in names if "v_proj" not in name]

    edit(folder / CONFIG, change)


def without_weights(folder):
    edit_weights(folder, lambda weights: {})


def without_effect(folder):
    edit(folder / CONFIG, lambda settings: settings.update(lora_alpha=0))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            text_only,
            r"\d+ weights of its file have no place in the model, the first: model\.layers\.0",
        ),
        (
            text_only,
            r"aren't in its file, the first: model\.\w+\.\S*layers\.0\.\S+\.lora_A\.weight",
        ),
        (without_half, r"2 weights that it should train aren't in its file, the first: \S*v_proj"),
        (
            with_one_more,
            "1 weights of its file have no place in the model, the first: score.weight",
        ),
        (
            with_fewer_targets,
            r"2 weights of its file have no place in the model, the first: \S*v_pr",
        ),
        (without_weights, "14 weights that it should train aren't in its file"),
        (without_effect, "lora_alpha is 0, so the adapter changes nothing"),
    ],
)
def test_an_adapter_that_would_not_load_whole_is_refused(checkpoint, tmp_path, change, message):
    folder = tmp_path / "adapter"
    adapter_of(checkpoint, folder)
    change(folder)
    with pytest.raises(ValueError, match=message) as caught:
        Llava(str(folder))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "options",
    [
        {"target_modules": ["q_proj", "v_proj"]},
        {"target_modules": ["q_proj"], "task_type": "CAUSAL_LM"},
        {"target_modules": r".*language_model.*(up_proj|down_proj)"},
        {"target_modules": ["q_proj"], "use_dora": True},
        {"target_modules": ["q_proj"], "use_rslora": True},
        {"target_modules": ["linear_1"], "bias": "lora_only"},
        {"target_modules": ["q_proj"], "modules_to_save": ["lm_head"]},
        {"target_modules": ["q_proj"], "modules_to_save": ["embed_tokens"]},
        {"target_modules": ["q_proj", "embed_tokens"]},
        {"target_modules": ["q_proj"], "trainable_token_indices": {"embed_tokens": [9, 10]}},
        {"target_modules": "all-linear"},
    ],
    ids=lambda options: "-".join(map(str, options.values()))[:40],
)
def test_each_kind_of_adapter_loads_whole_and_merges(checkpoint, tmp_path, options, capsys):
    expected = adapter_of(checkpoint, tmp_path / "adapter", **options)
    model = load(str(tmp_path / "adapter")).model
    assert torch.allclose(logits(model), expected, atol=1e-5)
    model.save_pretrained(tmp_path / "again")
    saved, again = (load_file(tmp_path / name / WEIGHTS) for name in ("adapter", "again"))
    assert saved.keys() == again.keys()
    assert all(torch.equal(weight, again[name]) for name, weight in saved.items())
    assert merge.main([str(tmp_path / "adapter"), "--out", str(tmp_path / "merged")]) == 0
    assert torch.allclose(logits(load(str(tmp_path / "merged")).model), expected, atol=1e-4)
    capsys.readouterr()


def test_a_module_that_is_saved_whole_must_be_in_the_file(checkpoint, tmp_path):
    options = {"target_modules": ["q_proj"], "modules_to_save": ["lm_head"]}
    adapter_of(checkpoint, tmp_path / "adapter", **options)
    edit_weights(
        tmp_path / "adapter", lambda all_: {k: v for k, v in all_.items() if "lm_" not in k}
    )
    with pytest.raises(ValueError, match=r"its adapter_model.safetensors lacks \S*lm_head.weight"):
        load(str(tmp_path / "adapter"))


def test_an_adapter_that_will_be_trained_has_gradients_and_no_other_weight_has(
    checkpoint, tmp_path
):
    adapter_of(checkpoint, tmp_path / "adapter")
    for trainable in (True, False):
        model = load(str(tmp_path / "adapter"), trainable=trainable, lora_dropout=0.25).model
        trained = {name for name, weight in model.named_parameters() if weight.requires_grad}
        lora = {name for name, _ in model.named_parameters() if "lora_" in name}
        assert trained == (lora if trainable else set())
        assert model.peft_config["default"].inference_mode is not trainable


@pytest.mark.parametrize("family", model_families.FAMILIES)
def test_adapters_of_every_family_load_whole_or_not_at_all(family, tmp_path):
    base, adapter = tmp_path / "base", tmp_path / "adapter"
    for part in model_families.build(family):
        part.save_pretrained(base)
    expected = adapter_of(base, adapter)
    assert torch.allclose(logits(load(str(adapter)).model), expected, atol=1e-4)
    text_only(adapter)
    with pytest.raises(ValueError, match="aren't in its file, the first: "):
        load(str(adapter))


def tie(folder, tied):
    def change(config):
        config["tie_word_embeddings"] = config["text_config"]["tie_word_embeddings"] = tied

    edit(folder / "config.json", change)


def without_head(weights):
    return {name: weight for name, weight in weights.items() if "lm_head" not in name}


def test_a_head_of_its_own_must_be_there_and_a_tied_one_need_not(checkpoint, tmp_path):
    folder = tmp_path / "model"
    shutil.copytree(checkpoint, folder)
    edit_weights(folder, without_head, "model.safetensors")
    with pytest.raises(ValueError, match=r"1 weights are missing, the first: lm_head\.weight"):
        load(str(folder))
    tie(folder, True)
    model = load(str(folder)).model
    assert model.get_output_embeddings().weight is model.get_input_embeddings().weight


def test_a_head_that_differs_from_the_embeddings_is_used_whatever_the_config_says(
    checkpoint, tmp_path
):
    folder = tmp_path / "model"
    shutil.copytree(checkpoint, folder)
    tie(folder, True)
    assert torch.equal(logits(load(str(folder)).model), logits(load(str(checkpoint)).model))


def test_a_head_that_was_trained_on_a_tied_base_survives_merging(checkpoint, tmp_path, capsys):
    base = tmp_path / "base"
    shutil.copytree(checkpoint, base)
    edit_weights(base, without_head, "model.safetensors")
    tie(base, True)
    options = {"target_modules": ["q_proj"], "modules_to_save": ["lm_head"]}
    expected = adapter_of(base, tmp_path / "adapter", **options)
    assert merge.main([str(tmp_path / "adapter"), "--out", str(tmp_path / "merged")]) == 0
    assert torch.allclose(logits(load(str(tmp_path / "merged")).model), expected, atol=1e-4)
    capsys.readouterr()


@pytest.mark.parametrize(
    "name",
    [
        "language_model.model.lm_head.weight",
        "model.language_model.layers.0.self_attn.q_proj.lora_A.weight",
        "model.language_model.layers.0.self_attn.q_proj.lora_A.default.weight",
    ],
)
def test_a_full_model_leaves_no_head_and_no_adapter_unloaded(checkpoint, tmp_path, name):
    folder = tmp_path / "model"
    shutil.copytree(checkpoint, folder)
    edit_weights(folder, lambda weights: weights | {name: torch.ones(2, 2)}, "model.safetensors")
    with pytest.raises(ValueError, match="1 weights have no place in the model, the first: "):
        load(str(folder))


def test_buffers_that_older_checkpoints_hold_are_no_left_over_weights(checkpoint, tmp_path):
    folder = tmp_path / "model"
    shutil.copytree(checkpoint, folder)
    more = {
        "model.language_model.layers.0.self_attn.rotary_emb.inv_freq": torch.ones(4),
        "model.vision_tower.vision_model.embeddings.position_ids": torch.arange(10)[None],
    }
    edit_weights(folder, lambda weights: weights | more, "model.safetensors")
    assert torch.equal(logits(load(str(folder)).model), logits(load(str(checkpoint)).model))
