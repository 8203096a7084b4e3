"""Frozen sets: which there are, what they hold, and what `bounds.json` says of them."""

import json
from collections import Counter
from pathlib import Path

import pytest
from support.env_ids import every_env, every_set

from vlbench import freeze
from vlbench.freeze.__main__ import set_hashes
from vlbench.instances import TRAINING_PRESENTATIONS, group_of
from vlbench.suites import (
    LADDER,
    PAPER,
    bounds,
    frozen_hash,
    frozen_rows,
    ordered_suites,
    shipped_suites,
    suite_facts,
)

HASHES = Path(__file__).with_name("set_hashes.json")
"""env id → suite → sha256; written by `python -m vlbench.freeze --hashes`."""


def test_the_sets_are_those_whose_hashes_are_recorded():
    recorded = json.loads(HASHES.read_text("utf-8"))
    assert set_hashes() == recorded, f"python -m vlbench.freeze --hashes > {HASHES.name}"


@every_set
def test_rows_are_unique_and_complete(env_id, suite):
    rows = frozen_rows(env_id, suite)
    keys = {(row.instance, row.presentation, json.dumps(row.kwargs)) for row in rows}
    assert len(keys) == len(rows) > 0
    assert all(len(row.frame_hash) == 64 for row in rows)
    assert len(frozen_hash(env_id, suite)) == 64


@every_env
def test_the_frozen_rows_are_those_that_the_task_s_folder_makes(env_id):
    task = freeze.task_suites(env_id)
    assert ordered_suites(task.NAMES) == shipped_suites(env_id)
    for suite in task.NAMES:
        assert [
            (row.kwargs, row.instance, row.presentation) for row in frozen_rows(env_id, suite)
        ] == [
            (start.kwargs, start.instance, start.presentation)
            for start in freeze.interleave_groups(task.rows(suite))
        ]


@every_set
def test_bounds_are_stated_for_every_set(env_id, suite):
    limits = bounds(env_id, suite)
    assert 0 <= limits.floor < limits.ceiling <= 1


@every_set
def test_looks_are_those_that_the_name_of_the_suite_says(env_id, suite):
    looks = {"ood-looks": "heldout", "ood-both": "heldout", "sealed": "sealed"}
    themes = {row.kwargs["theme"] for row in frozen_rows(env_id, suite)}
    assert themes == {looks.get(suite, "train")}


@every_env
def test_the_headline_has_200_instances_that_other_looks_show_too(env_id):
    test, looks = (frozen_rows(env_id, suite) for suite in ("test", "ood-looks"))
    starts = {(row.instance, _rules(row)) for row in test}
    shown = {(row.instance, _rules(row)) for row in looks}
    assert len(starts) >= 200 and len(shown) >= 200 and shown <= starts


@every_env
def test_ood_rules_and_ood_both_hold_the_same_games_in_other_looks(env_id):
    rules, both = (frozen_rows(env_id, suite) for suite in ("ood-rules", "ood-both"))
    starts = {(row.instance, _rules(row)) for row in rules}
    assert {(row.instance, _rules(row)) for row in both} <= starts
    usual = {_rules(row) for row in frozen_rows(env_id, "test")}
    assert not usual & {rule for _, rule in starts}


@every_env
@pytest.mark.parametrize("suite", ["ood-rules", "ood-both"])
def test_the_usual_rules_expert_fails_on_half_the_rows_with_changed_rules(env_id, suite):
    facts = suite_facts(env_id, suite)
    old = facts.references["old_expert"]
    assert (old.success if facts.ceiling == 1 else old.optimal) <= 0.5
    assert facts.references["expert"].regret < 1e-9


@every_set
def test_the_expert_is_optimal_on_each_row_and_random_play_is_not(env_id, suite):
    facts = suite_facts(env_id, suite)
    players = facts.references
    assert players["expert"].optimal == 1 and players["expert"].regret < 1e-9
    assert facts.ceiling < 1 or players["expert"].success == 1
    assert players["random"].regret >= players["heuristic"].regret >= 0


@every_set
def test_the_pictures_of_a_set_are_needed(env_id, suite):
    gain = suite_facts(env_id, suite).visual_gain
    assert gain is not None and gain.low > 0


@every_env
def test_the_floors_of_a_ladder_fall(env_id):
    rungs = [suite for suite in shipped_suites(env_id) if suite.startswith(LADDER)]
    floors = [bounds(env_id, rung).floor for rung in rungs]
    assert len(rungs) >= 3 and floors == sorted(floors, reverse=True) and floors[0] > floors[-1]


@every_env
def test_rows_of_the_paper_have_presentations_that_no_training_deals(env_id):
    if PAPER in shipped_suites(env_id):
        rows = frozen_rows(env_id, PAPER)
        assert min(row.presentation for row in rows) >= TRAINING_PRESENTATIONS


@every_set
def test_a_prefix_of_a_set_is_balanced_over_its_rules_and_groups(env_id, suite):
    rows = frozen_rows(env_id, suite)
    kinds = Counter((group_of(row.instance), _rules(row)) for row in rows)
    rounds = min(2, *kinds.values()) if len(kinds) > 1 else 1
    prefix = Counter((group_of(row.instance), _rules(row)) for row in rows[: rounds * len(kinds)])
    assert prefix == Counter(dict.fromkeys(kinds, rounds))


def _rules(row):
    kept = {name: value for name, value in row.kwargs.items() if name not in ("theme", "jitter")}
    return json.dumps(kept, sort_keys=True)


def test_suites_are_ordered_headline_first_and_ladders_last_by_their_numbers():
    names = ["ladder-50", "paper", "ood-text", "ladder-5", "ood-both", "test", "ood-looks"]
    assert ordered_suites(names) == (
        *("test", "ood-looks", "ood-both", "paper", "ood-text", "ladder-5", "ladder-50"),
    )
