"""Records: keeping them, and what may stand in them."""

import json

import pytest

from vlbench.records import MAX_REPLY, Episode, Reply, from_json, to_json


def test_a_record_survives_json(some_episodes):
    for episode in some_episodes:
        assert from_json(Episode, json.loads(json.dumps(to_json(episode)))) == episode


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"extra": 1}, 'no field "extra"'),
        ({"success": "yes"}, "Episode.success must be bool"),
        ({"row": True}, "Episode.row must be int"),
        ({"turns": {}}, "turns must be a list"),
        ({"turns": [3]}, "wanted an object for a Turn"),
        ({"presentation": None}, "Episode.presentation must be int"),
    ],
)
def test_a_damaged_record_is_refused_by_name(some_episodes, change, message):
    with pytest.raises(ValueError, match=message):
        from_json(Episode, {**to_json(some_episodes[0]), **change})


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
