"""Text-only exercises of the tasks that have them, and transcripts of a part of the turns."""

import hashlib
import json
import re
from pathlib import Path

import pytest

from agents.train import sft_data
from agents.train.exercises import Config, examples
from vlbench.instances import Share
from vlbench.task import split_in
from vlbench.tasks.ez_points.any_target import AnyTargetGame
from vlbench.tasks.formula.arithmetic import evaluate, hands
from vlbench.tasks.number_line.game import NumberLineGame
from vlbench.tasks.points24.game import Points24Game
from vlbench.tasks.points24.worked import list_numbers


def test_half_of_what_is_practised_are_drills_and_nothing_shows_a_test_hand():
    hidden = {
        hand
        for hand in hands(4, range(1, 23))
        if split_in(Points24Game(), f"points24/{'-'.join(map(str, hand))}") != "train"
    }
    assert len(hidden) > 6000
    practised = list(examples(Config(Path(), "Points24", count=120, seed=3)))
    assert sum(example.prompt.startswith("24: ") for example in practised) == 60
    assert {example.env_id for example in practised} == {""}
    for example in practised:
        if example.prompt.startswith("24: "):
            reply = json.loads(example.reply)
            assert example.prompt.startswith(f"24: {json.dumps(reply['cards'])}")
            counts = {"A": "1", "J": "10", "Q": "10", "K": "10"}
            listed = [" ".join(counts.get(card, card) for card in reply["cards"])]
            listing = list_numbers(tuple(sorted(map(int, listed[0].split()))))
            assert reply["thoughts"].startswith(f"{listing} > ")
            formula = reply["current formula"]
            assert f"{reply['plan']}=".startswith(formula + reply["action"])
            assert example.prompt.endswith(f"] {formula}" if formula else "]")
        else:
            listed = [re.sub(r"[^\d]+", " ", line) for line in example.prompt.split(";")]
        for numbers in listed:
            assert tuple(sorted(map(int, numbers.split()))) not in hidden
    replies = [json.loads(e.reply) for e in practised if e.prompt.startswith("24: ")]
    assert {"A", "10", "J", "K"} <= {card for reply in replies for card in reply["cards"]}
    assert any(reply["current formula"] == "" for reply in replies)
    assert any(reply["action"] == "=" for reply in replies)


def test_exercises_keep_the_form_that_the_shipped_checkpoints_have_practised():
    exercises = examples(Config(Path(), "Points24", count=40, seed=7))
    text = "\n".join(f"{exercise.prompt}\n{exercise.reply}" for exercise in exercises)
    assert hashlib.sha256(text.encode()).hexdigest()[:16] == "c80ba2059bce0a9e"


def test_exercises_of_points24_use_one_share_of_the_training_hands_if_asked():
    game = Points24Game()
    config = Config(Path(), "Points24", count=40, options={"drills": 0, "share": "1/2"}, seed=3)
    counts = {"A": 1, "J": 10, "Q": 10, "K": 10}
    for example in examples(config):
        cards = json.loads(example.reply)["cards"]
        hand = sorted(int(counts.get(card, card)) for card in cards)
        name = f"points24/{'-'.join(map(str, hand))}"
        assert hand[-1] > 22 or (split_in(game, name) == "train" and Share(1, 2).holds(name))


def write(env, count, options):
    return list(examples(Config(Path(), env, count=count, options=options, seed=3)))


@pytest.mark.parametrize("faces", [0, 30])
@pytest.mark.parametrize("share", ["", "1/2"])
def test_exercises_of_ez_points_reach_their_target_and_show_no_hand_that_is_held_out(share, faces):
    game, operators, cards = AnyTargetGame(), set(), set()
    options = {"operators": "+-*/", "largest": 24, "share": share, "faces": faces}
    for example in write("EZPoints", 400, options):
        reply = json.loads(example.reply)
        rule, _, prompt = example.prompt.rpartition(". ")
        target, _, _ = prompt.partition(":")
        tokens = re.findall(r"\d+|\D", reply["plan"])
        assert evaluate(tokens) == int(target)
        operators.add(tokens[1])
        assert f"{reply['plan']}=".startswith(reply["current formula"] + reply["action"])
        counts = {"A": 1, "J": 10, "Q": 10, "K": 10}
        assert bool(rule) == bool(faces)
        if rule and rule != "J, Q and K count 10 each":
            jack, queen, king = map(int, re.findall(r"\d+", rule))
            assert rule == f"J counts {jack}, Q counts {queen} and K counts {king}"
            assert 10 < jack <= 30 and (queen, king) == (jack + 1, jack + 2)
            counts |= {"J": jack, "Q": queen, "K": king}
        cards |= set(reply["cards"])
        numbers = sorted(int(counts.get(card, card)) for card in reply["cards"])
        assert numbers == sorted(map(int, tokens[::2]))
        used = re.findall(r"\d+", reply["current formula"])
        for number in used:
            numbers.remove(int(number))
        unused = " ".join(map(str, numbers)) or "none"
        assert reply["thoughts"] == f"left {unused}"
        numbers = sorted(map(int, tokens[::2]))
        if numbers[-1] <= 22:
            unit = f"ez_points/{numbers[0]}-{numbers[1]}-{target}"
            assert split_in(game, unit) == "train"
            assert not share or Share(1, 2).holds(unit)
    assert operators == set("+-*/") and {"A", "J", "Q", "K", "10", "24"} < cards


@pytest.mark.parametrize("share", ["", "1/2"])
def test_exercises_of_number_line_compare_pairs_that_are_not_held_out(share):
    game, ends = NumberLineGame(20), set()
    for example in write("NumberLine", 200, {"largest": 20, "share": share}):
        reply = json.loads(example.reply)
        current, target = reply["current number"], reply["target number"]
        assert example.prompt == f"current number {current}, target number {target}"
        up = current < target
        assert reply["thoughts"] == f"{current} {'<' if up else '>'} {target}"
        assert reply["action"] == ("+" if up else "-")
        instance = f"number_line/{current}-{target}"
        assert split_in(game, instance) == "train"
        assert not share or Share(1, 2).holds(instance)
        ends |= {current, target}
    assert {0, 20} <= ends


def test_exercises_of_alfworld_are_answered_from_their_prompt():
    pytest.importorskip("alfworld")
    for example in write("ALFWorld", 50, {"commands": 8}):
        reply = json.loads(example.reply)
        listed = re.findall(r'"([^"]+)"', example.prompt)
        assert reply["action"] == listed and 1 <= len(listed) <= 8
        goal = example.prompt.partition(". Your admissible")[0]
        assert all(word in goal for word in re.findall(r"(?:find|to) (\w+)", reply["thoughts"]))


@pytest.mark.parametrize(
    ("env", "options", "message"),
    [
        ("Blackjack", {}, "no exercises; NumberLine, EZPoints, Points24, ALFWorld have"),
        ("EZPoints", {"operator": "+"}, 'did you mean "operators"'),
        ("EZPoints", {"largest": 1}, "largest must be an integer of at least 2, got 1"),
        ("EZPoints", {"share": "3/2"}, "share must be I/N"),
        ("EZPoints", {"faces": 9}, "faces must be 0, or from 10 to 1000, got 9"),
        ("EZPoints", {"faces": 1_001}, "faces must be 0, or from 10 to 1000, got 1001"),
        ("EZPoints", {"faces": ""}, "faces must be an integer of at least 0, got ''"),
        ("NumberLine", {"largest": 1_000_000_000}, "largest must be at most 999999999"),
        ("Points24", {"drills": 1.5}, "drills must be a number from 0 to 1, got 1.5"),
        ("Points24", {"lines": 10_001}, "lines must be from 1 to 10000, got 10001"),
    ],
)
def test_wrong_options_are_refused_before_anything_is_written(env, options, message):
    with pytest.raises(ValueError, match=message):
        examples(Config(Path(), env, options=options))


@pytest.mark.parametrize(
    ("env", "options"),
    [
        ("EZPoints", {"share": "999/1000", "largest": 2}),
        ("NumberLine", {"share": "999/1000", "largest": 1}),
        ("Points24", {"share": "6/1000", "drills": 0, "backwards": 0}),
        ("Points24", {"share": "999/1000", "target": 97, "drills": 0, "backwards": 0}),
    ],
)
def test_options_that_leave_nothing_are_refused_instead_of_tried_without_end(env, options):
    with pytest.raises(ValueError, match="leave nothing to write: none of 100,000 draws"):
        write(env, 1, options)


def test_a_fraction_of_the_turns_can_be_kept():
    def turns(fraction):
        config = sft_data.Config(
            Path(), "Points24", episodes=20, keep_fraction=fraction, perception_only=True
        )
        return [json.loads(example.reply) for example in sft_data.transcripts(config)]

    some, every = turns(0.25), turns(1.0)
    assert 0.1 * len(every) < len(some) < 0.5 * len(every)
    assert all(list(reply) == ["cards"] for reply in every)
