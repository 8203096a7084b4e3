"""The searches that the Points24 expert writes."""

import re

import pytest

from vlbench.tasks.formula.arithmetic import evaluate, hands
from vlbench.tasks.points24.worked import judge_step, leads, steps, work

HANDS = [tuple(hand) for hand in hands(4, range(1, 11))]


def test_a_hand_is_worked_step_by_step():
    worked = work([3, 9, 10, 9], 24)
    assert worked.search == (
        "10 9 9 3 > 10 + 9 = 19 19 9 3 no, 10 - 9 = 1 9 3 1 yes, 9 - 1 = 8 8 3, 8 * 3 = 24"
    )
    assert worked.plan == "(9-(10-9))*3"


def test_the_order_in_which_cards_lie_changes_nothing():
    assert work([9, 10, 9, 3], 24) == work([3, 9, 10, 9], 24)


def test_pairs_are_tried_from_the_largest_down_and_divided_only_where_it_comes_out():
    tried = [f"{step.left}{step.operator}{step.right}" for step in steps((2, 4, 5))]
    assert tried == ["5+4", "5-4", "5*4", "5+2", "5-2", "5*2", "4+2", "4/2", "4-2", "4*2"]


def test_every_plan_uses_each_number_once_and_reaches_the_target():
    worked = {hand: work(hand, 24) for hand in HANDS}
    assert sum(solution is not None for solution in worked.values()) == 556
    for hand, solution in worked.items():
        if solution is not None:
            assert evaluate(re.findall(r"\d+|\S", solution.plan)) == 24
            assert tuple(sorted(map(int, re.findall(r"\d+", solution.plan)))) == hand


def test_what_needs_fractions_is_not_worked():
    assert work((3, 3, 8, 8), 24) is None  # 8 / (3 - 8 / 3)


def reachable(numbers):
    """Return every number that sorted numbers can be combined into."""
    if len(numbers) == 1:
        return set(numbers)
    return {number for step in steps(numbers) for number in reachable(step.rest)}


@pytest.mark.parametrize("numbers", [(1, 2, 3), (3, 3, 8, 8), (2, 5, 7, 10)])
def test_what_can_be_reached_is_what_leads(numbers):
    reached = reachable(numbers)
    assert all(leads(numbers, target) == (target in reached) for target in range(101))


def test_a_step_carries_its_verdict():
    first, *_ = steps((3, 9, 9, 10))
    assert judge_step(first, 24) == "10 + 9 = 19 19 9 3 no"
