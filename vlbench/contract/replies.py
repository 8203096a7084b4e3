"""Checks: how replies are read and played, and what the prompts ask for."""

import re
from collections import Counter
from contextlib import suppress

import numpy as np

from vlbench.contract.plays import AnyEnv, make_env
from vlbench.prompts import VARIANTS, template_hash
from vlbench.registry import accepted_parameters

_FIELD = re.compile(r"\$[A-Za-z_]\w*")


def no_two_actions_read_the_same(env_id: str) -> None:
    """The actions differ in more than case and outer space, so that a reply names one of them."""
    env = make_env(env_id)
    env.reset(seed=0)
    vocabulary = env.vocabulary
    assert type(vocabulary) is tuple and all(type(action) is str for action in vocabulary), (
        f"the vocabulary must be a tuple of str, got {vocabulary!r}"
    )
    assert vocabulary, "the vocabulary is empty"
    counts = Counter(action.strip().casefold() for action in vocabulary)
    twice = [action for action in vocabulary if counts[action.strip().casefold()] > 1]
    assert not twice, (
        f"the actions {twice} differ only in case or outer space, which replies don't show; "
        "rename them"
    )


def an_unreadable_reply_moves_nothing(env_id: str) -> None:
    """A reply that can't be read uses up the turn, costs −1 and changes nothing."""
    env = make_env(env_id)
    for reply, status in (
        ("", "empty"),
        ("I would rather not say.", "malformed"),
        ('{"thoughts": "hm', "truncated"),
        ('{"action": "dance"}', "unknown"),
    ):
        observation, info = env.reset(seed=2)
        state, turns = env.state_hash(), env.turns_left
        after, reward, _, _, new_info = env.step(reply)
        assert new_info["status"] == status, f"{reply} is {new_info['status']}; wanted {status}"
        assert reward == -1.0, f"{reply} has the reward {reward}; wanted −1"
        assert new_info["action"] == "", f"{reply} played {new_info['action']}; wanted nothing"
        assert env.state_hash() == state, f"{reply} changed the state"
        assert env.turns_left == turns - 1, f"{reply} used up {turns - env.turns_left} turns"
        hidden = env._style is not env._first_style  # the next turn's picture shows less
        unchanged = np.array_equal(after["image"], observation["image"])
        assert unchanged or hidden, f"{reply} changed the picture"
        assert new_info["hint"] and not info["hint"], "the hint must say what was expected"


def a_reply_is_played_as_it_is_read(env_id: str) -> None:
    """`step` plays the action that `read` returns; the strict level reads that action or none."""
    env = make_env(env_id)
    env.reset(seed=2)
    action = env.vocabulary[0]
    for reply, strict in (
        (f'{{"action": "{action}"}}', action),
        (f'```json\n{{"action": "{action}"}}\n```', None),
        (f'{{"action": "perhaps {action}"}}', None),
        ("I would rather not say.", None),
    ):
        env.reset(seed=2)
        parsed, strictly = env.read(reply), env.read(reply, level="strict").action
        assert strictly == strict, (
            f"read({reply!r}, level='strict') gives the action {strictly}; wanted {strict}"
        )
        assert strict in (parsed.action, None), (
            f"read({reply!r}) gives the action {parsed.action}; wanted {strict}"
        )
        info = env.step(reply)[4]
        is_as_read = parsed.action in (None, info["action"]) and info["status"] == parsed.status
        assert is_as_read, (
            f'step({reply!r}) plays "{info["action"]}" ({info["status"]}), but read() gives '
            f'"{parsed.action}" ({parsed.status}); override read(), which step() calls'
        )


def a_non_text_action_is_a_type_error(env_id: str) -> None:
    """An action that isn't a `str` raises TypeError."""
    env = make_env(env_id)
    env.reset(seed=0)
    try:
        env.step(3)  # type: ignore[arg-type]
    except TypeError:
        return
    raise AssertionError("the environment accepted an integer as a reply; raise TypeError")


def the_prompt_is_filled_in(env_id: str) -> None:
    """Every `$name` of the prompts is a rule or a fact.

    The check skips the variants that an environment refuses.
    """
    for variant, env in _variants(env_id).items():
        try:
            text = env.reset(seed=0)[0]["text"]
        except ValueError as error:
            raise AssertionError(f"prompt {variant}: {error}") from error
        if field := _FIELD.search(text):
            raise AssertionError(f"the prompt {variant} shows {field[0]}; nothing has that name")


def _variants(env_id: str) -> dict[str, AnyEnv]:
    """Return the environment with each prompt that it takes."""
    envs = {VARIANTS[0]: make_env(env_id)}
    if "prompt" in accepted_parameters(type(envs[VARIANTS[0]])):
        for variant in VARIANTS[1:]:
            with suppress(ValueError):
                envs[variant] = make_env(env_id, prompt=variant)
    return envs


def the_prompt_asks_for_the_fields(env_id: str) -> None:
    """The prompts ask for the task's fields in their order, then for the action.

    `action_only` asks for the action alone. The check skips an environment without the argument
    `prompt`, and the variants that an environment refuses.
    """
    env_class = type(make_env(env_id))
    if "prompt" not in accepted_parameters(env_class):
        return
    fields = [field.name for field in env_class.fields if field.in_prompt]
    for variant, env in _variants(env_id).items():
        names = env.prompt.reply_fields
        expected = (*([] if variant == "action_only" else fields), "action")
        assert names == expected, f"{variant} asks for {names}, the fields are {expected}"


def the_prompt_is_named_by_its_template(env_id: str) -> None:
    """`vlbench.prompts.template_hash` returns the hash of the environment's own prompt."""
    assert make_env(env_id).prompt.sha256 == template_hash(env_id, VARIANTS[0]), (
        "the prompt isn't that of prompt.txt; make it with Prompt.load"
    )
