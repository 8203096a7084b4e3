"""Intervals agree with published values and with simulation."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vlbench.intervals import mean, rate, rate_difference, wilson


def test_wilson_gives_the_values_of_the_textbook():
    # Newcombe (1998), Statistics in Medicine 17, table I: 81/263, 15/148, 0/20.
    for successes, trials, low, high in ((81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605)):
        interval = wilson(successes, trials)
        assert (interval.low, interval.high) == pytest.approx((low, high), abs=5e-5)
    assert wilson(0, 20).low == 0 and wilson(0, 20).high == pytest.approx(0.1611, abs=5e-5)


def test_the_interval_is_wilsons_if_every_instance_occurs_once():
    assert rate([True] * 3 + [False], "abcd") == wilson(3, 4)


def test_repeats_of_one_instance_count_as_one_observation():
    outcomes = [True] * 50 + [False] * 50
    repeated = rate(outcomes, [i // 10 for i in range(100)])
    ten = wilson(5, 10)
    assert repeated.high - repeated.low == pytest.approx(ten.high - ten.low, rel=0.25)


def test_all_successes_in_few_instances_leave_room_for_doubt():
    interval = rate([True] * 90, [i % 30 for i in range(90)])
    assert interval.value == interval.high == 1 and interval.low == wilson(30, 30).low


@given(st.lists(st.tuples(st.floats(-10, 10), st.integers(0, 5)), min_size=1, max_size=40))
def test_an_interval_is_ordered_and_the_same_twice(pairs):
    values, clusters = zip(*pairs, strict=True)
    interval = mean(values, clusters)
    assert interval.low <= interval.high
    assert interval == mean(values, clusters)


def test_the_cluster_bootstrap_covers_the_truth_about_as_often_as_it_says():
    rng = np.random.default_rng(0)
    covered = 0
    for _ in range(200):
        centers = rng.normal(size=40)
        values = np.repeat(centers, 5) + rng.normal(scale=0.1, size=200)
        interval = mean(values, np.repeat(np.arange(40), 5))
        covered += interval.low <= 0 <= interval.high
    assert 175 <= covered <= 199


def test_the_difference_of_two_rates_is_newcombe_s():
    # Newcombe 1998, table II, example (a): 56/70 against 48/80, method 10: 0.0524 to 0.3339.
    difference = rate_difference(wilson(48, 80), wilson(56, 70))
    assert difference.value == pytest.approx(0.2)
    assert (difference.low, difference.high) == pytest.approx((0.0524, 0.3339), abs=1e-4)
