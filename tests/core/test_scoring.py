"""Scorecards, headlines and comparisons."""

import dataclasses

import pytest
from support.sample_episodes import expert, header, play, random_player

from vlbench.scoring import CARD_TASKS, CAUSES, compare, headlines, score


def test_a_scorecard_counts_what_was_played(some_episodes):
    cards = score(header(), some_episodes)
    assert [card.env for card in cards] == list(CARD_TASKS)
    for card in cards:
        played = [e for e in some_episodes if e.env_id == card.env]
        assert card.episodes == 3 and card.errored == 0
        assert card.success == sum(e.success for e in played) / 3
        assert card.mean_return == pytest.approx(sum(e.total for e in played) / 3)
        assert card.paper_success == sum(e.total > 0 for e in played) / 3
        turns = [t for e in played for t in e.turns]
        assert card.illegal_rate == sum(t.illegal for t in turns) / len(turns)
        assert card.tokens == 15 * len(turns) and card.usd == pytest.approx(0.001 * len(turns))
        span = card.ceiling - card.floor
        assert card.normalized == pytest.approx((card.success - card.floor) / span)
        assert sum(a.turns for a in card.attribution.values()) <= len(turns)
        assert set(card.attribution) == set(CAUSES)
        lost = sum(a.regret for a in card.attribution.values())
        assert lost == pytest.approx(card.regret * len(turns))


def test_few_instances_are_said_to_be_not_held_out(some_episodes):
    notes = {card.env: card.notes for card in score(header(), some_episodes)}
    assert notes["vlbench/NumberLine-v0"] == ("instances not held out",)
    assert notes["vlbench/Blackjack-v0"] == ()


def test_an_errored_episode_is_apart_and_an_unknown_price_is_null(some_episodes):
    errored = dataclasses.replace(some_episodes[0], end="errored", error="boom", success=False)
    free = some_episodes[1].turns[0]
    unknown = dataclasses.replace(free, reply=dataclasses.replace(free.reply, usd=None))
    other = dataclasses.replace(some_episodes[1], turns=(unknown, *some_episodes[1].turns[1:]))
    (card,) = score(header(), [errored, other])
    assert (card.episodes, card.errored) == (1, 1)
    assert card.usd is None and card.usd_per_success is None


def test_the_headline_needs_every_task_of_its_table(some_episodes):
    (cards,) = headlines(some_episodes, "test")
    by_card = [card.normalized for card in score(header(), some_episodes)]
    assert cards.table == "cards" and cards.normalized == pytest.approx(sum(by_card) / 4)
    assert cards.low <= cards.normalized <= cards.high
    assert headlines([e for e in some_episodes if "Black" not in e.env_id], "test") == []


def test_two_runs_are_compared_on_the_rows_that_both_played():
    env_id = "vlbench/EZPoints-v0"
    best = [play(env_id, n, expert) for n in range(32)]
    worse = [play(env_id, n, random_player(n)) for n in range(30)]
    (comparison,) = compare(worse, best)
    assert comparison.rows == 30 and comparison.success.value == 1.0
    assert comparison.only_second == 30 and comparison.only_first == 0 and comparison.separated
    (same,) = compare(best, best)
    assert same.success.value == 0 and not same.separated
    with pytest.raises(ValueError, match="no row in common"):
        compare(best, [play("vlbench/NumberLine-v0", 0, expert)])
