"""Records survive JSON, and invalid ones are refused."""

import dataclasses
import json

import pytest
from support.sample_episodes import header

from vlbench.records import (
    MAX_NOTE,
    MAX_REPLY,
    Challenge,
    Episode,
    Failure,
    ModelInfo,
    Preamble,
    Reply,
    RunHeader,
    Shard,
    from_json,
    to_json,
)
from vlbench.suites import Row


def test_a_record_survives_json(some_episodes):
    for episode in some_episodes:
        assert from_json(Episode, json.loads(json.dumps(to_json(episode)))) == episode


def test_fields_that_hold_their_default_are_not_written():
    assert to_json(Reply("hm")) == {"text": "hm"}
    assert to_json(Reply("hm", usd=0.0, usd_source="provider", seconds=0.0)) == {
        "text": "hm",
        "usd": 0.0,
        "usd_source": "provider",
    }
    assert to_json(Failure()) == {} == to_json(Preamble())
    assert to_json(ModelInfo(versions={"torch": "2.6"})) == {"versions": {"torch": "2.6"}}


def test_every_optional_field_of_a_run_and_an_episode_survives_json(some_episodes):
    run = header(
        env_kwargs={"stands_on": 16},
        preamble=Preamble("Play well.", [Row("vlbench/Points24-v0", {}, "points24/3-3-8-8", 7)]),
        models={
            "": ModelInfo(
                checkpoint="/runs/ppo/step-64",
                step=64,
                weights_hash="0" * 64,
                dtype="bfloat16",
                device="cuda",
                picture_size="336x336",
                versions={"torch": "2.6.0"},
            )
        },
        shard=Shard(0, 4),
        challenge=Challenge("1" * 64, "a nonce"),
        price=[1, 2.5],
        dirty=False,
    )
    assert from_json(RunHeader, json.loads(json.dumps(to_json(run)))) == run
    first = some_episodes[0].turns[0]
    reply = dataclasses.replace(
        first.reply,
        finish_reason="content_filter",
        provider_message="blocked",
        reasoning="<think>hm</think>",
        usd_source="provider",
    )
    episode = dataclasses.replace(
        some_episodes[0],
        turns=(dataclasses.replace(first, reply=reply),),
        end="errored",
        error="ProviderError: 500",
        failure=Failure("provider", 500, "error", "overloaded", "agent.py:12", "2" * 64),
    )
    assert from_json(Episode, json.loads(json.dumps(to_json(episode)))) == episode


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"extra": 1}, 'no field "extra"'),
        ({"success": "yes"}, "Episode.success must be bool"),
        ({"row": True}, "Episode.row must be int"),
        ({"turns": {}}, "turns must be a list"),
        ({"turns": [3]}, "expected an object for a Turn"),
        ({"presentation": None}, "Episode.presentation must be int"),
        ({"seed": "3"}, "Episode.seed must be int"),
        ({"failure": {"status": "500"}}, "Failure.status must be int, got '500'"),
        ({"failure": {"code": 500}}, 'Failure has no field "code"'),
    ],
)
def test_a_damaged_record_is_refused_by_name(some_episodes, change, message):
    with pytest.raises(ValueError, match=message):
        from_json(Episode, {**to_json(some_episodes[0]), **change})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"env_ids": "all"}, "RunHeader.env_ids must be a list, got 'all'"),
        ({"env_ids": [3]}, "RunHeader.env_ids must be str, got 3"),
        ({"prompt_hashes": {"a": 1}}, "RunHeader.prompt_hashes must be str, got 1"),
        ({"price": [1, "2"]}, "RunHeader.price must be float, got '2'"),
        ({"price": [1, float("nan")]}, "RunHeader.price must be a finite number"),
        ({"models": {"": {"step": 1.5}}}, "ModelInfo.step must be int, got 1.5"),
        ({"preamble": {"shots": [{}]}}, 'Row lacks the field "env_id"'),
        ({"shard": [0, 4]}, "expected an object for a Shard, got list"),
    ],
)
def test_a_damaged_header_is_refused_by_name(change, message):
    with pytest.raises(ValueError) as error:
        from_json(RunHeader, {**to_json(header()), **change})
    assert str(error.value) == message


def test_a_missing_field_is_named(some_episodes):
    data = to_json(some_episodes[0])
    del data["env_id"]
    with pytest.raises(ValueError, match='lacks the field "env_id"'):
        from_json(Episode, data)


def test_replies_are_bounded_before_they_are_recorded():
    long = Reply("é" * MAX_REPLY).bounded()
    assert len(long.text.encode()) <= MAX_REPLY and long.stop_reason == "oversize"
    assert Reply('{"action": "+"}', stop_reason="refused").bounded().text == ""
    assert Reply("a\ud800b").bounded().text == "a?b"
    assert Reply("fine").bounded() == Reply("fine")
    talkative = Reply("", "stop", "é" * MAX_NOTE, "\ud800" * 9999, "r" * (MAX_REPLY + 1)).bounded()
    assert len(talkative.finish_reason.encode()) == len(talkative.provider_message) == MAX_NOTE
    assert len(talkative.reasoning) == MAX_REPLY and talkative.stop_reason == "stop"


@pytest.mark.parametrize(
    "changes, wanted",
    [
        ({"usd": -1.0}, "Reply.usd must be from 0 to 1000000, got -1.0"),
        ({"usd": float("nan")}, "Reply.usd must be a finite number"),
        ({"usd": float("inf")}, "Reply.usd must be a finite number"),
        ({"prompt_tokens": -5}, "Reply.prompt_tokens must be from 0 to 1000000000, got -5"),
        ({"completion_tokens": 10**12}, "Reply.completion_tokens must be from 0 to 1000000000"),
        ({"seconds": -0.1}, "Reply.seconds must be from 0 to 10000000, got -0.1"),
        ({"retries": -1}, "Reply.retries must be from 0 to 10000, got -1"),
        ({"stop_reason": "eos"}, 'Reply.stop_reason must be one of "stop", "length", "refused"'),
        ({"usd_source": "guess", "usd": 1.0}, 'Reply.usd_source must be one of "", "provider"'),
        ({"usd_source": "price"}, 'Reply.usd must be a number, since usd_source is "price"'),
        ({"stop_reason": "refused"}, 'Reply.text must be "" where it was refused'),
        ({"stop_reason": "oversize"}, "Reply.text must be cut at 1048576 bytes"),
        ({"provider_id": "x" * 2001}, "Reply.provider_id must have at most 2000 bytes, got 2001"),
    ],
)
def test_a_reply_that_no_run_records_is_refused_by_field(changes, wanted):
    with pytest.raises(ValueError) as error:
        from_json(Reply, {"text": "x", **changes})
    assert str(error.value).startswith(wanted)


@pytest.mark.parametrize(
    "changes, wanted",
    [
        ({"episodes": -3}, "RunHeader.episodes must be from 1 to 1000000000, got -3"),
        ({"episodes": 0}, "RunHeader.episodes must be from 1"),
        ({"repeats": 0}, "RunHeader.repeats must be from 1"),
        ({"history": -1}, "RunHeader.history must be from 0"),
        ({"price": [1.0] * 10}, "RunHeader.price must have 2 items, got 10"),
        ({"price": [1.0, -1.0]}, "RunHeader.price must be from 0 to 1000000, got -1.0"),
        ({"agent": ""}, "RunHeader.agent must have 1 to 800 bytes, got 0"),
        ({"agent": "  "}, "RunHeader.agent must be plain text, got only spaces"),
        ({"agent": "gpt\u202e4"}, "RunHeader.agent must be plain text, got U+202E (right-to-left"),
        ({"agent": "gpt\u200b4"}, "RunHeader.agent must be plain text, got U+200B (zero width sp"),
        ({"agent": "\u3164"}, "RunHeader.agent must be plain text, got U+3164 (hangul filler)"),
        ({"agent": "x\x1b[2J"}, "RunHeader.agent must be plain text, got U+001B (control char"),
        ({"agent": "a" + "\u0301" * 9}, "RunHeader.agent must be plain text, got U+0301 (combin"),
        ({"commit": "HEAD"}, "RunHeader.commit must be like"),
        ({"dropped": ["\n"]}, "RunHeader.dropped must be plain text, got U+000A"),
        ({"versions": {"py\u2028": "1"}}, "RunHeader.versions must be plain text, got U+2028"),
    ],
)
def test_a_header_that_no_run_writes_is_refused_by_field(changes, wanted):
    with pytest.raises(ValueError) as error:
        from_json(RunHeader, to_json(header()) | changes)
    assert str(error.value).startswith(wanted)


@pytest.mark.parametrize("name", ["模型 3", "naïve-β", "Cafe\u0301 1", "🙂", "llava: tiny (2M)"])
def test_a_name_in_any_script_is_plain_text(name):
    assert from_json(RunHeader, to_json(header()) | {"agent": name}).agent == name


def test_an_errored_episode_says_what_failed(some_episodes):
    plain = to_json(some_episodes[0]) | {"end": "errored"}
    with pytest.raises(ValueError, match="Episode.error must say what failed"):
        from_json(Episode, plain)
    assert from_json(Episode, plain | {"error": "no answer"}).error == "no answer"


def test_there_is_one_zero(some_episodes):
    plain = to_json(some_episodes[0])
    plain["turns"][0]["reward"] = -0.0
    assert str(from_json(Episode, plain).turns[0].reward) == "0.0"
