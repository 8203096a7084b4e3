"""A folder's kind protects what it holds, and the settings of a run are its history."""

import json
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from vlbench.cli import EVALUATION, output_folder, run_kind
from vlbench.cli.folders import folder_kind
from vlbench.cli.settings import Call, RunSettings


@dataclass(frozen=True)
class Options:
    out: Path = Path("run")
    lr: float = 0.1
    steps: int = 10
    model: str = "hf:base"


CHANGEABLE = {"out", "steps", "processes"}


def call(command="sft", content=(), processes=1, **options):
    return Call.of(command, Options(**options), dict(content), processes)


def lines(folder):
    return [json.loads(line) for line in (folder / "settings.jsonl").read_text().splitlines()]


@pytest.mark.parametrize(
    ("name", "text", "kind"),
    [
        ("run.json", "{}", EVALUATION),
        ("settings.jsonl", '{"command": "ppo"}\n', "a run of ppo"),
        ("settings.jsonl", "[1]\n", "a run of an unknown command"),
        (".vlbench-site", "", "a leaderboard site"),
        ("trainer.pt", "", "a checkpoint of a training run"),
        ("step-000010/trainer.pt", "", "a training run of an earlier version"),
        ("adapter_config.json", "{}", "a LoRA adapter"),
        ("model-00001-of-00002.safetensors", "", "a model"),
        ("thesis.tex", "", "a folder of other files (the first: thesis.tex)"),
        ("sft/settings.jsonl", "", "a folder of other folders"),
        (".DS_Store", "", ""),
    ],
)
def test_a_folder_s_kind_is_told_by_its_files(tmp_path, name, text, kind):
    assert folder_kind(tmp_path / "none") == folder_kind(tmp_path) == ""
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(text, "utf-8")
    assert folder_kind(tmp_path) == kind
    if kind:
        with pytest.raises(ValueError, match=r"not a run of cnn; choose another folder$"):
            output_folder(run_kind("cnn"))(tmp_path)
        output_folder(kind)(tmp_path)
    else:
        output_folder(run_kind("cnn"))(tmp_path)


def test_the_settings_are_a_history_with_a_line_for_each_call(tmp_path):
    run = tmp_path / "run"
    first = RunSettings(run, CHANGEABLE)
    assert first.differences(call()) == []
    first.append(call())
    second = RunSettings(run, CHANGEABLE)
    longer = call(steps=20, processes=2)
    assert second.differences(longer) == ["steps 10 → 20", "processes 1 → 2"]
    second.append(replace(longer, step=10))
    assert [(line["step"], line["settings"]["steps"]) for line in lines(run)] == [(0, 10), (10, 20)]
    assert RunSettings(run, CHANGEABLE).differences(longer) == []
    assert RunSettings(run, CHANGEABLE).differences(call(steps=20)) == ["processes 2 → 1"]


def test_what_cannot_change_is_refused_with_both_values(tmp_path):
    RunSettings(tmp_path, CHANGEABLE).append(call())
    settings = RunSettings(tmp_path, CHANGEABLE)
    with pytest.raises(ValueError) as caught:
        settings.differences(call(lr=0.2, model="hf:other", steps=5))
    assert str(caught.value) == (
        f"{tmp_path} is a run with other settings (recorded → new): --lr 0.1 → 0.2, "
        "--model hf:base → hf:other; resume it with the recorded ones, or choose another --out"
    )
    # Before the first checkpoint nothing has been learned, so the run starts anew.
    assert settings.differences(call(lr=0.2), started=False) == ["lr 0.1 → 0.2"]


def test_files_are_compared_by_content_so_that_they_may_move(tmp_path):
    RunSettings(tmp_path, CHANGEABLE).append(call(model="a", content={"model": "sha256:1"}))
    settings = RunSettings(tmp_path, CHANGEABLE)
    assert settings.differences(call(model="b", content={"model": "sha256:1"})) == []
    with pytest.raises(ValueError, match="--model sha256:1 → sha256:2;"):
        settings.differences(call(model="a", content={"model": "sha256:2"}))
    with pytest.raises(ValueError, match="--model a → b;"):
        settings.differences(call(model="b", content={"model": "sha256:2"}))
    assert settings.differences(call(model="a")) == []  # the file is gone


def test_another_command_s_run_is_refused(tmp_path):
    RunSettings(tmp_path, CHANGEABLE).append(call("sft"))
    with pytest.raises(ValueError, match="is a run of sft, not a run of ppo"):
        RunSettings(tmp_path, CHANGEABLE).differences(call("ppo"))


def test_a_line_that_a_crash_cut_off_is_replaced_and_a_damaged_one_refused(tmp_path):
    RunSettings(tmp_path, CHANGEABLE).append(call())
    path = tmp_path / "settings.jsonl"
    path.write_text(path.read_text() + '{"command": "sf', "utf-8")
    settings = RunSettings(tmp_path, CHANGEABLE)
    assert len(settings.calls) == 1
    settings.append(call(steps=20))
    assert [line["settings"]["steps"] for line in lines(tmp_path)] == [10, 20]
    for damaged in ("{}", "[]", '{"command": "sft", "settings": 3}', "[" * 10_000):
        path.write_text(f"{damaged}\n", "utf-8")
        with pytest.raises(ValueError, match=r"settings.jsonl:1 is damaged: .*another --out"):
            RunSettings(tmp_path, CHANGEABLE)
