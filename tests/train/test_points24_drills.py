"""Exercises for Points24 in text, and transcripts of a part of the turns."""

import hashlib
import json
import re
from pathlib import Path

from agents.train import sft_data
from agents.train.points24_drills import Config, examples
from vlbench.task import split_in
from vlbench.tasks.formula.arithmetic import hands
from vlbench.tasks.points24.game import Points24Game
from vlbench.tasks.points24.worked import list_numbers


def test_half_of_what_is_practised_are_drills_and_nothing_shows_a_test_hand():
    hidden = {
        hand
        for hand in hands(4, range(1, 23))
        if split_in(Points24Game(), f"points24/{'-'.join(map(str, hand))}") != "train"
    }
    assert len(hidden) > 6000
    practised = list(examples(Config(Path(), count=120, seed=3)))
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
    exercises = examples(Config(Path(), count=40, seed=7))
    text = "\n".join(f"{exercise.prompt}\n{exercise.reply}" for exercise in exercises)
    assert hashlib.sha256(text.encode()).hexdigest()[:16] == "c80ba2059bce0a9e"


def test_a_fraction_of_the_turns_can_be_kept():
    def turns(fraction):
        config = sft_data.Config(
            Path(), "Points24", episodes=20, keep_fraction=fraction, perception_only=True
        )
        return [json.loads(example.reply) for example in sft_data.transcripts(config)]

    some, every = turns(0.25), turns(1.0)
    assert 0.1 * len(every) < len(some) < 0.5 * len(every)
    assert all(list(reply) == ["cards"] for reply in every)
