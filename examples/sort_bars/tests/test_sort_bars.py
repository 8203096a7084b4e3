"""SortBars: its rules by hand, and vlbench's contract."""

import gymnasium
import numpy as np
import pytest
from sort_bars.game import Bars, SortBarsGame

import vlbench
from vlbench.contract import CHECKS
from vlbench.suites import bounds, frozen_rows, shipped_suites
from vlbench.task import split_in

ENV_ID = "sort_bars:bars/SortBars-v0"


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_sort_bars_keeps_the_contract(check):
    check(ENV_ID)


def test_a_swap_is_worth_what_it_orders():
    game = SortBarsGame()
    state = game.start("sort_bars/2-1-3-4-6-5")
    assert game.swaps_left(state) == 2
    assert game.step(state, "1") == (Bars((1, 2, 3, 4, 6, 5)), 0.0, False, False)
    assert game.step(state, "2") == (Bars((2, 3, 1, 4, 6, 5)), -1.0, False, False)
    assert game.values(state, 20) == {"1": 1.0, "2": 0.0, "3": 0.0, "4": 0.0, "5": 1.0}
    assert game.values(state, 1) == {"1": 0.0, "2": -1.0, "3": -1.0, "4": -1.0, "5": 0.0}
    last = Bars((1, 2, 3, 4, 6, 5))
    assert game.step(last, "5") == (Bars((1, 2, 3, 4, 5, 6)), 1.0, True, True)


def test_with_descending_the_order_is_the_other_way_round():
    game = SortBarsGame(descending=True)
    assert game.swaps_left(game.start("sort_bars/5-6-4-3-2-1")) == 1
    assert game.expert(Bars((5, 6, 4, 3, 2, 1)), 20) == "1"


@pytest.mark.parametrize("wrong", ["sort_bars/1-2-3-4-5-6", "sort_bars/1-1-2-3-4-5", "sort_bars/"])
def test_no_instance_is_refused_with_an_example(wrong):
    with pytest.raises(ValueError, match="3-1-2-6-5-4"):
        SortBarsGame().start(wrong)


def test_the_picture_shows_the_heights_from_the_left():
    env = gymnasium.make(ENV_ID)
    frame = env.reset(options={"instance": "sort_bars/3-1-2-6-5-4"})[0]["image"]
    paper = frame[0, 0]
    heights = [int((frame[:270, column] != paper).any(axis=1).sum()) for column in range(300)]
    edges = zip(heights[1:], heights, strict=False)
    shown = [height // 40 for height, before in edges if height and not before]
    assert shown == [3, 1, 2, 6, 5, 4]


def test_false_statements_are_told_from_true_ones():
    env = gymnasium.make(ENV_ID).unwrapped
    env.reset(options={"instance": "sort_bars/3-1-2-6-5-4"})
    assert env.check_statements({"heights": "3 1 2 6 5 4"}).perception is True
    assert env.check_statements({"heights": "3 1 2 6 4 5"}).perception is False
    assert env.check_statements({"heights": "many"}).perception is None


def test_the_frozen_sets_are_held_out_and_have_bounds():
    assert shipped_suites(ENV_ID) == ("test", "ood-looks", "ood-rules", "ood-both")
    for suite in shipped_suites(ENV_ID):
        rows = frozen_rows(ENV_ID, suite)
        assert len(rows) == 200
        assert {split_in(SortBarsGame(), row.instance) for row in rows} == {"test"}
        assert 0 < bounds(ENV_ID, suite).floor < 0.03 and bounds(ENV_ID, suite).ceiling == 1


def test_the_expert_wins_with_replies_that_the_prompt_asks_for():
    env = gymnasium.make(ENV_ID)
    env.reset(seed=0)
    inner, over, reward = env.unwrapped, False, 0.0
    while not over:
        shown = inner.demonstrate()
        assert set(shown.fields) | {"action"} == set(inner.prompt.reply_fields)
        _, reward, over, _, info = env.step(vlbench.reply(shown.action, **shown.fields))
    assert info["success"] and np.isclose(reward, 1.0)
