"""`EpisodeRecorder` records expert, regret and cause of each turn."""

import dataclasses

import gymnasium
import pytest

import vlbench
from vlbench.recorder import EnvCache, EpisodeRecorder
from vlbench.records import Reply
from vlbench.suites import Row, frozen_rows


def test_a_row_that_is_drawn_differently_than_it_was_frozen_is_refused():
    row = dataclasses.replace(frozen_rows(vlbench.ENV_IDS[0], "test")[0], frame_hash="0" * 64)
    with pytest.raises(ValueError, match="differently than it was frozen"):
        EpisodeRecorder(gymnasium.make(row.env_id, **row.kwargs), row)


def test_rows_of_one_id_and_keyword_arguments_share_an_environment():
    envs = EnvCache()
    row = frozen_rows(vlbench.ENV_IDS[0], "test")[0]
    other = dataclasses.replace(row, instance="number_line/2-5", frame_hash="")
    assert envs.of(row) is envs.of(other)
    assert envs.of(row) is not envs.of(dataclasses.replace(row, kwargs={"prompt": "action_only"}))


def test_causes_follow_from_the_replys_own_fields():
    env_id = "vlbench/Points24-v0"
    row = Row(env_id, {}, "points24/3-3-8-8", 5)
    right = {"cards": ["3", "3", "8", "8"], "current formula": ""}
    cases = [
        ("no object", "format"),
        (vlbench.reply("8", **right), ""),
        (vlbench.reply("3", **right, plan="3 * 8 * 3 / 8"), "decision"),
        (vlbench.reply("3", cards=["3", "3", "8", "9"], plan="8 / ( 3 - 8 / 3 )"), "perception"),
        (vlbench.reply("3", **right, plan="8 / ( 3 - 8 / 3 ) = 24"), "inconsistent"),
        (vlbench.reply("3"), "unattributed"),
        (vlbench.reply("9", **right), "decision"),
        (vlbench.reply("11", **right), "format"),
    ]
    for text, cause in cases:
        recording = EpisodeRecorder(gymnasium.make(env_id), row)
        turn = recording.play(Reply(text))
        assert turn.cause == cause, text
        assert (turn.regret > 0) == bool(cause), text


@pytest.mark.parametrize(
    ("env_id", "instance", "fields", "perception"),
    [
        ("Blackjack", "blackjack/15", {"dealer card": "jack"}, True),
        ("Blackjack", "blackjack/15", {"dealer card": "J♠", "player total": 9.0}, True),
        ("Blackjack", "blackjack/15", {"dealer card": 10}, True),
        ("Blackjack", "blackjack/15", {"dealer card": "Q of hearts"}, False),
        ("Blackjack", "blackjack/15", {"dealer card": "9"}, False),
        ("Blackjack", "blackjack/15", {"dealer card": None, "player total": "hard nine"}, None),
        ("NumberLine", "number_line/2-5", {"current number": 2.0, "target number": "5"}, True),
        ("NumberLine", "number_line/2-5", {"current number": None}, None),
        ("NumberLine", "number_line/2-5", {"current number": 3}, False),
        ("Points24", "points24/3-3-8-8", {"cards": ["3 of hearts", 8, "8", 3.0]}, True),
        ("Points24", "points24/3-3-8-8", {"cards": ["three", 8, 8, 3]}, None),
        ("Points24", "points24/3-3-8-8", {"current formula": "empty"}, True),
        ("Points24", "points24/3-3-8-8", {"current formula": "3 + 8"}, False),
    ],
)
def test_statements_about_the_picture_are_read_as_people_write_them(
    env_id, instance, fields, perception
):
    env = gymnasium.make(f"vlbench/{env_id}-v0")
    env.reset(options={"instance": instance, "presentation": 1})
    assert env.unwrapped.check_statements(fields).perception is perception


@pytest.mark.parametrize("plan", ["I will multiply", "", "?", "8÷(3−8÷3)", "(8/(3-8/3)", "3 +"])
def test_a_plan_that_is_no_formula_has_no_action(plan):
    env = gymnasium.make("vlbench/Points24-v0")
    env.reset(options={"instance": "points24/3-3-8-8", "presentation": 1})
    assert env.unwrapped.check_statements({"plan": plan}).plan is None


def test_regret_is_the_return_that_a_turn_lost():
    row = Row("vlbench/NumberLine-v0", {}, "number_line/2-4", 0)
    recording = EpisodeRecorder(gymnasium.make(row.env_id), row)
    regrets = [recording.play(Reply(vlbench.reply(a))).regret for a in "+-"]
    assert regrets == [0.0, 1.0]
    assert recording.play(Reply("what?")).regret == 1.0
    assert recording.play(Reply(vlbench.reply("+"))).regret == 0.0


def test_strict_reading_is_recorded_beside_the_standard_one():
    row = Row("vlbench/NumberLine-v0", {}, "number_line/2-4", 0)
    recording = EpisodeRecorder(gymnasium.make(row.env_id), row)
    fenced = recording.play(Reply('```json\n{"action": "+"}\n```'))
    assert fenced.status == "ok" and not fenced.strict and not fenced.recovered
    assert recording.play(Reply('{"action": "+"}')).strict


@pytest.mark.parametrize(
    ("reply", "advice"),
    [
        (Reply('{"thoughts": "2 is', stop_reason="length"), "the token limit cut the reply off"),
        (Reply("", stop_reason="length"), "the token limit cut the reply off"),
        (Reply('{"thoughts": "2 is'), "the model ended the reply itself, inside an object"),
        (Reply("no", stop_reason="refused"), "the provider refused"),
        (Reply("no object"), None),
        (Reply(vlbench.reply("+"), stop_reason="length"), None),
    ],
)
def test_a_hint_tells_a_reply_that_was_cut_off_from_one_that_the_model_ended(reply, advice):
    row = Row("vlbench/NumberLine-v0", {}, "number_line/2-4", 0)
    recording = EpisodeRecorder(gymnasium.make(row.env_id), row)
    recording.play(reply)
    hint, _, extra = recording.info["hint"].partition("; the reply is ")
    assert hint.startswith("wanted a JSON object") if extra else not hint
    assert extra.partition("; ")[2].startswith(advice) if advice else "; " not in extra
