"""A task outside of the package is trained, frozen, packed and verified without a change here."""

import json
import os
import subprocess
import sys
from pathlib import Path

import gymnasium
import pytest

from agents.evaluate import evaluate
from agents.train.environments import known_kwargs
from vlbench import freeze
from vlbench.freeze.__main__ import main as freeze_main
from vlbench.registry import resolve_env_id
from vlbench.suites import bounds, frozen_rows, shipped_suites
from vlbench.task import split_in

HERE = Path(__file__).parent
LAMPS = "toy_task:toy/Lamps-v0"

INIT = """
import gymnasium
from support.dots_task import DotsEnv, DotsGame, DotsPicture, DOTS_PROMPT

class Own(DotsEnv):
    pass

gymnasium.register(id="own/Dots-v0", entry_point="{name}:Own")
"""
SUITES = """
from vlbench.freeze import RowSpec, presentation, random_success
from vlbench.suites import Bounds
from vlbench.task import split_in
from support.dots_task import DotsGame

NAMES = ("test",)
SPLIT, FIRST = "test", 0

def rows(suite):
    names = [f"dots/{{a}}-{{b}}" for a in range(1, 10) for b in range(1, 10)]
    held_out = [name for name in names if split_in(DotsGame(), name) == SPLIT]
    number = presentation(suite, 0) if FIRST == 0 else FIRST
    return [RowSpec({{}}, name, number) for name in held_out[:4]]

def bounds(rows):
    return Bounds(random_success([(DotsGame(), row.instance) for row in rows], 200), 1.0)
"""


@pytest.fixture
def package(tmp_path, monkeypatch):
    """Return a function that writes a package of a user's, and returns its id."""

    def write(name, **changes):
        folder = tmp_path / name
        folder.mkdir()
        suites = SUITES.format()
        suites += "".join(f"{name} = {value!r}\n" for name, value in changes.items())
        (folder / "__init__.py").write_text(INIT.format(name=name))
        (folder / "suites.py").write_text(suites)
        monkeypatch.syspath_prepend(tmp_path)
        return f"{name}:own/Dots-v0"

    yield write
    gymnasium.registry.pop("own/Dots-v0", None)
    for name in [name for name in sys.modules if name.startswith("own_")]:
        del sys.modules[name]


def test_a_user_s_package_is_frozen_into_its_own_folder(package, tmp_path, capsys):
    env_id = package("own_dots")
    assert freeze_main([env_id]) == 0
    folder = tmp_path / "own_dots"
    about = json.loads((folder / "bounds.json").read_text())
    assert about["rules"]["env_id"] == "own/Dots-v0" and about["held_out"] is True
    assert len((folder / "sets" / "outcomes" / "test.jsonl").read_text().splitlines()) == 4
    assert shipped_suites(env_id) == ("test",) and bounds(env_id, "test").ceiling == 1
    rows = frozen_rows(env_id, "test")
    from support.dots_task import DotsGame

    assert {split_in(DotsGame(), row.instance) for row in rows} == {"test"}
    run = evaluate("expert", env_id, out=tmp_path / "run")
    (card,) = run.scorecards
    assert (card.episodes, card.normalized, run.header.suite) == (4, 1.0, "test")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"SPLIT": "train"}, "is an instance of the split train, which training sees"),
        ({"SPLIT": "val"}, "is an instance of the split val, which training sees"),
        ({"FIRST": 5}, "has the presentation 5, which training may deal"),
        ({"SPLIT": "none"}, "the set test has no rows"),
    ],
)
def test_a_row_that_training_may_deal_is_not_frozen(package, tmp_path, capsys, changes, message):
    env_id = package("own_wrong", **changes)
    assert freeze_main([env_id]) == 2
    err = capsys.readouterr().err
    assert message in err and err.count("\n") == 1
    assert not (tmp_path / "own_wrong" / "sets").exists()


def test_a_plain_module_has_no_folder_to_freeze_into(monkeypatch, capsys):
    monkeypatch.syspath_prepend(HERE)
    assert freeze_main([LAMPS]) == 2
    assert "isn't the task of a package" in capsys.readouterr().err


def test_a_row_twice_is_refused(package, monkeypatch):
    env_id = resolve_env_id(package("own_twice"))
    task = freeze.task_suites(env_id)
    row = task.rows("test")[0]
    monkeypatch.setattr(task, "rows", lambda suite: [row, row])
    with pytest.raises(ValueError, match=r"row 1 of test \(dots/.*\) is a row twice"):
        freeze.planned_rows(env_id, task, ("test",))


def test_training_leaves_out_what_a_task_lacks_unless_the_user_asks(monkeypatch):
    monkeypatch.syspath_prepend(HERE)
    env_id = resolve_env_id(LAMPS)
    usual = {"prompt": "cot", "theme": "train", "jitter": 0, "split": "train"}
    assert known_kwargs(env_id, usual) == {"prompt": "cot", "split": "train"}
    assert known_kwargs(env_id, {"theme": "comic", "jitter": 2}) == {"theme": "comic", "jitter": 2}
    assert known_kwargs("vlbench/NumberLine-v0", usual) == usual


def test_a_misspelled_id_of_a_module_gets_that_module_s_names(monkeypatch):
    monkeypatch.syspath_prepend(HERE)
    with pytest.raises(ValueError, match=r'did you mean "toy_task:toy/Lamps-v0"\?'):
        resolve_env_id("toy_task:toy/Lamp-v0")


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
def test_a_task_without_theme_jitter_and_vector_class_is_trained(monkeypatch, tmp_path):
    pytest.importorskip("accelerate")
    from agents.train import ppo, sft, sft_data, tiny

    monkeypatch.syspath_prepend(HERE)
    monkeypatch.chdir(tmp_path)
    small = ("--width", 32, "--vision-layers", 1, "--text-layers", 1, "--vocab-size", 300)
    rollout = ("--iterations", 1, "--num-envs", 4, "--num-steps", 4, "--eval-every", 1)
    for command, arguments in (
        (tiny, ("--env", LAMPS, "--out", "tiny", *small)),
        (sft_data, ("--env", LAMPS, "--episodes", 20, "--out", "sft.jsonl")),
        (sft, ("--model", "tiny", "--data", "sft.jsonl", "--env", LAMPS, "--steps", 2)),
        (ppo, ("--env", LAMPS, "--model", "runs/sft/latest", "--eval-episodes", 5, *rollout)),
    ):
        place = ("--out", "runs/sft") if command is sft else ()
        assert command.main([*map(str, (*arguments, *place))]) == 0
    reply = json.loads(sft_data.read(Path("sft.jsonl"))[0].reply)
    assert list(reply) == ["lit", "action"]
    metrics = Path("runs/ppo/metrics.jsonl").read_text().splitlines()
    assert json.loads(metrics[-1])["eval/episodes"] == 5


def test_a_bug_in_a_task_that_is_frozen_is_one_line_with_its_place(package, tmp_path, capsys):
    env_id = package("own_bug")
    suites = tmp_path / "own_bug" / "suites.py"
    suites.write_text(suites.read_text() + "\ndef bounds(rows):\n    return 1 / 0\n")
    assert freeze_main([env_id]) == 2
    err = capsys.readouterr().err
    assert "ZeroDivisionError" in err and "own_bug/suites.py:" in err and err.count("\n") == 1


READERS = (
    "agents.compare RUN RUN",
    "agents.results RUN",
    "agents.sweep RUN OUT/other",
    "agents.report RUN OUT/page.html",
    "vlbench.replay RUN",
    "vlbench.display RUN Lamps#0 --out OUT/episode.gif",
)
"""Commands that read runs."""


@pytest.fixture
def lamps_run(tmp_path, monkeypatch):
    """A run of a task that another process hasn't imported; beside it one with history."""
    monkeypatch.syspath_prepend(HERE)
    for history, name in enumerate(("run", "other")):
        evaluate("random", LAMPS, suite="seeds", episodes=2, history=history, out=tmp_path / name)
    return tmp_path / "run"


@pytest.mark.parametrize("command", READERS)
def test_every_command_that_reads_runs_takes_the_task_s_name(lamps_run, tmp_path, command):
    text = command.replace("RUN", str(lamps_run)).replace("OUT", str(tmp_path))
    paths = os.pathsep.join((str(HERE), os.environ.get("PYTHONPATH", "")))

    def call(*more):
        return subprocess.run(
            [sys.executable, "-m", *text.split(), *more],
            env=os.environ | {"PYTHONPATH": paths},
            capture_output=True,
            text=True,
        )

    done = call("--env", LAMPS)
    assert done.returncode == 0, done.stderr
