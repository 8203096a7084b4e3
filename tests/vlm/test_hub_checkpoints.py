"""Checkpoints and adapters on the Hub, bases by relative path, and an adapter's own processor.

The Hub is a loopback server that the real client asks, or the client's cache.
"""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from support.loopback_hub import commit_of, loopback_hub, put_in_cache, use_hub
from support.small_checkpoint import small_checkpoint

from agents import doctor, evaluate
from agents.train import ppo, sft, sft_data
from agents.train.update.reference import START, load_reference
from agents.vlm import merge
from agents.vlm.agent import Llava
from agents.vlm.loading import add_lora, load
from agents.vlm.policy import Policy
from agents.vlm.sampling import Sampling

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("default")]

IDS = {"input_ids": torch.tensor([[9, 10, 11]])}
CONFIG = "adapter_config.json"
NOWHERE = "http://127.0.0.1:9"
"""An endpoint that refuses connections."""


@pytest.fixture(scope="module")
def repositories(tmp_path_factory):
    """Folders of a base and of an adapter that names it by its Hub id, as peft does."""
    top = tmp_path_factory.mktemp("repositories")
    base = small_checkpoint(top / "base")
    model = add_lora(load(str(base)).model, rank=2, alpha=4, dropout=0.0, vision="none")
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if "lora_B" in name:
                weight.fill_(0.3)
    model.save_pretrained(top / "lora")
    (top / "lora" / "README.md").unlink()
    name_base(top / "lora", "acme/tiny")
    return {"acme/tiny": base, "someone/lora": top / "lora"}


def name_base(adapter, name, **settings):
    content = json.loads((adapter / CONFIG).read_text())
    content |= {"base_model_name_or_path": name, **settings}
    (adapter / CONFIG).write_text(json.dumps(content))


@pytest.fixture(params=["hub", "cache"])
def hub(request, repositories, tmp_path, monkeypatch):
    """The repositories on a loopback Hub, or in an offline client's cache."""
    monkeypatch.chdir(tmp_path)
    if request.param == "cache":
        use_hub(monkeypatch, NOWHERE, tmp_path / "cache", offline=True)
        for name, folder in repositories.items():
            put_in_cache(tmp_path / "cache", name, folder)
        yield "cache"
    else:
        with loopback_hub(repositories) as server:
            use_hub(monkeypatch, server.url, tmp_path / "cache")
            yield "hub"


@pytest.fixture
def empty_hub(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with loopback_hub({}) as server:
        use_hub(monkeypatch, server.url, tmp_path / "cache")
        yield server


@torch.no_grad()
def logits(loaded):
    return loaded.model.eval()(**IDS).logits


def adapted(repositories, tmp_path):
    """Return the logits of the adapter, from folders alone."""
    shutil.copytree(repositories["someone/lora"], tmp_path / "plain")
    return logits(load(str(tmp_path / "plain"), base=str(repositories["acme/tiny"])))


def test_an_adapter_and_its_base_load_from_the_hub(hub, repositories, tmp_path):
    expected = adapted(repositories, tmp_path)
    shutil.copytree(repositories["someone/lora"], "mine")
    shutil.copytree(repositories["someone/lora"], "prefixed")
    name_base(Path("prefixed"), "hf:acme/tiny")
    commits = {name: commit_of(folder) for name, folder in repositories.items()}
    base, lora = (f"hf:{name}@{commit}" for name, commit in commits.items())
    hashes = set()
    for name, place in [
        ("mine", "mine"),
        ("prefixed", "prefixed"),
        ("hf:someone/lora", lora),
        (lora, lora),
    ]:
        loaded = load(name)
        info = loaded.identify()
        assert torch.equal(logits(loaded), expected)
        assert (info.checkpoint, info.base) == (place, base)
        hashes.add(info.weights_hash)
    assert len(hashes) == 1
    assert torch.equal(logits(load("hf:someone/lora", base="hf:acme/tiny")), expected)
    info = load("hf:acme/tiny").identify()
    assert (info.checkpoint, info.base) == (base, "")
    assert info.weights_hash == load(str(repositories["acme/tiny"])).identify().weights_hash


def test_evaluate_doctor_and_merge_take_adapters_from_the_hub(hub, repositories, tmp_path, capsys):
    expected = adapted(repositories, tmp_path)
    model = ["--agent", "llava", "--model", "hf:someone/lora"]
    options = ["--env", "NumberLine", "--episodes", "1", "--out", "run"]
    assert evaluate.main([*model, "--set", "max_tokens=4", *options]) == 0
    info = json.loads(Path("run/run.json").read_text())["models"][""]
    assert info["checkpoint"].startswith("hf:someone/lora@") and "hf:acme/tiny@" in info["base"]
    assert len(info["weights_hash"]) == 64
    assert doctor.main(model) in (0, 1)  # an untrained model can't see
    assert "hf:someone/lora" in capsys.readouterr().out
    assert merge.main(["hf:someone/lora", "--out", "merged"]) == 0
    assert torch.allclose(logits(load("merged")), expected, atol=1e-5)
    assert merge.main(["hf:acme/tiny", "--out", "other"]) == 2
    assert "isn't an adapter" in capsys.readouterr().err and not Path("other").exists()
    assert merge.main(["hf:someone/lora", "--out", "merged"]) == 2
    assert "merged is a model; choose a new folder" in capsys.readouterr().err


def test_the_environment_alone_chooses_hub_and_cache(repositories, tmp_path):
    with loopback_hub(repositories) as server:
        settings = {"HF_ENDPOINT": server.url, "HF_HOME": str(tmp_path / "home")}
        command = [sys.executable, "-m", "agents.vlm.merge", "hf:someone/lora", "--out", "merged"]
        result = subprocess.run(
            command,
            cwd=tmp_path,
            env={**os.environ, **settings, "PYTHONPATH": os.pathsep.join(sys.path)},
            capture_output=True,
            text=True,
        )
        assert result.returncode == 0 and result.stderr == "", result.stderr
        assert re.fullmatch(r"[\d,]+ parameters in merged: acme/tiny with .*\n", result.stdout)
        assert {path.split("/")[2] for path in server.paths} >= {"models", "tiny", "lora"}
    assert (tmp_path / "home/hub/models--acme--tiny/refs/main").is_file()


TRAIN = ["--lora", "--lora-rank", "2", "--lora-alpha", "4", "--train-vision", "none"]
SFT = ["--data", "data.jsonl", "--batch", "2", "--out", "sft", *TRAIN]
PPO = (
    "--preset tiny-numberline --num-envs 2 --num-steps 2 --minibatch 2 --max-new-tokens 4 --out ppo"
)


def test_training_from_the_hub_resumes_and_continues(hub, repositories, capsys):
    data = ["--env", "NumberLine", "--episodes", "4", "--out", "data.jsonl"]
    assert sft_data.main(data) == 0
    for steps in ("1", "2"):
        assert sft.main(["--model", "hf:acme/tiny", *SFT, "--steps", steps]) == 0
    settings = json.loads(Path("sft/latest", CONFIG).read_text())
    assert settings["base_model_name_or_path"] == "acme/tiny"
    assert settings["revision"] == commit_of(repositories["acme/tiny"])
    for iterations in ("1", "2"):
        argv = [*PPO.split(), *TRAIN, "--model", "sft/latest", "--iterations", iterations]
        assert ppo.main(argv) == 0, capsys.readouterr().err
    again = json.loads(Path("ppo/latest", CONFIG).read_text())
    assert again["base_model_name_or_path"] == "acme/tiny"
    assert again["revision"] == settings["revision"]
    assert Llava("ppo/latest").models[""].base == f"hf:acme/tiny@{settings['revision']}"


def test_the_reference_of_a_run_from_an_adapter_on_the_hub_is_that_adapter(hub):
    loaded = load("hf:someone/lora", trainable=True)
    policy = Policy(loaded.model, loaded.processor, Sampling())
    assert load_reference(policy, "hf:acme/tiny").adapter == ""
    assert load_reference(policy, "hf:someone/lora").adapter == START


def test_a_moved_branch_of_the_base_does_not_change_a_trained_adapter(
    repositories, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    served = dict(repositories)
    with loopback_hub(served) as server:
        use_hub(monkeypatch, server.url, tmp_path / "cache")
        loaded = load("hf:acme/tiny")
        model = add_lora(loaded.model, rank=2, alpha=4, dropout=0.0, vision="none")
        Policy(model, loaded.processor, Sampling()).save(Path("trained"))
        before = load("trained").identify()
        served["acme/tiny"] = small_checkpoint(tmp_path / "other", seed=1)
        assert load("hf:acme/tiny").identify().weights_hash != loaded.identify().weights_hash
        assert load("trained").identify() == before


def test_a_base_that_an_adapter_names_by_its_place_in_a_lost_cache_is_found_on_the_hub(
    hub, repositories, tmp_path
):
    shutil.copytree(repositories["someone/lora"], "lora")
    commit = commit_of(repositories["acme/tiny"])
    name_base(Path("lora"), f"/gone/hub/models--acme--tiny/snapshots/{commit}")
    assert load("lora").identify().base == f"hf:acme/tiny@{commit}"


@pytest.mark.parametrize("place", ["current", "adapter"])
def test_a_base_by_relative_path_is_found_from_here_or_from_the_adapter(
    repositories, tmp_path, monkeypatch, place, capsys
):
    expected = adapted(repositories, tmp_path)
    adapter = tmp_path / "adapters" / "mine"
    shutil.copytree(repositories["someone/lora"], adapter)
    work = tmp_path / "work"
    work.mkdir()
    monkeypatch.chdir(work)
    name_base(adapter, "bases/tiny" if place == "current" else "../../bases/tiny")
    where = work if place == "current" else tmp_path
    shutil.copytree(repositories["acme/tiny"], where / "bases" / "tiny")
    assert torch.equal(logits(load("../adapters/mine")), expected)
    assert sft_data.main(["--env", "NumberLine", "--episodes", "2", "--out", "data.jsonl"]) == 0
    for steps in ("1", "2"):
        argv = ["--model", "../adapters/mine", *SFT, "--steps", steps]
        assert sft.main(argv) == 0, capsys.readouterr().err
    assert merge.main(["sft/latest", "--out", "merged"]) == 0
    shutil.rmtree(where / "bases")
    if place == "adapter":
        with pytest.raises(ValueError) as caught:
            load("../adapters/mine")
        message = str(caught.value)
        assert "no checkpoint folder ../../bases/tiny, neither in the current folder" in message
        assert "in the adapter's, ../adapters/mine" in message and "\n" not in message


def test_a_folder_wins_over_the_hub(hub, repositories):
    shutil.copytree(repositories["someone/lora"], "lora")
    shutil.copytree(repositories["acme/tiny"], "acme/tiny")
    assert load("lora").identify().base == "acme/tiny"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("hf:acme/none", "hf:acme/none can't be downloaded: {url} has no such repository"),
        ("hf:acme/none@v1", "hf:acme/none@v1 can't be downloaded: {url} has no such repository"),
        ("hf:../etc", "hf:../etc can't be downloaded: "),
        ("hf:", "hf: can't be downloaded: "),
        ("lora", "hf:acme/tiny can't be downloaded: {url} has no such repository"),
        (
            "lora",
            "no checkpoint folder acme/tiny, neither in the current folder nor in the adapter",
        ),
    ],
)
def test_what_the_hub_lacks_is_one_line(empty_hub, repositories, name, message):
    shutil.copytree(repositories["someone/lora"], "lora")
    with pytest.raises(ValueError) as caught:
        load(name)
    assert message.format(url=empty_hub.url) in str(caught.value)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 800


def test_a_revision_that_the_hub_lacks_is_one_line(repositories, tmp_path, monkeypatch):
    with loopback_hub(repositories) as server:
        use_hub(monkeypatch, server.url, tmp_path / "cache")
        with pytest.raises(ValueError, match="hf:acme/tiny@v1 can't be.*no such revision of it$"):
            load("hf:acme/tiny@v1")


@pytest.mark.parametrize(
    ("offline", "message"),
    [
        (True, "HF_HUB_OFFLINE is set, and it isn't whole in the cache"),
        (False, "127.0.0.1:9 can't be reached, and it isn't whole in the cache"),
    ],
)
def test_without_a_network_what_the_cache_lacks_is_one_line_and_the_rest_loads(
    repositories, tmp_path, monkeypatch, capsys, offline, message
):
    monkeypatch.chdir(tmp_path)
    use_hub(monkeypatch, NOWHERE, tmp_path / "cache", offline)
    put_in_cache(tmp_path / "cache", "someone/lora", repositories["someone/lora"])
    for name in ("hf:someone/lora", "hf:acme/none"):
        argv = ["--agent", "llava", "--model", name, "--env", "NumberLine", "--episodes", "1"]
        assert evaluate.main(argv) == 2
        err = capsys.readouterr().err
        assert message in err and err.count("\n") == 1
    put_in_cache(tmp_path / "cache", "acme/tiny", repositories["acme/tiny"])
    assert load("hf:someone/lora").identify().base.startswith("hf:acme/tiny@")


# An adapter's own processor


def own_template(folder):
    text = (folder.parent / "base" / "chat_template.jinja").read_text()
    (folder / "chat_template.jinja").write_text(text + "{# of the adapter #}")


def own_inline_template(folder):
    text = (folder.parent / "base" / "chat_template.jinja").read_text()
    content = {"chat_template": text + "{# of the adapter #}"}
    (folder / "processor_config.json").write_text(
        json.dumps(
            json.loads((folder.parent / "base" / "processor_config.json").read_text()) | content
        )
    )


def own_tokenizer(folder):
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copyfile(folder.parent / "base" / name, folder / name)
    text = json.loads((folder / "tokenizer.json").read_text())
    merges = text["model"]["merges"]
    text["model"]["merges"] = merges[: len(merges) // 2]
    (folder / "tokenizer.json").write_text(json.dumps(text))


@pytest.mark.parametrize(
    ("change", "part"),
    [
        (own_template, "chat template"),
        (own_inline_template, "chat template and picture processor"),
        (own_tokenizer, "tokenizer"),
    ],
)
def test_an_adapters_own_tokenizer_and_template_are_used_and_said(
    repositories, tmp_path, capsys, change, part
):
    shutil.copytree(repositories["acme/tiny"], tmp_path / "base")
    shutil.copytree(repositories["someone/lora"], tmp_path / "lora")
    name_base(tmp_path / "lora", "../base")
    before = load(str(tmp_path / "lora"))
    hash_before = before.identify().weights_hash
    assert capsys.readouterr().err == ""
    change(tmp_path / "lora")
    after = load(str(tmp_path / "lora"))
    line = f"the adapter {tmp_path / 'lora'} brings its own {part}, used here\n"
    assert capsys.readouterr().err == line
    text = "20 and 22 make 42"
    sizes = [len(each.processor.tokenizer(text)["input_ids"]) for each in (before, after)]
    assert (sizes[0] < sizes[1]) == (part == "tokenizer")
    said = "of the adapter" in after.processor.chat_template
    assert said == part.startswith("chat template")
    assert hash_before != after.identify().weights_hash
    merge.merge(after, tmp_path / "merged")
    merged = load(str(tmp_path / "merged")).processor
    assert merged.chat_template == after.processor.chat_template
    assert len(merged.tokenizer(text)["input_ids"]) == sizes[1]


def test_a_processor_that_is_the_bases_is_not_spoken_of_and_does_not_count(
    repositories, tmp_path, capsys
):
    shutil.copytree(repositories["acme/tiny"], tmp_path / "base")
    shutil.copytree(repositories["someone/lora"], tmp_path / "lora")
    name_base(tmp_path / "lora", "../base")
    before = load(str(tmp_path / "lora")).identify()
    load(str(tmp_path / "base")).processor.save_pretrained(tmp_path / "lora")
    assert load(str(tmp_path / "lora")).identify() == before
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("chat_template.jinja", "{% for", "template"),
        ("chat_template.jinja", "no picture", "picture|image"),
        ("tokenizer.json", "{}", "tokenizer|processor"),
        ("tokenizer_config.json", "[]", "must hold a JSON object"),
    ],
)
def test_a_wrong_processor_of_an_adapter_is_one_line(
    repositories, tmp_path, name, content, message
):
    shutil.copytree(repositories["acme/tiny"], tmp_path / "base")
    shutil.copytree(repositories["someone/lora"], tmp_path / "lora")
    name_base(tmp_path / "lora", "../base")
    (tmp_path / "lora" / name).write_text(content)
    with pytest.raises(ValueError, match=message) as caught:
        load(str(tmp_path / "lora"))
    assert "\n" not in str(caught.value) and "vlbench-" not in str(caught.value)
