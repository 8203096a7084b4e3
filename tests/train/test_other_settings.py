"""A run is resumed with its own settings; wrong data and folders are refused before anything."""

import json
import shutil
import sys

import gymnasium
import pytest
import torch

from agents.train import cnn, ppo, sft, sft_data, tiny
from agents.train.checkpoint import Checkpoints
from agents.train.distributed import run_in_processes

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("default")]

PPO = "--num-envs 2 --num-steps 2 --minibatch 4 --max-new-tokens 4 --eval-every 0 --log json "
PPO += "--critic-iterations 0 --iterations 1"
SFT = "--steps 2 --batch 4 --eval-every 0"
CNN = "--num-envs 2 --num-steps 16 --minibatch 16 --epochs 1 --size 36 --turns 32"


def files_of(*folders):
    return {
        path: path.read_bytes()
        for folder in folders
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@pytest.fixture(scope="module")
def place(checkpoint, tmp_path_factory):
    """A folder with a model, its copy, another model, two files of data, and a run of each kind."""
    place = tmp_path_factory.mktemp("place")
    shutil.copytree(checkpoint, place / "model")
    shutil.copytree(checkpoint, place / "copy")
    shutil.copytree(checkpoint, place / "changed")
    template = place / "changed" / "chat_template.jinja"
    template.write_text(template.read_text("utf-8") + "\n", "utf-8")
    for name, seed in (("data", "0"), ("other", "1")):
        options = ["--out", str(place / f"{name}.jsonl"), "--episodes", "8", "--seed", seed]
        assert sft_data.main(options) == 0
    model = f"--model {place / 'model'}"
    assert ppo.main([*f"{model} --out {place / 'ppo'} {PPO}".split()]) == 0
    data = f"--data {place / 'data.jsonl'}"
    assert sft.main([*f"{model} {data} --out {place / 'sft'} {SFT}".split()]) == 0
    assert cnn.main([*f"--out {place / 'cnn'} {CNN}".split()]) == 0
    return place


METHODS = {"ppo": (ppo, PPO), "sft": (sft, SFT), "cnn": (cnn, CNN)}


def call(place, method, *changes):
    """Call a method as for its run in `place`, but with other options; return the exit code."""
    module, usual = METHODS[method]
    options = dict(zip(*[iter(usual.split())] * 2, strict=True))
    options["--out"] = str(place / method)
    if method != "cnn":
        options["--model"] = str(place / "model")
    if method == "sft":
        options["--data"] = str(place / "data.jsonl")
    options.update(zip(*[iter(changes)] * 2, strict=True))
    return module.main([word for pair in options.items() for word in pair])


@pytest.mark.parametrize(
    ("method", "option", "value", "line"),
    [
        ("ppo", "--lr", "0.5", "--lr 0.0001 → 0.5"),
        ("ppo", "--gamma", "0.5", "--gamma 0.9 → 0.5"),
        ("ppo", "--thought-weight", "0.2", "--thought-weight 0.5 → 0.2"),
        ("ppo", "--theme", "classic", "--theme train → classic"),
        ("ppo", "--env", "Blackjack", "--env NumberLine → Blackjack"),
        ("ppo", "--env-kwargs", '{"max_position":9}', '--env-kwargs {} → {"max_position": 9}'),
        ("ppo", "--num-envs", "4", "--num-envs 2 → 4"),
        ("ppo", "--preset", "tiny-points24", "--env NumberLine → Points24"),
        ("ppo", "--lora-rank", "4", "--lora-rank 128 → 4"),
        ("ppo", "--seed", "1", "--seed 0 → 1"),
        ("ppo", "--model", "PLACE/changed", "--model PLACE/model → PLACE/changed"),
        ("ppo", "--model", "PLACE/ppo/latest", "--model PLACE/model → PLACE/ppo/latest"),
        ("sft", "--lr", "0.5", "--lr 0.0015 → 0.5"),
        ("sft", "--thought-weight", "0.2", "--thought-weight 1.0 → 0.2"),
        ("sft", "--holdout", "0.5", "--holdout 0.05 → 0.5"),
        ("sft", "--batch", "2", "--batch 4 → 2"),
        ("sft", "--data", "PLACE/other.jsonl", "--data PLACE/data.jsonl → PLACE/other.jsonl"),
        ("sft", "--model", "PLACE/changed", "--model PLACE/model → PLACE/changed"),
        ("cnn", "--lr", "0.5", "--lr 0.00025 → 0.5"),
        ("cnn", "--size", "40", "--size 36 → 40"),
        ("cnn", "--env", "EZPoints", "--env NumberLine → EZPoints"),
        ("cnn", "--num-envs", "1", "--num-envs 2 → 1"),
    ],
)
def test_a_run_is_refused_with_other_settings_in_a_line_with_both_values(
    method, option, value, line, place, capsys
):
    before = files_of(place)
    # Longer too, so that there would be something to do.
    longer = {"ppo": "--iterations", "sft": "--steps", "cnn": "--turns"}[method]
    changes = [option, value.replace("PLACE", str(place)), longer, "64"]
    assert call(place, method, *changes) == 2
    out, err = capsys.readouterr()
    assert out == "" and err.count("\n") == 1, err
    wanted = line.replace("PLACE", str(place))
    start = f"{method}: {place / method} is a run with other settings (recorded → new): "
    assert err.startswith(start) and wanted in err, err
    assert "resume it with the recorded ones, or choose another --out" in err
    assert files_of(place) == before


def test_what_may_change_is_printed_and_added_to_the_history(place, tmp_path, capsys):
    for method, option, value in (
        ("ppo", "--iterations", "2"),
        ("sft", "--steps", "3"),
        ("cnn", "--turns", "64"),
    ):
        run = tmp_path / method
        shutil.copytree(place / method, run, symlinks=True)
        changes = [option, value, "--save-every", "7", "--out", str(run)]
        if method != "cnn":
            changes += ["--model", str(place / "copy")]  # the same content
        old = {"ppo": 1, "sft": 2, "cnn": 32}[method]
        before = {"ppo": 10, "sft": 1000, "cnn": 20}[method]
        assert call(place, method, *changes) == 0
        line = f"{option[2:]} {old} → {value}, save-every {before} → 7"
        if method == "cnn":
            line = f"save-every 20 → 7, turns {old} → {value}"
        err = capsys.readouterr().err
        assert "; changed: " in err and all(part in err for part in line.split(", ")), err
        lines = (run / "settings.jsonl").read_text("utf-8").splitlines()
        history = [json.loads(text) for text in lines]
        assert [entry["command"] for entry in history] == [method, method]
        assert [entry["settings"]["save_every"] for entry in history] == [before, 7]


def test_a_run_goes_on_without_the_model_that_it_started_from(place, tmp_path, capsys):
    run = tmp_path / "run"
    model = tmp_path / "model"
    shutil.copytree(place / "model", model)
    options = ["--out", str(run), "--model", str(model)]
    assert call(place, "ppo", *options) == 0
    shutil.rmtree(model)
    assert call(place, "ppo", *options, "--iterations", "2") == 0
    assert Checkpoints(run).latest().name == "step-000002"
    assert call(place, "ppo", *options, "--model", "elsewhere", "--iterations", "3") == 2
    assert f"--model {model} → elsewhere" in capsys.readouterr().err


@pytest.mark.parametrize("method", ["ppo", "sft"])
def test_a_run_is_no_model(method, place, capsys):
    assert call(place, method, "--model", str(place / "sft"), "--out", str(place / "new")) == 2
    message = f"--model: {place / 'sft'} is a run, not a checkpoint; try {place / 'sft' / 'latest'}"
    assert capsys.readouterr().err == f"{method}: {message}\n"
    assert not (place / "new").exists()


@pytest.mark.parametrize("out", ["sft/latest", "sft", "ppo", "cnn/latest"])
@pytest.mark.parametrize("more", [[], ["--overwrite"]])
def test_tiny_overwrites_no_trained_checkpoint(place, out, more, capsys):
    before = files_of(place)
    assert tiny.main(["--out", str(place / out), "--env", "NumberLine", *more]) == 2
    err = capsys.readouterr().err
    assert err.count("\n") == 1 and "choose another folder" in err
    assert files_of(place) == before


def test_tiny_replaces_a_model_only_when_asked(place, tmp_path, capsys, monkeypatch):
    model = tmp_path / "model"
    shutil.copytree(place / "model", model)
    (model / "model-00002-of-00002.safetensors").write_bytes(b"of a larger model")
    (model / "notes.txt").write_text("mine", "utf-8")
    before = files_of(model)
    small = "--width 32 --heads 2 --image-size 48 --text-layers 1 --vision-layers 1".split()
    options = ["--out", str(model), "--env", "NumberLine", *small]
    assert tiny.main(options) == 2
    assert "is a model; choose another folder, or replace the model with --overwrite" in (
        capsys.readouterr().err
    )

    def fail(self, folder):
        raise OSError("No space left on device")

    with monkeypatch.context() as full:
        full.setattr(tiny.LlavaProcessor, "save_pretrained", fail)
        assert tiny.main([*options, "--overwrite"]) == 1
    assert files_of(model) == before  # nothing is lost, nothing is left behind
    assert tiny.main([*options, "--overwrite"]) == 0
    after = files_of(model)
    assert after[model / "model.safetensors"] != before[model / "model.safetensors"]
    assert (model / "notes.txt").read_text("utf-8") == "mine"
    assert not (model / "model-00002-of-00002.safetensors").exists()


GOOD = {
    "env_id": "vlbench/NumberLine-v0",
    "kwargs": "{}",
    "instance": "number_line/0-1",
    "presentation": 0,
    "played": [],
    "prompt": "",
    "reply": '{"action": "+"}',
    "action": "+",
    "expert": "+",
}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "data.jsonl is empty"),
        ("[1]", ":1 isn't an expert turn: "),
        ("[" * 100_000, ":1 isn't an expert turn: "),
        (b"\xff\xfe", ":1 isn't an expert turn: "),
        ({"extra": 1}, ":1 isn't an expert turn: "),
        ({"reply": 5}, ":1 isn't an expert turn: reply must be a text, got 5"),
        ({"played": "+"}, "played must be a list of texts, got '+'"),
        ({"played": [1]}, "played must be a list of texts, got [1]"),
        ({"presentation": 1.5}, "presentation must be a whole number, got 1.5"),
        ({"kwargs": "[]"}, "kwargs must hold a JSON object, got '[]'"),
        ({"kwargs": "x"}, ":1 isn't an expert turn: "),
        ({"kwargs": '{"max_positions": 9}'}, 'unknown keyword argument "max_positions"'),
        ({"env_id": "vlbench/NumberLines-v0"}, 'did you mean "vlbench/NumberLine-v0"?'),
        ({"env_id": "trap:ns/Name-v0"}, "pass --env trap:ns/Name-v0"),
        ({"env_id": "GymV21Environment-v0"}, 'unknown env id "GymV21Environment-v0"'),
    ],
)
def test_data_that_is_none_is_refused_by_its_line_and_imports_no_module(
    text, message, place, tmp_path, capsys, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "trap.py").write_text("raise SystemExit('a module was imported')", "utf-8")
    data = tmp_path / "data.jsonl"
    if isinstance(text, dict):
        text = json.dumps(GOOD | text)
    data.write_bytes(text if isinstance(text, bytes) else text.encode())
    options = ["--data", str(data), "--out", str(tmp_path / "run")]
    assert call(place, "sft", *options) == 2
    out, err = capsys.readouterr()
    assert out == "" and err.startswith(f"sft: {data}") and err.count("\n") == 1
    assert message in err
    assert not (tmp_path / "run").exists()


def test_memory_that_runs_out_is_one_line(capsys):
    code = run_in_processes("ppo", lambda: None, lambda *_: torch.empty(10**15))
    assert (code, capsys.readouterr().err.count("\n")) == (1, 1)


def test_data_that_cannot_be_written_leaves_nothing_behind(tmp_path, capsys, monkeypatch):
    out = tmp_path / "data.jsonl"
    out.write_text("an older file\n", "utf-8")

    def fail(config):
        yield from ()
        raise OSError("No space left on device")

    monkeypatch.setattr(sft_data, "transcripts", fail)
    assert sft_data.main(["--out", str(out), "--overwrite"]) == 1
    assert capsys.readouterr().err == "sft_data: No space left on device\n"
    assert [path.name for path in tmp_path.iterdir()] == ["data.jsonl"]
    assert out.read_text("utf-8") == "an older file\n"


def test_data_of_a_task_of_one_s_own_is_learned_with_its_module_named(
    place, tmp_path, capsys, monkeypatch
):
    monkeypatch.syspath_prepend(tmp_path)
    line = 'gymnasium.register("own/Line-v0", entry_point="vlbench.tasks.number_line:NumberLine")'
    (tmp_path / "own_line.py").write_text(f"import gymnasium\n{line}\n", "utf-8")
    env, data = "own_line:own/Line-v0", tmp_path / "data.jsonl"
    assert sft_data.main(["--env", env, "--out", str(data), "--episodes", "4"]) == 0
    assert json.loads(data.read_text("utf-8").splitlines()[0])["env_id"] == env
    del gymnasium.registry["own/Line-v0"], sys.modules["own_line"]
    options = ["--data", str(data), "--out", str(tmp_path / "run")]
    assert call(place, "sft", *options) == 2
    assert f"pass --env {env}" in capsys.readouterr().err and "own_line" not in sys.modules
    assert call(place, "sft", *options, "--env", env) == 0
    del gymnasium.registry["own/Line-v0"]
