"""The trainer's environments: stepped together, monitored, and saved for an exact resume."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import gymnasium
import numpy as np
import numpy.typing as npt

from agents.train.advantages.moment import Moment
from agents.train.metrics import EpisodeMonitor, Metrics, RolloutMonitor
from vlbench.env import VLEnv
from vlbench.errors import user_code
from vlbench.instances import Share
from vlbench.observation import PICTURES
from vlbench.prompts import VARIANTS
from vlbench.registry import accepted_parameters, env_class, registered_id, resolve_env_id
from vlbench.themes import check_open
from vlbench.vector import VLVectorEnv, vector_of

if TYPE_CHECKING:  # cnn and sft_data import this module without torch
    from agents.train.advantages.recorder import TurnRecorder
    from agents.train.distributed import Processes
    from agents.vlm.sampling import Generation

Observation = Mapping[str, Any]


def make_env(env_id: str, kwargs: Mapping[str, Any]) -> gymnasium.Env[Any, str]:
    """Return one environment, without Gymnasium's checking wrappers.

    Raises:
        ValueError: Its theme is sealed.
    """
    check_open(str(kwargs.get("theme", "")), "training")
    return gymnasium.make(registered_id(env_id), disable_env_checker=True, **kwargs)


USUAL = {"prompt": VARIANTS[0], "theme": "train", "jitter": 0}
"""Values of keyword arguments that an environment needn't know."""


def known_kwargs(env_id: str, kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """Return keyword arguments without those at their USUAL value that an environment lacks.

    A task of a user's may have no themes, no jitter and one prompt.
    """
    known = accepted_parameters(env_class(env_id))
    return {
        name: value
        for name, value in kwargs.items()
        if name in known or name not in USUAL or value != USUAL[name]
    }


def make_envs(
    env_id: str,
    num_envs: int,
    kwargs: Mapping[str, Any],
    own: Sequence[Mapping[str, Any]] | None = None,
) -> VLVectorEnv:
    """Return the native vector environment; its pictures are views, not copies.

    A task that registers none gets one made of its class.

    Args:
        env_id: The environment.
        num_envs: Their number.
        kwargs: Keyword arguments of all of them.
        own: Further ones of each; None for none.

    Raises:
        ValueError: Neither is possible, or the theme is sealed.
    """
    check_open(str(kwargs.get("theme", "")), "training")
    spec = gymnasium.registry[registered_id(env_id)]
    if spec.vector_entry_point is None:
        if spec.max_episode_steps is not None or spec.additional_wrappers:
            raise ValueError(f"the registration of {env_id} limits or wraps its environments")
        vector = vector_of(env_class(env_id))
        return vector(num_envs, copy=False, own=own, **{**spec.kwargs, **kwargs})
    envs = gymnasium.make_vec(
        registered_id(env_id),
        num_envs=num_envs,
        vectorization_mode="vector_entry_point",
        copy=False,
        own=own,
        **kwargs,
    )
    inner = envs.unwrapped
    if not isinstance(inner, VLVectorEnv):
        raise ValueError(f"{env_id} has no native vector environment; see vlbench.vector")
    return inner


def check_env(name: str, kwargs: Mapping[str, Any], *, vector: bool = False) -> None:
    """Check that an environment can be made: its name, arguments and requirements.

    Args:
        name: Id or short name.
        kwargs: Keyword arguments.
        vector: Check the native vector environment.

    Raises:
        ValueError: It can't be made.
    """
    env_id = resolve_env_id(name)
    with user_code(f"{env_id} can't be made"):
        (make_envs(env_id, 1, kwargs) if vector else make_env(env_id, kwargs)).close()


SHARE_HELP = "deal only share I of N disjoint shares of the training instances; all by default"


PICTURE_HELP = (
    "what the pictures show: the state (true), or, in a control, one grey (blank), another episode "
    "(shuffled), or the state one turn ago (stale); evaluations too"
)


def picture_kwargs(picture: str) -> dict[str, str]:
    """Return the keyword argument of an environment that shows these pictures; {} for true ones.

    Args:
        picture: One of `vlbench.observation.PICTURES`.
    """
    return {} if picture == PICTURES[0] else {"picture": picture}


def check_share(text: str) -> None:
    """Check a share of instances.

    Raises:
        ValueError: It is neither "" nor "I/N".
    """
    if text:
        Share.parse(text)


def training_deals(share: str) -> dict[str, Any]:
    """Return the keyword arguments by which an environment deals what training may see.

    Args:
        share: "I/N" for a share of it; "" for all.
    """
    return {"split": "train", **({"share": share} if share else {})}


RESERVED = ("id", "num_envs", "vectorization_mode", "copy", "render_mode", "disable_env_checker")
"""Arguments of Gymnasium's `make` and `make_vec` that the trainers set themselves."""


def check_env_kwargs(options: Any) -> None:
    """Check that `env_kwargs` repeats no option, which it would override in silence.

    Args:
        options: Options with a field `env_kwargs`.

    Raises:
        ValueError: It does; the message names the option.
    """
    for name in options.env_kwargs:
        if name in ("prompt", "share", "theme", "jitter", "picture") and hasattr(options, name):
            raise ValueError(f'--env-kwargs has "{name}"; use --{name}')
        if name == "split":
            raise ValueError('--env-kwargs has "split"; training deals the split train alone')
        if name in RESERVED:
            raise ValueError(f'--env-kwargs has "{name}", which can\'t be set')


class Journal:
    """The replies of the running episodes, from which the episodes can be replayed.

    `restore` starts each episode from its instance and presentation, replays the replies and sets
    the random state.

    Args:
        envs: N unwrapped environments.
    """

    def __init__(self, envs: Sequence[VLEnv[Any, Any]]) -> None:
        self._envs = envs
        self._replies: list[list[str]] = [[] for _ in envs]

    def clear(self) -> None:
        """Drop the running episodes, after a reset of the environments."""
        for episode in self._replies:
            episode.clear()

    def add(self, replies: Sequence[str], ended: Sequence[bool] | npt.NDArray[np.bool_]) -> None:
        """Add one step of all environments.

        Args:
            replies: N replies.
            ended: N flags, whether the episode ended; its environment has been reset already.
        """
        for episode, reply, over in zip(self._replies, replies, ended, strict=True):
            if over:
                episode.clear()
            else:
                episode.append(reply)

    def lengths(self) -> list[int]:
        """Return the number of turns that each running episode has had."""
        return [len(episode) for episode in self._replies]

    def state(self) -> list[dict[str, Any]]:
        """Return the state of each environment for `restore`, as plain data."""
        return [
            {
                "instance": env.presentation.instance,
                "presentation": env.presentation.number,
                "replies": list(replies),
                "random": env.np_random.bit_generator.state,
            }
            for env, replies in zip(self._envs, self._replies, strict=True)
        ]

    def restore(self, state: Sequence[Mapping[str, Any]]) -> list[Observation]:
        """Restore a saved state; return the environments' observations."""
        for env, row, episode in zip(self._envs, state, self._replies, strict=True):
            env.begin(None, {name: row[name] for name in ("instance", "presentation")})
            for reply in row["replies"]:
                env.advance(reply)
            env.np_random.bit_generator.state = row["random"]
            episode[:] = row["replies"]
        return [dict(env.observe()) for env in self._envs]


@dataclass(frozen=True, slots=True, eq=False)
class EnvStep:
    """The result of one turn of n environments."""

    spans: list[tuple[int, int] | None]
    """Start and end of each reply's action field, in characters; None if it can't be read."""
    rewards: npt.NDArray[np.float64]
    """(n,)."""
    terminated: npt.NDArray[np.bool_]
    """(n,)."""
    truncated: npt.NDArray[np.bool_]
    """(n,)."""
    last_observations: dict[int, Observation]
    """Environment index → last observation of its truncated episode."""
    numbers: npt.NDArray[np.int64]
    """(n,), number of the turn in its episode, from 0."""
    starts: npt.NDArray[np.int64]
    """(n,), key of the episode's instance and presentation."""
    states: npt.NDArray[np.int64]
    """(n,), key of the state before the turn."""
    regrets: npt.NDArray[np.float64]
    """(n,), what the reply lost by the environment's exact values, at least 0."""


class RolloutEnvs:
    """The environments of one process, with their journal and monitors.

    Args:
        envs: n environments.
        share: Their indices among the environments of all processes, 0..N − 1.
        processes: The processes that play together.
        recorder: Keeps each rollout's turns; None if nothing reads them.
    """

    def __init__(
        self,
        envs: VLVectorEnv,
        share: range,
        processes: "Processes",
        recorder: "TurnRecorder | None" = None,
    ) -> None:
        self.share = share
        self.recorder = recorder
        self._envs = envs
        self._processes = processes
        self._journal = Journal(envs.envs)
        self._episodes = EpisodeMonitor(len(share))
        self._rollout = RolloutMonitor()
        self.turns = 0
        """Turns that all processes have played since the run's first rollout."""
        self.observations: list[Observation] = []
        """Observations of the n environments; pictures are views that the next step overwrites."""

    def reset(self, seeds: Sequence[int]) -> None:
        """Reset every environment; drop the running episodes.

        Args:
            seeds: n seeds. Environments with the same seed get the same episodes in the same order.
        """
        self.observations = _split(self._envs.reset(seed=list(seeds))[0])
        self._journal.clear()
        self._episodes.clear()

    def step(self, replies: "Sequence[Generation | None]") -> EnvStep:
        """Play a reply in each environment; reset those whose episode ends.

        Args:
            replies: n replies; None for an idle environment, whose episode counts for nothing. Its
                places in the result are 0, False or None.
        """
        played = np.array([reply is not None for reply in replies])
        spans: list[tuple[int, int] | None] = [None] * len(replies)
        moments: list[Moment | None] = [None] * len(replies)
        for i, (env, reply) in enumerate(zip(self._envs.envs, replies, strict=True)):
            if reply is None:
                continue
            parsed = env.read(reply.text)
            self._rollout.update(env, reply.text, parsed, len(reply.ids), reply.finished)
            spans[i] = parsed.span
            moments[i] = Moment.of(env, parsed)
        numbers = np.where(played, self._journal.lengths(), 0)
        starts = np.array([moment.start if moment else 0 for moment in moments])
        states = np.array([moment.state if moment else 0 for moment in moments])
        # An idle environment gets an empty reply, which moves nothing.
        texts = [reply.text if reply else "" for reply in replies]
        episodes = self._journal.state() if self.recorder else []
        batch, rewards, terminated, truncated, info = self._envs.step(texts)
        self._journal.add(texts, terminated | truncated)
        rewards, terminated, truncated = rewards * played, terminated & played, truncated & played
        ended = terminated | truncated
        regrets = np.array(
            [
                moment.regret(env, reward, over) if moment else 0.0
                for env, moment, reward, over in zip(
                    self._envs.envs, moments, rewards.tolist(), ended.tolist(), strict=True
                )
            ]
        )
        self._rollout.regret += float(regrets.sum())
        success = info["final_info"]["success"] if ended.any() else ended
        self._rollout.episodes += self._episodes.update(
            rewards.tolist(), ended.tolist(), success.tolist()
        )
        if self.recorder:
            self.recorder.add(episodes, replies, rewards.tolist(), ended.tolist())
        self.observations = _split(batch)
        last = {int(i): info["final_obs"][i] for i in np.flatnonzero(truncated)}
        return EnvStep(
            spans, rewards, terminated, truncated, last, numbers, starts, states, regrets
        )

    def finish_rollout(self) -> RolloutMonitor:
        """Return the counts of all processes' turns since the last call."""
        monitor = RolloutMonitor.sum_of(self._processes.gather(self._rollout))
        self._rollout = RolloutMonitor()
        self._episodes.count(monitor.episodes)
        self.turns += monitor.turns
        return monitor

    def episode_metrics(self) -> Metrics:
        """Return means over the last episodes of all processes."""
        return self._episodes.metrics()

    def state_dict(self) -> dict[str, Any]:
        """Return the state of all processes' environments; only between rollouts."""
        pairs = zip(self._journal.state(), self._episodes.running(), strict=True)
        rows = [{"journal": journal, "episode": episode} for journal, episode in pairs]
        everyone = [row for part in self._processes.gather(rows) for row in part]
        # JSON, because random states have 128-bit integers.
        return {
            "running": json.dumps(everyone),
            "outcomes": self._episodes.outcomes(),
            "turns": self.turns,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore this process's environments from a saved state.

        Raises:
            ValueError: The state has another number of environments.
        """
        everyone = json.loads(state["running"])
        size = len(self.share) * self._processes.count
        if len(everyone) != size:
            raise ValueError(f"the checkpoint has {len(everyone)} environments, not {size}")
        self.turns = state["turns"]
        rows = everyone[self.share.start : self.share.stop]
        self._episodes.restore([row["episode"] for row in rows], state["outcomes"])
        self.observations = self._journal.restore([row["journal"] for row in rows])


def _split(batch: Any) -> list[Observation]:
    """Split a batch into observations; pictures are views."""
    pairs = zip(batch["image"], batch["text"], strict=True)
    return [{"image": image, "text": text} for image, text in pairs]
