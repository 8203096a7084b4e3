"""One turn as one example: the state is rebuilt, and the reward is minus the exact regret."""

import json

import gymnasium
import numpy as np
import pytest
from PIL import Image

import vlbench
from vlbench.bridges import turns
from vlbench.bridges.turns import TurnRow, read_rows, reward, trl_reward, verl_score
from vlbench.bridges.turns_export import main as export_command
from vlbench.recorder import EpisodeRecorder
from vlbench.records import Reply
from vlbench.suites import Row

NUMBER_LINE = TurnRow("vlbench/NumberLine-v0", "{}", "number_line/1-4", 7)
BLACKJACK = TurnRow("vlbench/Blackjack-v0", "{}", "blackjack/3", 7)
CARDS = ("NumberLine", "EZPoints", "Points24", "Blackjack")


def played_rows(env_id, seeds, rng):
    """Return states off the expert's path, each with the observation that the environment gave."""
    env = gymnasium.make(env_id)
    for seed in seeds:
        observation, info = env.reset(seed=seed)
        played = []
        while True:
            yield (
                TurnRow(env_id, "{}", info["instance"], info["presentation"], tuple(played)),
                observation,
            )
            action = str(rng.choice(info["legal_actions"]))
            played.append(action)
            observation, _, terminated, truncated, info = env.step(vlbench.reply(action))
            if terminated or truncated:
                break


def test_the_best_action_costs_nothing_and_the_others_what_they_cost():
    # From 1 to 4: a step towards the target costs nothing, and a step away has the reward -1.
    assert reward('{"action": "+"}', NUMBER_LINE) == 0.0
    assert reward('{"action": "-"}', NUMBER_LINE) == -1.0
    assert reward("I move right.", NUMBER_LINE) == -1.0
    later = TurnRow("vlbench/NumberLine-v0", "{}", "number_line/1-4", 7, ("+", "+"))
    assert reward('{"action": "+"}', later) == 0.0


@pytest.mark.parametrize("name", CARDS)
def test_a_state_is_rebuilt_with_its_picture_and_prompt_wherever_it_lies(name):
    env_id, rng = f"vlbench/{name}-v0", np.random.default_rng(0)
    rows, expected = zip(*played_rows(env_id, range(4), rng), strict=True)
    for seen, observation in zip(turns.observations(rows), expected, strict=True):
        assert seen["text"] == observation["text"]
        assert np.array_equal(seen["image"], observation["image"])


@pytest.mark.parametrize("name", CARDS)
def test_the_reward_is_minus_the_regret_that_the_harness_records(name):
    env_id, rng = f"vlbench/{name}-v0", np.random.default_rng(1)
    env = gymnasium.make(env_id)
    for row, _ in played_rows(env_id, range(3), rng):
        replies = ["?", '{"action": "no such"}']
        replies += [vlbench.reply(action) for action in env.unwrapped.game.vocabulary[:4]]
        for text in replies:
            start = Row(env_id, {}, row.instance, row.presentation)
            recorder = EpisodeRecorder(env, start)
            for action in row.played:
                recorder.play(Reply(vlbench.reply(action)))
            assert reward(text, row) == -recorder.play(Reply(text)).regret <= 1e-9


def test_trainers_call_the_same_reward():
    replies = ['{"action": "+"}', '{"action": "-"}']
    columns = {"env_id": [NUMBER_LINE.env_id] * 2, "kwargs": ["{}"] * 2, "played": [[], []]}
    columns |= {"instance": [NUMBER_LINE.instance] * 2, "presentation": [7, 7], "other": [1, 2]}
    assert trl_reward(replies, **columns) == [0.0, -1.0]
    chats = [[{"role": "assistant", "content": text}] for text in replies]
    assert trl_reward(chats, **columns) == [0.0, -1.0]
    truth = json.dumps({name: values[0] for name, values in columns.items() if name != "other"})
    assert verl_score("vlbench", replies[1], truth, {"index": 0}) == -1.0


def test_frozen_rows_are_the_starts_of_the_set():
    rows = turns.frozen_rows("vlbench/Blackjack-v0", "test", 3, prompt="action_only")
    assert [json.loads(row.kwargs)["prompt"] for row in rows] == ["action_only"] * 3
    assert len({row.instance for row in rows}) == 3 and all(row.played == () for row in rows)


def write(path, *rows, **changes):
    data = {"env_id": NUMBER_LINE.env_id, "kwargs": "{}", "instance": "number_line/1-4"}
    data |= {"presentation": 7, "played": [], "reply": '{"action": "+"}', "prompt": "", **changes}
    path.write_text("".join(json.dumps(data | row) + "\n" for row in rows or ({},)))
    return path


def test_each_form_holds_the_prompt_the_reply_and_the_picture(tmp_path, capsys):
    data = write(tmp_path / "data.jsonl", {}, {"played": ["+"]})
    prompts = [seen for seen in turns.observations(read_rows(data))]
    for form in ("trl", "sharegpt", "llamafactory"):
        out = tmp_path / form
        assert export_command([str(data), "--format", form, "--out", str(out)]) == 0
        text = next(out.glob("train.*")).read_text()
        examples = json.loads(text) if form != "trl" else list(map(json.loads, text.splitlines()))
        assert len(examples) == 2
        for example, seen in zip(examples, prompts, strict=True):
            (picture,) = example["images"]
            assert np.array_equal(np.asarray(Image.open(out / picture)), seen["image"])
            chat = json.dumps(example)
            assert json.dumps(seen["text"])[1:-1] in chat
            assert json.dumps('{"action": "+"}')[1:-1] in chat
            pictures = chat.count('{"type": "image"}') if form == "trl" else chat.count("<image>")
            assert pictures == 1
    info = json.loads((tmp_path / "llamafactory/dataset_info.json").read_text())
    assert (tmp_path / "llamafactory" / info["vlbench"]["file_name"]).exists()
    assert export_command([str(data), "--out", str(tmp_path / "trl")]) == 2
    assert "choose a new folder" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"played": "++"}, "played must be a list"),
        ({"env_id": "evil:ns/Task-v0"}, "isn't imported because a file names it"),
        ({"env_id": "vlbench/No-v0"}, "unknown env id"),
        ({"kwargs": "{"}, "is no state"),
        ({"reply": ""}, "row 1 has no reply to learn"),
        ({"instance": "number_line/1-99"}, "unknown instance"),
        ({"played": ["+", "+", "+"]}, "the episode is over after 3 actions"),
    ],
)
def test_a_file_that_holds_no_states_is_refused_in_one_line(tmp_path, capsys, change, message):
    data = write(tmp_path / "data.jsonl", **change)
    assert export_command([str(data), "--out", str(tmp_path / "out")]) == 2
    err = capsys.readouterr().err
    assert message in err and err.count("\n") == 1 and "Traceback" not in err
