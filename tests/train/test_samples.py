"""The page of a rollout shows what was shown, written and earned, and trusts no text."""

import gymnasium
import pytest

import vlbench
from agents.train.log.samples import EPISODES, write_samples
from vlbench.diagnose.rollouts import SCHEMA, RolloutTurn, write_turns

EVIL = '<script>alert(1)</script>{"action": "+"}'


@pytest.fixture
def rollout(tmp_path):
    """A file with one turn of each of many episodes, and two of the first."""
    turns = []
    for seed in range(EPISODES + 2):
        env = gymnasium.make("vlbench/NumberLine-v0", split="train", theme="train")
        _, info = env.reset(seed=seed)
        for number in range(2 if seed == 0 else 1):
            reply = EVIL if seed == 1 else vlbench.reply("+")
            _, reward, over, _, _ = env.step(reply)
            turn = RolloutTurn(
                SCHEMA,
                "vlbench/NumberLine-v0",
                {"split": "train", "theme": "train"},
                info["instance"],
                info["presentation"],
                episode=f"e{seed}",
                turn=number,
                reply=reply,
                reward=float(reward),
                value=0.25,
                advantage=-0.5,
            )
            turns.append(turn)
            if over:
                break
    write_turns(tmp_path / "000005.jsonl", turns)
    return tmp_path / "000005.jsonl"


def test_a_page_shows_the_first_turns_with_pictures_and_numbers(rollout):
    page = write_samples(rollout)
    text = page.read_text("utf-8")
    assert page.name == "000005.html"
    assert text.count("<h2>") == EPISODES
    assert EPISODES <= text.count("data:image/png;base64,") <= EPISODES + 1
    assert "advantage -0.500" in text and "value 0.250" in text and "read as +" in text
    assert "<script>" not in text and "&lt;script&gt;" in text
    assert "http" not in text.replace("http-equiv", "")


def test_what_cannot_be_replayed_is_said_on_the_page(rollout):
    lines = rollout.read_text("utf-8").splitlines()
    rollout.write_text(lines[0].replace("number_line/", "number_line/x") + "\n")
    assert "can&#x27;t be replayed" in write_samples(rollout).read_text("utf-8") or (
        "can't be replayed" in write_samples(rollout).read_text("utf-8")
    )
