"""`python_eval` agrees with Python's `eval` without running it."""

import ast
import itertools
import random
import time
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.rl4vlm_reference import NUMBERS, TooLarge, python_says

import vlbench.rl4vlm
from vlbench.rl4vlm.python_eval import FLOATS, MAX_LENGTH, python_eval
from vlbench.tasks.formula.arithmetic import Grammar, evaluate, hands
from vlbench.tasks.formula.solver import fewest_tokens
from vlbench.tasks.points24.game import Points24Game

TOKENS = [*NUMBERS, *"+-*/()", " ", "**", "//"]
GRAMMAR = Grammar("+-*/", True)


def tokens_to_go(tokens, cards):
    return fewest_tokens(tuple(tokens), cards, 24, GRAMMAR, FLOATS)


def same(first, second):
    if first is None or second is None:
        return first is second
    return type(first) is type(second) and (
        first == second or (first != first and second != second)
    )


@pytest.mark.parametrize(
    ("formula", "value"),
    [
        ("24+3-3", 24),  # digits side by side are one number
        ("10" + "2", 102),
        ("1" + "10" + "10", 11010),
        ("8/(3-8/3)", 23.99999999999999),
        ("(10-4)*4/1", 24.0),
        ("7*7//2*1", 24),
        ("5**2-1**9", 24),
        ("2**3**2", 512),  # to the right
        ("-2**2", -4),
        ("2**-1", 0.5),
        ("--+-24", -24),
        ("(2)(3)", None),  # a call
        ("2(3)", None),
        ("2()", None),
        ("2(*3)", None),
        ("()", None),  # a tuple, which is no number
        ("2*()", None),
        (" 24", 24),  # spaces at both ends don't count
        ("24 ", 24),
        (" ( 2 4 ) ", None),  # within a number they do
        ("2 + 4", 6),
        ("2* *3", None),
        ("2***3", None),
        ("2////3", None),
        ("2*/3", None),
        ("1/0", None),
        ("0**-1", None),
        ("012", None),  # a leading zero
        ("00", 0),
        ("(2+3", None),
        ("2+3)", None),
        ("", None),
        (" ", None),
        ("2+", None),
        ("*2", None),
        ("(-8)**(1/3)", (-8) ** (1 / 3)),  # complex
        ("(-8)**(1/3)//1", None),
        ("10.0**1", None),  # no such character
    ],
)
def test_hand_worked_formulas(formula, value):
    assert same(python_eval(formula).value, value)
    if "." not in formula:
        assert same(python_says(formula), value)


@pytest.mark.parametrize(
    ("formula", "hangs"),
    [
        ("10**10**10", True),
        ("10**10**10**10", True),
        ("1**9**9**9", True),  # it is 1, but the exponent comes first
        ("10-9**9**9", True),
        ("9**9**9/9**9**9", True),
        ("10**10**5", False),  # large, but eval returns at once
        ("99**99**3", False),
    ],
)
def test_large_powers_are_not_computed_and_said_so(formula, hangs):
    start = time.perf_counter()
    verdict = python_eval(formula)
    assert time.perf_counter() - start < 0.1
    assert verdict.value is None and verdict.note.startswith("not computed: a power of 2**")
    assert ("would hang" in verdict.note) == hangs


def test_an_ill_formed_text_with_a_tower_is_just_ill_formed():
    # Python finds the error before it computes anything.
    assert python_eval("10**10**10+").note == python_eval("(10**10**10").note == ""


@settings(max_examples=1000, deadline=None)
@given(st.lists(st.sampled_from(TOKENS), max_size=14))
def test_any_token_string_is_judged_as_eval_judges_it(tokens):
    text = "".join(tokens)
    try:
        expected = python_says(text)
    except TooLarge:
        expected = None
    assert same(python_eval(text).value, expected)


def test_formulas_that_are_nearly_right_are_judged_as_eval_judges_them():
    rng = random.Random(0)
    right = 0
    for _ in range(20_000):
        tokens = []
        for number in rng.choices(NUMBERS, k=rng.randint(1, 5)):
            tokens += rng.choices(("(", "-", "+", " "), k=rng.choice((0, 0, 0, 1)))
            tokens += [number, *rng.choices((")", " ", "("), k=rng.choice((0, 0, 0, 1)))]
            tokens += rng.choices("+-*/", k=rng.choice((0, 1, 1, 1, 1, 2)))
        text = "".join(tokens).rstrip("+-*/")
        try:
            expected = python_says(text)
        except TooLarge:
            continue
        assert same(python_eval(text).value, expected), text
        right += expected is not None
    assert right > 5000


def test_no_power_that_is_not_computed_could_have_made_twenty_four():
    # In a formula of four numbers, a power of more than 2**16 bits takes three numbers (a**b**c) or
    # all four. Smaller powers of the same form show that the rest can't bring it near 24.
    for a, exponent in itertools.product(range(2, 11), (400, 401)):
        power = a**exponent
        for d in range(1, 11):
            results = (power + d, power - d, d - power, power * d, power // d, d // power, -power)
            assert 24 not in results and 12 not in results
            assert -24 not in results and -12 not in results
            assert d / power < 1e-100


def test_the_judge_is_bounded_in_size_and_time():
    assert python_eval("1" * (MAX_LENGTH + 1)).note
    worst = [
        "(" * 32 + "1" + ")" * 31,
        "-" * 63 + "1",
        "9**" * 21 + "9",
        "9" * MAX_LENGTH,
        "/1" * 32,
    ]
    worst += ["9**4**7*" * 8, "*".join(["9**9999"] * 8), "1/7**9999/7**9999"]
    start = time.perf_counter()
    for text in worst:
        python_eval(text)
    assert time.perf_counter() - start < 0.5


def test_nothing_in_the_package_calls_eval():
    for path in Path(vlbench.rl4vlm.__path__[0]).rglob("*.py"):
        calls = [
            n.func for n in ast.walk(ast.parse(path.read_text("utf-8"))) if isinstance(n, ast.Call)
        ]
        names = {call.id for call in calls if isinstance(call, ast.Name)}
        assert not names & {"eval", "exec", "compile", "__import__"}, path


def chance(hand):
    """Return how many of the 13**4 deals have these values."""
    return sum(
        1
        for order in set(itertools.permutations(hand))
        for _ in itertools.product(*(range(4 if value == 10 else 1) for value in order))
    )


def float_results(numbers):
    """Return the values of all well-formed formulas in floating point, one number at a time."""
    if len(numbers) == 1:
        return {numbers[0]}
    results = set()
    for i, j in itertools.permutations(range(len(numbers)), 2):
        a, b = numbers[i], numbers[j]
        rest = [number for k, number in enumerate(numbers) if k not in (i, j)]
        values = {a + b, a - b, a * b}
        if b:
            values.add(a / b)
        for value in values:
            results |= float_results((*rest, value)) if rest else {value}
    return results


EVERY_HAND = tuple(hands(4, range(1, 11)))


@pytest.fixture(scope="module")
def solved_in_floats():
    """Return the hands with a well-formed formula for 24 in floats, by brute force."""
    return {hand for hand in EVERY_HAND if 24 in float_results(hand)}


def test_the_shares_of_points24_deals_that_can_be_solved(solved_in_floats):
    game = Points24Game()
    exactly = {hand for hand in EVERY_HAND if game.solvable(hand)}
    assert len(exactly) == 566 and exactly - solved_in_floats == {(3, 3, 8, 8)}
    assert sum(map(chance, EVERY_HAND)) == 13**4
    exact, floating = (
        Fraction(sum(map(chance, hands_solved)), 13**4)
        for hands_solved in (exactly, solved_in_floats)
    )
    assert round(100 * exact, 3) == Fraction("73.093")
    assert round(100 * floating, 3) == Fraction("73.072")


@pytest.mark.parametrize("count", [60, pytest.param(715, marks=pytest.mark.slow)])
def test_the_solver_finds_what_brute_force_finds(count, solved_in_floats):
    for hand in [(3, 3, 8, 8), *random.Random(0).sample(EVERY_HAND, count)]:
        assert (hand in solved_in_floats) == (tokens_to_go((), hand) is not None)


def test_what_the_solver_promises_can_be_played():
    rng = random.Random(3)
    for hand in rng.sample(EVERY_HAND, 25):
        tokens, unused = [], list(hand)
        distance = tokens_to_go((), hand)
        while distance:
            options = [*(str(n) for n in sorted(set(unused))), *"+-*/()"]
            rng.shuffle(options)
            for token in options:
                rest = sorted(unused)
                if token.isdecimal():
                    rest.remove(int(token))
                if tokens_to_go((*tokens, token), tuple(rest)) == distance - 1:
                    break
            tokens, unused, distance = [*tokens, token], rest, distance - 1
        if distance is not None:
            assert python_eval("".join(tokens)).value == 24 and not unused
            assert abs(evaluate(tokens) - 24) < 1e-9


def test_prefixes_count_as_they_stand():
    for prefix, cards in (("24", (3, 3)), ("2+)", (1, 3)), ("1/(", (1,)), ("3-(", (3, 8))):
        assert tokens_to_go(prefix, cards) is None
    assert tokens_to_go("(8-2", (1, 4)) == len(")*4*1")
    assert tokens_to_go("8/(3-8/3", ()) is None  # in floats
    assert tokens_to_go("((8)*(3))", ()) == 0
