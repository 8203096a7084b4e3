"""One training may mix the values of a rule: `--mix faces=10,13,20`."""

import json
from pathlib import Path

import gymnasium
import pytest

import vlbench
from agents.train import ppo, sft_data
from agents.train.distributed import Processes
from agents.train.evaluation import mixed_val_rows
from agents.train.mixture import Mixture
from agents.train.ppo_config import Config
from vlbench.diagnose.rollouts import read_rollouts

NUMBER_LINE = "vlbench/NumberLine-v0"


def test_a_mixture_gives_its_values_in_turn():
    mixture = Mixture.parse("max_position=5,10,20")
    assert [mixture.rules(n)["max_position"] for n in range(4)] == [5, 10, 20, 5]
    assert Mixture.parse("").rules(3) == {}
    assert Mixture.parse("").all_rules() == [{}]


@pytest.mark.parametrize("text", ["ladder", "max_position", "max_position=5", "=1,2"])
def test_a_wrong_mixture_is_refused_in_one_line(text):
    with pytest.raises(ValueError, match="must be|needs two") as caught:
        Mixture.parse(text)
    assert "\n" not in str(caught.value)


def test_a_value_that_the_task_refuses_is_found_before_anything_is_written(tmp_path, capsys):
    out = tmp_path / "x.jsonl"
    assert sft_data.main(["--out", str(out), "--mix", "max_position=5,-1"]) == 2
    assert "max_position" in capsys.readouterr().err
    assert not out.exists()


def test_transcripts_take_the_values_in_turn_and_each_turn_names_its_own():
    config = sft_data.Config(out=Path(), episodes=4, mix="max_position=5,10")
    rows = list(sft_data.transcripts(config))
    episodes = list(dict.fromkeys((row.instance, row.presentation, row.kwargs) for row in rows))
    assert [json.loads(kwargs)["max_position"] for *_, kwargs in episodes] == [5, 10, 5, 10]


def test_one_mixed_environment_is_the_same_as_one_of_its_own():
    vector = gymnasium.make_vec(NUMBER_LINE, 3, own=[{"max_position": n} for n in (5, 10, 20)])
    observations, _ = vector.reset(seed=[7, 7, 7])
    for i, last in enumerate((5, 10, 20)):
        alone, _ = gymnasium.make(NUMBER_LINE, max_position=last).reset(seed=7)
        assert observations["text"][i] == alone["text"]
        assert (observations["image"][i] == alone["image"]).all()


def test_environments_with_different_actions_are_mixed():
    """A jack counts 10 or 20, so that "20" is an action of one of them."""
    own = [{"faces": 10}, {"faces": 20}]
    vector = gymnasium.make_vec("vlbench/EZPoints-v0", 2, own=own, target="any")
    alone = [gymnasium.make("vlbench/EZPoints-v0", target="any", **kwargs) for kwargs in own]
    vocabularies = [env.action_space.actions for env in alone]
    assert "20" not in vocabularies[0] and "20" in vocabularies[1]
    assert set(vector.single_action_space.actions) == {*vocabularies[0], *vocabularies[1]}
    vector.reset(seed=[7, 7])
    _, rewards, *_ = vector.step([vlbench.reply("20")] * 2)
    for env in alone:
        env.reset(seed=7)
    assert rewards.tolist() == [env.step(vlbench.reply("20"))[1] for env in alone]


def test_pictures_of_different_sizes_are_not_mixed():
    own = [{"picture_size": 224}, {"picture_size": 300}]
    with pytest.raises(ValueError, match="pictures of different sizes"):
        gymnasium.make_vec(NUMBER_LINE, 2, own=own)


def test_as_many_arguments_as_environments_are_wanted():
    with pytest.raises(ValueError, match="one per environment, got 1"):
        gymnasium.make_vec(NUMBER_LINE, 2, own=[{"max_position": 5}])


def test_val_rows_of_a_mixture_are_those_of_its_values_in_turn():
    rows = mixed_val_rows(NUMBER_LINE, 5, {}, Mixture.parse("max_position=10,20"))
    assert [row.kwargs["max_position"] for row in rows] == [10, 20, 10, 20, 10]


@pytest.mark.slow
def test_ppo_plays_a_mixture_and_its_rollouts_name_each_turns_rules(tmp_path, checkpoint):
    config = Config(
        model=str(checkpoint),
        out=tmp_path,
        mix="max_position=5,10",
        num_envs=4,
        num_steps=2,
        group=2,
        baseline="group",
        iterations=1,
        minibatch=8,
        max_new_tokens=12,
        eval_every=1,
        eval_episodes=4,
        rollouts_every=1,
        log="json",
    )
    ppo.train(config, Processes())
    episodes = read_rollouts(tmp_path).episodes
    rules = {e.key.split("/")[1][0]: e.start.kwargs["max_position"] for e in episodes}
    assert rules == {"0": 5, "1": 5, "2": 10, "3": 10}
