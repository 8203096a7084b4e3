"""Environments, spaces and wrappers can be copied and pickled, and copies share nothing."""

import copy
import functools
import pickle

import gymnasium
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode, SyncVectorEnv
from support.env_ids import EVERY_ID, LIGHT_IDS

import vlbench
from vlbench.wrappers import DiscreteActions

WAYS = [copy.deepcopy, lambda original: pickle.loads(pickle.dumps(original))]
every_way = pytest.mark.parametrize("make_twin", WAYS, ids=["deepcopy", "pickle"])
every_id = pytest.mark.parametrize("env_id", [*EVERY_ID, *vlbench.RL4VLM_IDS])


def plain(data):
    """Data as text, with arrays as hashes."""
    if isinstance(data, np.ndarray):
        return plain(data.tolist()) if data.dtype == object else hash(data.tobytes())
    if isinstance(data, dict):
        return {key: plain(value) for key, value in data.items()}
    if isinstance(data, (list, tuple)):
        return [plain(value) for value in data]
    return plain(dict(data)) if hasattr(data, "keys") else repr(data)


def play(env, turns, seed=0):
    """The results of a few random turns; the wrapped environment is reset when it must be."""
    env.action_space.seed(seed)
    results = []
    for _ in range(turns):
        result = env.step(env.action_space.sample())
        results.append(plain(result))
        if np.ndim(result[2]) == 0 and (result[2] or result[3]):
            results.append(plain(env.reset()))
    return results


@every_id
@every_way
def test_a_copied_environment_goes_on_alone(env_id, make_twin):
    for turns in (0, 2):
        env = gymnasium.make(env_id)
        env.reset(seed=4)
        play(env, turns)
        twin = make_twin(env)
        state = twin.unwrapped.state_hash()
        first = play(env, 4, seed=1)
        assert twin.unwrapped.state_hash() == state, "the first one's turns moved its copy"
        assert play(twin, 4, seed=1) == first


@every_id
@every_way
def test_a_copied_vector_environment_goes_on_alone(env_id, make_twin):
    for mode in (AutoresetMode.SAME_STEP, AutoresetMode.NEXT_STEP):
        envs = gymnasium.make_vec(
            env_id, 2, vectorization_mode="vector_entry_point", autoreset_mode=mode
        )
        envs.reset(seed=4)
        play(envs, 3)
        twin = make_twin(envs)
        assert twin.metadata == envs.metadata and twin.autoreset_mode is mode
        first = play(envs, 6, seed=1)
        assert play(twin, 6, seed=1) == first
        for each in (envs, twin):
            each.close()


@pytest.mark.parametrize("env_id", [*EVERY_ID, *vlbench.RL4VLM_IDS])
@every_way
def test_a_copied_space_samples_the_same_and_is_equal(env_id, make_twin):
    env = gymnasium.make(env_id)
    env.reset(seed=0)
    for space in (env.action_space, env.observation_space):
        space.seed(3)
        twin = make_twin(space)
        assert twin == space and repr(twin) == repr(space)
        assert plain(twin.sample()) == plain(space.sample())


@pytest.mark.parametrize("env_id", LIGHT_IDS)
@every_way
def test_copied_wrappers_go_on_alone(env_id, make_twin):
    for wrap in (DiscreteActions, gymnasium.wrappers.RecordEpisodeStatistics):
        env = wrap(gymnasium.make(env_id))
        env.reset(seed=4)
        twin = make_twin(env)
        turns_left = twin.unwrapped.turns_left
        env.step(env.action_space.sample())
        assert twin.unwrapped.turns_left == turns_left
        twin.step(twin.action_space.sample())


@every_way
def test_a_copied_sync_vector_env_goes_on_alone(make_twin):
    envs = SyncVectorEnv([functools.partial(gymnasium.make, "vlbench/NumberLine-v0")] * 2)
    envs.reset(seed=4)
    twin = make_twin(envs)
    assert play(twin, 3) == play(envs, 3)


@pytest.mark.extra
@every_way
def test_an_environment_with_an_open_window_is_copied_without_it(make_twin, monkeypatch):
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    pytest.importorskip("pygame")
    monkeypatch.setattr("vlbench.window.FRAMES_PER_SECOND", 1000)
    env = gymnasium.make("vlbench/NumberLine-v0", render_mode="human")
    env.reset(seed=0)
    twin = make_twin(env)
    assert plain(twin.step("+")) == plain(env.step("+"))
    for each in (env, twin):
        each.close()
