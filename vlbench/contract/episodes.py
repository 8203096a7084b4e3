"""Checks: episodes follow from their seed, end in time, and return plain data."""

import copy
import hashlib
import json
import pickle
import subprocess
import sys
import warnings
from typing import Any

import gymnasium
import numpy as np
from gymnasium.utils.env_checker import check_env

import vlbench
from vlbench.contract.plays import (
    SEEDS,
    AnyEnv,
    follow_expert,
    make_env,
    play,
    random_episode,
    sample,
    seeds_within,
    wander,
)
from vlbench.solved_env import SolvedEnv

PATIENCE = 2.0
"""Seconds after which no further episode is played."""

INFO_TYPES: dict[str, type] = {
    "instance": str,
    "presentation": int,
    "legal_actions": tuple,
    "facts": dict,
    "status": str,
    "recovered": bool,
    "illegal": bool,
    "hint": str,
    "action": str,
    "success": bool,
}


def passes_gymnasiums_checker(env_id: str) -> None:
    """`check_env` passes with warnings as errors (another check covers rendering)."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_env(make_env(env_id), skip_render_check=True)


def same_seed_gives_the_same_episode(env_id: str) -> None:
    """The same seed and replies give the same frames, prompts, rewards and infos."""
    for seed in SEEDS[:4]:
        assert random_episode(env_id, seed) == random_episode(env_id, seed), (
            f"seed {seed} gives two different episodes; draw from the generator that deal() gets, "
            "and choose by Presentation.pick"
        )


def other_seeds_give_other_episodes(env_id: str) -> None:
    """Different seeds give different episodes."""
    env = make_env(env_id)
    starts, instances = set(), set()
    for seed in range(32):
        observation, info = env.reset(seed=seed)
        starts.add(observation["image"].tobytes())
        instances.add(info["instance"])
        if len(starts) > 3 and len(instances) > 1:
            return
    raise AssertionError(
        f"32 seeds gave {len(starts)} first frames of {len(instances)} instances; deal() must draw "
        "from its generator"
    )


def another_process_gives_the_same_episode(env_id: str) -> None:
    """Episodes don't depend on the process."""
    program = (
        "import sys, hashlib, importlib;"
        "importlib.import_module(sys.argv[1].rpartition(':')[0] or 'vlbench');"
        "from vlbench.contract.plays import random_episode;"
        "print(hashlib.sha256(repr(random_episode(sys.argv[1], 3)).encode()).hexdigest())"
    )
    command = [sys.executable, "-c", program, env_id]
    process = subprocess.run(command, capture_output=True, text=True, check=False)
    assert process.returncode == 0, (
        f"another process can't play {env_id}: {process.stderr.strip().splitlines()[-1]}"
    )
    here = hashlib.sha256(repr(random_episode(env_id, 3)).encode()).hexdigest()
    assert process.stdout.strip() == here, (
        "another process plays the same seed differently; don't use hash() or the order of sets"
    )


def old_observations_stay_as_they_were(env_id: str) -> None:
    """Later turns don't change earlier observations and infos."""
    env = make_env(env_id)
    env.action_space.seed(0)
    turns, copies = [], []
    for turn in play(env, 0, sample):
        turns.append(turn)
        copies.append(copy.deepcopy(turn))
        if len(turns) == 4:
            break
    for turn, before in zip(turns, copies, strict=True):
        image, former = turn.observation["image"], before.observation["image"]
        assert np.array_equal(image, former), "a later turn changed a frame; return a copy"
        assert turn.observation["text"] == before.observation["text"], "a later turn changed a text"
        assert turn.info == before.info, "a later turn changed an info; return a copy"


def info_is_plain_data_of_constant_form(env_id: str) -> None:
    """Info is JSON, with the same keys and types on reset and on every step; so are the facts."""
    env = make_env(env_id)
    form: dict[str, Any] = {}
    for seed in seeds_within(PATIENCE, 40):
        choose = wander(np.random.default_rng(seed)) if seed % 2 else _expert_or_sample(env)
        for turn in play(env, seed, choose):
            info = turn.info
            types = {key: type(value) for key, value in info.items()}
            assert types == INFO_TYPES, f"info has {types}; wanted {INFO_TYPES}"
            assert not info["success"] or turn.is_last, "success is True before the end"
            _check_legal(env, info["legal_actions"], turn.is_last)
            facts = {key: _type_of_fact(key, value) for key, value in info["facts"].items()}
            form = form or facts
            assert list(facts) == list(form), (
                f"facts have the keys {list(facts)} here and {list(form)} elsewhere; use the same "
                "keys in every state"
            )
            for key, kind in facts.items():
                former = form[key]
                assert kind == former or () in (kind, former), (
                    f'the fact "{key}" is {kind} here and {former} elsewhere'
                )
                form[key] = kind if former == () else former
            json.dumps(info)


def _expert_or_sample(env: AnyEnv) -> Any:
    return follow_expert if isinstance(env, SolvedEnv) else sample


def _check_legal(env: AnyEnv, legal: tuple[str, ...], is_last: bool) -> None:
    known = [action for action in env.vocabulary if action in legal]
    assert list(legal) == known, (
        f"legal actions {legal}; wanted a part of the vocabulary {env.vocabulary}, in its order"
    )
    assert legal or is_last, "no action is legal, but the episode goes on"


def _type_of_fact(key: str, value: object) -> Any:
    """Return the type of a fact; of a tuple, those of its items.

    Raises:
        AssertionError: It isn't plain data.
    """
    items = value if type(value) is tuple else (value,)
    assert all(type(item) in (int, str, bool) for item in items), (
        f'the fact "{key}" is {value!r}; wanted an int, str, bool, or a tuple of ints or strs'
    )
    types = {type(item) for item in items}
    assert len(types) < 2, f'the fact "{key}" mixes types: {value!r}'
    return tuple(types) if type(value) is tuple else type(value)


def the_episode_ends_in_time(env_id: str) -> None:
    """With bad replies only, the episode is truncated after exactly max_turns turns."""
    env = make_env(env_id)
    env.reset(seed=0)
    for turn in range(1, env.game.max_turns + 1):
        _, _, terminated, truncated, _ = env.step("")
        assert not terminated and truncated == (turn == env.game.max_turns), (
            f"of {env.game.max_turns} unreadable replies, number {turn} gave terminated "
            f"{terminated}, truncated {truncated}; the last one must truncate, the others must not"
        )
    _check_is_over(env)


def the_expert_ends_the_episode(env_id: str) -> None:
    """If a task has an expert: it reaches the goal, which terminates the episode."""
    env = make_env(env_id)
    if not isinstance(env, SolvedEnv):
        return
    has_terminated = has_succeeded = False
    for seed in range(4 * len(SEEDS)):
        *_, last = play(env, seed, follow_expert)
        _check_is_over(env)
        has_terminated |= last.terminated
        has_succeeded |= last.info["success"]
        if has_terminated and has_succeeded:
            return
    assert has_terminated, (
        "the expert's episodes are all truncated; step() must return terminated=True at the goal"
    )
    raise AssertionError("the expert never succeeds; step() must return success=True at the goal")


def _check_is_over(env: AnyEnv) -> None:
    try:
        env.step("")
    except gymnasium.error.ResetNeeded:
        return
    raise AssertionError("the environment played a step after the end; raise ResetNeeded")


def pickles_in_the_middle_of_an_episode(env_id: str) -> None:
    """A pickled or copied environment continues its episode."""
    env = make_env(env_id)
    env.reset(seed=4)
    twins = pickle.loads(pickle.dumps(env)), copy.deepcopy(env)
    reply = vlbench.reply(env.legal[0])
    first, *rest = env.step(reply)
    for twin in twins:
        second, *other_rest = twin.step(reply)
        assert np.array_equal(first["image"], second["image"]) and rest == other_rest, (
            "a copy plays on differently"
        )
        assert twin.action_space == env.action_space, "a copy has another action space"
