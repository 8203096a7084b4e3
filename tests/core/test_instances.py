"""Splits, frozen sets and presentations."""

from collections import Counter

import gymnasium
import pytest
from support.env_ids import every_light_env

from vlbench.freeze.__main__ import main as freeze_main
from vlbench.instances import Presentation, group_of, split_of, unit_of
from vlbench.suites import (
    SEEDS,
    bounds,
    frozen_rows,
    held_out,
    label,
    shipped_suites,
    suites,
)
from vlbench.task import split_in
from vlbench.tasks.points24.game import Points24Game, standard_hands


def test_the_splits_of_points24_are_disjoint_and_about_as_large_as_they_should_be():
    names = [f"points24/{'-'.join(map(str, hand))}" for hand in standard_hands()]
    parts = Counter(split_in(Points24Game(), name) for name in names)
    assert parts.total() == 566 and 200 <= parts["test"] <= 260 and 40 <= parts["val"] <= 75


def test_the_far_points24_rows_can_be_won_only_by_their_own_rule():
    for row in frozen_rows("vlbench/Points24-v0", "ood-rules"):
        hand = tuple(map(int, row.instance.split("/")[1].split("-")))
        assert row.kwargs.get("target") == 36 or hand[-1] > 10


def test_the_exact_bounds_are_the_published_ones():
    # Means over the rows; over all shoes they are 28.061 % and 43.163 %.
    assert bounds("vlbench/Blackjack-v0", "test").floor == pytest.approx(0.27802, abs=5e-6)
    assert bounds("vlbench/Blackjack-v0", "test").ceiling == pytest.approx(0.42535, abs=5e-6)
    assert 0.55 < bounds("vlbench/NumberLine-v0", "paper").floor < 0.65


@every_light_env
def test_the_record_of_a_task_says_whether_instances_are_held_out(env_id):
    assert held_out(env_id) == bool(gymnasium.make(env_id).unwrapped.game.test_share)


def test_dealt_games_of_alfworld_are_generated_ones():
    generated = "generated games, schematic pictures"
    for suite in ("", *shipped_suites("vlbench/ALFWorld-v0"), SEEDS):
        assert label("vlbench/ALFWorld-v0", suite) == generated


def test_an_instance_names_its_group_and_its_unit():
    assert group_of("points24/3-3-8-8") == "" and unit_of("points24/3-3-8-8") == "points24/3-3-8-8"
    heat = "alfworld/pick_heat_then_place_in_recep/12-345"
    assert group_of(heat) == "pick_heat_then_place_in_recep" and unit_of(heat) == "alfworld/12"
    of_one_floor_plan = {
        split_of(unit_of(f"alfworld/{kind}/12-{number}"), 0.5, 0.1)
        for kind in ("a", "b")
        for number in range(20)
    }
    assert len(of_one_floor_plan) == 1


def test_every_prefix_of_a_set_with_groups_is_balanced():
    rows = frozen_rows("vlbench/ALFWorld-v0", "test")
    for length in (6, 30, 50, 120, 600):
        counts = Counter(group_of(row.instance) for row in rows[:length])
        assert len(counts) == 6 and max(counts.values()) - min(counts.values()) <= 1


def test_unknown_ids_and_suites_suggest_the_nearest():
    with pytest.raises(ValueError, match='did you mean "vlbench/Points24-v0"'):
        suites("vlbench/Points42-v0")
    with pytest.raises(ValueError, match='did you mean "test"'):
        frozen_rows("vlbench/Points24-v0", "tset")


def test_picks_are_even_and_independent_of_each_other():
    picks = [
        (Presentation("x/1", n).pick("suit/0", 4), Presentation("x/1", n).pick("suit/1", 4))
        for n in range(8000)
    ]
    counts = Counter(picks)
    assert len(counts) == 16 and all(abs(count - 500) < 100 for count in counts.values())


def test_freezing_an_unknown_task_is_a_one_line_error(capsys):
    assert freeze_main(["NumberLin"]) == 2
    assert capsys.readouterr().err.count('did you mean "NumberLine"?') == 1
    assert freeze_main(["rl4vlm/NumberLine-v0"]) == 2
    assert "rl4vlm/NumberLine-v0 isn't the task of a package" in capsys.readouterr().err
    assert freeze_main(["vlbench/ALFWorldThor-v0"]) == 2
    assert "has no module `suites`" in capsys.readouterr().err
    with pytest.raises(SystemExit, match="0"):
        freeze_main(["--help"])
