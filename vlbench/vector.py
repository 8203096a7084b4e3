"""VLVectorEnv: N environments of one task in one process; their frames share one array."""

import weakref
from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from math import prod
from typing import Any, ClassVar, NamedTuple, Self, TypedDict

import gymnasium
import numpy as np
import numpy.typing as npt
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space

from vlbench.env import VLEnv
from vlbench.errors import unknown_name
from vlbench.spaces import ReplySpace, check_reply


class Observations(TypedDict):
    """The observations of N environments."""

    image: npt.NDArray[np.uint8]
    """(N, 300, 300, 3) uint8, RGB, or of another `picture_size`."""
    text: tuple[str, ...]
    """N prompts."""


Steps = tuple[
    Observations,
    npt.NDArray[np.float64],
    npt.NDArray[np.bool_],
    npt.NDArray[np.bool_],
    dict[str, Any],
]


_MEMORY = ("slab", "_blocks", "_shared", "_everyone")

MAX_BLOCKS = 4
"""Number of memory blocks to reuse. A dropped block lives until its last array is released."""


class _Block(NamedTuple):
    memory: memoryview
    array: "weakref.ref[npt.NDArray[np.uint8]]"
    """The array that last used the memory; every view of it keeps it alive."""


class FrameBlocks:
    """Memory for frames; a block is reused once no array refers to it.

    The system clears new memory page by page, which takes longer than copying frames into it.

    Args:
        shape: (frames in a block, height, width, 3).
    """

    def __init__(self, shape: tuple[int, ...]) -> None:
        self._shape = shape
        self._blocks: list[_Block] = []
        """In order of use; the latest comes last."""

    def take(self) -> npt.NDArray[np.uint8]:
        """Return an array of frames, uint8, with arbitrary content."""
        free = next((i for i, block in enumerate(self._blocks) if block.array() is None), None)
        if free is not None:
            memory = self._blocks.pop(free).memory
        else:
            memory = np.empty(prod(self._shape), np.uint8).data
            if len(self._blocks) == MAX_BLOCKS:
                del self._blocks[0]
        # Views, and views of views, hold the array made over a buffer, not the buffer itself.
        array = np.frombuffer(memory, np.uint8)
        self._blocks.append(_Block(memory, weakref.ref(array)))
        return array.reshape(self._shape)


class VLVectorEnv(VectorEnv[Observations, Sequence[str], npt.NDArray[Any]]):
    """N environments, stepped one after the other; each paints into its part of one slab.

    It returns the same as `SyncVectorEnv` over the same environments in the same autoreset mode.
    The only difference: in `SAME_STEP`, a last observation is a `LastObservation`, whose picture is
    drawn on first access; `dict(last)` makes it a `dict`. A call that is refused moves no
    environment.

    Args:
        num_envs: Number of environments N.
        copy: Return a copy of the slab, as Gymnasium does by default. If False, return a read-only
            view of the slab; the next step overwrites it.
        autoreset_mode: What follows the end of an episode, as an `AutoresetMode` or its value.
            `SAME_STEP` ("SameStep"): the step that ends it also starts the next one, and returns
            the last observation and info as `final_obs` and `final_info`. `NEXT_STEP` ("NextStep"),
            which many of Gymnasium's wrappers need: the next step ignores the reply, and starts the
            next episode with reward 0. `DISABLED` ("Disabled"): the caller starts it, with
            `reset(options={"reset_mask": ended})`.
        own: N mappings with further arguments of each environment; None for none. The environments
            must have the same observation space. Their actions may differ; `action_space` samples
            from all of them.
        **kwargs: Arguments of all environments.

    Raises:
        ValueError: `num_envs` is less than 1, the mode is unknown, `own` doesn't fit, or an
            environment refuses an argument.
    """

    env_class: ClassVar[type[VLEnv[Any, Any]]]

    def __init__(
        self,
        num_envs: int,
        copy: bool = True,
        autoreset_mode: AutoresetMode | str = AutoresetMode.SAME_STEP,
        own: Sequence[Mapping[str, Any]] | None = None,
        **kwargs: Any,
    ) -> None:
        if num_envs < 1:
            raise ValueError(f"num_envs must be at least 1, got {num_envs}")
        self.num_envs = num_envs
        self.copy = copy
        self.autoreset_mode = _autoreset_mode(autoreset_mode)
        self.metadata = {**self.env_class.metadata, "autoreset_mode": self.autoreset_mode}
        make: Callable[..., VLEnv[Any, Any]] = self.env_class  # a task's takes names alone
        own = own or [{}] * num_envs
        if len(own) != num_envs:
            raise ValueError(
                f"own must have {num_envs} mappings, one per environment, got {len(own)}"
            )
        self.envs = [make(**{**kwargs, **arguments}) for arguments in own]
        self._ended = np.zeros(num_envs, np.bool_)
        """Which episodes have ended and aren't followed by another yet."""
        self._take_memory()
        self.render_mode = self.envs[0].render_mode
        self.single_observation_space = self.envs[0].observation_space
        if any(env.observation_space != self.single_observation_space for env in self.envs):
            raise ValueError("the arguments in `own` give pictures of different sizes")
        self.single_action_space = self.envs[0].action_space
        if any(env.action_space != self.single_action_space for env in self.envs):
            actions = dict.fromkeys(action for env in self.envs for action in env.game.vocabulary)
            self.single_action_space = ReplySpace(actions)
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)

    def _take_memory(self) -> None:
        self.slab = np.empty((self.num_envs, *self.envs[0].frame_shape), np.uint8)
        for env, frame in zip(self.envs, self.slab, strict=True):
            env.paint_into(frame)
        self._blocks = FrameBlocks(self.slab.shape)
        self._shared = self.slab.view()
        self._shared.flags.writeable = False  # frames are repainted, so changes would stay
        self._everyone = np.ones(self.num_envs, np.bool_)
        self._everyone.flags.writeable = False

    def __copy__(self) -> Self:
        """Copy the environments too, because two vector environments can't share them."""
        return deepcopy(self)

    def __getstate__(self) -> dict[str, Any]:
        """Leave the frames out, because views of the slab would be restored as separate arrays."""
        return {name: value for name, value in vars(self).items() if name not in _MEMORY}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Make a new slab; each environment paints itself again."""
        vars(self).update(state)
        self._take_memory()

    def reset(
        self,
        *,
        seed: int | Sequence[int | None] | None = None,
        options: dict[str, Any] | None = None,
    ) -> tuple[Observations, dict[str, Any]]:
        """Start an episode in every environment, or in those of a mask.

        Args:
            seed: One seed s for s, s + 1, …, or one seed per environment.
            options: As in `VLEnv.reset`, for every environment; and `reset_mask`, an array of
                shape (N,) bool with the environments to reset, by default all. The infos are
                those of the environments that were reset.

        Raises:
            TypeError, ValueError: The seeds or the mask don't fit the environments, or an option is
                wrong.
        """
        seeds = self._seeds(seed)
        options = dict(options or {})
        mask = _checked_mask(options.pop("reset_mask", self._everyone), self.num_envs)
        chosen = [int(i) for i in np.flatnonzero(mask)]
        self._prepare_resets({i: seeds[i] for i in chosen}, options)
        infos = [self.envs[i].begin(seeds[i], options) for i in chosen]
        self._ended[mask] = False
        return self._observe(), _batch(infos, self.num_envs, mask)

    def step(self, actions: Sequence[str]) -> Steps:
        """Play one reply in every environment.

        Raises:
            TypeError: A reply isn't a `str`.
            ValueError: The number of replies isn't N.
            gymnasium.error.ResetNeeded: An episode is over, or none has begun.
        """
        replies = self._checked_replies(actions)
        self._prepare_steps(replies)
        rewards = np.zeros(self.num_envs)
        terminated = np.zeros(self.num_envs, np.bool_)
        truncated = np.zeros(self.num_envs, np.bool_)
        infos: list[dict[str, Any]] = []
        for i, (env, reply) in enumerate(zip(self.envs, replies, strict=True)):
            if reply is None:
                infos.append(env.begin(None, None))
                continue
            outcome = env.advance(reply)
            infos.append(outcome.info)
            rewards[i] = outcome.reward
            terminated[i], truncated[i] = outcome.terminated, outcome.truncated
        ended = terminated | truncated
        ended.flags.writeable = False  # the infos share it
        final: dict[str, Any] = {}
        if self.autoreset_mode is AutoresetMode.SAME_STEP:
            final = self._restart(ended, infos) if ended.any() else {}
        else:
            self._ended = ended.copy()
        infos_batch = _batch(infos, self.num_envs, self._everyone)
        return self._observe(), rewards, terminated, truncated, {**final, **infos_batch}

    def render(self) -> tuple[npt.NDArray[np.uint8] | None, ...]:  # type: ignore[override]
        """Return each environment's frame under "rgb_array"."""
        return tuple(env.render() for env in self.envs)

    def close_extras(self, **kwargs: Any) -> None:
        """Close the environments."""
        for env in self.envs:
            env.close()

    def _seeds(self, seed: int | Sequence[int | None] | None) -> Sequence[int | None]:
        """Check the seeds; return one per environment."""
        if seed is None:
            return [None] * self.num_envs
        if isinstance(seed, (int, np.integer)):
            seed = range(int(seed), int(seed) + self.num_envs)
        if len(seed) != self.num_envs:
            raise ValueError(
                f"expected {self.num_envs} seeds, one per environment, got {len(seed)}"
            )
        for each in seed:
            if each is not None and (not isinstance(each, (int, np.integer)) or each < 0):
                raise ValueError(f"a seed must be None or an integer of at least 0, got {each!r}")
        return [None if each is None else int(each) for each in seed]

    def _checked_replies(self, actions: Sequence[str]) -> list[str | None]:
        """Check the replies before any is played; return None for an environment to reset."""
        if isinstance(actions, str) or len(actions) != self.num_envs:
            raise ValueError(
                f"expected {self.num_envs} replies, one per environment, got "
                + ("one str" if isinstance(actions, str) else str(len(actions)))
            )
        restarts = self.autoreset_mode is AutoresetMode.NEXT_STEP
        replies: list[str | None] = []
        for i, (env, reply) in enumerate(zip(self.envs, actions, strict=True)):
            if restarts and self._ended[i]:
                replies.append(None)
                continue
            check_reply(reply)
            if env.is_over:
                raise gymnasium.error.ResetNeeded(
                    f"environment {i} has no episode to go on with; call reset() first, or "
                    'reset(options={"reset_mask": …}) for those that ended'
                )
            replies.append(reply)
        return replies

    def _prepare_resets(self, seeds: Mapping[int, int | None], options: Mapping[str, Any]) -> None:
        """Do nothing; a task whose episodes start slowly overrides it, to start them at once.

        Args:
            seeds: Environment → seed, of those that will be reset.
            options: The options of `VLEnv.reset`.
        """

    def _prepare_steps(self, replies: Sequence[str | None]) -> None:
        """Do nothing; a task with slow steps overrides it, to compute them at once.

        Args:
            replies: One per environment; None for an environment that will be reset.
        """

    def _observe(self) -> Observations:
        for env in self.envs:
            env.draw()
        image = self._shared
        if self.copy:
            image = self._blocks.take()
            image[:] = self.slab
        return {"image": image, "text": tuple([env.text for env in self.envs])}

    def _restart(self, ended: npt.NDArray[np.bool_], infos: list[dict[str, Any]]) -> dict[str, Any]:
        """Start the next episodes; return the final observations and infos of the last ones.

        Args:
            ended: Shape (N,), bool: whose episodes ended, at least one.
            infos: The infos of all environments; those of `ended` are replaced.
        """
        who = [int(i) for i in np.flatnonzero(ended)]
        final = _batch([infos[i] for i in who], self.num_envs, ended)
        observations = np.empty(self.num_envs, object)  # of None
        for i in who:
            env = self.envs[i]
            observations[i] = env.last_observation()
            infos[i] = env.begin(None, None)
            env.draw()  # now, while the frame is in the processor's cache
        return {
            "final_obs": observations,
            "_final_obs": ended,
            "final_info": final,
            "_final_info": ended,
        }


def _autoreset_mode(mode: AutoresetMode | str) -> AutoresetMode:
    try:
        return AutoresetMode(mode)
    except ValueError:
        known = [each.value for each in AutoresetMode]
        raise ValueError(unknown_name("autoreset mode", mode, known)) from None


def _checked_mask(mask: object, size: int) -> npt.NDArray[np.bool_]:
    """Return the option `reset_mask`, in the forms that Gymnasium takes it.

    Raises:
        TypeError: It isn't an array of bools.
        ValueError: It has another shape than (size,), or chooses nothing.
    """
    if not isinstance(mask, np.ndarray) or mask.dtype != np.bool_:
        raise TypeError(f"reset_mask must be a numpy array of bools, got {mask!r}")
    if mask.shape != (size,) or not mask.any():
        raise ValueError(
            f"reset_mask must have shape ({size},) and choose at least one environment, got {mask}"
        )
    mask = mask.copy()
    mask.flags.writeable = False  # the infos share it
    return mask


def _batch(
    infos: Sequence[Mapping[str, Any]], size: int, who: npt.NDArray[np.bool_]
) -> dict[str, Any]:
    """Batch infos in Gymnasium's form: an array per key, and in `_key` which environments have it.

    Args:
        infos: The infos of the environments that have one, in order; all with the same keys in the
            same order.
        size: Number of environments.
        who: Shape (size,), bool: which environments have an info.
    """
    batch: dict[str, Any] = {}
    columns = zip(*[info.values() for info in infos], strict=True)
    for (key, first), column in zip(infos[0].items(), columns, strict=True):
        if isinstance(first, dict):
            batch[key] = _batch(column, size, who)
        else:
            plain = isinstance(first, (bool, int, float))
            values = np.fromiter(column, type(first) if plain else object, len(column))
            if len(column) < size:
                # An uninitialised object array is filled with None.
                everyone = (np.zeros if plain else np.empty)(size, values.dtype)
                everyone[who] = values
                values = everyone
            batch[key] = values
        batch[f"_{key}"] = who
    return batch


def vector_of(env_class: Any) -> type[VLVectorEnv]:
    """Return the vector class of a task that has none of its own.

    Args:
        env_class: The task's environment class.

    Raises:
        ValueError: It isn't a subclass of `VLEnv`.
    """
    if not (isinstance(env_class, type) and issubclass(env_class, VLEnv)):
        raise ValueError(
            f"{getattr(env_class, '__name__', type(env_class).__name__)} is no subclass of VLEnv, "
            "which alone can be stepped in batches; register the class of a VLEnv"
        )
    return type(f"{env_class.__name__}Vector", (VLVectorEnv,), {"env_class": env_class})
