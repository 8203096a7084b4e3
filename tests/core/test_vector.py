"""The native vector environment: its memory, its observations, and copies of it."""

import copy
import pickle

import gymnasium
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode
from support.env_ids import every_light_env

import vlbench
from vlbench.vector import FrameBlocks


def make(name, num_envs, **kwargs):
    mode = "vector_entry_point"
    return gymnasium.make_vec(f"vlbench/{name}-v0", num_envs, vectorization_mode=mode, **kwargs)


@pytest.mark.parametrize("share", [False, True], ids=["copying", "shared"])
@pytest.mark.parametrize(
    "twin", [copy.deepcopy, copy.copy, lambda envs: pickle.loads(pickle.dumps(envs))]
)
@every_light_env
def test_a_copied_or_pickled_vector_env_continues_like_the_first(env_id, twin, share):
    envs = gymnasium.make_vec(env_id, 3, vectorization_mode="vector_entry_point", copy=not share)
    envs.reset(seed=0)
    sample = envs.single_action_space.sample
    for _ in range(2):
        other = twin(envs)
        assert np.array_equal(other.slab.shape, envs.slab.shape)
        for _ in range(6):
            replies = [sample() for _ in range(3)]
            (first, *rest, info), (second, *other_rest, other_info) = (
                envs.step(replies),
                other.step(replies),
            )
            assert np.array_equal(first["image"], second["image"])
            assert first["text"] == second["text"] and first["image"] is not second["image"]
            assert all(map(np.array_equal, rest, other_rest))
            assert np.array_equal(info["instance"], other_info["instance"])
            assert second["image"].flags.writeable is not share
            assert not other_info["_status"].flags.writeable
            for one, frame in zip(envs.envs, first["image"], strict=True):
                assert np.array_equal(one.frame, frame)
            for one, frame in zip(other.envs, second["image"], strict=True):
                assert np.array_equal(one.frame, frame) and np.shares_memory(one.frame, other.slab)


def test_methods_that_need_a_reset_raise_reset_needed():
    envs = make("NumberLine", 2, render_mode="rgb_array")
    for call in (envs.render, envs.envs[0].state_hash, envs.envs[0].frame_hash):
        with pytest.raises(gymnasium.error.ResetNeeded):
            call()


def position(envs):
    """Everything that a step or a reset of the environments may move."""
    return [
        (env.turns_left, env.state_hash(), env.is_over, str(env.np_random.bit_generator.state))
        for env in envs.envs
    ]


PLUS = vlbench.reply("+")


@pytest.mark.parametrize(
    ("replies", "error", "message"),
    [
        ([PLUS, PLUS], ValueError, "expected 3 replies, one per environment, got 2"),
        ([PLUS] * 4, ValueError, "expected 3 replies, one per environment, got 4"),
        ("+-+", ValueError, "expected 3 replies, one per environment, got one str"),
        ([PLUS, 1, PLUS], TypeError, "a str; got int"),
        ([PLUS, PLUS, None], TypeError, "a str; got NoneType"),
        ([PLUS, PLUS, b"+"], TypeError, "a str; got bytes"),
    ],
)
@pytest.mark.parametrize("mode", AutoresetMode)
def test_a_step_that_is_refused_moves_no_environment(replies, error, message, mode):
    envs = make("NumberLine", 3, autoreset_mode=mode)
    envs.reset(seed=1)
    before = position(envs)
    with pytest.raises(error, match=message):
        envs.step(replies)
    assert position(envs) == before
    envs.step([PLUS] * 3)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"seed": [1]}, ValueError, "expected 3 seeds"),
        ({"seed": [1, 2, "three"]}, ValueError, "a seed must be None or an integer"),
        ({"seed": [1, 2, -3]}, ValueError, "a seed must be None or an integer"),
        ({"seed": 5, "options": {"instance": "number_line/7-7"}}, ValueError, "unknown instance"),
        ({"seed": 5, "options": {"presentation": -1}}, ValueError, "presentation must be"),
        ({"seed": 5, "options": {"start": 1}}, ValueError, "unknown reset option"),
    ],
)
def test_a_reset_that_is_refused_moves_no_environment(arguments, error, message):
    envs = make("NumberLine", 3)
    envs.reset(seed=1)
    before = position(envs)
    with pytest.raises(error, match=message):
        envs.reset(**arguments)
    assert position(envs) == before
    envs.step([PLUS] * 3)


def test_a_step_before_the_first_reset_is_refused():
    with pytest.raises(gymnasium.error.ResetNeeded, match="environment 0 has no episode"):
        make("NumberLine", 2).step([PLUS] * 2)


def test_a_frame_block_is_reused_once_no_view_of_it_is_alive():
    def memory(frames):
        return frames.ctypes.data

    blocks = FrameBlocks((1, 300, 300, 3))
    one, two = blocks.take(), blocks.take()
    held = {memory(one), memory(two)}
    assert len(held) == 2
    first = memory(one)
    part = np.asarray(memoryview(one[0, 5:9, ::2]))[1:].T
    del one
    assert memory(blocks.take()) not in held
    freed = memory(two)
    del two
    assert memory(blocks.take()) == freed
    assert all(memory(blocks.take()) != first for _ in range(9))
    del part
    assert first in {memory(blocks.take()) for _ in range(9)}


def test_observations_stay_the_same_while_they_are_referenced():
    envs = make("Blackjack", 3)
    views = [envs.reset(seed=0)[0]["image"]]
    copies = [views[0].copy()]
    for _ in range(20):
        frames = envs.step([vlbench.reply("stand")] * 3)[0]["image"]
        views += [frames, frames[1, 5:200:3, ::2, 1].T, np.asarray(memoryview(frames))]
        copies += [part.copy() for part in views[len(copies) :]]
        del views[1::4], copies[1::4]
        assert all(map(np.array_equal, views, copies))


def test_a_last_observation_shows_its_own_episode_and_is_pickled_as_a_dict():
    envs = make("Blackjack", 2, copy=False)
    envs.reset(seed=0)
    one = gymnasium.make("vlbench/Blackjack-v0")
    infos = [envs.step([vlbench.reply("stand")] * 2)[4] for _ in range(9)]
    for info in infos:
        last, instance = info["final_obs"][1], info["final_info"]["instance"][1]
        presentation = int(info["final_info"]["presentation"][1])
        one.reset(options={"instance": instance, "presentation": presentation})
        expected = one.step(vlbench.reply("stand"))[0]
        again = pickle.loads(pickle.dumps(last))
        assert type(again) is dict and again.keys() == expected.keys() == dict(last).keys()
        assert last["text"] == again["text"] == expected["text"] and len(last) == 2
        assert np.array_equal(last["image"], expected["image"])
        assert np.array_equal(again["image"], expected["image"])
        assert last["image"] is last["image"]
        with pytest.raises(KeyError):
            last["sound"]
