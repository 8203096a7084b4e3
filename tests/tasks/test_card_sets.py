"""The frozen sets of EZPoints and Points24, and the splits behind them."""

from collections import Counter
from itertools import product
from pathlib import Path

import gymnasium
import numpy as np
import pytest

import vlbench
from agents.train import sft_data
from vlbench.freeze import random_success as played_success
from vlbench.suites import PAPER, frozen_rows, shipped_suites
from vlbench.task import split_in
from vlbench.tasks.ez_points.game import EZPointsGame
from vlbench.tasks.ez_points.suites import starts
from vlbench.tasks.formula.arithmetic import Grammar
from vlbench.tasks.formula.solver import fewest_tokens, random_success
from vlbench.tasks.points24.game import Points24Game
from vlbench.tasks.points24.suites import ways

EZ_POINTS, POINTS24 = "vlbench/EZPoints-v0", "vlbench/Points24-v0"
PLUS_TIMES = Grammar("+*", parentheses=False)


def hand_of(row):
    return tuple(map(int, row.instance.partition("/")[2].split("-")))


def test_a_split_of_ez_points_keeps_a_hand_with_its_target_whatever_the_other_rules_are():
    for faces, operators in product((10, 11, 12), ("+*", "+-*/")):
        game = EZPointsGame(20, faces, operators)
        assert game.unit("ez_points/8-12") == "ez_points/8-12-20"
        assert split_in(game, "ez_points/10-10") == split_in(EZPointsGame(20), "ez_points/10-10")
    assert EZPointsGame(40).unit("ez_points/8-12") == "ez_points/8-12-40"


def test_of_the_seven_hands_four_are_train_one_is_val_and_two_are_test():
    game = EZPointsGame()
    splits = Counter(split_in(game, "ez_points/{}-{}".format(*hand)) for hand in game.hands)
    assert splits == {"train": 4, "val": 1, "test": 2}


def test_ez_points_has_222_pairs_of_a_hand_and_a_target_to_test():
    rows = frozen_rows(EZ_POINTS, "test")
    pairs = {(hand_of(row), row.kwargs["target"]) for row in rows}
    assert len(rows) == len(pairs) == len(starts("+*")) == 222
    for (small, large), target in pairs:
        assert target in (small + large, small * large)


def test_points24_tests_every_hand_of_its_split():
    rows = frozen_rows(POINTS24, "test")
    assert len({hand_of(row) for row in rows}) == len(rows) == 230
    assert {split_in(Points24Game(), row.instance) for row in rows} == {"test"}


@pytest.mark.parametrize(
    ("env_id", "rules"),
    [
        (EZ_POINTS, {}),
        (EZ_POINTS, {"target": 3, "faces": 15, "operators": "+-*/"}),
        (EZ_POINTS, {"target": 30, "faces": 20}),
        (POINTS24, {}),
        (POINTS24, {"target": 36, "faces": 11}),
        (POINTS24, {"from_memory": True}),
    ],
)
@pytest.mark.parametrize("split", ["train", "val"])
def test_no_rules_of_training_deal_what_is_tested(env_id, rules, split):
    tested = {
        (hand_of(row), row.kwargs.get("target", 24) if env_id == EZ_POINTS else 0)
        for suite in ("test", "ood-rules")
        for row in frozen_rows(env_id, suite)
    }
    env = gymnasium.make(env_id, split=split, **rules).unwrapped
    env.np_random = np.random.default_rng(0)
    for _ in range(100):
        hand = tuple(map(int, env._deal().partition("/")[2].split("-")))
        assert (hand, env.game.target if env_id == EZ_POINTS else 0) not in tested


def pairs_of_sets():
    """Every hand and target of EZPoints' sets that hold instances out."""
    suites = set(shipped_suites(EZ_POINTS)) - {PAPER}
    rows = [row for suite in suites for row in frozen_rows(EZ_POINTS, suite)]
    return {(*hand_of(row), row.kwargs["target"]) for row in rows}


@pytest.mark.parametrize("rules", [{}, {"faces": 17}, {"operators": "+-*/", "from_memory": True}])
def test_training_deals_targets_with_hands_and_none_of_these_pairs_is_tested(rules):
    tested, dealt = pairs_of_sets(), {}
    for split in ("train", "val", "test"):
        env = gymnasium.make(EZ_POINTS, target="any", split=split, **rules).unwrapped
        env.np_random = np.random.default_rng(0)
        names = {env._deal() for _ in range(400)}
        dealt[split] = {tuple(map(int, name[10:].split("-"))) for name in names}
        for small, large, target in dealt[split]:
            game = EZPointsGame(target, rules.get("faces", 10), rules.get("operators", "+*"))
            assert split_in(game, f"ez_points/{small}-{large}") == split
    assert not dealt["train"] & (tested | dealt["val"]) and not dealt["val"] & tested
    assert len({target for *_, target in dealt["train"]}) >= 20 and dealt["test"] & tested


def test_a_dealt_target_stands_in_the_text_and_decides_the_formula():
    env = gymnasium.make(EZ_POINTS, target="any").unwrapped
    observation, info = env.reset(options={"instance": "ez_points/3-7-21", "presentation": 5})
    plain = gymnasium.make(EZ_POINTS, target=21)
    expected, _ = plain.reset(options={"instance": "ez_points/3-7", "presentation": 5})
    assert info["facts"]["target"] == 21 and observation["text"] == expected["text"]
    env.step(vlbench.reply("3"))
    assert (env.values()["*"], env.values()["+"]) == (10, 0)
    assert env.expert() == env.expert_by_picture(env.seen_facts) == env.heuristic() == "*"
    for action, reward in (("+", 0), ("7", 0), ("=", -1)):
        assert env.step(vlbench.reply(action))[1] == reward


def test_pictures_with_dealt_targets_are_painted_over_one_another_without_a_trace():
    kwargs = {"target": "any", "theme": "train", "faces": 15}
    env = gymnasium.make(EZ_POINTS, **kwargs)
    for seed in range(60):
        observation, info = env.reset(seed=seed)
        start = {name: info[name] for name in ("instance", "presentation")}
        fresh, _ = gymnasium.make(EZ_POINTS, **kwargs).reset(options=start)
        assert (observation["image"] == fresh["image"]).all(), info["instance"]


@pytest.mark.parametrize("instance", ["2-10", "2-10-21", "10-2-20", "2-10-020", "2-11-22", "a-b-c"])
def test_an_instance_without_a_target_that_it_reaches_is_refused(instance):
    env = gymnasium.make(EZ_POINTS, target="any")
    with pytest.raises(ValueError, match=f'unknown instance "ez_points/{instance}"; wanted two'):
        env.reset(options={"instance": f"ez_points/{instance}"})
    with pytest.raises(ValueError, match='target must be an integer of at least 1 or "any", got'):
        gymnasium.make(EZ_POINTS, target="all")


def test_transcripts_with_dealt_targets_show_many():
    config = sft_data.Config(
        out=Path(), env="EZPoints", episodes=60, env_kwargs={"target": "any", "faces": 13}
    )
    examples = list(sft_data.transcripts(config))
    sft_data.check_training(examples)
    targets = {example.instance.rpartition("-")[2] for example in examples}
    assert len(targets) >= 20
    for example in examples:
        assert f"equals {example.instance.rpartition('-')[2]}. Each turn" in example.prompt


@pytest.mark.parametrize("suite", ["ood-rules", "ood-both"])
def test_plus_and_times_reach_no_target_of_ez_points_changed_rules(suite):
    for row in frozen_rows(EZ_POINTS, suite):
        assert row.kwargs["operators"] == "+-*/"
        assert fewest_tokens((), hand_of(row), row.kwargs["target"], PLUS_TIMES) is None


def test_a_changed_rule_of_points24_is_another_target_or_shows_in_the_hand():
    rules = Counter()
    for row in frozen_rows(POINTS24, "ood-rules"):
        rule = {name: value for name, value in row.kwargs.items() if name != "theme"}
        assert rule == {"target": 36} or hand_of(row)[-1] >= rule["faces"]
        rules[str(rule)] += 1
    assert set(rules.values()) == {70} and len(rules) == 3


@pytest.mark.parametrize("env_id", [EZ_POINTS, POINTS24])
def test_the_memory_suite_is_the_headline_with_the_cards_shown_once(env_id):
    def starts_of(suite):
        rows = frozen_rows(env_id, suite)
        return {(r.instance, r.presentation, r.kwargs.get("target")) for r in rows}, rows

    (usual, _), (memory, rows) = starts_of("test"), starts_of("memory")
    assert usual == memory and all(row.kwargs["from_memory"] for row in rows)


def test_the_rungs_of_a_ladder_are_the_headlines_instances_by_difficulty():
    tested = {(row.instance, row.kwargs["target"]) for row in frozen_rows(EZ_POINTS, "test")}
    rungs = [frozen_rows(EZ_POINTS, f"ladder-{most}") for most in (20, 50, 500)]
    assert {(row.instance, row.kwargs["target"]) for rung in rungs for row in rung} == tested
    ranges = [[row.kwargs["target"] for row in rung] for rung in rungs]
    assert max(ranges[0]) <= 20 < min(ranges[1]) and max(ranges[1]) <= 50 < min(ranges[2])
    ranks = [
        [ways(hand_of(row), 24) for row in frozen_rows(POINTS24, f"ladder-{n}")] for n in "123"
    ]
    assert min(ranks[0]) == 8 and (min(ranks[1]), max(ranks[1])) == (4, 7) and max(ranks[2]) == 3


def test_ways_count_the_orders_of_three_steps():
    # 2 * 3 = 6, 6 * 4 = 24, 24 * 1 = 24, …: no hand of ones and a single way for 8 / (3 - 8 / 3).
    assert ways((24,), 24) == 1 and ways((2, 12), 24) == 1
    assert ways((3, 3, 8, 8), 24) == 0  # only 8 / (3 - 8 / 3), which needs a fraction
    assert ways((4, 6), 24) == 1 and ways((1, 24), 24) == 2  # 24 * 1 and 24 / 1


def test_the_chance_of_random_tokens_is_that_of_a_hand_worked_game():
    tokens, grammar = ("1", "+", "="), Grammar("+", parentheses=False)
    assert random_success((1,), 1, grammar, tokens, 1) == 0
    assert random_success((1,), 1, grammar, tokens, 2) == pytest.approx(1 / 9)
    # "1" and "=", or "1", a second "1" that changes nothing, and "=".
    assert random_success((1,), 1, grammar, tokens, 3) == pytest.approx(1 / 9 + 1 / 27)


def test_the_exact_chance_is_the_measured_one():
    game = EZPointsGame()
    exact = [
        random_success(hand, 12, game.grammar, game.vocabulary, game.max_turns)
        for hand in game.hands
    ]
    games = [(game, "ez_points/{}-{}".format(*hand)) for hand in game.hands]
    measured = played_success(games, 21_000)
    assert measured == pytest.approx(np.mean(exact), abs=4 * (np.mean(exact) / 21_000) ** 0.5)
