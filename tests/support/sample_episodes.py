"""Episodes of the card tasks for tests, played when they are asked for."""

import dataclasses

import gymnasium
import numpy as np

import vlbench
from vlbench.recorder import EpisodeRecorder
from vlbench.records import Reply, RunHeader
from vlbench.records.run_spec import RunSpec
from vlbench.run_folder import run_header
from vlbench.suites import (
    frozen_rows,
)


class Tester:
    """Who plays in tests."""

    name, privileged, settings = "test", False, {}


def header(**changes) -> RunHeader:
    made = run_header(Tester(), RunSpec("test", "cot"), vlbench.CARD_IDS)
    return dataclasses.replace(made, **{"versions": {}, "started": "", **changes})


def play(env_id, number, choose, repeat=0):
    """Play a frozen row and return its episode; `choose(env, turn)` returns a reply's text."""
    row = frozen_rows(env_id, "test")[number]
    recording = EpisodeRecorder(gymnasium.make(env_id, **row.kwargs), row, number, repeat)
    while not recording.end:
        text = choose(recording.env.unwrapped, len(recording.turns))
        recording.play(Reply(text, prompt_tokens=10, completion_tokens=5, usd=0.001, seconds=0.5))
    return recording.episode()


def expert(env, turn):
    return vlbench.reply(env.expert())


def random_player(seed):
    rng = np.random.default_rng(seed)
    return lambda env, turn: vlbench.reply(env.vocabulary[rng.integers(len(env.vocabulary))])


def some_of_each():
    """Return three episodes of each card task: the expert's, and two random players'."""
    return [
        play(env_id, number, player)
        for env_id in vlbench.CARD_IDS
        for number, player in enumerate([expert, random_player(1), random_player(2)])
    ]
