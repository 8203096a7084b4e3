"""Training deals instances of `train`, looks at `val`, and never sees one of `test`."""

import json
from pathlib import Path

import gymnasium
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.env_ids import LIGHT_IDS, every_light_env

from agents.train import sft_data
from agents.train.environments import training_deals
from agents.train.evaluation import distinct_val_rows, val_rows
from vlbench.instances import MAX_SHARES, TRAINING_PRESENTATIONS, Share
from vlbench.registry import LOOKS
from vlbench.suites import PAPER, frozen_rows, shipped_suites
from vlbench.task import split_in, unit_in

MOST_RULES = 12
"""Rules of a task that are tried; EZPoints' rows have many more."""
LONG = "vlbench/Points24-v0"
"""The task whose other rules take seconds, since each hand is solved when it is dealt."""


def rules_of_sets(env_id):
    """Rules that occur in a task's sets; the usual ones come first."""
    rules = {json.dumps({})}
    for suite in shipped_suites(env_id):
        for row in frozen_rows(env_id, suite):
            kept = {name: value for name, value in row.kwargs.items() if name not in LOOKS}
            rules.add(json.dumps(kept, sort_keys=True))
    found = [json.loads(rule) for rule in sorted(rules)]
    return found[:: -(-len(found) // MOST_RULES)]


def held_out_units(env_id):
    """The units of all frozen rows, except the paper's own instances."""
    games, units = {}, set()
    for suite in set(shipped_suites(env_id)) - {PAPER}:
        for row in frozen_rows(env_id, suite):
            if row.env_key not in games:
                games[row.env_key] = gymnasium.make(env_id, **row.kwargs).unwrapped.game
            units.add(unit_in(games[row.env_key], row.instance))
    return units


def deals(env):
    """Names of instances that an environment deals; none where its split has none by its rules."""
    try:
        return {env._deal() for _ in range(40)}
    except ValueError as error:
        assert "gave no instance of the split" in str(error)
        return set()


@pytest.mark.parametrize(
    "env_id",
    [pytest.param(name, marks=[pytest.mark.slow] * (name == LONG)) for name in LIGHT_IDS],
)
def test_no_rule_makes_training_or_validation_deal_an_instance_of_a_frozen_set(env_id):
    frozen = held_out_units(env_id)
    for rules in rules_of_sets(env_id):
        envs = {
            "train": gymnasium.make(env_id, **training_deals(""), **rules).unwrapped,
            "val": gymnasium.make(env_id, split="val", **rules).unwrapped,
        }
        if not envs["train"].game.test_share:
            continue
        dealt = {}
        for split, env in envs.items():
            env.np_random = np.random.default_rng(0)
            names = deals(env)
            assert rules or names
            assert not names or {split_in(env.game, name) for name in names} == {split}, rules
            dealt[split] = {unit_in(env.game, name) for name in names}
        assert not dealt["train"] & frozen and not dealt["val"] & frozen, rules
        assert not dealt["train"] & dealt["val"], rules


@every_light_env
def test_transcripts_show_training_instances_in_presentations_of_training(env_id):
    env = gymnasium.make(env_id).unwrapped
    examples = sft_data.transcripts(sft_data.Config(out=Path(), env=env_id, episodes=40))
    for example in examples:
        assert split_in(env.game, example.instance) in ("", "train")
        assert example.presentation < TRAINING_PRESENTATIONS


def test_data_with_an_instance_that_is_held_out_is_refused():
    example = next(sft_data.transcripts(sft_data.Config(out=Path(), env="Points24", episodes=1)))
    sft_data.check_training([example])
    row = frozen_rows("vlbench/Points24-v0", "test")[0]
    changed = sft_data.Example(**{**vars(example), "instance": row.instance})
    with pytest.raises(ValueError, match=r"example 2 shows points24/.* for the split test; write"):
        sft_data.check_training([example, changed])


@every_light_env
def test_val_rows_are_instances_of_val_and_the_same_in_every_run(env_id):
    rows = val_rows(env_id, 30, {"prompt": "action_only", "jitter": 3, "share": "1/2"})
    game = gymnasium.make(env_id).unwrapped.game
    assert rows == val_rows(env_id, 30, {"prompt": "action_only"}) and len(rows) == 30
    assert {split_in(game, row.instance) for row in rows} <= {"val", ""}
    assert rows[0].kwargs == {"theme": "train", "prompt": "action_only"}
    assert len({(row.instance, row.presentation) for row in rows}) == 30
    assert val_rows(env_id, 0, {}) == ()


def test_val_rows_that_look_alike_are_played_once():
    rows = distinct_val_rows("vlbench/NumberLine-v0", {"theme": "classic"})
    assert len(rows) == 7 == len({row.instance for row in rows})
    assert len(distinct_val_rows("vlbench/Blackjack-v0", {"theme": "classic"})) == 200


@pytest.mark.parametrize("env_id", [name for name in LIGHT_IDS if "EZ" not in name])
def test_shares_of_training_are_disjoint(env_id):
    dealt = []
    for number in (1, 2, 3):
        env = gymnasium.make(env_id, **training_deals(f"{number}/3")).unwrapped
        env.np_random = np.random.default_rng(0)
        dealt.append({env._deal() for _ in range(60)})
    assert all(dealt) and not dealt[0] & dealt[1] and not (dealt[0] | dealt[1]) & dealt[2]


def test_data_is_learned_in_disjoint_shares_that_make_up_the_whole():
    config = sft_data.Config(out=Path(), env="NumberLine,Points24", episodes=20)
    examples = list(sft_data.transcripts(config))
    parts = [sft_data.of_share(examples, Share(number, 2)) for number in (1, 2)]
    names = [{example.instance for example in part} for part in parts]
    assert names[0] and names[1] and not names[0] & names[1]
    assert sum(map(len, parts)) == len(examples)
    (own,) = {len(sft_data.of_share(part, Share(n, 2))) for n, part in enumerate(parts[:1], 1)}
    assert own == len(parts[0])


@given(st.integers(1, MAX_SHARES), st.text(min_size=1, max_size=20))
@settings(max_examples=50)
def test_every_unit_is_in_one_share(count, unit):
    if count <= 50:
        assert sum(Share(number, count).holds(unit) for number in range(1, count + 1)) == 1


@pytest.mark.parametrize(
    "text", ["1", "0/2", "3/2", "1/0", "a/b", "1/2/3", "-1/2", "1/1001", "²/2"]
)
def test_a_share_that_is_none_is_refused_with_what_was_wanted(text):
    with pytest.raises(ValueError, match=r"share must be I/N with 1 <= I <= N <= 1000, like 1/2"):
        Share.parse(text)
    with pytest.raises(ValueError, match="share must be I/N"):
        gymnasium.make("vlbench/NumberLine-v0", share=text)
