"""ALFWorldThor without AI2-THOR: it reports what is missing and touches nothing else.

The adapter itself is tested on ai2thor's real server, in a virtual environment of its own.
"""

import os
import re
import socket
import subprocess
from pathlib import Path

import gymnasium
import numpy as np
import pytest
from support.venvs import own_python

import vlbench
from agents.doctor import main as doctor
from agents.players.scripted import Random
from agents.selection import _select_ids, select_rows
from vlbench.records.run_spec import RunSpec
from vlbench.registry import resolve_env_id
from vlbench.tasks.alfworld.engine.client import EngineError
from vlbench.tasks.alfworld_thor import requirements
from vlbench.tasks.alfworld_thor.client import ThorClient
from vlbench.tasks.alfworld_thor.game import ThorGame
from vlbench.tasks.alfworld_thor.trials import any_trial, trajectory, trials

FOLDER = Path(__file__).parents[2] / "thor"
(THOR,) = vlbench.UNRANKED_IDS
PACKAGES = [
    "alfworld==0.4.2",
    "textworld[pddl]==1.7.0",
    "tatsu==5.8.3",
    "ai2thor==2.1.0",
    "werkzeug==2.0.3",
    "opencv-python-headless>=4.9",
    "gymnasium>=1.1,<2",
    "pillow>=10",
    "pytest>=8",
]
VERSIONS = {
    "alfworld": "0.4.2",
    "textworld": "1.7.0",
    "ai2thor": "2.1.0",
    "werkzeug": "2.0.3",
    "flask": "2.1.3",
    "opencv-python": "4.12.0",
}
TRIALS = (
    "train/look_at_obj_in_light-Mug-None-DeskLamp-320/trial_T20190908_000000_000001",
    "train/pick_and_place_simple-Mug-None-Desk-308/trial_T20190908_000000_000002",
    "valid_seen/pick_two_obj_and_place-Pen-None-Desk-308/trial_T20190908_000000_000003",
    "valid_unseen/pick_heat_then_place_in_recep-Egg-None-Fridge-10/trial_T20190908_000000_000004",
)
NOT_PLAYED = (
    "train/pick_and_place_with_movable_recep-Pen-Mug-Desk-308/trial_T20190908_000000_000005",
    "train/pick_cool_then_place_in_recep-AppleSliced-None-Desk-8/trial_T20190908_000000_000006",
    "tests_seen/pick_and_place_simple-Mug-None-Desk-308/trial_T20190908_000000_000007",
)


@pytest.fixture
def user(tmp_path, monkeypatch):
    """A user with all packages but nothing else."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("ALFWORLD_DATA", raising=False)
    monkeypatch.setattr(requirements, "_version", lambda name: VERSIONS.get(name, ""))
    return tmp_path


def needs_by_name():
    return {need.name: need for need in requirements.needs()}


def write_data(root):
    for trial in (*TRIALS, *NOT_PLAYED):
        folder = root / "json_2.1.1" / trial
        folder.mkdir(parents=True)
        folder.joinpath("traj_data.json").write_text("{}")


def test_what_is_missing_is_said_and_nothing_is_made(user):
    needs = needs_by_name()
    assert [name for name, need in needs.items() if not need.ok] == ["unity", "display", "data"]
    assert str(user / ".ai2thor/releases/thor-201909061227-Linux64") in needs["unity"].message
    assert "DISPLAY isn't set" in needs["display"].message
    assert "alfworld-download" in needs["data"].message and str(user) in needs["data"].message
    assert not list(user.iterdir())


@pytest.mark.parametrize(
    ("package", "version", "message"),
    [
        ("ai2thor", "", 'not installed: pip install "vlbench[thor]"'),
        ("ai2thor", "5.0.0", "version 5.0.0 doesn't work"),
        ("alfworld", "0.3.5", "version 0.3.5 doesn't work"),
        ("werkzeug", "3.1.9", "version 3.1.9 doesn't work"),
        ("flask", "3.0.0", "version 3.0.0 doesn't work"),
        ("opencv-python", "", "not installed"),
    ],
)
def test_packages_are_named_with_their_versions(user, monkeypatch, package, version, message):
    monkeypatch.setitem(VERSIONS, package, version)
    wrong = [need for need in requirements.needs() if need.package and not need.ok]
    assert len(wrong) == 1 and wrong[0].message.startswith(message)


def test_a_program_must_be_executable(user):
    program = requirements.build()
    program.parent.mkdir(parents=True)
    program.touch()
    assert not needs_by_name()["unity"].ok and "chmod +x" in needs_by_name()["unity"].message
    program.chmod(0o755)
    assert needs_by_name()["unity"].ok


def test_a_display_must_answer(user, monkeypatch):
    monkeypatch.setenv("DISPLAY", "my screen")
    assert needs_by_name()["display"].message == 'DISPLAY is "my screen"; wanted one like ":0"'
    with socket.create_server(("127.0.0.1", 0)) as server:
        name = f"127.0.0.1:{server.getsockname()[1] - 6000}"
        monkeypatch.setenv("DISPLAY", f"{name}.0")
        assert needs_by_name()["display"].ok
    assert (
        not needs_by_name()["display"].ok
        and f"no X server answers at {name}" in needs_by_name()["display"].message
    )
    monkeypatch.setenv("DISPLAY", ":65001")
    assert "no X server answers at :65001" in needs_by_name()["display"].message


def test_episodes_are_the_official_folders_of_the_six_types(user, monkeypatch):
    assert any_trial() == "" and trials("all") == ()
    write_data(user / "data")
    monkeypatch.setenv("ALFWORLD_DATA", str(user / "data"))
    assert needs_by_name()["data"].ok and any_trial() in trials("all")
    assert trials("all") == tuple(f"alfworld_thor/{trial}" for trial in TRIALS)
    assert trials("train") == trials("all")[:2] and trials("test") == trials("all")[3:]
    file = trajectory(f"alfworld_thor/{TRIALS[0]}")
    assert file == user / "data" / "json_2.1.1" / TRIALS[0] / "traj_data.json"
    climbs = f"train/../{TRIALS[0]}"
    for bad in (*NOT_PLAYED, climbs, "train", "train/x/y", f"/{TRIALS[0]}"):
        with pytest.raises(ValueError, match=r'unknown instance "alfworld_thor/') as caught:
            trajectory(f"alfworld_thor/{bad}")
        assert str(user / "data") in str(caught.value)
    with pytest.raises(ValueError, match="wanted one like"):
        trajectory("alfworld/pick_and_place_simple/308-1")


def test_the_seed_deals_uniformly_from_a_split(user, monkeypatch):
    write_data(user / "data")
    monkeypatch.setenv("ALFWORLD_DATA", str(user / "data"))
    game = ThorGame(ThorClient(Path("nothing"), 1.0))
    rng = np.random.default_rng(0)
    dealt = [game.deal(rng, "train") for _ in range(400)]
    counts = [dealt.count(name) for name in trials("train")]
    assert sum(counts) == 400 and all(150 < count < 250 for count in counts)
    again = np.random.default_rng(0)
    assert [game.deal(again, "train") for _ in range(400)] == dealt


def test_without_its_needs_it_refuses_in_one_line_and_falls_back_to_nothing(user, monkeypatch):
    with pytest.raises(EngineError, match="AI2-THOR can't run here: unity: .*display: .*data: "):
        gymnasium.make(THOR)
    monkeypatch.setitem(VERSIONS, "ai2thor", "")
    with pytest.raises(ImportError, match=r"ai2thor: not installed: .*; unity: ") as caught:
        gymnasium.make(THOR)
    assert "\n" not in str(caught.value)
    with pytest.raises(ValueError, match="ALFWorldThor-v0 can't be played: AI2-THOR can't run"):
        select_rows("ALFWorldThor", Random(), RunSpec("test", "cot"))
    assert not list(user.iterdir())


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"timeout": 0}, "timeout must be a number of seconds above 0, got 0"),
        ({"timeout": "60"}, "timeout must be"),
        ({"text_obs": "all"}, 'unknown text_obs "all"'),
        ({"theme": "classic"}, 'unknown keyword argument "theme"'),
        ({"split": "dev"}, 'unknown split "dev"'),
    ],
)
def test_arguments_are_checked_before_anything_else(user, kwargs, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        gymnasium.make(THOR, **kwargs)


def test_doctor_says_line_by_line_what_is_missing(user, capsys):
    assert doctor(["--env", "ALFWorldThor"]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"{THOR}: AI2-THOR frames; untested against real Unity"
    marks = {line.split()[1]: line.split()[0] for line in lines[1:]}
    packages = dict.fromkeys(["alfworld", "textworld", "ai2thor", "werkzeug", "flask", "cv2"], "ok")
    assert marks == packages | dict.fromkeys(["unity", "display", "data"], "FAIL")
    assert not list(user.iterdir())


def test_it_is_played_only_where_it_is_named():
    assert THOR == "vlbench/ALFWorldThor-v0" and THOR not in vlbench.ENV_IDS
    assert resolve_env_id("alfworld_thor") == resolve_env_id("ALFWorldThor") == THOR
    assert set(_select_ids("all,*,vlbench/*")) == set(vlbench.ENV_IDS)
    with pytest.raises(ValueError, match="no env id matches"):
        select_rows("vlbench/*Thor*", Random(), RunSpec("test", "cot"))


def test_its_class_has_no_expert():
    from vlbench.tasks.alfworld_thor import ALFWorldThor

    env = ALFWorldThor.__new__(ALFWorldThor)
    names = ("values", "expert", "heuristic", "demonstrate")
    assert not any(hasattr(env, name) for name in names)


@pytest.mark.slow
def test_the_adapter_keeps_its_contract_on_the_real_server_with_a_stand_in_for_unity():
    python = own_python("ai2thor-2.1.0", PACKAGES, folder=os.environ.get("VLBENCH_THOR"))
    root = Path(vlbench.__file__).parent.parent
    files = [str(FOLDER / name) for name in ("contract.py", "faults.py")]
    done = subprocess.run(
        [str(python), "-m", "pytest", "-q", "-o", "addopts=", "-p", "no:cacheprovider", *files],
        env={**os.environ, "PYTHONPATH": str(root)},
        cwd=FOLDER,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert done.returncode == 0, done.stdout[-5000:]
    assert re.search(r"\n31 passed in ", done.stdout), done.stdout[-500:]  # and none skipped
