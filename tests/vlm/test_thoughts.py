"""Changed thoughts: what follows them is found, and what doesn't is found too."""

import json

import pytest
from support.rollouts import NUMBER_LINE, line, write
from support.sample_episodes import header, play

import vlbench
from agents.vlm import thoughts
from agents.vlm.bundled import CHECKPOINTS
from agents.vlm.questions import measure_effects, read_questions
from vlbench.run_folder import RunFolder


def says(key, turn, thought, action):
    return line(key, turn, action, reply=json.dumps({"thoughts": thought, "action": action}))


@pytest.fixture
def questions(tmp_path):
    """Four turns, from 2 to 5 and back a step; the thoughts name the distance."""
    lines = [
        says("a", 0, "up 3", "+"),
        says("a", 1, "up 2", "-"),
        says("b", 0, "up 3", "+"),
        says("b", 1, "up 2", "-"),
    ]
    return read_questions(write(tmp_path / "turns.jsonl", lines), 100)[NUMBER_LINE]


def prefer(choose):
    """Return a scorer that gives the action of `choose(thoughts)` three times the odds."""
    return lambda question, replies: [
        1.0986122886681098 * (json.loads(text)["action"] == choose(json.loads(text)))
        for text in replies
    ]


def test_replies_keep_all_but_thoughts_and_action(questions):
    assert [q.action for q in questions] == ["+", "-", "+", "-"]
    assert questions[1].replies(questions[0].thoughts) == [
        '{"thoughts": "up 3", "action": "+"}',
        '{"thoughts": "up 3", "action": "-"}',
    ]
    assert "image" in questions[0].observation and "text" in questions[0].observation


def test_an_action_that_follows_the_thoughts_goes_with_swapped_ones(questions):
    def follows(fields):
        return "+" if "3" in fields.get("thoughts", "") else "-"

    task = measure_effects(NUMBER_LINE, questions, prefer(follows))
    assert task.agreement == 1 and task.turns == 4
    swapped = task.effects["swapped"]
    assert swapped.changed.value == swapped.followed.value == 1
    assert swapped.distance.value == pytest.approx(0.5)  # from ¾, ¼ to ¼, ¾
    # Without thoughts it always says "-", which changes the two turns with "+".
    assert task.effects["removed"].changed.value == 0.5
    assert task.effects["removed"].distance.value == pytest.approx(0.25)
    assert task.effects["removed"].followed is None


def test_an_action_that_ignores_the_thoughts_never_changes(questions):
    task = measure_effects(NUMBER_LINE, questions, prefer(lambda fields: "+"))
    assert task.agreement == 0.5
    assert all(
        effect.changed.value == effect.distance.value == 0 for effect in task.effects.values()
    )
    assert task.effects["swapped"].followed.value == 0.5


def test_corrupted_thoughts_have_other_numbers(questions):
    texts = []

    def score(question, replies):
        texts.append(json.loads(replies[0]).get("thoughts"))
        return [0.0, 0.0]

    measure_effects(NUMBER_LINE, questions[:1], score)
    own, corrupted, removed = texts  # a single turn has no other turn to swap with
    assert own == "up 3" and removed is None
    assert corrupted.startswith("up ") and corrupted != own


def test_a_sample_is_spread_evenly_and_unreadable_turns_are_left_out(tmp_path):
    lines = [says(f"{i}", 0, f"thought {i}", "+") for i in range(10)]
    lines[4]["reply"] = "no action"
    lines[9]["reply"] = vlbench.reply("+")  # says nothing before its action
    path = write(tmp_path / "turns.jsonl", lines)
    sample = read_questions(path, 5)[NUMBER_LINE]
    assert [q.episode for q in sample] == ["1", "3", "5", "7"]
    assert len(read_questions(path, 100)[NUMBER_LINE]) == 8


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
def test_a_bundled_checkpoint_follows_swapped_thoughts(tmp_path, capsys):
    env_id = vlbench.CARD_IDS[3]  # Blackjack, where the thoughts add the cards up
    run = RunFolder.start(tmp_path / "run", header())

    def demonstrate(env, turn):
        expert = env.demonstrate()
        return env.write_reply(expert.action, expert.fields)

    for number in range(8):
        run.add(play(env_id, number, demonstrate))
    run.close()
    checkpoint = CHECKPOINTS / "llava-sft" / "blackjack"
    call = [str(tmp_path / "run"), "--model", str(checkpoint), "--turns", "12"]
    assert thoughts.main([*call, "--json"]) == 0
    (task,) = json.loads(capsys.readouterr().out)["tasks"]
    assert task["env"] == env_id and task["agreement"] > 0.8
    assert task["effects"]["swapped"]["followed"]["value"] > 0.8


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ([line("a", 0, "+")], "has no turn with thoughts before a readable action"),
        ([line("a", 0, "+", env_id="vlbench/Points42-v0")], "unknown env id"),
    ],
)
def test_rollouts_without_thoughts_are_one_line(lines, message, tmp_path, capsys):
    path = write(tmp_path / "turns.jsonl", lines)
    assert thoughts.main([str(path), "--model", "nowhere"]) == 2
    out, err = capsys.readouterr()
    assert not out and message in err and err.startswith("thoughts: ") and err.count("\n") == 1
