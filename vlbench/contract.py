"""The contract of an environment, as checks that run on any environment id.

    for check in vlbench.contract.CHECKS:
        check("my_package:my/Task-v0")

Each check takes an environment id. It raises AssertionError if the environment breaks the contract.
"""

if not __debug__:
    raise RuntimeError("the contract checks are assertions; run them without -O")

import copy
import json
import pickle
import subprocess
import sys
import warnings
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import gymnasium
import numpy as np
from gymnasium.utils.env_checker import check_env

import vlbench
from vlbench.env import SolvedEnv, VLEnv, accepted_options
from vlbench.instances import split_of
from vlbench.prompts import VARIANTS, template_hash
from vlbench.task import perception_names

SEEDS = range(8)

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


def _make(env_id: str, **kwargs: Any) -> VLEnv[Any, Any]:
    env = gymnasium.make(env_id, **kwargs).unwrapped
    assert isinstance(env, VLEnv), f"{env_id} must be a VLEnv"
    return env


def _walk(env_id: str, seed: int, **kwargs: Any) -> list[Any]:
    """Return everything that a seeded random episode returns."""
    env = gymnasium.make(env_id, **kwargs)
    env.action_space.seed(seed)
    observation, info = env.reset(seed=seed)
    returns: list[Any] = [observation["image"].tobytes(), observation["text"], info]
    over = False
    while not over:
        observation, reward, terminated, truncated, info = env.step(env.action_space.sample())
        over = terminated or truncated
        returns += [observation["image"].tobytes(), observation["text"], reward, over, info]
    return returns


def passes_gymnasiums_checker(env_id: str) -> None:
    """`check_env` passes with warnings as errors (another check covers rendering)."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_env(_make(env_id), skip_render_check=True)


def same_seed_gives_the_same_episode(env_id: str) -> None:
    """The same seed and replies give the same frames, prompts, rewards and infos."""
    for seed in SEEDS:
        assert _walk(env_id, seed) == _walk(env_id, seed), f"seed {seed} differs from itself"


def other_seeds_give_other_episodes(env_id: str) -> None:
    """Different seeds give different episodes."""
    starts = {_walk(env_id, seed)[0] for seed in range(32)}
    assert len(starts) > 3, f"32 seeds gave {len(starts)} first frames"


def another_process_gives_the_same_episode(env_id: str) -> None:
    """Episodes don't depend on the process."""
    program = (
        "import sys, hashlib, importlib;"
        "module, _, name = sys.argv[1].rpartition(':');"
        "importlib.import_module(module or 'vlbench');"
        "from vlbench.contract import _walk;"
        "print(hashlib.sha256(repr(_walk(sys.argv[1], 3)).encode()).hexdigest())"
    )
    command = [sys.executable, "-c", program, env_id]
    digests = {
        subprocess.run(command, capture_output=True, text=True, check=True).stdout for _ in range(2)
    }
    assert len(digests) == 1, "two processes play the same seed differently"


def old_observations_stay_as_they_were(env_id: str) -> None:
    """Later turns don't change earlier observations and infos."""
    env = _make(env_id)
    first = env.reset(seed=0)
    before = copy.deepcopy(first)
    env.action_space.seed(0)
    for _ in range(min(3, env.game.max_turns)):
        if env.step(env.action_space.sample())[2]:
            break
    assert np.array_equal(first[0]["image"], before[0]["image"]), "the frame changed"
    assert first[0]["text"] == before[0]["text"] and first[1] == before[1], "text or info changed"


def info_is_plain_data_of_constant_form(env_id: str) -> None:
    """Info is JSON, with the same keys and types on reset and on every step."""
    env = _make(env_id)
    _, first = env.reset(seed=1)
    infos = [first, env.step("not a reply")[4]]
    if env.turns_left:
        infos.append(env.step(vlbench.reply(env.legal[0]))[4])
    for info in infos:
        assert {key: type(value) for key, value in info.items()} == INFO_TYPES, "keys or types"
        facts = {key: type(value) for key, value in info["facts"].items()}
        assert facts == {key: type(value) for key, value in first["facts"].items()}, "facts"
        json.dumps(info)


def an_unreadable_reply_moves_nothing(env_id: str) -> None:
    """A reply that can't be read uses up the turn, costs −1 and changes nothing."""
    env = _make(env_id)
    for reply, status in (
        ("", "empty"),
        ("I would rather not say.", "malformed"),
        ('{"thoughts": "hm', "truncated"),
        ('{"action": "dance"}', "unknown"),
    ):
        observation, info = env.reset(seed=2)
        state = env.state_hash()
        after, reward, _, _, new_info = env.step(reply)
        assert (reward, new_info["status"], new_info["action"]) == (-1.0, status, ""), reply
        assert env.state_hash() == state, "the state changed"
        assert np.array_equal(after["image"], observation["image"]), "the picture changed"
        assert new_info["hint"] and not info["hint"], "the hint must say what was expected"


def a_reply_is_played_as_it_is_read(env_id: str) -> None:
    """`step` plays the action that `read` returns; the strict level reads that action or none."""
    env = _make(env_id)
    env.reset(seed=2)
    action = env.vocabulary[0]
    for reply, strict in (
        (f'{{"action": "{action}"}}', action),
        (f'```json\n{{"action": "{action}"}}\n```', None),
        (f'{{"action": "perhaps {action}"}}', None),
        ("I would rather not say.", None),
    ):
        env.reset(seed=2)
        parsed = env.read(reply)
        assert env.read(reply, level="strict").action == strict, f"strictly read: {reply}"
        assert strict in (parsed.action, None), f"read: {reply}"
        info = env.step(reply)[4]
        assert info["status"] == parsed.status, f"status of {reply}"
        assert parsed.action is None or info["action"] == parsed.action, f"played: {reply}"


def a_non_text_action_is_a_type_error(env_id: str) -> None:
    """An action that isn't a `str` raises TypeError."""
    env = _make(env_id)
    env.reset(seed=0)
    try:
        env.step(3)  # type: ignore[arg-type]
    except TypeError:
        return
    raise AssertionError("the environment accepted an integer as a reply")


def the_episode_ends_in_time(env_id: str) -> None:
    """With bad replies only, the episode is truncated after exactly max_turns turns."""
    env = _make(env_id)
    env.reset(seed=0)
    for turn in range(1, env.game.max_turns + 1):
        _, _, terminated, truncated, _ = env.step("")
        assert not terminated and truncated == (turn == env.game.max_turns), f"turn {turn}"
    try:
        env.step("")
    except gymnasium.error.ResetNeeded:
        return
    raise AssertionError("the environment played a step after the end")


def a_frame_painted_over_equals_one_painted_anew(env_id: str) -> None:
    """Repainting a frame, within an episode or from one to the next, equals a full paint."""
    env = _make(env_id)
    env.action_space.seed(0)
    for seed in SEEDS:
        image = env.reset(seed=seed)[0]["image"]
        over = False
        while True:
            anew = np.zeros_like(image)
            env.picture.paint(anew, env._state, env._style)
            assert np.array_equal(image, anew), f"seed {seed}: repainting gave other pixels"
            if over:
                break
            observation, _, terminated, truncated, _ = env.step(env.action_space.sample())
            image, over = observation["image"], terminated or truncated


def the_expert_takes_what_values_promise(env_id: str) -> None:
    """If a task has an expert: values cover the legal actions, and its action has the best one."""
    env = _make(env_id)
    if not isinstance(env, SolvedEnv):
        return
    for seed in SEEDS:
        env.reset(seed=seed)
        over = False
        while not over:
            values, action = env.values(), env.expert()
            assert set(values) == set(env.legal), "values must cover the legal actions"
            assert values[action] == max(values.values()), f"{action} of {values}"
            _, _, terminated, truncated, _ = env.step(vlbench.reply(action))
            over = terminated or truncated


def the_prompt_asks_for_the_fields(env_id: str) -> None:
    """The prompts ask for the task's fields in their order, then for the action.

    `action_only` asks for the action alone. The check skips an environment without the argument
    `prompt`, and the variants that an environment refuses.
    """
    env_class = type(_make(env_id))
    if "prompt" not in accepted_options(env_class):
        return
    fields = [field.name for field in env_class.fields if field.in_prompt]
    for variant in VARIANTS:
        with suppress(ValueError):
            names = _make(env_id, prompt=variant).prompt.reply_fields
            expected = (*([] if variant == "action_only" else fields), "action")
            assert names == expected, f"{variant} asks for {names}, the fields are {expected}"


def the_demonstration_is_read_and_true(env_id: str) -> None:
    """If a task has an expert: its reply parses to a best action and states nothing false."""
    env = _make(env_id)
    if not isinstance(env, SolvedEnv):
        return
    names, perception = {field.name for field in env.fields}, perception_names(env.fields)
    plans = {field.name for field in env.fields if field.kind == "plan"}
    for seed in SEEDS:
        env.reset(seed=seed)
        over = False
        while not over and (demonstration := env.demonstrate()):
            action, values = demonstration.action, env.values()
            reply = env.write_reply(action, demonstration.fields)
            parsed = env.read(reply)
            assert parsed.action == action, f"{reply} is read as {parsed.action}"
            assert not parsed.recovered, f"{reply} isn't strict JSON"
            assert values[action] == max(values.values()), f"{action} of {values}"
            order = list(parsed.fields)
            assert names.issuperset(order), f"{order} aren't all fields of the task"
            late = [name in perception for name in order[len(perception) :]]
            assert not any(late), f"{order}: the perception must come first"
            statements = env.check_statements(parsed.fields)
            if perception.intersection(order):
                assert statements.perception, f"{reply} contradicts the picture"
            if plans.intersection(order):
                assert statements.plan == action, f"{reply} plans {statements.plan}"
            _, _, terminated, truncated, _ = env.step(reply)
            over = terminated or truncated


def instance_and_presentation_name_the_episode(env_id: str) -> None:
    """Instance and presentation reproduce an episode without its seed."""
    env = _make(env_id)
    observation, info = env.reset(seed=5)
    options = {"instance": info["instance"], "presentation": info["presentation"]}
    again, info_again = env.reset(options=options)
    assert np.array_equal(observation["image"], again["image"]) and info == info_again


def splits_hold_what_they_say(env_id: str) -> None:
    """If instances are held out, `train` and `test` deal instances of their own split only."""
    for split in ("train", "test"):
        env = _make(env_id, split=split)
        if env.game.held_out:
            for seed in range(50):
                instance = env.reset(seed=seed)[1]["instance"]
                assert split_of(instance, env.game.test_share) == split, instance


def pickles_in_the_middle_of_an_episode(env_id: str) -> None:
    """A pickled environment continues its episode."""
    env = _make(env_id)
    env.reset(seed=4)
    twin = pickle.loads(pickle.dumps(env))
    reply = vlbench.reply(env.legal[0])
    (first, *rest), (second, *other_rest) = env.step(reply), twin.step(reply)
    assert np.array_equal(first["image"], second["image"]) and rest == other_rest
    assert twin.action_space == env.action_space


def renders_what_it_observes(env_id: str) -> None:
    """Under "rgb_array", `render()` returns the observation's picture."""
    env = _make(env_id, render_mode="rgb_array")
    observation, _ = env.reset(seed=0)
    frame = env.render()
    assert frame is not None and np.array_equal(frame, observation["image"])


def the_prompt_is_named_by_its_template(env_id: str) -> None:
    """`vlbench.prompts.template_hash` returns the hash of the environment's own prompt."""
    assert _make(env_id).prompt.sha256 == template_hash(env_id, VARIANTS[0])


CHECKS: tuple[Callable[[str], None], ...] = (
    passes_gymnasiums_checker,
    same_seed_gives_the_same_episode,
    other_seeds_give_other_episodes,
    another_process_gives_the_same_episode,
    old_observations_stay_as_they_were,
    info_is_plain_data_of_constant_form,
    an_unreadable_reply_moves_nothing,
    a_reply_is_played_as_it_is_read,
    a_non_text_action_is_a_type_error,
    the_episode_ends_in_time,
    a_frame_painted_over_equals_one_painted_anew,
    the_expert_takes_what_values_promise,
    the_prompt_asks_for_the_fields,
    the_demonstration_is_read_and_true,
    instance_and_presentation_name_the_episode,
    splits_hold_what_they_say,
    pickles_in_the_middle_of_an_episode,
    renders_what_it_observes,
    the_prompt_is_named_by_its_template,
)
"""Every check, in a good order for a new task."""
