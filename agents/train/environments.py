"""Environments of the trainer: vectors, and a state that is saved and restored exactly."""

from collections.abc import Mapping
from typing import Any

import gymnasium

from vlbench.errors import user_code
from vlbench.registry import resolve_env_id
from vlbench.vector import VLVectorEnv


def make_env(env_id: str, kwargs: Mapping[str, Any]) -> gymnasium.Env[Any, str]:
    """Return one environment, without Gymnasium's checking wrappers."""
    return gymnasium.make(env_id, disable_env_checker=True, **kwargs)


def make_envs(env_id: str, num_envs: int, kwargs: Mapping[str, Any]) -> VLVectorEnv:
    """Return the native vector environment, which hands out its slab without copies.

    Raises:
        ValueError: There is none.
    """
    envs = gymnasium.make_vec(
        env_id,
        num_envs=num_envs,
        vectorization_mode="vector_entry_point",
        copy=False,
        **kwargs,
    )
    inner = envs.unwrapped
    if not isinstance(inner, VLVectorEnv):
        raise ValueError(f"{env_id} has no native vector environment; see vlbench.vector")
    return inner


def check_env(name: str, kwargs: Mapping[str, Any], *, vector: bool = False) -> None:
    """Check that an environment can be made here: its name, its arguments, what it needs.

    Args:
        name: Id or short name.
        kwargs: Keyword arguments.
        vector: Whether its native vector environment is wanted.

    Raises:
        ValueError: It can't.
    """
    env_id = resolve_env_id(name)
    with user_code(f"{env_id} can't be made"):
        (make_envs(env_id, 1, kwargs) if vector else make_env(env_id, kwargs)).close()


class Journal:
    """The replies of the running episodes, from which they can be played again.

    A restored environment stands where it stood, with the same random state: its episode is started
    from its instance and presentation, and the replies are played again.
    """

    def __init__(self, envs: VLVectorEnv) -> None:
        self._envs = envs
        self._replies: list[list[str]] = [[] for _ in envs.envs]

    def add(self, replies: list[str], ended: Any) -> None:
        """Note what was just stepped.

        Args:
            replies: One reply an environment.
            ended: (N,) bool, whose episode that ended; it has been reset already.
        """
        for mine, reply, over in zip(self._replies, replies, ended, strict=True):
            if over:
                mine.clear()
            else:
                mine.append(reply)

    def state(self) -> list[dict[str, Any]]:
        """Return what `restore` needs, as plain data."""
        return [
            {
                "instance": env.presentation.instance,
                "presentation": env.presentation.number,
                "replies": list(replies),
                "random": env.np_random.bit_generator.state,
            }
            for env, replies in zip(self._envs.envs, self._replies, strict=True)
        ]

    def restore(self, state: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Bring the environments back to a saved state; return what each shows."""
        assert len(state) == self._envs.num_envs
        for env, saved, mine in zip(self._envs.envs, state, self._replies, strict=True):
            options = {"instance": saved["instance"], "presentation": saved["presentation"]}
            env.begin(None, options)
            for reply in saved["replies"]:
                env.advance(reply)
            env.np_random.bit_generator.state = saved["random"]
            mine[:] = saved["replies"]
        return [dict(env.observe()) for env in self._envs.envs]
