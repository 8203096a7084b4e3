"""Whoever reads somebody else's run or data runs none of its code."""

import json

import gymnasium
import pytest
from support.cli_process import OUTSIDE, call
from support.sample_episodes import header

from agents import report
from agents.registry import load_agent
from vlbench import registry, replay
from vlbench.recorder import EnvCache
from vlbench.run_folder import EPISODES, HEADER, JOURNAL, RunFolder
from vlbench.suites import Row

EVIL = "evil:my/Evil-v0"
TOY = "toy_task:toy/Lamps-v0"
CODE = "open('ran', 'w').close()\n"
READERS = (
    ("vlbench.replay", "."),
    ("agents.report", ".", "page.html"),
    ("agents.compare", ".", "."),
    pytest.param(
        ("leaderboard.pack", ".", *"--track zero-shot --weights none --out entry.tar.gz".split()),
        marks=pytest.mark.extra,
    ),
    ("vlbench", "replay", "."),
    ("vlbench", "report", ".", "page.html"),
)


def renamed(value, name):
    """Return records in which every environment has another name."""
    return json.loads(json.dumps(value).replace("vlbench/EZPoints-v0", name))


@pytest.fixture
def foreign(tmp_path, some_episodes):
    """A run whose header and records name a module that stands beside it."""
    run = RunFolder.start(tmp_path, header(env_ids=["vlbench/EZPoints-v0"]))
    (tmp_path / "evil.py").write_text(CODE)
    for episode in some_episodes:
        if episode.env_id == "vlbench/EZPoints-v0":
            run.journal(episode.key, 0, episode.turns[0].reply)
            run.add(episode)
    run.close()

    def rename(*files, name=EVIL):
        for file in files:
            lines = (tmp_path / file).read_text("utf-8").splitlines()
            text = "\n".join(json.dumps(renamed(json.loads(line), name)) for line in lines)
            (tmp_path / file).write_text(text + "\n")
        return tmp_path

    (tmp_path / HEADER).write_text(json.dumps(json.loads((tmp_path / HEADER).read_text())))
    return rename


@pytest.mark.parametrize("command", READERS, ids=lambda command: " ".join(command[:2]))
def test_a_module_that_a_header_names_is_not_imported(foreign, command):
    folder = foreign(HEADER, EPISODES, JOURNAL)
    code, _, err = call(folder, *command)
    assert not (folder / "ran").exists()
    if "compare" not in command[0]:  # compare makes no environment
        assert code == 2 and err.count("\n") == 1 and "my/Evil-v0" in err, err


def test_a_module_that_only_an_episode_names_is_not_imported(foreign):
    folder = foreign(EPISODES)
    code, out, err = call(folder, "vlbench.replay", ".")
    assert code == 1 and f'env "{EVIL}" is from the module' in out, (out, err)
    assert not (folder / "ran").exists()


def test_the_command_line_names_the_modules_that_are_imported(tmp_path, capsys):
    arguments = ("--agent", "expert", "--env", TOY, "--episodes", 2, "--out", "toy")
    assert call(tmp_path, "agents.evaluate", *arguments, path=[OUTSIDE])[0] == 0
    code, out, err = call(tmp_path, "vlbench.replay", "toy", path=[OUTSIDE])
    assert (code, out) == (2, "") and f"pass --env {TOY}" in err
    for command in (("vlbench.replay", "toy"), ("agents.report", "toy", "page.html")):
        code, _, err = call(tmp_path, *command, "--env", TOY, path=[OUTSIDE])
        assert code == 0, err
    assert "lamps/" in (tmp_path / "page.html").read_text("utf-8")


def test_the_console_command_finds_a_module_in_the_current_folder_only_if_it_is_named(tmp_path):
    (tmp_path / "toy_task.py").write_text((OUTSIDE / "toy_task.py").read_text())
    arguments = ("--agent", "expert", "--env", TOY, "--episodes", 1, "--out", "toy")
    assert call(tmp_path, "vlbench", "evaluate", *arguments)[0] == 0
    (tmp_path / "ran").unlink(missing_ok=True)
    assert call(tmp_path, "vlbench", "replay", "toy", "--env", TOY)[0] == 0


def test_gymnasiums_adapters_make_nothing_for_a_record():
    for env_id in registry.ADAPTERS:
        assert env_id in gymnasium.registry, "Gymnasium has other adapters now"
        with pytest.raises(ValueError, match="unknown env id"):
            EnvCache().of(Row(env_id, {"env_id": EVIL}, "", 0, seed=0))


def test_a_record_opens_no_window():
    with pytest.raises(ValueError, match="render_mode"):
        EnvCache().of(Row("vlbench/NumberLine-v0", {"render_mode": "human"}, "", 0, seed=0))


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
def test_training_data_imports_no_module(tmp_path, checkpoint):
    pytest.importorskip("accelerate")
    (tmp_path / "evil.py").write_text(CODE)
    code, _, err = call(tmp_path, "agents.train.sft_data", "--out", "data.jsonl", "--episodes", 2)
    assert code == 0, err
    data = tmp_path / "data.jsonl"
    data.write_text(data.read_text().replace("vlbench/NumberLine-v0", EVIL))
    arguments = ("--model", checkpoint, "--data", "data.jsonl", "--out", "out", "--steps", 1)
    code, _, err = call(tmp_path, "agents.train.sft", *arguments)
    assert code == 2 and EVIL in err and "--env" in err and err.count("\n") == 1, err
    assert not (tmp_path / "ran").exists()


def test_the_readers_take_names_of_environments_as_evaluate_does(tmp_path, capsys):
    for main in (replay.main, lambda argv: report.main([*argv, str(tmp_path / "page.html")])):
        RunFolder.start(tmp_path / "run", header()).close()
        assert main([str(tmp_path / "run"), "--env", "nothing:at/All-v0"]) == 2
        assert "can't be imported" in capsys.readouterr().err
    assert load_agent("expert").name == "expert"
