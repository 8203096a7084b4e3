"""Environments in Gymnasium's `AsyncVectorEnv`, where observations pass through shared memory."""

import copy
import functools
import pickle
import string

import gymnasium
import numpy as np
import pytest
from gymnasium.vector import AsyncVectorEnv, AutoresetMode, SyncVectorEnv
from gymnasium.vector.utils import (
    create_shared_memory,
    read_from_shared_memory,
    write_to_shared_memory,
)
from support.env_ids import every_light_env

import vlbench
from vlbench.spaces import MAX_TEXT, PromptSpace


@every_light_env
@pytest.mark.parametrize("share", [True, False], ids=["shared", "sent"])
def test_an_async_vector_env_observes_what_a_sync_one_does(env_id, share):
    makers = [functools.partial(gymnasium.make, env_id, prompt="cot_facts")] * 2
    mode = AutoresetMode.SAME_STEP
    first = AsyncVectorEnv(makers, shared_memory=share, autoreset_mode=mode)
    second = SyncVectorEnv(makers, autoreset_mode=mode)
    try:
        observations = [first.reset(seed=3)[0], second.reset(seed=3)[0]]
        space = first.single_action_space
        space.seed(0)
        for _ in range(4):
            one, other = observations
            assert isinstance(one["text"], tuple) and one["text"] == other["text"]
            assert len(one["text"][0]) > 100 and one["text"][0][:3] != "000"
            assert np.array_equal(one["image"], other["image"])
            assert first.observation_space.contains(one)
            replies = (space.sample(), space.sample())
            observations = [envs.step(replies)[0] for envs in (first, second)]
    finally:
        first.close()


def test_uncopied_observations_of_an_async_vector_env_show_the_latest_prompts():
    one = functools.partial(gymnasium.make, "vlbench/NumberLine-v0", prompt="cot_facts")
    envs = AsyncVectorEnv([one] * 2, copy=False)
    try:
        text = envs.reset(seed=3)[0]["text"]
        before = tuple(text)
        envs.step([vlbench.reply("+")] * 2)
        assert tuple(text) != before
    finally:
        envs.close()


@pytest.mark.parametrize("text", ["a", "x" * MAX_TEXT, string.printable, "long " * 99, "b"])
def test_a_prompt_comes_out_of_shared_memory_as_it_went_in(text):
    space = PromptSpace()
    memory = create_shared_memory(space, n=3)
    prompts = read_from_shared_memory(space, memory, n=3)
    write_to_shared_memory(space, 0, "first, and longer than the next", memory)
    for index in (0, 2):
        write_to_shared_memory(space, index, text, memory)
    assert len(prompts) == 3 and list(prompts) == [text, "", text] and prompts[-1] == text
    assert prompts[1:] == ("", text) and repr(prompts) == repr((text, "", text))
    for copied in (copy.deepcopy(prompts), pickle.loads(pickle.dumps(prompts))):
        assert type(copied) is tuple and copied == (text, "", text)
    with pytest.raises(IndexError):
        prompts[3]
