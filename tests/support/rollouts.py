"""Rollouts of NumberLine with hand-worked values, as an engine would write them."""

import json

import vlbench
from vlbench.diagnose.rollouts import SCHEMA

NUMBER_LINE = vlbench.CARD_IDS[0]


def line(episode, turn, action, *, instance="number_line/2-5", presentation=0, **fields):
    """Return a line of a file of turns; the reply names the action."""
    return {
        "schema": SCHEMA,
        "env_id": NUMBER_LINE,
        "kwargs": {},
        "instance": instance,
        "presentation": presentation,
        "episode": episode,
        "turn": turn,
        "reply": vlbench.reply(action),
        **fields,
    }


def episode(key, actions, advantages=None, **fields):
    """Return an episode's lines; `advantages` has one number for each."""
    numbers = [{} if advantages is None else {"advantage": a} for a in advantages or actions]
    return [
        line(key, turn, action, **number, **fields)
        for turn, (action, number) in enumerate(zip(actions, numbers, strict=True))
    ]


def write(path, lines):
    path.write_text("".join(f"{json.dumps(one)}\n" for one in lines), "utf-8")
    return path


def two_episodes(first=None, second=None):
    """Return two episodes from 2 to 5: one without an error, one whose first move is wrong.

    From 2 to 5 the best return is 1, by three moves up. A move down costs 1 and loses nothing else,
    so A* is 0, 0, 0 in the first episode and −1, 0, 0, 0, 0 in the second.
    """
    return episode("a", "+++", first) + episode("b", "-++++", second)
