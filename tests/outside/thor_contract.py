"""ALFWorldThor on ai2thor 2.1.0's own server and ALFWorld's own controller.

Unity, and the X server that it would draw on, are stand-ins (`stand_in_unity.py`), the rest isn't.
`tests/test_alfworld_thor.py` runs this file in a virtual environment of its own.
"""

import json
import os
import pickle
import random
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import gymnasium
import numpy as np
import pytest

import vlbench
from agents.doctor import main as doctor
from agents.evaluate import evaluate
from vlbench import contract
from vlbench.tasks.alfworld.host import EngineError
from vlbench.tasks.alfworld_thor.requirements import build, needs

(THOR,) = vlbench.APART_IDS
UNITY = Path(__file__).with_name("stand_in_unity.py")
PLACE = "train/pick_and_place_simple-Book-None-Desk-304/trial_T1"
LIGHT = "valid_unseen/look_at_obj_in_light-Book-None-DeskLamp-304/trial_T2"
CLEAN = "valid_seen/pick_clean_then_place_in_recep-Cloth-None-BathtubBasin-419/trial_T3"
HEAT = "train/pick_heat_then_place_in_recep-Apple-None-Fridge-14/trial_T6"
COOL = "train/pick_cool_then_place_in_recep-Apple-None-CounterTop-14/trial_T7"
NOT_PLAYED = (
    "train/pick_and_place_with_movable_recep-Book-Box-Desk-304/trial_T4",
    "train/pick_heat_then_place_in_recep-PotatoSliced-None-Desk-304/trial_T5",
)
BED, DESK, SIDE_TABLE = (-1.31, 0.69, 1.47), (-0.88, 0.0, -1.41), (-2.12, 0.46, -1.31)
SINK = (1.10, 0.91, -1.60)
START = {
    "action": "TeleportFull", "x": 0.0, "y": 0.9, "z": 0.0, "rotation": 0, "horizon": 30,
    "rotateOnTeleport": True,
}  # fmt: skip


def write_trial(data, trial, **lies):
    """Write what ALFWorld reads of an official episode."""
    kind, thing, _, target, scene = trial.split("/")[1].split("-")
    lamp = target if target.endswith("Lamp") else ""
    poses = [
        {"objectName": f"{name}_1", "position": dict(zip("xyz", where, strict=True))}
        for name, where in lies.items()
    ]
    folder = data / "json_2.1.1" / trial
    folder.mkdir(parents=True)
    folder.joinpath("traj_data.json").write_text(json.dumps({
        "task_type": kind, "plan": {"high_pddl": [{}]}, "turk_annotations": {"anns": []},
        "pddl_params": {
            "object_target": thing, "parent_target": "" if lamp else target,
            "toggle_target": lamp, "mrecep_target": "", "object_sliced": False,
        },
        "scene": {
            "scene_num": int(scene), "floor_plan": f"FloorPlan{scene}", "object_poses": poses,
            "object_toggles": [], "dirty_and_empty": True, "init_action": START,
        },
    }))  # fmt: skip


def write_program(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A user's home with all that is needed."""
    home = tmp_path_factory.mktemp("home of a user")
    write_trial(home / "data", PLACE, Book=BED)
    write_trial(home / "data", LIGHT, Book=BED, DeskLamp=DESK)
    write_trial(home / "data", CLEAN, Cloth=SIDE_TABLE)
    for trial in NOT_PLAYED:
        write_trial(home / "data", trial, Book=BED)
    write_program(home / "bin" / "xdpyinfo", "exit 0")  # ai2thor asks it, where there is one
    with pytest.MonkeyPatch.context() as patch, socket.create_server(("127.0.0.1", 0)) as x:
        patch.setenv("HOME", str(home))
        patch.setenv("ALFWORLD_DATA", str(home / "data"))
        patch.setenv("PATH", f"{home / 'bin'}{os.pathsep}{os.environ['PATH']}")
        patch.setenv("DISPLAY", f"127.0.0.1:{x.getsockname()[1] - 6000}")
        write_program(build(), f'exec "{sys.executable}" "{UNITY}" "$@"')
        yield home


@pytest.fixture
def kitchens(home):
    """The episodes in a kitchen, which takes long to look round in: they aren't dealt elsewhere."""
    for trial in (HEAT, COOL):
        write_trial(home / "data", trial, Apple=SINK)
    yield
    for trial in (HEAT, COOL):
        shutil.rmtree(home / "data" / "json_2.1.1" / trial)


@pytest.fixture(scope="module")
def shared(home):
    """One environment for the tests that leave it in order."""
    env = gymnasium.make(THOR, timeout=60).unwrapped
    yield env
    env.close()


@pytest.fixture
def unity(home):
    """Return what gives the process id of the stand-in that was reset last."""
    return lambda: int((home / "unity.pid").read_text())


def runs(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    state = Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2]
    return state[0] != "Z"  # whoever adopted it may not have buried it yet


def ends(pid, seconds=10):
    """Whether a process ends in time."""
    deadline = time.monotonic() + seconds
    while runs(pid) and time.monotonic() < deadline:
        time.sleep(0.05)
    return not runs(pid)


def start(env, trial):
    return env.reset(options={"instance": f"alfworld_thor/{trial}"})


def play(env, *commands):
    """Give commands; return the last step."""
    for command in commands:
        step = env.step(vlbench.reply(command))
        assert step[4]["status"] == "ok", step[4]["hint"]
    return step


def told(env):
    return env._state.told[-1]


def test_all_that_is_needed_is_found_without_importing_or_making_anything(home):
    program = (
        "import sys\nfrom vlbench.tasks.alfworld_thor.requirements import needs\n"
        "assert all(need.ok for need in needs()), needs()\n"
        "print(sorted({'ai2thor', 'alfworld', 'cv2', 'flask', 'torch'} & sys.modules.keys()))"
    )
    before = sorted(home.rglob("*"))
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (done.returncode, done.stdout.strip()) == (0, "[]"), done.stderr
    assert sorted(home.rglob("*")) == before
    assert len(needs()) == 9


def test_an_episode_is_played_to_its_goal(shared):
    observation, info = start(shared, LIGHT)
    assert "you see a bed 1, a bed 2, and a desk 1." in observation["text"]
    assert "book" in observation["text"].partition("Your task is to: ")[2].splitlines()[0]
    assert info["facts"] == {"location": "middle of the room", "holding": "nothing", "visible": ()}
    _, reward, *_, info = play(shared, "go to bed 1")
    assert (reward, info["facts"]["visible"]) == (0.0, ("book 1",))
    assert told(shared) == "You arrive at loc 0. On the bed 1, you see a book 1."
    _, reward, terminated, *_, info = play(shared, "take book 1 from bed 1")
    assert (reward, terminated) == (0.5, False)  # one of the goal's two conditions
    assert info["facts"] == {"location": "bed 1", "holding": "book 1", "visible": ()}
    _, reward, *_ = play(shared, "go to desk 1")
    assert reward == 0.0  # RL4VLM would pay the half again
    observation, reward, terminated, truncated, info = play(shared, "use desklamp 1")
    assert (reward, terminated, truncated, info["success"]) == (50.5, True, False, True)
    assert (observation["image"] == (255, 255, 0)).all(2).any(), "the lamp is lit in the frame"
    with pytest.raises(gymnasium.error.ResetNeeded):
        shared.step("")


def test_frames_are_rgb_from_the_top_row(shared):
    image = start(shared, PLACE)[0]["image"]
    assert image.shape == (300, 300, 3) and image.dtype == np.uint8
    assert (image[:20, :20] == (255, 0, 0)).all() and (image[20:] == (40, 40, 40)).all()
    kept = image.copy()
    after = play(shared, "go to bed 1")[0]["image"]
    assert (image == kept).all() and (after[30:50] != (40, 40, 40)).all(2).all()


@pytest.mark.parametrize("command", ["move book 1 to desk 1", "put book 1 in/on desk 1"])
def test_put_and_move_are_both_understood(shared, command):
    start(shared, PLACE)
    _, reward, *_, info = play(shared, "go to bed 1", "take book 1 from bed 1", "go to desk 1")
    assert "move book 1 to desk 1" in info["legal_actions"]
    _, reward, terminated, _, info = play(shared, command)
    assert told(shared) == "You put the book 1 in/on the desk 1."
    assert (reward, terminated, info["action"]) == (51.0, True, "move book 1 to desk 1")


def test_basins_are_receptacles_and_what_stands_beside_them_is_not(shared):
    observation, info = start(shared, CLEAN)
    assert "a bathtubbasin 1" in observation["text"] and "a sinkbasin 1" in observation["text"]
    assert {"go to sink 1", "go to bathtub 1"}.isdisjoint(info["legal_actions"])
    _, reward, *_ = play(
        shared, "go to sidetable 1", "take cloth 1 from sidetable 1", "go to sinkbasin 1",
        "clean cloth 1 with sinkbasin 1",
    )  # fmt: skip
    assert told(shared) == "You clean the cloth 1 using the sinkbasin 1."
    assert reward == pytest.approx(1 / 3)
    _, reward, terminated, *_ = play(
        shared, "go to bathtubbasin 1", "move cloth 1 to bathtubbasin 1"
    )
    assert terminated and reward == pytest.approx(50 + 2 / 3)


@pytest.mark.parametrize(
    ("trial", "treatment", "placing"),
    [
        (HEAT, ["go to microwave 1", "heat apple 1 with microwave 1"],
         ["go to fridge 1", "open fridge 1", "move apple 1 to fridge 1"]),
        (COOL, ["go to fridge 1", "cool apple 1 with fridge 1"],
         ["go to countertop 1", "move apple 1 to countertop 1"]),
    ],
    ids=["heat", "cool"],
)  # fmt: skip
def test_things_are_heated_and_cooled(shared, kitchens, trial, treatment, placing):
    start(shared, trial)
    play(shared, "go to sinkbasin 1", "take apple 1 from sinkbasin 1")
    _, reward, *_, info = play(shared, *treatment)
    assert told(shared).startswith(f"You {treatment[1][:4]} the apple 1 using the ")
    assert reward == pytest.approx(1 / 3) and info["facts"]["holding"] == "apple 1"
    _, reward, terminated, *_ = play(shared, *placing)
    assert terminated and reward == pytest.approx(50 + 2 / 3)


def test_a_closed_receptacle_shows_nothing(shared, kitchens):
    start(shared, HEAT)
    *_, info = play(
        shared, "go to sinkbasin 1", "take apple 1 from sinkbasin 1", "go to fridge 1",
        "open fridge 1", "move apple 1 to fridge 1", "examine fridge 1",
    )  # fmt: skip
    assert info["facts"]["visible"] == ("apple 1",)
    *_, info = play(shared, "close fridge 1")
    assert info["facts"]["visible"] == ()


def test_what_cannot_be_done_answers_and_what_is_not_offered_is_unknown(shared):
    start(shared, PLACE)
    _, reward, *_, info = play(shared, "go to desk 1", "look")
    assert told(shared) == "You are facing the desk 1. Next to it, you see nothing."
    assert not any("nothing" in command for command in info["legal_actions"])
    frame = shared.frame.copy()
    _, reward, _, _, info = shared.step(vlbench.reply("go to desk 10"))
    assert (reward, info["status"], info["action"]) == (-1.0, "unknown", "")
    assert (shared.frame == frame).all() and len(shared._state.commands) == 2


def test_episodes_come_from_the_seed_the_split_and_the_option(shared):
    dealt = {shared.game.deal(np.random.default_rng(seed)) for seed in range(30)}
    assert dealt == {f"alfworld_thor/{trial}" for trial in (PLACE, LIGHT, CLEAN)}
    infos = [shared.reset(seed=seed)[1] for seed in (3, 5, 3)]
    assert infos[0] == infos[2] != infos[1]
    for split, trial in (("train", PLACE), ("test", LIGHT)):
        env = gymnasium.make(THOR, split=split)
        assert env.unwrapped._deal() == f"alfworld_thor/{trial}"  # without starting a Unity
    for bad in (*NOT_PLAYED, "train/../train/x", "valid_seen/none/such"):
        with pytest.raises(ValueError, match="unknown instance"):
            start(shared, bad)


def test_one_instance_is_one_episode_and_nothing_leaks_into_this_process(shared, home):
    random.seed(1)
    state, argv = random.getstate(), list(sys.argv)
    first, again = (
        [start(shared, PLACE), play(shared, "go to bed 1"), shared.state_hash()] for _ in range(2)
    )
    other = gymnasium.make(THOR).unwrapped
    third = [start(other, PLACE), play(other, "go to bed 1"), other.state_hash()]
    other.close()
    for episode in (again, third):
        assert (episode[0][0]["image"] == first[0][0]["image"]).all()
        assert episode[0][0]["text"] == first[0][0]["text"] and episode[0][1] == first[0][1]
        assert episode[1][0]["text"] == first[1][0]["text"] and episode[1][1:] == first[1][1:]
        assert episode[2] == first[2]
    assert random.getstate() == state and sys.argv == argv
    assert not {"ai2thor", "alfworld", "flask", "cv2"} & sys.modules.keys()
    assert json.loads((home / "unity.argv").read_text())[-4:] == [
        "-screen-width", "300", "-screen-height", "300",
    ]  # fmt: skip


@pytest.mark.parametrize(
    "check",
    [
        contract.passes_gymnasiums_checker,
        contract.an_unreadable_reply_moves_nothing,
        contract.a_non_text_action_is_a_type_error,
        contract.the_episode_ends_in_time,
        contract.instance_and_presentation_name_the_episode,
        contract.renders_what_it_observes,
    ],
    ids=lambda check: check.__name__,
)
def test_it_keeps_the_contract_of_every_environment(home, check):
    check(THOR)


def test_info_has_the_keys_and_types_of_every_environment(shared):
    _, info = start(shared, PLACE)
    for told in (info, play(shared, "go to bed 1")[4], shared.step("hm")[4]):
        assert {key: type(value) for key, value in told.items()} == contract.INFO_TYPES
        json.dumps(told)


def test_a_unity_that_is_killed_is_one_clear_error_at_once_and_the_next_reset_starts_another(
    shared, unity
):
    start(shared, PLACE)
    killed = unity()
    os.kill(killed, signal.SIGKILL)
    begun = time.monotonic()
    with pytest.raises(EngineError, match=r"ended by itself.*exited with -9"):
        play(shared, "go to bed 1")
    assert time.monotonic() - begun < 10  # the deadline is 60
    with pytest.raises(EngineError, match="isn't running any more"):
        play(shared, "go to bed 2")
    start(shared, PLACE)
    assert unity() != killed and play(shared, "go to bed 1")[1] == 0.0


def test_a_unity_that_leaves_without_complaint_is_an_error_too(shared, unity):
    start(shared, PLACE)
    os.kill(unity(), signal.SIGTERM)
    with pytest.raises(EngineError, match="Unity ended by itself: exit code 0"):
        play(shared, "go to bed 1")


def test_a_unity_that_hangs_is_an_error_at_the_deadline_and_is_killed(shared, unity):
    start(shared, PLACE)
    os.kill(unity(), signal.SIGSTOP)
    shared.game.simulator.timeout, kept = 2.0, shared.game.simulator.timeout
    begun = time.monotonic()
    with pytest.raises(EngineError, match=r"gave no answer in 2 s and was stopped"):
        play(shared, "go to bed 1")
    assert 2 <= time.monotonic() - begun < 10 and ends(unity())
    shared.game.simulator.timeout = kept


@pytest.mark.parametrize(
    ("program", "told"),
    [
        ("echo no GL on this display >&2; exit 3", r"no GL on this display.*exited with 3"),
        ('echo $$ > "$HOME/unity.pid"; exec sleep 600', "gave no answer in 8 s"),
    ],
)
def test_a_unity_that_never_speaks_is_one_error(home, unity, program, told):
    kept = build().read_text()
    write_program(build(), program)
    env = gymnasium.make(THOR, timeout=8)
    try:
        with pytest.raises(EngineError, match=told) as caught:
            env.reset(seed=0)
        assert "\n" not in str(caught.value)
        assert ends(unity())
    finally:
        build().write_text(kept)


def test_a_damaged_episode_is_an_error_that_names_what_is_wrong(shared, home):
    file = home / "data" / "json_2.1.1" / PLACE / "traj_data.json"
    kept = file.read_text()
    file.write_text("{}")
    try:
        with pytest.raises(EngineError, match="failed at reset: KeyError: 'scene'"):
            start(shared, PLACE)
    finally:
        file.write_text(kept)


def test_closing_stops_unity_and_a_reset_starts_it_again(shared, unity):
    start(shared, PLACE)
    first = unity()
    shared.close()
    assert not runs(first)
    start(shared, PLACE)
    assert unity() != first and runs(unity())


def test_no_unity_is_left_behind_when_the_user_s_process_is_killed(home, unity):
    program = (
        "import time, gymnasium, vlbench\n"
        f"env = gymnasium.make({THOR!r}); env.reset(seed=0); print('begun', flush=True)\n"
        "time.sleep(600)"
    )
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE) as user:
        assert user.stdout.readline() == b"begun\n"
        assert runs(unity())
        user.kill()
    assert ends(unity())


def test_an_environment_cannot_be_copied(shared):
    with pytest.raises(TypeError, match="can't be copied or pickled"):
        pickle.dumps(shared)


def test_two_environments_have_a_unity_each(home, unity):
    envs = gymnasium.make_vec(THOR, num_envs=2, vectorization_mode="vector_entry_point")
    observations, infos = envs.reset(options={"instance": f"alfworld_thor/{PLACE}"})
    assert observations["image"].shape == (2, 300, 300, 3)
    replies = [vlbench.reply("go to bed 1"), vlbench.reply("go to desk 1")]
    _, rewards, _, _, infos = envs.step(replies)
    assert list(infos["facts"]["location"]) == ["bed 1", "desk 1"] and not rewards.any()
    envs.close()
    assert not runs(unity())


def test_the_harness_plays_it_without_an_expert(home, tmp_path):
    run = evaluate(
        lambda observation: '{"action": "go to bed 1"}', "ALFWorldThor", episodes=1, out=tmp_path
    )
    (episode,) = run.episodes
    assert episode.end == "truncated" and len(episode.turns) == 50, episode.error
    assert {(turn.expert, turn.regret) for turn in episode.turns} == {("", None)}
    (card,) = run.scorecards
    assert (card.success, card.normalized, card.regret) == (0.0, None, None)
    assert "AI2-THOR frames; untested against real Unity" in card.notes


def test_doctor_starts_an_episode_where_nothing_is_missing(home, capsys, unity):
    assert doctor(["--env", "ALFWorldThor"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"{THOR}: AI2-THOR frames; untested against real Unity"
    assert len(lines) == 11 and lines[-1].startswith("ok    episode    starts, in ")
    assert not runs(unity())
