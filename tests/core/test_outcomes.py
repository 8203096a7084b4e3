"""Recorded outcomes of frozen rows."""

import dataclasses
import hashlib
import json

import gymnasium
import pytest
from support.env_ids import every_env, every_light_set, every_set

from vlbench import freeze, outcomes
from vlbench.outcomes import Outcome, check_outcomes, play_row, read_outcomes, write_outcomes
from vlbench.records.run_spec import RunSpec
from vlbench.registry import rules_of, task_folder
from vlbench.suites import (
    frozen_hash,
    frozen_rows,
)

NUMBER_LINE = "vlbench/NumberLine-v0"


@every_set
def test_every_frozen_row_has_its_outcomes(env_id, suite):
    recorded = read_outcomes(env_id, suite)
    assert len(recorded) == len(frozen_rows(env_id, suite))
    for expert, drawn in recorded:
        assert expert.end == "terminated" and "" not in expert.actions
        assert drawn.actions[0] == "" and drawn.rewards[0] == -1.0
        assert len(expert.state) == outcomes.STATE_DIGITS


@every_light_set
def test_the_rules_are_still_those_under_which_the_sets_were_frozen(env_id, suite, monkeypatch):
    monkeypatch.setattr(outcomes, "CHECK_SECONDS", 60.0)
    check_outcomes(env_id, suite, frozen_rows(env_id, suite)[:60])


@every_env
def test_a_task_states_the_rules_of_its_sets(env_id):
    about = json.loads(task_folder(env_id).joinpath("bounds.json").read_text("utf-8"))
    assert about["rules"] == dataclasses.asdict(rules_of(env_id))


def test_freezing_writes_the_rows_and_outcomes_that_are_shipped(tmp_path):
    shipped = task_folder(NUMBER_LINE).joinpath("sets")
    rows = freeze.interleave_groups(freeze.task_suites(NUMBER_LINE).rows("paper"))
    freeze.write_rows(tmp_path / "paper.jsonl", NUMBER_LINE, rows[:10])
    for name in ("paper.jsonl", "outcomes/paper.jsonl"):
        whole = shipped.joinpath(name).read_text("utf-8")
        assert whole.startswith((tmp_path / name).read_text("utf-8"))


def test_outcomes_are_no_part_of_a_set_s_hash():
    text = task_folder(NUMBER_LINE).joinpath("sets/test.jsonl").read_bytes()
    assert frozen_hash(NUMBER_LINE, "test") == hashlib.sha256(text).hexdigest()


BEFORE = Outcome(("", "+", "-"), (-1.0, 0.0, 1.0), "terminated", True, "ab")


@pytest.mark.parametrize(
    ("changes", "difference"),
    [
        ({}, ""),
        ({"rewards": (0.0, 0.0, 1.0)}, "turn 1 (an unreadable reply) earned -1, now 0"),
        ({"rewards": (-1.0, 0.0, 2.5)}, "turn 3 (-) earned 1, now 2.5"),
        ({"rewards": (-1.0, 0.0)}, "terminated after 3 turns, now after 2"),
        ({"end": ""}, "end after 3 turns was 'terminated', now ''"),
        ({"success": False}, "success after 3 turns was True, now False"),
        ({"state": "cd"}, "state after 3 turns was 'ab', now 'cd'"),
    ],
)
def test_the_first_difference_of_an_outcome_is_named(changes, difference):
    assert BEFORE.difference(dataclasses.replace(BEFORE, **changes)) == difference


def test_a_row_is_played_until_the_player_stops_or_the_episode_ends():
    row = next(row for row in frozen_rows(NUMBER_LINE, "paper") if row.instance.endswith("/0-2"))
    env = gymnasium.make(NUMBER_LINE, **row.kwargs)
    moves = {0: "-", 1: "", 2: "+", 3: "+", 4: "+"}
    outcome = play_row(env, row, lambda inner, turn: moves[turn])
    assert outcome.actions == ("-", "", "+", "+") and outcome.rewards == (-1.0, -1.0, 0.0, 1.0)
    assert (outcome.end, outcome.success) == ("terminated", True)
    stopped = play_row(env, row, lambda inner, turn: "+" if turn < 1 else None)
    assert (stopped.actions, stopped.rewards, stopped.end) == (("+",), (0.0,), "")


def test_a_row_is_checked_whatever_its_look(monkeypatch):
    monkeypatch.setattr(outcomes, "CHECK_SECONDS", 0.0)
    spec = RunSpec("test", "cot_facts", "comic", env_kwargs={"jitter": 2})
    check_outcomes(NUMBER_LINE, "test", spec.rows(NUMBER_LINE))


def test_damaged_outcomes_are_one_line(tmp_path, monkeypatch):
    row = frozen_rows(NUMBER_LINE, "test")[0]
    write_outcomes(tmp_path / "new" / "test.jsonl", [row])
    text = (tmp_path / "new" / "test.jsonl").read_text()
    for damage in ("{", "[3]", text.replace('"actions"', '"action"'), text[:-9]):
        (tmp_path / "test.jsonl").write_text(damage)
        monkeypatch.setattr(outcomes, "outcomes_file", lambda *_: tmp_path / "test.jsonl")
        with pytest.raises(ValueError, match="the outcomes of test of vlbench/NumberLine-v0 are d"):
            check_outcomes(NUMBER_LINE, "test", [row])
