"""Episodes of the card tasks for tests, played when they are asked for."""

import dataclasses

import gymnasium
import numpy as np

import vlbench
from vlbench.recorder import EpisodeRecorder
from vlbench.records import Reply
from vlbench.replay import prompt_hash
from vlbench.run_folder import RunHeader
from vlbench.suites import frozen_hash, frozen_rows


def header(**changes):
    base = RunHeader(
        agent="test",
        settings={},
        privileged=False,
        env_ids=list(vlbench.CARD_IDS),
        suite="test",
        prompt="cot",
        theme="",
        episodes=None,
        repeats=1,
        history=0,
        prompt_hashes={env_id: prompt_hash(env_id, "cot") for env_id in vlbench.CARD_IDS},
        frozen_hashes={env_id: frozen_hash(env_id, "test") for env_id in vlbench.CARD_IDS},
    )
    return dataclasses.replace(base, **changes)


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
