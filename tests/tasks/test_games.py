"""The rules: hand-worked cases and exact odds."""

import operator
from fractions import Fraction
from itertools import permutations, product

import gymnasium
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vlbench.tasks.blackjack.game import BlackjackGame
from vlbench.tasks.ez_points.game import EZPointsGame
from vlbench.tasks.formula.arithmetic import OPERATORS, Grammar, evaluate, hands
from vlbench.tasks.formula.solver import EXACT, Arithmetic, fewest_tokens
from vlbench.tasks.number_line.game import NumberLineGame
from vlbench.tasks.number_line.suites import random_success
from vlbench.tasks.points24.game import GRAMMAR, Points24Game, standard_hands


def play(game, instance, actions):
    state, rewards = game.start(instance), []
    for action in actions:
        move = game.step(state, action)
        state = move.state
        rewards.append(move.reward)
    return rewards, move


# NumberLine


def test_a_step_towards_the_target_is_free_and_arriving_pays_one():
    rewards, last = play(NumberLineGame(), "number_line/2-4", "++")
    assert rewards == [0, 1] and last.terminated and last.success


def test_a_step_away_costs_one_and_so_does_a_wall():
    rewards, last = play(NumberLineGame(), "number_line/1-5", "--+")
    assert rewards == [-1, -1, 0] and not last.terminated


def test_number_line_deals_thirty_starts_uniformly():
    rng = np.random.default_rng(0)
    dealt = [NumberLineGame().deal(rng) for _ in range(30_000)]
    counts = {instance: dealt.count(instance) for instance in set(dealt)}
    assert len(counts) == 30
    assert all(abs(count - 1000) < 150 for count in counts.values())


def test_number_line_values_see_that_time_runs_out():
    game = NumberLineGame()
    state = game.start("number_line/1-4")
    assert game.values(state, 10) == {"+": 1.0, "-": 0.0}
    assert game.values(state, 3) == {"+": 1.0, "-": -1.0}
    assert game.values(state, 2) == {"+": 0.0, "-": -1.0}


def test_reversed_signs_swap_the_moves_and_the_expert_knows_it():
    game = NumberLineGame(reversed_signs=True)
    rewards, last = play(game, "number_line/1-4", "-+--")
    assert rewards == [0, -1, 0, 0] and last.state.current == 3
    assert game.expert(game.start("number_line/1-4"), 10) == "-"
    assert game.values(game.start("number_line/1-4"), 3) == {"+": -1.0, "-": 1.0}


def test_a_ring_joins_its_ends_and_its_shorter_way_counts():
    game = NumberLineGame(max_position=9, ring=True)
    start = game.start("number_line/1-8")
    assert game.distance(start) == 3 and game.expert(start, 18) == "-"
    rewards, last = play(game, "number_line/1-8", "---")
    assert rewards == [0, 0, 1] and last.success
    assert game.values(start, 3) == {"+": -1.0, "-": 1.0}
    half = game.start("number_line/0-5")
    assert set(game.values(half, 18).values()) == {1.0}, "both ways are equally long"


@pytest.mark.parametrize("rules", [{"reversed_signs": 1}, {"ring": "yes"}])
def test_a_rule_of_number_line_that_is_no_bool_is_refused(rules):
    (name,) = rules
    with pytest.raises(ValueError, match=f"{name} must be a bool"):
        NumberLineGame(**rules)


def test_the_prompt_of_number_line_states_its_rules_and_the_usual_one_is_unchanged():
    usual, other = (
        gymnasium.make("vlbench/NumberLine-v0", **rules).reset(seed=0)[0]["text"]
        for rules in ({}, {"reversed_signs": True, "ring": True, "max_position": 20})
    )
    assert 'You can choose between "+" (add one) and "-" (subtract one).\n' in usual
    ring = "The line is a ring: one above 20 is 0."
    assert f'You can choose between "+" (subtract one) and "-" (add one). {ring}\n' in other


def test_random_play_reaches_the_number_lines_target_as_often_as_brute_force_says():
    game = NumberLineGame(max_position=2)
    won = 0
    for moves in product("+-", repeat=game.max_turns):
        state = game.start("number_line/0-2")
        for action in moves:
            move = game.step(state, action)
            state = move.state
            if move.terminated:
                won += 1
                break
    assert random_success(game, "number_line/0-2") == pytest.approx(won / 2**game.max_turns)


# Formulas


@pytest.mark.parametrize(
    ("formula", "value"),
    [
        ("8 / ( 3 - 8 / 3 )", 24),
        ("4 / ( 1 - 5 / 6 )", 24),
        ("10 - 4 - 3", 3),
        ("12 / 2 / 3", 2),
        ("2 + 3 * 4", 14),
        ("( 2 + 3 ) * 4", 20),
        ("( ( 7 ) )", 7),
        ("1 / 3", Fraction(1, 3)),
        ("2 4 + 5 - 5", None),
        ("2 * * 3", None),
        ("7 / / 2", None),
        ("- 3 + 4", None),
        ("3 * - 4", None),
        ("( 2 ) ( 3 )", None),
        ("2 ( 3 )", None),
        ("( 2 + 3", None),
        ("2 + 3 )", None),
        ("( )", None),
        ("2 +", None),
        ("5 / ( 3 - 3 )", None),
        ("", None),
    ],
)
def test_formulas_are_read_exactly(formula, value):
    assert evaluate(formula.split()) == value


numbers = st.integers(1, 13)
formulas = st.recursive(
    numbers.map(lambda n: [str(n)]),
    lambda inner: st.tuples(inner, st.sampled_from(OPERATORS), inner).map(
        lambda t: ["(", *t[0], t[1], *t[2], ")"]
    ),
    max_leaves=6,
)


@given(formulas)
def test_a_formula_has_the_value_that_python_gives_its_fractions(tokens):
    text = "".join(f"Fraction({t})" if t.isdecimal() else t for t in tokens)
    try:
        expected = eval(text)  # a formula made of our own tokens
    except ZeroDivisionError:
        expected = None
    assert evaluate(tokens) == expected


@given(st.lists(st.sampled_from([*"+-*/()", "1", "2", "3", "10"]), max_size=9))
def test_any_token_sequence_has_a_value_or_none(tokens):
    value = evaluate(tokens)
    assert value is None or isinstance(value, Fraction)


def brute_force(tokens, cards, target, grammar, longest):
    """Return the shortest completion by trying every token sequence of each length."""
    vocabulary = [*grammar.operators, *("()" if grammar.parentheses else "")]
    for length in range(longest + 1):
        operators = length - len(cards)
        if operators < 0:
            continue
        for places in permutations([*map(str, cards), *[None] * operators]):
            for filling in product(vocabulary, repeat=operators):
                fill = iter(filling)
                more = [p if p is not None else next(fill) for p in places]
                if evaluate([*tokens, *more]) == target:
                    return length
    return None


@pytest.mark.parametrize(
    ("tokens", "cards", "target"),
    [
        ("", (2, 10), 12),
        ("", (1, 2, 3), 7),
        ("(", (1, 2), 3),
        ("3 *", (2, 4), 6),
        ("3 * (", (2, 4), 6),
        ("( 1 + 2 )", (8,), 24),
        ("( 1 + 2 ) *", (8,), 24),
        ("( ( 1 + 2", (8,), 24),
        ("8 / ( 3 -", (3, 8), 24),
        ("3 4", (2,), 24),
        ("2 + (", (), 2),
        ("6 / ( 2 - 2 )", (3,), 9),
        ("( 5 - 5 ) * 7 +", (3,), 3),
        ("4 * 6", (), 24),
        ("7 - (", (3, 2), 6),
    ],
)
def test_the_shortest_completion_is_what_brute_force_finds(tokens, cards, target):
    grammar = Grammar()
    expected = brute_force(tokens.split(), cards, target, grammar, longest=5)
    fewest = fewest_tokens(tuple(tokens.split()), cards, target, grammar)
    assert fewest == expected


FRACTIONS = Arithmetic(Fraction, operator.add, operator.neg, operator.mul, operator.truediv)
prefixes = st.lists(st.sampled_from([*"+-*/()", "1", "2", "3", "10", "13"]), max_size=5)
two_cards = st.lists(st.integers(1, 13), max_size=2).map(sorted).map(tuple)
grammars = st.sampled_from([GRAMMAR, Grammar("+*", False)])


@settings(deadline=None)
@given(prefixes.map(tuple), two_cards, st.integers(0, 40), grammars)
def test_residues_find_what_fractions_find(tokens, cards, target, grammar):
    start = tokens, cards, target, grammar
    assert fewest_tokens(*start, EXACT) == fewest_tokens(*start, FRACTIONS)


def test_566_of_715_hands_are_solvable_and_they_are_the_frozen_ones():
    solvable = {h for h in hands(4, range(1, 11)) if fewest_tokens((), h, 24, GRAMMAR) is not None}
    assert len(list(hands(4, range(1, 11)))) == 715
    assert len(solvable) == 566 and solvable == standard_hands()


def test_three_three_eight_eight_is_won_by_its_only_formula():
    actions = ["8", "/", "(", "3", "-", "8", "/", "3", ")", "="]
    rewards, last = play(Points24Game(), "points24/3-3-8-8", actions)
    assert rewards == [0] * 9 + [10] and last.success


@pytest.mark.parametrize(
    ("instance", "actions"),
    [
        ("points24/2-4-5-5", "2 4 + 5 - 5 ="),  # digits are never joined
        ("points24/3-8-8-9", "3 * 8 ="),  # two cards are left
        ("points24/1-1-4-6", "4 * 6 * 1 * 1 * ="),  # ill-formed
        ("points24/1-1-4-6", "="),
    ],
)
def test_a_wrong_or_ill_formed_formula_costs_one_at_the_end(instance, actions):
    rewards, last = play(Points24Game(), instance, actions.split())
    assert rewards[-1] == -1 and last.terminated and not last.success


def test_only_a_number_without_an_unused_card_is_illegal():
    game = Points24Game()
    state = game.step(game.start("points24/3-3-8-8"), "3").state
    assert game.legal(state) == ("3", "8", "+", "-", "*", "/", "(", ")", "=")
    state = game.step(state, "3").state
    assert "3" not in game.legal(state) and "8" in game.legal(state)


def test_formula_values_know_what_can_still_be_saved():
    game = Points24Game()
    state = game.start("points24/3-3-8-8")
    values = game.values(state, 22)
    assert values["8"] == 10 and values["="] == -1 and values["3"] == 0 and values["+"] == 0
    assert game.values(state, 10)["8"] == 10
    assert game.values(state, 9)["8"] == 0  # the only formula takes ten turns


@pytest.mark.parametrize("game", [EZPointsGame(), Points24Game()], ids=["EZPoints", "Points24"])
def test_the_expert_writes_a_right_formula_in_as_few_turns_as_possible(game):
    rng = np.random.default_rng(3)
    for _ in range(25):
        instance = game.deal(rng)
        state = game.start(instance)
        needed = fewest_tokens((), state.unused, game.target, game.grammar) + 1
        for turn in range(needed):
            move = game.step(state, game.expert(state, needed - turn))
            state = move.state
        assert move.success, instance


def test_ez_points_has_seven_hands():
    assert EZPointsGame().hands == ((2, 6), (2, 10), (3, 4), (3, 9), (4, 8), (5, 7), (6, 6))


def test_points24_deals_hands_as_four_of_thirteen_ranks_would_fall():
    rng = np.random.default_rng(0)
    dealt = [Points24Game().deal(rng) for _ in range(4000)]
    tens = np.mean([instance.split("/")[1].split("-").count("10") for instance in dealt])
    # Among solvable deals the mean number of tens, by enumerating 13**4 deals.
    ranks = [min(rank, 10) for rank in range(1, 14)]
    solvable = standard_hands()
    weights = [deal for deal in product(ranks, repeat=4) if tuple(sorted(deal)) in solvable]
    assert len(weights) / 13**4 == pytest.approx(0.73093, abs=5e-6)
    assert tens == pytest.approx(np.mean([deal.count(10) for deal in weights]), abs=0.06)


def test_faces_may_count_eleven_twelve_and_thirteen():
    game = Points24Game(faces=11)
    assert game.vocabulary[:13] == tuple(map(str, range(1, 14)))
    assert game.start("points24/1-1-11-13").hand == (1, 1, 11, 13)


@pytest.mark.parametrize(
    ("game", "instance", "message"),
    [
        (Points24Game(), "points24/1-1-1-1", "has no solution"),
        (Points24Game(), "points24/8-3-8-3", 'did you mean "points24/3-3-8-8"'),
        (Points24Game(), "points24/3-8", "4 numbers from 1 to 10"),
        (Points24Game(), "points24/3-3-8-11", "4 numbers from 1 to 10"),
        (Points24Game(), "points24/", "points24/3-3-8-8"),
        (EZPointsGame(), "points24/3-3-8-8", "ez_points/2-10"),
        (NumberLineGame(), "number_line/2-2", "two different numbers from 0 to 5"),
        (NumberLineGame(), "number_line/2-6", "two different numbers from 0 to 5"),
        (NumberLineGame(), "number_line/02-3", "two different numbers"),
        (BlackjackGame(), "blackjack/007", "blackjack/1234"),
        (BlackjackGame(), "blackjack/x", "blackjack/1234"),
    ],
)
def test_a_wrong_instance_says_what_was_wanted(game, instance, message):
    with pytest.raises(ValueError, match=message):
        game.start(instance)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: NumberLineGame(0), "at least 1"),
        (lambda: EZPointsGame(target=1000), "can't be reached"),
        (lambda: EZPointsGame(faces=21), "faces must be 10"),
        (lambda: Points24Game(target=0), "at least 1"),
        (lambda: Points24Game(target=10**6), "can't be reached"),
    ],
)
def test_a_wrong_rule_says_what_was_wanted(make, message):
    with pytest.raises(ValueError, match=message):
        make()
