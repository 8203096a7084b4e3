"""A run of a local model records which weights played, and goes on with no others."""

import dataclasses
import json
import re
import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file
from support.small_checkpoint import small_checkpoint

from agents.evaluate import evaluate, main
from agents.registry import load_agent
from agents.vlm.bundled import CHECKPOINTS, TASKS
from agents.vlm.checkpoint_files import identify, resolve, step_of, weights_hash
from vlbench import replay
from vlbench.run_folder import EPISODES, RunFolder

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("default")]

BUNDLED = {"llava-sft": "0a3bdcd820fe1221", "llava-rl": "3c4634412c003a88"}
"""First digits of the hash of the bundled checkpoint for NumberLine."""


def other_weights(folder, file="model.safetensors"):
    tensors = load_file(folder / file)
    for name, tensor in tensors.items():
        tensors[name] = tensor + 0.01
    save_file(tensors, folder / file, metadata={"format": "pt"})


@pytest.fixture
def training(tmp_path, monkeypatch):
    """A folder as training leaves it: two steps, and a link to one of them."""
    monkeypatch.chdir(tmp_path)
    small_checkpoint(tmp_path / "run" / "step-000001")
    shutil.copytree("run/step-000001", "run/step-000002")
    other_weights(tmp_path / "run" / "step-000002")

    def link(name, step):
        (tmp_path / "run" / name).unlink(missing_ok=True)
        (tmp_path / "run" / name).symlink_to(f"step-{step:06d}")

    link("latest", 1)
    return link


def play(*arguments, model="run/latest", episodes=2):
    command = ["--agent", "llava", "--model", model, "--env", "NumberLine", "--max-tokens", "8"]
    return main([*command, "--out", "played", "--episodes", str(episodes), *arguments])


def test_a_run_records_the_resolved_step_and_the_hash(training):
    assert play() == 0
    run = RunFolder.open("played")
    info = run.header.models[""]
    assert (info.checkpoint, info.step) == ("run/step-000001", 1)
    assert info.weights_hash == weights_hash(resolve("run/step-000001"))
    assert re.fullmatch("[0-9a-f]{64}", info.weights_hash)
    assert (info.dtype, info.device, info.picture_size) == ("float32", "cpu", "48x48")
    assert {t.reply.provider_id for e in run.episodes() for t in e.turns} == {info.mark}
    assert replay.main(["played"]) == 0


@pytest.mark.parametrize("name", ["latest", "best"])
def test_going_on_with_another_model_is_refused_and_names_both(training, name, capsys):
    training(name, 1)
    assert play(model=f"run/{name}") == 0
    before = {path.name: path.read_bytes() for path in resolve("played").iterdir()}
    training(name, 2)
    capsys.readouterr()
    for episodes in (2, 4):
        assert play(model=f"run/{name}", episodes=episodes) == 2
        out, err = capsys.readouterr()
        assert out == "" and err.count("\n") == 1
        for text in ("run/step-000001 (sha256 ", "run/step-000002 (sha256 ", " there", " here"):
            assert text in err
    assert {path.name: path.read_bytes() for path in resolve("played").iterdir()} == before
    training(name, 1)
    assert play(model=f"run/{name}", episodes=4) == 0
    assert len(RunFolder.open("played").episodes()) == 4


def test_a_model_that_was_overwritten_in_place_is_another(training, capsys):
    assert play() == 0
    other_weights(resolve("run/step-000001"))
    assert play() == 2
    assert "the model is run/step-000001 (sha256 " in capsys.readouterr().err


def test_another_precision_is_another_model(training, capsys):
    assert play() == 0
    assert play("--set", "dtype=bfloat16") == 2
    err = capsys.readouterr().err
    assert "float32) there" in err and "bfloat16) here" in err


def test_the_same_weights_elsewhere_are_the_same_model(training):
    shutil.copytree("run/step-000002", "elsewhere")
    first, other = identify(resolve("run/step-000002")), identify(resolve("elsewhere"))
    assert first.weights_hash == other.weights_hash and (first.step, other.step) == (2, None)
    as_loaded = [dataclasses.replace(info, dtype="float32") for info in (first, other)]
    assert as_loaded[0].same_as(as_loaded[1])


@pytest.mark.parametrize(
    ("file", "changes"),
    [
        ("model.safetensors", True),
        ("config.json", True),
        ("processor_config.json", True),
        ("tokenizer.json", True),
        ("tokenizer_config.json", True),
        ("generation_config.json", True),
        ("chat_template.jinja", True),
        ("README.md", False),
        ("trainer.pt", False),
    ],
)
def test_the_hash_covers_what_decides_a_reply(training, file, changes):
    folder = resolve("run/step-000001")
    before = weights_hash(folder)
    with (folder / file).open("ab") as content:
        content.write(b" ")
    assert (weights_hash(folder) != before) == changes


def test_the_hash_of_an_adapter_covers_its_base(training, tmp_path):
    from agents.vlm.loading import add_lora, load

    adapter = add_lora(load("run/step-000001").model, rank=4, alpha=8, dropout=0.0, vision="none")
    adapter.save_pretrained(tmp_path / "adapter")
    hashes = [load("adapter").identify().weights_hash]
    hashes.append(load("adapter", base="run/step-000002").identify().weights_hash)
    shutil.copytree("run/step-000001", "moved")
    assert load("adapter", base="moved").identify().weights_hash == hashes[0]
    other_weights(tmp_path / "adapter", "adapter_model.safetensors")
    hashes.append(load("adapter").identify().weights_hash)
    assert len(set(hashes)) == 3


def test_replay_names_the_turns_of_another_model(training, capsys):
    assert play(model="run/step-000001") == 0
    shutil.move("played", "first")
    assert play(model="run/step-000002") == 0
    lines = (resolve("first") / EPISODES).read_text().splitlines()
    others = (resolve("played") / EPISODES).read_text().splitlines()
    (resolve("first") / EPISODES).write_text("\n".join([lines[0], others[1]]) + "\n")
    capsys.readouterr()
    assert replay.main(["first"]) == 1
    out = capsys.readouterr().out
    marks = [RunFolder.open(name).header.models[""].mark for name in ("played", "first")]
    assert f"#1/0 turn 0: model is {marks[0]!r}, replay gives {marks[1]!r}" in out
    assert "2 episodes replayed, 1 differ" in out
    nobody = others[1].replace(marks[0], "")
    (resolve("first") / EPISODES).write_text("\n".join([lines[0], nobody]) + "\n")
    assert replay.main(["first"]) == 1
    assert f"#1/0 turn 0: model is '', replay gives {marks[1]!r}" in capsys.readouterr().out


def test_a_cnn_is_recorded_as_well(tmp_path, monkeypatch, capsys):
    pytest.importorskip("stable_baselines3")
    from agents.players.cnn import Shape, new_policy, write_checkpoint

    monkeypatch.chdir(tmp_path)
    for step in (1, 2):
        torch.manual_seed(step)
        folder = tmp_path / "run" / f"step-{step:06d}"
        folder.mkdir(parents=True)
        shape = Shape("vlbench/NumberLine-v0", ("+", "-"), 36)
        write_checkpoint(new_policy(shape), shape, folder)
    (tmp_path / "run" / "latest").symlink_to("step-000001")
    command = ["--agent", "cnn", "--model", "run", "--env", "NumberLine", "--episodes", "2"]
    assert main([*command, "--out", "played"]) == 0
    info = RunFolder.open("played").header.models[""]
    assert (info.checkpoint, info.step, info.picture_size) == ("run/step-000001", 1, "36x36")
    (tmp_path / "run" / "latest").unlink()
    (tmp_path / "run" / "latest").symlink_to("step-000002")
    capsys.readouterr()
    assert main([*command, "--out", "played"]) == 2
    err = capsys.readouterr().err
    assert "run/step-000001 (sha256 " in err and "run/step-000002 (sha256 " in err


def test_a_cnn_for_each_task_is_one_agent(tmp_path, monkeypatch, capsys):
    pytest.importorskip("stable_baselines3")
    from agents.players.cnn import Shape, new_policy, write_checkpoint

    monkeypatch.chdir(tmp_path)
    shapes = {
        "signs": Shape("vlbench/NumberLine-v0", ("+", "-"), 36),
        "cards": Shape("vlbench/Blackjack-v0", ("stand", "hit"), 40),
    }
    for name, shape in shapes.items():
        (tmp_path / name).mkdir()
        write_checkpoint(new_policy(shape), shape, tmp_path / name)
    command = ["--agent", "cnn", "--env", "all", "--episodes", "1", "--out", "played"]
    assert main([*command, "--model", "signs,cards"]) == 0
    header = RunFolder.open("played").header
    assert {env: info.picture_size for env, info in header.models.items()} == {
        "vlbench/NumberLine-v0": "36x36",
        "vlbench/Blackjack-v0": "40x40",
    }
    assert replay.main(["played"]) == 0
    capsys.readouterr()
    assert main([*command, "--model", "signs,signs"]) == 2
    assert "signs is another one for vlbench/NumberLine-v0" in capsys.readouterr().err


@pytest.mark.parametrize("stage", BUNDLED)
def test_the_bundled_models_are_recorded_by_task_and_never_change(stage, tmp_path):
    agent = load_agent(stage, max_tokens=8)
    run = evaluate(agent, "NumberLine,Blackjack", episodes=1, out=tmp_path / "run")
    assert list(run.header.models) == ["vlbench/NumberLine-v0", "vlbench/Blackjack-v0"]
    info = run.header.models["vlbench/NumberLine-v0"]
    assert info.checkpoint == f"{stage}/number_line" and info.picture_size == "96x96"
    assert info.weights_hash.startswith(BUNDLED[stage])
    for env_id, info in run.header.models.items():
        assert info.weights_hash == weights_hash(CHECKPOINTS / stage / TASKS[env_id])
    for episode in run.episodes:
        marks = {turn.reply.provider_id for turn in episode.turns}
        assert marks == {run.header.models[episode.env_id].mark}
    assert replay.main([str(tmp_path / "run")]) == 0


def test_steps_are_read_from_names():
    assert step_of(resolve(".") / "step-000012") == 12
    assert [step_of(resolve(".") / name) for name in ("final", "step-12", "step-x")] == [None] * 3


def test_an_agent_whose_name_is_no_text_is_refused_before_it_plays(tmp_path, monkeypatch):
    agent = load_agent("expert")
    monkeypatch.setattr(agent, "name", 5)
    with pytest.raises(ValueError, match="agent must be str, got 5"):
        evaluate(agent, "NumberLine", episodes=1, out=tmp_path / "run")
    assert not (tmp_path / "run").exists()
    assert json.dumps(agent.settings)
