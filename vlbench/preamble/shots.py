"""Examples for a prompt: frozen rows of the split `train`, and what an expert replies there."""

import json
from collections.abc import Mapping
from contextlib import closing
from typing import Any

import gymnasium

import vlbench
from vlbench.errors import user_code
from vlbench.instances import hashed
from vlbench.prompts import Exchange, is_own_prompt
from vlbench.registry import LOOKS, registered_id, task_folder
from vlbench.suites import Row

SHOTS = "shots.jsonl"
"""File of a task's rows for examples, in its folder."""

MOST_SHOTS = 8
"""Rows in such a file."""


def shot_rows(env_id: str, count: int, kwargs: Mapping[str, Any]) -> list[Row]:
    """Return the first rows for examples, as a run shows them.

    Args:
        env_id: A registered id; the module of "module:id" must have been imported.
        count: How many.
        kwargs: The run's keyword arguments.

    Raises:
        ValueError: The task has no such rows, or fewer.
    """
    folder = task_folder(env_id)
    file = None if folder is None else folder.joinpath(SHOTS)
    lines = file.read_text("utf-8").splitlines() if file is not None and file.is_file() else []
    if len(lines) < count:
        has = f"{len(lines)} rows" if lines else "no rows"
        raise ValueError(
            f"{env_id} has {has} for examples, wanted {count}; `python -m vlbench.freeze --shots "
            f"{env_id}` writes {MOST_SHOTS}"
        )
    changed = bool(kwargs.keys() & LOOKS - {"prompt"} or kwargs.keys() - LOOKS)
    rows = []
    for line in lines[:count]:
        data = json.loads(line)
        frame = "" if changed else data["frame"]
        place = data["instance"], data["presentation"]
        rows.append(Row(env_id, {**data["kwargs"], **kwargs}, *place, frame_hash=frame))
    return rows


def draw_shot(row: Row) -> Exchange:
    """Return an example: what the row shows at one of the expert's turns, and the expert's reply.

    Which turn follows from the row, so that examples also show later turns of an episode.

    Raises:
        ValueError: The environment can't be made, draws the row differently than it was frozen,
            or its expert doesn't write what the prompt asks for.
    """
    place = f"the example {row.instance} of {row.env_id}"
    with user_code(place), closing(_made(row)) as env:
        turns = _expert_turns(env, row)
        turn = hashed(f"{row.instance}|{row.presentation}|shot") % turns
        observation, _ = env.reset(seed=0, options=row.options)
        inner: Any = env.unwrapped
        if row.frame_hash and inner.frame_hash() != row.frame_hash:
            raise ValueError(f"{place} is drawn differently than it was frozen")
        for _ in range(turn):
            observation = env.step(vlbench.reply(inner.expert()))[0]
        return Exchange(dict(observation), _reply(inner, place))


def _reply(env: Any, place: str) -> str:
    """Return the expert's reply, with the fields that a prompt of the user's own asks for."""
    demonstration = env.demonstrate()
    if demonstration is None:
        raise ValueError(f"{place} is one that the expert can't win")
    fields = dict(demonstration.fields)
    if is_own_prompt(env.prompt.sha256):
        asked = [name for name in env.prompt.reply_fields if name != "action"]
        if missing := [name for name in asked if name not in fields]:
            raise ValueError(
                f'the prompt asks for "{missing[0]}", which the expert doesn\'t write (it writes: '
                f"{', '.join(fields) or 'nothing'}); leave the examples out, or change the prompt"
            )
        fields = {name: fields[name] for name in asked}
    return str(env.write_reply(demonstration.action, fields))


def _made(row: Row) -> gymnasium.Env[Any, str]:
    return gymnasium.make(registered_id(row.env_id), **row.kwargs)


def _expert_turns(env: gymnasium.Env[Any, str], row: Row) -> int:
    """Return the number of turns that the expert needs, before which it has something to show."""
    env.reset(seed=0, options=row.options)
    inner: Any = env.unwrapped
    turns = 0
    while not inner.is_over and inner.demonstrate() is not None:
        env.step(vlbench.reply(inner.expert()))
        turns += 1
    if not turns:
        raise ValueError("its expert has nothing to show there")
    return turns
