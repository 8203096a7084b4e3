"""The native vector environment plays as Gymnasium's does, in every autoreset mode."""

import functools

import gymnasium
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode, SyncVectorEnv
from gymnasium.wrappers import TransformObservation
from gymnasium.wrappers.vector import (
    FilterObservation,
    FlattenObservation,
    RecordEpisodeStatistics,
    TransformReward,
    VectorizeTransformObservation,
)
from support.env_ids import EVERY_ID

import vlbench

every_mode = pytest.mark.parametrize("mode", AutoresetMode)
SIZE = 5


def make(env_id, mode, num_envs=SIZE, **kwargs):
    return gymnasium.make_vec(
        env_id,
        num_envs,
        vectorization_mode="vector_entry_point",
        autoreset_mode=mode,
        **kwargs,
    )


def same(a, b):
    """Whether two results of vector environments are equal, their types included."""
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[key], b[key]) for key in a)
    if isinstance(a, np.ndarray) and a.dtype == object:
        return len(a) == len(b) and all(same(x, y) for x, y in zip(a, b, strict=True))
    if isinstance(a, np.ndarray):
        return a.dtype == b.dtype and np.array_equal(a, b)
    return a == b


@pytest.mark.parametrize("env_id", [*EVERY_ID, *vlbench.RL4VLM_IDS])
@every_mode
def test_the_vector_env_equals_gymnasiums_over_the_same_envs(env_id, mode):
    first = make(env_id, mode)
    second = SyncVectorEnv([lambda: gymnasium.make(env_id)] * SIZE, autoreset_mode=mode)
    assert first.metadata == second.metadata and first.metadata["autoreset_mode"] is mode
    assert first.single_action_space == second.single_action_space
    assert first.observation_space == second.observation_space
    assert all(map(same, first.reset(seed=11), second.reset(seed=11)))
    first.single_action_space.seed(0)
    episodes = 0
    for turn in range(max(40, first.envs[0].game.max_turns + 4)):
        replies = [first.single_action_space.sample() for _ in range(SIZE)]
        if turn % 7 == 3:
            replies[2] = "hm"
        result, expected = first.step(replies), second.step(tuple(replies))
        ended = result[2] | result[3]
        for i in np.flatnonzero(ended) if "final_obs" in result[4] else ():
            result[4]["final_obs"][i] = dict(result[4]["final_obs"][i])
            assert first.single_observation_space.contains(result[4]["final_obs"][i])
        assert all(map(same, result, expected))
        episodes += sum(ended)
        if mode is AutoresetMode.DISABLED and ended.any():
            # Gymnasium's takes the mask out of the dict that it is given.
            again = [envs.reset(options={"reset_mask": ended}) for envs in (first, second)]
            assert all(map(same, *again))
    assert episodes > 3


def test_the_default_mode_is_same_step_and_a_mode_may_be_its_value():
    envs = gymnasium.make_vec("vlbench/NumberLine-v0", 2, vectorization_mode="vector_entry_point")
    assert envs.metadata["autoreset_mode"] is AutoresetMode.SAME_STEP
    for mode in AutoresetMode:
        assert make("vlbench/NumberLine-v0", mode.value).metadata["autoreset_mode"] is mode
    with pytest.raises(ValueError, match='"NextSteps"; did you mean "NextStep"'):
        make("vlbench/NumberLine-v0", "NextSteps")


def test_the_next_step_of_an_ended_episode_ignores_its_reply():
    envs = make("vlbench/Blackjack-v0", AutoresetMode.NEXT_STEP, 2)
    envs.reset(seed=3)
    stand, hm = vlbench.reply("stand"), "hm"
    assert envs.step([stand, hm])[2].tolist() == [True, False]
    _, rewards, terminated, _, infos = envs.step([None, hm])
    assert rewards.tolist() == [0, -1] and not terminated.any()
    assert infos["action"].tolist() == ["", ""] and infos["status"].tolist() == ["ok", "malformed"]
    assert envs.step([stand, hm])[2].tolist() == [True, False]


def test_without_autoreset_an_ended_episode_refuses_a_reply_until_its_reset():
    envs = make("vlbench/Blackjack-v0", AutoresetMode.DISABLED, 3)
    envs.reset(seed=3)
    stand = vlbench.reply("stand")
    envs.step(["hm", stand, stand])
    turns = [env.turns_left for env in envs.envs]
    with pytest.raises(gymnasium.error.ResetNeeded, match="environment 1 .*reset_mask"):
        envs.step([stand] * 3)
    assert [env.turns_left for env in envs.envs] == turns
    options = {"reset_mask": np.array([False, True, True]), "instance": "blackjack/7"}
    observations, infos = envs.reset(options=options)
    assert "reset_mask" in options, "the caller's options stay as they are"
    assert infos["instance"].tolist() == [None, "blackjack/7", "blackjack/7"]
    assert infos["_instance"].tolist() == [False, True, True]
    assert len(observations["text"]) == 3
    assert envs.step([stand] * 3)[2].all()


@pytest.mark.parametrize(
    ("mask", "error"),
    [
        ([True, False], TypeError),
        (np.array([1, 0]), TypeError),
        (np.array([True]), ValueError),
        (np.array([[True, False]]), ValueError),
        (np.array([False, False]), ValueError),
    ],
)
def test_a_mask_that_does_not_fit_is_refused(mask, error):
    envs = make("vlbench/NumberLine-v0", AutoresetMode.DISABLED, 2)
    envs.reset(seed=0)
    with pytest.raises(error, match="reset_mask must"):
        envs.reset(options={"reset_mask": mask})


def filtered(envs):
    return FilterObservation(envs, ["image"])


def flat(envs):
    return FlattenObservation(filtered(envs))


def inverted(envs):
    return VectorizeTransformObservation(
        envs,
        TransformObservation,
        func=lambda seen: {**seen, "image": 255 - seen["image"]},
        observation_space=envs.single_observation_space,
    )


def counted(envs):
    return RecordEpisodeStatistics(TransformReward(envs, lambda rewards: rewards * 2))


@every_mode
@pytest.mark.parametrize("wrap", [filtered, flat, inverted, counted])
def test_gymnasiums_wrappers_take_the_native_vector_env(wrap, mode):
    first = make("vlbench/NumberLine-v0", mode, 2)
    one = functools.partial(gymnasium.make, "vlbench/NumberLine-v0")
    if mode is AutoresetMode.SAME_STEP and wrap is not counted:
        with pytest.raises(ValueError, match="NEXT_STEP or DISABLED"):  # also of Gymnasium's own
            wrap(first)
        return
    pair = [wrap(envs) for envs in (first, SyncVectorEnv([one] * 2, autoreset_mode=mode))]
    assert same(*(envs.reset(seed=2)[0] for envs in pair))
    ended = np.zeros(2, np.bool_)
    for turn in range(12):
        if mode is AutoresetMode.DISABLED and ended.any():
            for envs in pair:
                envs.reset(options={"reset_mask": ended.copy()})
        replies = (vlbench.reply("+-"[turn % 3 == 0]), vlbench.reply("-"))
        result, expected = (envs.step(replies) for envs in pair)
        ended = result[2] | result[3]
        assert all(map(same, result[:4], expected[:4]))
        if wrap is counted and "episode" in expected[4]:
            assert same(result[4]["episode"]["r"], expected[4]["episode"]["r"])
