"""Scorecards, headlines and comparisons."""

import dataclasses
import json

import pytest
from support.env_ids import ALFWORLD
from support.hand_worked import ERRORED, PLAYED, hand_worked
from support.sample_episodes import expert, header, play, random_player

import vlbench
from agents.tables import scorecard_table
from vlbench.comparison import (
    check_blind,
    compare,
    headline_difference,
    with_visual_gain,
)
from vlbench.scoring import (
    ABOVE_CEILING,
    Scorecard,
    headlines,
    score,
    usd_per_success,
)
from vlbench.suites import bounds

# Intervals are Wilson's, z = 1.959964, z² = 3.841459, with centre (p + z²/2n)/(1 + z²/n) and half
# width z·√(p(1 − p)/n + z²/4n²)/(1 + z²/n):
#   2 of 4: 0.5 ± 1.959964·√(0.0625 + 0.0600228)/1.9603647 = 0.5 ± 0.349961
#   2 of 5: 0.7841459/1.7682918 ± 1.959964·√(0.048 + 0.0384146)/1.7682918 = 0.443448 ± 0.325827
#   1 of 1: (1 + 1.9207294)/4.841459 ± 1.9207294/4.841459 = 0.603275 ± 0.396725
#   0 of 1: 1.9207294/4.841459 ± 1.9207294/4.841459 = 0.396725 ± 0.396725
#   1 of 3: 0.973576/2.280486 ± 1.959964·√(0.0740741 + 0.1067072)/2.280486 = 0.426916 ± 0.365424
EXPECTED = {
    "env": "vlbench/ALFWorld-v0",
    "agent": "by hand",
    "suite": "test",
    "prompt": "action_only",
    "theme": "comic",
    "episodes": 5,
    "distinct": 5,
    "errored": 1,  # a failure, though its return is 99
    "success": 0.4,
    "success_low": 0.117621,
    "success_high": 0.769276,
    "paper_success": 0.6,  # the first, third and fourth
    "mean_return": 30.3,  # (50.5 − 7 + 1 + 8 + 99) / 5
    "normalized": 0.39754,  # (0.4 − 0.004083) / (1 − 0.004625)
    "floor": 0.004083,
    "ceiling": 1.0,
    "regret": 0.714286,  # (0.5 + 7 + 3.5 + 4 + 0) / 21
    # Ends of a bootstrap over the five episodes, whose own means are 0.125, 1, 0.875, 0.8 and 0.
    "regret_low": 0.305556,
    "regret_high": 0.925926,
    "illegal_rate": 0.238095,  # 5 of 21
    "unknown_rate": 0.095238,  # 2
    "malformed_rate": 0.190476,  # 4: two malformed, two empty
    "truncated_rate": 0.142857,  # 3
    "refused_rate": 0.047619,  # 1
    "recovered_rate": 0.285714,  # 6
    "strict_rate": 0.333333,  # 7
    # Read the same throughout: the second, a failure, and the fourth, a success. The first and the
    # third may end either way. So is the errored one, a failure.
    "strict_success": [0.2, 0.6],
    "attribution": {
        "perception": {"turns": 3, "regret": 3.0},
        "decision": {"turns": 2, "regret": 0.5},
        "inconsistent": {"turns": 1, "regret": 0.5},
        "format": {"turns": 9, "regret": 9.0},
        "unattributed": {"turns": 2, "regret": 2.0},
    },
    "turns": 21,
    "tokens": 2420,  # 21 · 120 − 100
    "usd": 9.2,  # 20 · 0.01 + 9
    "usd_per_success": 4.6,
    "seconds": 1.190476,  # (4 · 2 + 17 · 1) / 21
    "groups": {
        "clean": {"episodes": 1, "success": 0.0, "success_low": 0.0, "success_high": 0.793451},
        "heat": {
            "episodes": 3,
            "success": 0.333333,
            "success_low": 0.061492,
            "success_high": 0.79234,
        },
        "pick": {"episodes": 1, "success": 1.0, "success_low": 0.206549, "success_high": 1.0},
    },
    "notes": [
        "generated games, schematic pictures",
        "1 of 5 episodes errored and count as failures",
    ],
    "picture": "true",
    "visual_gain": None,
}


def plain(card):
    """Return a scorecard as plain data, with six decimals."""
    return json.loads(
        json.dumps(dataclasses.asdict(card)), parse_float=lambda x: round(float(x), 6)
    )


def test_every_field_of_a_scorecard_equals_the_value_worked_out_by_hand():
    card = hand_worked([*PLAYED, ERRORED])
    assert EXPECTED.keys() == {field.name for field in dataclasses.fields(Scorecard)}, (
        "work the new field out by hand"
    )
    assert plain(card) == EXPECTED


def test_episodes_that_are_played_again_add_no_instances():
    again = [dataclasses.replace(episode, repeat=1) for episode in PLAYED]
    card = hand_worked([*PLAYED, *again])
    assert (card.episodes, card.distinct, card.turns, card.success) == (8, 4, 40, 0.5)


def test_numbers_without_turns_are_null_or_zero():
    nothing = plain(hand_worked([dataclasses.replace(ERRORED, turns=())]))
    assert {name for name in nothing if nothing[name] is None} == {
        "regret",
        "regret_low",
        "regret_high",
        "visual_gain",
        "tokens",
        "usd",
        "usd_per_success",
    }
    counts = ("episodes", "distinct", "errored", "turns", "success", "success_low", "success_high")
    assert [nothing[name] for name in counts] == [1, 1, 1, 0, 0.0, 0.0, 0.793451]
    assert {nothing[name] for name in nothing if name.endswith("_rate")} == {0.0}


def test_a_run_in_the_suites_own_themes_is_named_after_the_suite():
    (card,) = score(header(env_ids=[ALFWORLD], suite="ood-looks", theme=""), PLAYED)
    assert card.theme == "ood-looks" and card.floor == bounds(ALFWORLD, "ood-looks").floor > 0


def test_the_strict_level_leaves_no_room_where_no_turn_is_read_differently():
    assert hand_worked(PLAYED[1::2]).strict_success == (0.5, 0.5)


def test_a_note_says_how_many_instances_of_the_paper_occur_in_training(some_episodes):
    notes = {card.env: card.notes for card in score(header(suite="paper"), some_episodes)}
    note = "17 of 30 instances occur in training, in other presentations"
    assert notes["vlbench/NumberLine-v0"] == (note,)
    note = "141 of 200 instances occur in training, in other presentations"
    assert notes["vlbench/Blackjack-v0"] == (note,)


def test_a_note_explains_a_normalized_score_above_1(some_episodes):
    hands = [e for e in some_episodes if "Blackjack" in e.env_id]
    for won, is_explained in ((True, True), (False, False)):
        played = [dataclasses.replace(episode, success=won) for episode in hands]
        (card,) = score(header(), played)
        assert (card.normalized > 1) == is_explained == (ABOVE_CEILING in card.notes)
        assert ("so chance helped: vlbench/Blackjack-v0" in scorecard_table([card])) == is_explained
    certain = [dataclasses.replace(e, success=True) for e in some_episodes if "Number" in e.env_id]
    (card,) = score(header(), certain)
    assert card.normalized == 1 and ABOVE_CEILING not in card.notes


def test_nine_of_ten_errored_episodes_are_nine_failures():
    won = play("vlbench/NumberLine-v0", 0, expert)
    lost = [
        dataclasses.replace(won, row=row, instance="", turns=(), end="errored", error="boom")
        for row in range(1, 10)
    ]
    (card,) = score(header(), [won, *lost])
    assert (card.episodes, card.distinct, card.errored, card.success) == (10, 1, 9, 0.1)
    assert "9 of 10 episodes errored and count as failures" in card.notes
    # Each that doesn't know its instance stands for itself: Wilson's interval of 1 in 10.
    assert (round(card.success_low, 4), round(card.success_high, 4)) == (0.0179, 0.4042)


def test_the_headline_counts_errored_episodes_as_failures():
    won = [episode for env_id in vlbench.CARD_IDS for episode in solved(env_id, True)]
    lost = [dataclasses.replace(e, row=1, end="errored", error="boom") for e in won]
    (head,) = headlines([*won, *lost], "test")
    limits = [bounds(env_id, "test") for env_id in vlbench.CARD_IDS]
    halves = [(0.5 - limit.floor) / (limit.ceiling - limit.floor) for limit in limits]
    assert head.normalized == pytest.approx(sum(halves) / 4)


def test_runs_are_compared_by_the_success_rates_that_their_tables_show():
    best = [play("vlbench/EZPoints-v0", n, expert) for n in range(4)]
    broken = [dataclasses.replace(e, end="errored", error="boom") for e in best[:3]]
    (comparison,) = compare(best, [*broken, best[3]])
    assert comparison.rows == 4 and comparison.success.value == -0.75
    assert (comparison.errored_first, comparison.errored_second) == (0, 3)
    assert comparison.only_first == 3


def test_an_errored_episode_is_a_failure_and_an_unknown_cost_is_null(some_episodes):
    errored = dataclasses.replace(some_episodes[0], end="errored", error="boom", success=True)
    free = some_episodes[1].turns[0]
    unknown = dataclasses.replace(free, reply=dataclasses.replace(free.reply, usd=None))
    other = dataclasses.replace(some_episodes[1], turns=(unknown, *some_episodes[1].turns[1:]))
    (card,) = score(header(), [errored, other])
    assert (card.episodes, card.errored, card.success) == (2, 1, float(other.success) / 2)
    assert card.usd is None and card.usd_per_success is None


def test_the_headline_needs_every_task_of_its_table(some_episodes):
    (cards,) = headlines(some_episodes, "test")
    by_card = [card.normalized for card in score(header(), some_episodes)]
    assert cards.table == "cards" and cards.normalized == pytest.approx(sum(by_card) / 4)
    assert cards.low <= cards.normalized <= cards.high
    assert headlines([e for e in some_episodes if "Black" not in e.env_id], "test") == []


def solved(env_id, *successes):
    """Return episodes that succeeded or not, each of a different instance."""
    recorded = play(env_id, 0, expert)
    return [
        dataclasses.replace(recorded, instance=f"{env_id}/{n}", success=success)
        for n, success in enumerate(successes)
    ]


def test_headlines_are_compared_start_by_start():
    first = [episode for env_id in vlbench.CARD_IDS for episode in solved(env_id, True, False)]
    second = [episode for env_id in vlbench.CARD_IDS for episode in solved(env_id, True, False)]
    same = headline_difference(first, second, "test", "cards")
    assert (same.value, same.low, same.high) == (0.0, 0.0, 0.0)
    points24 = [episode for episode in second if "Points24" in episode.env_id]
    better = [e for e in second if e not in points24] + solved("vlbench/Points24-v0", True, True)
    # One of two starts of one task in four is 0.5 / 4: Points24's floor is nearly 0, its ceiling 1.
    # Resampling draws that start not at all, once or twice: 0, 0.5 or 1 of a task in four.
    difference = headline_difference(first, better, "test", "cards")
    found = (difference.value, difference.low, difference.high)
    assert found == pytest.approx((0.125, 0.0, 0.25), abs=1e-4)
    turned = headline_difference(better, first, "test", "cards")
    assert (turned.value, turned.low, turned.high) == (-found[0], -found[2], -found[1])
    with pytest.raises(ValueError, match="no row of vlbench/NumberLine-v0 in common"):
        headline_difference(points24, second, "test", "cards")


def regrets(episodes, *per_turn):
    """Return the episodes, each with these regrets of its turns."""
    return [
        dataclasses.replace(
            episode,
            turns=tuple(dataclasses.replace(episode.turns[0], regret=regret) for regret in lost),
        )
        for episode, lost in zip(episodes, per_turn, strict=True)
    ]


def test_regrets_are_compared_in_pairs_of_rows():
    played = solved("vlbench/EZPoints-v0", True, True)
    first = regrets(played, (1.0, 3.0), (2.0,))  # 6 in 3 turns: 2 a turn
    second = regrets(played, (0.0,), (1.0, 1.0, 2.0))  # 4 in 4 turns: 1 a turn
    (comparison,) = compare(first, second)
    assert comparison.regret.value == pytest.approx(-1)
    # Resampling draws one row twice, the other twice, or both: -2, -0.667 or -1.
    assert comparison.regret.low == pytest.approx(-2)
    assert comparison.regret.high == pytest.approx(4 / 3 - 2)
    (unknown,) = compare(regrets(played, (None,), (None,)), second)
    assert unknown.regret is None


def test_the_visual_gain_is_the_success_less_that_without_the_picture():
    env_id = "vlbench/EZPoints-v0"
    true = solved(env_id, *[True] * 30, *[False] * 10)
    blind = [
        dataclasses.replace(e, success=n < 10, kwargs={**e.kwargs, "picture": "blank"})
        for n, e in enumerate(true)
    ]
    (card,) = with_visual_gain(score(header(), true), true, blind)
    assert card.visual_gain.value == pytest.approx(0.5)
    assert 0.3 < card.visual_gain.low < 0.5 < card.visual_gain.high < 0.7
    assert "+50.0 (" in scorecard_table([card])
    (card,) = with_visual_gain(score(header(), true), true, [])
    assert card.visual_gain is None


def test_a_blind_run_must_be_of_the_same_agent_on_the_same_rows():
    true, blind = header(), header(picture="blank")
    check_blind(true, blind)
    with pytest.raises(ValueError, match='one with "blank", got "true" and "true"'):
        check_blind(true, true)
    with pytest.raises(ValueError, match="another agent or other rows: agent is"):
        check_blind(true, header(picture="blank", agent="other"))
    with pytest.raises(ValueError, match="another agent or other rows: suite is"):
        check_blind(true, header(picture="blank", suite="ood"))


def test_money_per_success_is_summed_over_tasks_and_unknown_if_one_price_is():
    cards = [hand_worked(PLAYED), hand_worked(PLAYED[:1])]
    # 24 replies at 0.01 USD; two of the four episodes succeeded, and the one alone.
    assert usd_per_success(cards) == pytest.approx(0.24 / 3)
    assert usd_per_success([*cards, dataclasses.replace(cards[0], usd=None)]) is None
    assert usd_per_success([hand_worked([PLAYED[1]])]) is None
    assert usd_per_success([]) is None


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
