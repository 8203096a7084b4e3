"""Searches as the Points24 expert writes them, and the problems on which they are practised."""

import json
import re
from pathlib import Path

import pytest

from agents.train import sft_data
from agents.train.points24_drills import Config, examples
from agents.train.redrawing import ExampleRenderer
from agents.train.search import leads, listed, steps, work, worked_step
from vlbench.instances import split_of
from vlbench.tasks.formula.arithmetic import evaluate, hands

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
    assert sum(found is not None for found in worked.values()) == 556
    for hand, found in worked.items():
        if found is not None:
            assert evaluate(re.findall(r"\d+|\S", found.plan)) == 24
            assert tuple(sorted(map(int, re.findall(r"\d+", found.plan)))) == hand


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
    assert worked_step(first, 24) == "10 + 9 = 19 19 9 3 no"


def test_half_of_what_is_practised_are_drills_and_nothing_shows_a_test_hand():
    hidden = {
        hand for hand in HANDS if split_of(f"points24/{'-'.join(map(str, hand))}", 0.4) == "test"
    }
    assert len(hidden) > 200
    practised = list(examples(Config(Path(), count=120, seed=3)))
    assert sum(example.prompt.startswith("24: ") for example in practised) == 60
    assert ExampleRenderer().observation(practised[0]) == {"text": practised[0].prompt}
    for example in practised:
        if example.prompt.startswith("24: "):
            reply = json.loads(example.reply)
            assert example.prompt.startswith(f"24: {json.dumps(reply['cards'])}")
            counts = {"A": "1", "J": "10", "Q": "10", "K": "10"}
            shown = [" ".join(counts.get(card, card) for card in reply["cards"])]
            listing = listed(tuple(sorted(map(int, shown[0].split()))))
            assert reply["thoughts"].startswith(f"{listing} > ")
            formula = reply["current formula"]
            assert f"{reply['plan']}=".startswith(formula + reply["action"])
            assert example.prompt.endswith(f"] {formula}" if formula else "]")
        else:
            shown = [re.sub(r"[^\d]+", " ", line) for line in example.prompt.split(";")]
        for numbers in shown:
            assert tuple(sorted(map(int, numbers.split()))) not in hidden
    replies = [json.loads(e.reply) for e in practised if e.prompt.startswith("24: ")]
    assert {"A", "10", "J", "K"} <= {card for reply in replies for card in reply["cards"]}
    assert any(reply["current formula"] == "" for reply in replies)
    assert any(reply["action"] == "=" for reply in replies)


def test_fewer_turns_of_an_episode_can_be_kept():
    def turns(kept):
        config = sft_data.Config(Path(), "Points24", episodes=20, kept=kept, reading=True)
        return [json.loads(example.reply) for example in sft_data.transcripts(config)]

    some, every = turns(0.25), turns(1.0)
    assert 0.1 * len(every) < len(some) < 0.5 * len(every)
    assert all(list(reply) == ["cards"] for reply in every)
