"""AdaptedEnv: an environment with pixels and discrete actions, played by texts."""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import gymnasium
import numpy as np

from vlbench.adapters.pictures import picture_of
from vlbench.dealing import MOST_DEALS, SPLITS
from vlbench.errors import quoted_list, unknown_name
from vlbench.instances import reset_options, split_of
from vlbench.observation import BLANK, Observation
from vlbench.parsing import NOTHING_READ, CachedParser, Level, Parsed
from vlbench.prompts import Prompt
from vlbench.spaces import ReplySpace, check_reply, observation_space
from vlbench.task import Fact, Frame, instance_body

MAX_SEED = 2**31
"""Seeds of episodes are 0..MAX_SEED − 1."""

TEST_SHARE, VAL_SHARE = 0.4, 0.2
"""Shares of the seeds in the splits `test` and `val`, by hash."""

MOVES_NOTHING = -1.0
"""Reward of a turn whose reply is unreadable or illegal."""

PICTURES = ("true", "blank", "stale")
"""The pictures that observations may show; "shuffled" isn't offered."""


@dataclass(frozen=True, slots=True)
class Ending:
    """How an episode stands after a turn, from which its success is told."""

    total: float
    """Sum of the environment's own rewards."""
    reward: float
    """The environment's own last reward."""
    terminated: bool
    info: Mapping[str, Any]
    """The environment's own info."""


def succeeded(ending: Ending) -> bool:
    """Return the usual success: what the info says, or else an end with a return above 0."""
    for name in ("is_success", "success"):
        if name in ending.info:
            return bool(ending.info[name])
    return ending.terminated and ending.total > 0


def no_facts(observation: Any, info: Mapping[str, Any]) -> Mapping[str, Fact]:
    """Return no facts."""
    return {}


@dataclass(frozen=True, slots=True, kw_only=True)
class Interface:
    """How an environment is shown to a model, and what the model may answer."""

    name: str
    """Beginning of the instances, e.g. "empty" for "empty/17"."""
    actions: Mapping[str, Any]
    """Action text → the environment's own action, in the order of the vocabulary."""
    prompt: Prompt
    facts: Callable[[Any, Mapping[str, Any]], Mapping[str, Fact]] = no_facts
    """From the environment's observation and info, what the prompt's `$name`s say."""
    success: Callable[[Ending], bool] = succeeded
    max_turns: int
    """Turns after which an episode is truncated; unreadable replies are turns too."""


class AdaptedEnv(gymnasium.Env[Observation, str]):
    """Another environment, whose action is a model's whole reply.

    An episode is a seed of the environment: the instance "empty/17" is `reset(seed=17)`. Picture:
    what the environment renders, or observes. Text: the prompt. A reply that names no action, or a
    reset environment's end, are as in `vlbench.env.VLEnv`: such a reply isn't played, the turn is
    spent, the reward is −1. Other rewards are the environment's own.

    Args:
        env: The environment.
        interface: How it is shown and answered.
        split: The seeds that `reset` draws from: "all", "train", "val" or "test".
        picture: "true", or the control "blank" or "stale".
        render_mode: "rgb_array" or None.

    Raises:
        ValueError: An argument is wrong, or the environment takes none of the actions.
    """

    metadata = {"render_modes": ["rgb_array"], "render_fps": 4}
    actions_change = False
    fields = ()

    def __init__(
        self,
        env: gymnasium.Env[Any, Any],
        interface: Interface,
        *,
        split: str = "all",
        picture: str = "true",
        render_mode: str | None = None,
    ) -> None:
        for kind, value, known in (("split", split, SPLITS), ("picture", picture, PICTURES)):
            if value not in known:
                raise ValueError(unknown_name(kind, value, known))
        if render_mode not in (None, "rgb_array"):
            raise ValueError(unknown_name("render mode", str(render_mode), ("rgb_array",)))
        for text, action in interface.actions.items():
            if not env.action_space.contains(action):
                raise ValueError(
                    f'action "{text}" is {action!r}, which isn\'t one of {env.action_space}'
                )
        self.env = env
        self.interface = interface
        self.prompt = interface.prompt
        self.split = split
        self.render_mode = render_mode
        self.observation_space = observation_space()
        self.vocabulary = tuple(interface.actions)
        self.action_space = ReplySpace(self.vocabulary)
        self._picture = picture
        self._parse = CachedParser()
        self._turn = 0
        self._over = True
        self._frame: Frame | None = None
        self._before: Frame | None = None

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observation, dict[str, Any]]:
        """Start an episode.

        Args:
            seed: Seeds `self.np_random`, which draws the instance unless the options name it.
            options: `instance`, e.g. "empty/17"; and `presentation`, which changes nothing here.

        Raises:
            ValueError: An option is unknown, or no instance of this task.
        """
        instance, number = reset_options(options) if options else (None, None)
        own_seed = None if instance is None else self._seed_in(instance)
        super().reset(seed=seed)
        if own_seed is None:
            own_seed = self._deal()
        self._instance = f"{self.interface.name}/{own_seed}"
        self._presentation = number or 0
        self._observation, self._info = self.env.reset(seed=own_seed)
        self._total, self._turn, self._over = 0.0, 0, False
        self._before = None
        self._look()
        return self._observe(), self._as_info(NOTHING_READ, "", False)

    def step(self, reply: str) -> tuple[Observation, float, bool, bool, dict[str, Any]]:
        """Play one reply.

        Raises:
            TypeError: The reply isn't a `str`.
            gymnasium.error.ResetNeeded: The episode is over.
        """
        check_reply(reply)
        if self._over:
            raise gymnasium.error.ResetNeeded("the episode is over; call reset() first")
        parsed = self.read(reply)
        self._turn += 1
        self._before = self._frame
        reward, terminated, truncated, success, hint = MOVES_NOTHING, False, False, False, ""
        if parsed.action is None:
            wanted = f'wanted a JSON object with "action", one of {quoted_list(self.vocabulary)}'
            hint = f"{wanted}; the reply is {parsed.status}"
        else:
            result = self.env.step(self.interface.actions[parsed.action])
            self._observation, own_reward, terminated, truncated, self._info = result
            reward, terminated, truncated = float(own_reward), bool(terminated), bool(truncated)
            self._total += reward
            success = self.interface.success(Ending(self._total, reward, terminated, self._info))
            self._look()
        truncated = not terminated and (truncated or self._turn >= self.interface.max_turns)
        self._over = terminated or truncated
        info = self._as_info(parsed, hint, success and self._over)
        return self._observe(), reward, terminated, truncated, info

    def read(self, reply: str, level: Level = "standard") -> Parsed:
        """Parse a reply, as `step` does; see `VLEnv.read`."""
        return self._parse(reply, self.vocabulary, level)

    @property
    def legal(self) -> tuple[str, ...]:
        """The vocabulary: what an environment does with an action is its own business."""
        return self.vocabulary

    @property
    def is_over(self) -> bool:
        """Whether there is no episode to go on with."""
        return self._over

    @property
    def turns_left(self) -> int:
        """The number of turns that remain."""
        return self.interface.max_turns - self._turn

    @property
    def text(self) -> str:
        """The prompt of the current state."""
        return self.prompt.render(self._facts)

    @property
    def seen_facts(self) -> dict[str, Fact]:
        """The facts, unless the picture is blank."""
        return {} if self._picture == "blank" else dict(self._facts)

    def frame_hash(self) -> str:
        """Return the sha256 of the true picture of the state, whatever observations show."""
        assert self._frame is not None, "no episode has begun; call reset() first"
        return hashlib.sha256(self._frame.data).hexdigest()

    def render(self) -> Frame | None:
        """Return the current picture under "rgb_array", else None."""
        return self._observe()["image"] if self.render_mode == "rgb_array" else None

    def close(self) -> None:
        """Close the environment."""
        self.env.close()

    def _look(self) -> None:
        self._frame = picture_of(self.env, self._observation)
        self._facts = dict(self.interface.facts(self._observation, self._info))

    def _observe(self) -> Observation:
        frame = self._frame
        assert frame is not None
        if self._picture == "stale" and self._before is not None:
            frame = self._before
        image = np.full_like(frame, BLANK) if self._picture == "blank" else frame.copy()
        return {"image": image, "text": self.text}

    def _as_info(self, parsed: Parsed, hint: str, success: bool) -> dict[str, Any]:
        return {
            "instance": self._instance,
            "presentation": self._presentation,
            "legal_actions": self.vocabulary,
            "facts": dict(self._facts),
            "status": parsed.status,
            "recovered": parsed.recovered,
            "illegal": False,
            "hint": hint,
            "action": parsed.action or "",
            "success": bool(success),
        }

    def _seed_in(self, instance: str) -> int:
        name = self.interface.name
        body = instance_body(instance, name, f"{name}/17")
        if not (body.isascii() and body.isdecimal() and str(int(body)) == body):
            raise ValueError(f'unknown instance "{instance}"; wanted one like "{name}/17"')
        if int(body) >= MAX_SEED:
            raise ValueError(f'"{instance}": wanted a seed below {MAX_SEED}')
        return int(body)

    def _deal(self) -> int:
        for _ in range(MOST_DEALS):
            seed = int(self.np_random.integers(MAX_SEED))
            unit = f"{self.interface.name}/{seed}"
            if self.split in ("all", split_of(unit, TEST_SHARE, VAL_SHARE)):
                return seed
        raise AssertionError(f"no seed of {MOST_DEALS} is of the split {self.split}")
