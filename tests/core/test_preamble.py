"""A user's own prompt, a system prompt, and examples from frozen training rows."""

import json

import gymnasium
import numpy as np
import pytest
from support.env_ids import every_env

import vlbench
from agents.evaluate import evaluate, main
from vlbench.comparison.differences import differences
from vlbench.freeze.shots import plan_shots
from vlbench.instances import TRAINING_PRESENTATIONS
from vlbench.preamble import MOST_SHOTS, draw_shot, shot_rows
from vlbench.prompts import messages, own_prompt, select_variant
from vlbench.records import Preamble
from vlbench.replay import main as replay_main
from vlbench.run_folder import RunFolder
from vlbench.task import split_in

NUMBER_LINE = "vlbench/NumberLine-v0"
TEXT = """A line from 0 to $max_position.
[cot_facts] The target is $target.
{
[cot] "target number": the target,
"action": "+" or "-"}
"""


class Listener:
    """Keeps the chat of each call, and always adds one."""

    name, privileged, settings = "listener", False, {}

    def __init__(self):
        self.chats = []

    async def act(self, observation, env=None):
        self.chats.append(messages(observation))
        return vlbench.reply("+")


def texts(chat):
    return [
        (message["role"], [part["text"] for part in message["content"] if "text" in part])
        for message in chat
    ]


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "prompt.txt"
    path.write_text(TEXT)
    return path


def test_the_name_of_an_own_prompt_follows_from_its_text_and_variant():
    name, facts = own_prompt(TEXT), own_prompt(TEXT, "cot_facts")
    assert name.startswith("cot:") and len(name) == 16 and facts.startswith("cot_facts:")
    assert select_variant("another source", name).splitlines()[2] == '"target number": the target,'
    assert "The target is $target." in select_variant("another source", facts)
    assert own_prompt(TEXT + " ") != name
    env = gymnasium.make(NUMBER_LINE, prompt=facts)
    observation, info = env.reset(options={"instance": "number_line/2-4"})
    assert observation["text"].startswith("A line from 0 to 5.\nThe target is 4.\n{")
    with pytest.raises(ValueError, match='must ask for a JSON object with "action"'):
        own_prompt("Do what you like.")


def test_prompt_system_prompt_and_examples_are_shown_recorded_and_replayed(file, tmp_path):
    agent, out = Listener(), tmp_path / "run"
    options = {"prompt_file": file, "system_prompt": "Be brief.", "shots": 2, "out": out}
    run = evaluate(agent, "NumberLine", episodes=3, **options)
    chat = texts(agent.chats[0])
    roles = ["system", "user", "assistant", "user", "assistant", "user"]
    assert [role for role, _ in chat] == roles and chat[0] == ("system", ["Be brief."])
    assert chat[1][1][0].startswith("A line from 0 to 5.")
    assert list(json.loads(chat[2][1][0])) == ["target number", "action"]
    header = RunFolder.open(out).header
    assert header.prompt_text == TEXT and header.prompt == run.header.prompt == own_prompt(TEXT)
    assert header.preamble.system_prompt == "Be brief." and len(header.preamble.shots) == 2
    assert replay_main([str(out)]) == 0
    asked = len(agent.chats)
    evaluate(agent, "NumberLine", episodes=3, **options)
    assert len(agent.chats) == asked, "a finished run goes on with the same preamble"
    there = r"preamble is a system prompt \(sha256 \w{12}\) and 2 examples there"
    with pytest.raises(ValueError, match=f"{there}, .* and 1 examples here"):
        evaluate(agent, "NumberLine", episodes=3, **{**options, "shots": 1})
    plain = evaluate("random", "NumberLine", episodes=1, out=tmp_path / "plain")
    names = {difference.name for difference in differences([header, plain.header])}
    assert {"prompt", "preamble system_prompt", "preamble shots"} <= names
    assert plain.header.preamble == Preamble()


@every_env
def test_examples_are_training_rows_that_the_expert_answers(env_id):
    rows = shot_rows(env_id, MOST_SHOTS, {})
    game = gymnasium.make(env_id).unwrapped.game
    assert len({(row.instance, row.presentation) for row in rows}) == MOST_SHOTS
    for row in rows:
        assert split_in(game, row.instance) in ("", "train") and row.frame_hash
        assert row.presentation < TRAINING_PRESENTATIONS
        example = draw_shot(row)
        env = gymnasium.make(env_id, **row.kwargs)
        observation = env.reset(options=row.options)[0]
        while not all(np.array_equal(observation[k], example.observation[k]) for k in observation):
            observation = env.step(vlbench.reply(env.unwrapped.expert()))[0]
        assert env.unwrapped.read(example.reply).action == env.unwrapped.demonstrate().action


@every_env
def test_the_rows_of_examples_are_those_that_freezing_makes(env_id):
    planned = [(spec.kwargs, spec.instance, spec.presentation) for spec in plan_shots(env_id)]
    frozen = [(r.kwargs, r.instance, r.presentation) for r in shot_rows(env_id, MOST_SHOTS, {})]
    assert planned == frozen


def test_examples_may_be_later_turns_of_an_episode():
    shown = [draw_shot(row) for row in shot_rows("vlbench/EZPoints-v0", MOST_SHOTS, {})]
    starts = ['The current formula is ""' in example.observation["text"] for example in shown]
    assert 0 < sum(starts) < MOST_SHOTS


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("--prompt-file none.txt", "no file none.txt"),
        ("--prompt-file empty.txt", 'must ask for a JSON object with "action"'),
        ("--prompt-file facts.txt", "the prompt has $colour, no rule and no fact"),
        ("--prompt-file other.txt --shots 1", 'asks for "mood", which the expert doesn\'t write'),
        ("--shots 9", "shots"),
        ("--shots 1 --env rl4vlm/NumberLine-v0", "has no rows for examples"),
        ("--system-prompt @none.txt", "can't read the text"),
    ],
)
def test_a_wrong_prompt_is_one_line_and_writes_nothing(
    tmp_path, monkeypatch, capsys, arguments, message
):
    monkeypatch.chdir(tmp_path)
    for name, text in (
        ("empty", ""),
        ("facts", '$colour {"action": "+"}'),
        ("other", '{"mood": yours, "action": "+"}'),
    ):
        (tmp_path / f"{name}.txt").write_text(text)
    call = f"--agent random --env NumberLine --episodes 1 --out run {arguments}"
    assert main(call.split()) == 2
    err = capsys.readouterr().err
    assert message in err and err.count("\n") == 1, err
    assert not (tmp_path / "run").exists()
