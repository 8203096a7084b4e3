"""ALFWorldThor on the real ai2thor 2.1.0 server and ALFWorld's real controller.

`tests/tasks/alfworld_tests/test_alfworld_thor.py` runs this file in its own virtual environment.
"""

import json
import pickle
import random
import subprocess
import sys

import gymnasium
import numpy as np
import pytest
from trials import CLEAN, COOL, HEAT, LIGHT, NOT_PLAYED, PLACE, THOR, feedback, play, runs, start

import vlbench
from agents.doctor import main as doctor
from agents.evaluate import evaluate
from vlbench import contract
from vlbench.tasks.alfworld_thor.requirements import needs


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
    assert feedback(shared) == "You arrive at loc 0. On the bed 1, you see a book 1."
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
    before = image.copy()
    after = play(shared, "go to bed 1")[0]["image"]
    assert (image == before).all() and (after[30:50] != (40, 40, 40)).all(2).all()


@pytest.mark.parametrize("command", ["move book 1 to desk 1", "put book 1 in/on desk 1"])
def test_put_and_move_are_both_understood(shared, command):
    start(shared, PLACE)
    _, reward, *_, info = play(shared, "go to bed 1", "take book 1 from bed 1", "go to desk 1")
    assert "move book 1 to desk 1" in info["legal_actions"]
    _, reward, terminated, _, info = play(shared, command)
    assert feedback(shared) == "You put the book 1 in/on the desk 1."
    assert (reward, terminated, info["action"]) == (51.0, True, "move book 1 to desk 1")


def test_basins_are_receptacles_and_what_stands_beside_them_is_not(shared):
    observation, info = start(shared, CLEAN)
    assert "a bathtubbasin 1" in observation["text"] and "a sinkbasin 1" in observation["text"]
    assert {"go to sink 1", "go to bathtub 1"}.isdisjoint(info["legal_actions"])
    _, reward, *_ = play(
        shared,
        "go to sidetable 1",
        "take cloth 1 from sidetable 1",
        "go to sinkbasin 1",
        "clean cloth 1 with sinkbasin 1",
    )
    assert feedback(shared) == "You clean the cloth 1 using the sinkbasin 1."
    assert reward == pytest.approx(1 / 3)
    _, reward, terminated, *_ = play(
        shared, "go to bathtubbasin 1", "move cloth 1 to bathtubbasin 1"
    )
    assert terminated and reward == pytest.approx(50 + 2 / 3)


@pytest.mark.parametrize(
    ("trial", "treatment", "placing"),
    [
        (
            HEAT,
            ["go to microwave 1", "heat apple 1 with microwave 1"],
            ["go to fridge 1", "open fridge 1", "move apple 1 to fridge 1"],
        ),
        (
            COOL,
            ["go to fridge 1", "cool apple 1 with fridge 1"],
            ["go to countertop 1", "move apple 1 to countertop 1"],
        ),
    ],
    ids=["heat", "cool"],
)
def test_things_are_heated_and_cooled(shared, kitchens, trial, treatment, placing):
    start(shared, trial)
    play(shared, "go to sinkbasin 1", "take apple 1 from sinkbasin 1")
    _, reward, *_, info = play(shared, *treatment)
    assert feedback(shared).startswith(f"You {treatment[1][:4]} the apple 1 using the ")
    assert reward == pytest.approx(1 / 3) and info["facts"]["holding"] == "apple 1"
    _, reward, terminated, *_ = play(shared, *placing)
    assert terminated and reward == pytest.approx(50 + 2 / 3)


def test_a_closed_receptacle_shows_nothing(shared, kitchens):
    start(shared, HEAT)
    *_, info = play(
        shared,
        "go to sinkbasin 1",
        "take apple 1 from sinkbasin 1",
        "go to fridge 1",
        "open fridge 1",
        "move apple 1 to fridge 1",
        "examine fridge 1",
    )
    assert info["facts"]["visible"] == ("apple 1",)
    *_, info = play(shared, "close fridge 1")
    assert info["facts"]["visible"] == ()


def test_what_cannot_be_done_answers_and_what_is_not_offered_is_unknown(shared):
    start(shared, PLACE)
    _, reward, *_, info = play(shared, "go to desk 1", "look")
    assert feedback(shared) == "You are facing the desk 1. Next to it, you see nothing."
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
        "-screen-width",
        "300",
        "-screen-height",
        "300",
    ]


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
    for each in (info, play(shared, "go to bed 1")[4], shared.step("hm")[4]):
        assert {key: type(value) for key, value in each.items()} == contract.INFO_TYPES
        json.dumps(each)


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
