"""What transcripts teach, and which environments have an expert to write them."""

import hashlib
import json
from pathlib import Path

import gymnasium
import pytest

from agents.train import sft_data
from vlbench.solved_env import SolvedEnv
from vlbench.tasks.number_line import NumberLine


class Silent(NumberLine):
    """A task whose prompt asks for fields that no expert writes."""

    demonstrate = SolvedEnv.demonstrate


class Unplayable(NumberLine):
    """A task without an expert."""

    @property
    def demonstrate(self):
        raise AttributeError


@pytest.fixture
def silent():
    for name, entry_point in (("Silent", Silent), ("Unplayable", Unplayable)):
        gymnasium.register(f"tests/{name}-v0", entry_point)
    yield "tests/Silent-v0"
    for name in ("Silent", "Unplayable"):
        del gymnasium.registry[f"tests/{name}-v0"]


def write(tmp_path, env, *options):
    return sft_data.main(["--env", env, "--out", str(tmp_path / "x.jsonl"), *options])


@pytest.mark.parametrize("prompt", ["cot", "cot_facts"])
def test_a_task_without_a_demonstration_writes_no_thoughtless_replies(
    silent, tmp_path, capsys, prompt
):
    assert write(tmp_path, f"NumberLine,{silent}", "--prompt", prompt) == 2
    assert capsys.readouterr().err == (
        "sft_data: tests/Silent-v0 has no demonstration of the fields that its prompt asks for "
        "(current number, target number, thoughts); write action-only replies with --prompt "
        "action_only, or override `demonstrate` in the environment\n"
    )
    assert not list(tmp_path.glob("*.jsonl"))


def test_a_task_without_a_demonstration_teaches_actions(silent, tmp_path):
    assert write(tmp_path, silent, "--prompt", "action_only", "--episodes", "2") == 0
    turns = sft_data.read(tmp_path / "x.jsonl")
    assert {turn.reply for turn in turns} <= {'{"action": "+"}', '{"action": "-"}'}


def test_reading_and_experts_are_missed_in_one_line(silent, tmp_path, capsys):
    assert write(tmp_path, silent, "--perception-only") == 2
    assert "leave out --perception-only" in capsys.readouterr().err
    assert write(tmp_path, "tests/Unplayable-v0") == 2
    error = capsys.readouterr().err
    assert error == (
        "sft_data: tests/Unplayable-v0 has no expert to write transcripts of; choose another task\n"
    )


def replies(**options):
    config = sft_data.Config(Path(), **options)
    return [example.reply for example in sft_data.transcripts(config)]


def test_replies_follow_the_prompt_and_reading_stays_with_what_the_picture_shows():
    options = {"env": "NumberLine", "episodes": 1, "seed": 1}
    thoughts, actions = replies(**options), replies(**options, prompt="action_only")
    assert len(thoughts) == len(actions)
    for reply, action in zip(thoughts, actions, strict=True):
        fields = json.loads(reply)
        assert list(fields) == ["current number", "target number", "thoughts", "action"]
        assert action == json.dumps({"action": fields["action"]})
    for prompt in ("cot", "action_only"):
        for reply in replies(**options, prompt=prompt, perception_only=True):
            assert list(json.loads(reply)) == ["current number", "target number"]


def test_perception_only_data_keep_their_prompts_if_asked(tmp_path, capsys):
    options = {"env": "NumberLine", "episodes": 2, "seed": 1, "perception_only": True}
    plain = list(sft_data.transcripts(sft_data.Config(out=Path(), **options)))
    prompted = list(sft_data.transcripts(sft_data.Config(out=Path(), **options, with_prompt=True)))
    assert {example.prompt for example in plain} == {""}
    assert all("number line" in example.prompt for example in prompted)
    assert [e.reply for e in prompted] == [e.reply for e in plain]
    assert write(tmp_path, "NumberLine", "--with-prompt") == 2
    assert "--with-prompt is for --perception-only" in capsys.readouterr().err


def test_blackjacks_expert_names_all_cards_and_the_total_last():
    for reply in replies(env="Blackjack", episodes=3):
        names = ["dealer card", "player cards", "thoughts", "player total", "action"]
        assert list(json.loads(reply)) == names


LEARNED = {
    "NumberLine": "27db24e4389c82d2",
    "EZPoints": "18e48a97a2bbf658",
    "Points24": "df6ed4f63ec56c17",
    "Blackjack": "1e14ded71d00f7c6",
}
"""Task → sha256 of the replies of a seed; the shipped checkpoints have learned this form."""


@pytest.mark.parametrize("task", LEARNED)
def test_replies_are_those_that_the_shipped_checkpoints_have_learned(task):
    text = "\n".join(
        replies(env=task, episodes=12, random_action_prob=0.2, action_noise=0.2, seed=7)
    )
    assert hashlib.sha256(text.encode()).hexdigest()[:16] == LEARNED[task]
