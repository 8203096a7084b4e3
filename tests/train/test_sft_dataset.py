"""What `sft` learns of a transcript, token by token."""

from pathlib import Path

import gymnasium
import numpy as np
import pytest
import torch
from support.small_checkpoint import small_checkpoint

from agents.train import sft, sft_data
from agents.train.sft_dataset import ExampleRenderer, Examples, perception_of
from agents.train.token_weights import span_of_thoughts, token_weights
from agents.vlm.loading import load
from agents.vlm.policy import Policy
from agents.vlm.sampling import Sampling


@pytest.mark.parametrize(
    ("reply", "thoughts"),
    [
        ('{"cards": ["A", "10"], "plan": "1", "action": "("}', ', "plan": "1", '),
        ('{"cards": ["A", "10"]}', "}"),
        (
            '{"current number": 2, "target number": 5, "thoughts": "2 < 5", "action": "+"}',
            ', "thoughts": "2 < 5", ',
        ),
        ('{"thoughts": "the \\"action\\"", "action": "+"}', '{"thoughts": "the \\"action\\"", '),
        ('{"action": "+"}', "{"),
        ("10 9 9 3 > 10 + 9 = 19", "10 9 9 3 > 10 + 9 = 19"),
        ("24", "24"),
        ('{\n "cards": ["A",\n  "10"],\n "plan": "1",\n "action": "("\n}', ',\n "plan": "1",\n '),
        ('{"cards":["A"],"plan":"1","action":"("}', ',"plan":"1",'),
        ('```json\n{"cards": ["A"], "plan": "1", "action": "("}\n```', ', "plan": "1", '),
        (
            '{"location": "shelf 1", "holding": "nothing", "thoughts": "x", "action": "look"}',
            ', "thoughts": "x", ',
        ),
        ('{"cards": ["A"], "thoughts": "1 > 1 >', ', "thoughts": "1 > 1 >'),
    ],
)
def test_thoughts_stand_between_what_is_seen_and_the_action(reply, thoughts):
    assert reply[span_of_thoughts(reply, perception_of(""))] == thoughts


def test_what_a_picture_shows_is_asked_of_the_task_and_of_every_task_for_text_alone():
    assert perception_of("vlbench/NumberLine-v0") == {"current number", "target number"}
    assert perception_of("vlbench/Blackjack-v0") == {"dealer card", "player cards"}
    assert perception_of("") >= {"current number", "cards", "player cards", "location", "holding"}
    assert not perception_of("") & {"player total", "current formula", "thoughts", "plan"}


def test_text_without_an_environment_has_no_picture():
    exercise = sft_data.Example("", "{}", "", 0, [], "1 + 1?", "2", "", "")
    assert ExampleRenderer().observation(exercise) == {"text": "1 + 1?"}


def test_a_history_holds_the_turns_before_with_the_actions_that_were_played():
    config = sft_data.Config(
        Path(), "NumberLine", episodes=30, action_noise=0.5, random_action_prob=0.5
    )
    examples = list(sft_data.transcripts(config))
    renderer, plain = ExampleRenderer(examples, history=2), ExampleRenderer(examples)
    env = gymnasium.make("vlbench/NumberLine-v0")
    lengths = set()
    for example in examples:
        seen = renderer.observation(example)
        assert seen["text"] == example.prompt
        assert np.array_equal(seen["image"], plain.observation(example)["image"])
        played = [env.unwrapped.read(past.reply).action for past in seen["history"]]
        assert played == example.played[-2:]
        lengths.add(len(played))
        for past, before in zip(seen["history"], range(len(example.played))[-2:], strict=True):
            (turn,) = [
                other
                for other in examples
                if (other.instance, other.presentation) == (example.instance, example.presentation)
                and other.played == example.played[:before]
            ]
            assert np.array_equal(past.observation["image"], plain.observation(turn)["image"])
    assert lengths == {0, 1, 2}
    with pytest.raises(ValueError, match="turn 1 of the episode isn't in the data"):
        ExampleRenderer(examples[1:2], history=2).observation(examples[1])


@pytest.mark.parametrize("weight", ["-0.1", "1.5", "inf", "nan"])
def test_thoughts_weigh_at_most_what_the_rest_does(tmp_path, capsys, weight):
    options = ["--model", "m", "--data", "d", "--out", str(tmp_path), "--thought-weight", weight]
    assert sft.main(options) == 2
    error = capsys.readouterr().err
    assert error == f"sft: --thought-weight must be from 0 to 1, got {weight}\n"


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
def test_tokens_of_thoughts_weigh_less_than_what_is_seen_and_the_action(tmp_path):
    small_checkpoint(tmp_path, env="EZPoints")
    loaded = load(str(tmp_path), device=torch.device("cpu"))
    policy = Policy(loaded.model, loaded.processor, Sampling())
    turns = list(sft_data.transcripts(sft_data.Config(Path(), "EZPoints", episodes=1)))[:2]
    read = list(
        sft_data.transcripts(sft_data.Config(Path(), "EZPoints", episodes=1, perception_only=True))
    )
    examples = Examples([*turns, *read[:1]], policy, thought_weight=0.25)
    weights = examples.weights([0, 2])
    _, replies = examples.batch([0, 2])
    assert weights.shape == policy(*examples.batch([0, 2])).log_probs.shape
    assert (weights[1, : -len(replies[1])] == 0).all()
    assert examples.weight([0, 2]) == float(weights.sum())
    pairs = [(int(i), float(w)) for i, w in zip(replies[0], weights[0], strict=True)]
    heavy = policy.decode([i for i, w in pairs if w == 1])
    light = policy.decode([i for i, w in pairs if w == 0.25])
    assert heavy.startswith('{"cards": ["') and ' "action": "' in heavy
    assert '"plan": "' in light and "cards" not in light and "action" not in light
    reply = replies[0].tolist()
    text = policy.decode(reply)
    acted = token_weights(reply, text, (text.index('"action"'), 0), 0.25, policy.decode)
    last = int((weights[0] == 0.25).nonzero().max())
    assert acted[last] == 0.25 and (acted[last + 1 :] == 1).all()  # as PPO has it
