"""The paper's CNN+RL baseline: `python -m agents.train.cnn --env NumberLine --out runs/cnn`.

stable-baselines3's PPO with its `CnnPolicy` (the network of Mnih et al. 2015) sees only the
downscaled picture; an action is an index into the vocabulary. RL4VLM reports such a baseline but
publishes neither its code nor its network or settings: this is a baseline of that kind, not the
same one. If `--out` holds an earlier run, that run is resumed.
"""

import json
import math
import re
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import numpy.typing as npt

import vlbench
from agents.players.cnn import MISSING, Shape, load_weights, read_shape, shrunk, write_checkpoint
from agents.train.environments import (
    PICTURE_HELP,
    SHARE_HELP,
    Journal,
    check_env,
    check_env_kwargs,
    check_share,
    known_kwargs,
    make_env,
    picture_kwargs,
    training_deals,
)
from agents.train.log.run_log import check_log
from agents.train.metrics import EpisodeMonitor
from vlbench.cli import (
    MAX_SEED,
    Options,
    option,
    output_folder,
    parse_options,
    run_kind,
    run_main,
)
from vlbench.observation import PICTURES
from vlbench.registry import resolve_env_id
from vlbench.themes import MAX_JITTER
from vlbench.wrappers import DiscreteActions

LOSSES = (
    "policy_gradient_loss",
    "value_loss",
    "entropy_loss",
    "approx_kl",
    "clip_fraction",
    "explained_variance",
)
"""The update metrics of stable-baselines3 to log."""

MAX_BYTES = 64 << 30
"""Most memory for the pictures of a rollout."""

SUMMARY = {
    "return": "rollout/return",
    "success": "rollout/success",
    "length": "rollout/length",
    "entropy": "losses/entropy_loss",
    "explained": "losses/explained_variance",
}
"""Metrics printed after a rollout: label → metric."""


@dataclass(frozen=True)
class Config(Options):
    """Options of `cnn`."""

    out: Path = option(
        Path("runs/cnn"),
        "the run's folder; an existing run is resumed",
        check=output_folder(run_kind("cnn")),
    )
    env: str = option("NumberLine", "environment, by id or short name")
    env_kwargs: dict[str, Any] = option({}, "further keyword arguments of the environment")
    share: str = option("", SHARE_HELP, check=check_share, metavar="I/N")
    theme: str = option("train", "theme, or group of themes; varied: generated looks")
    picture: str = option(PICTURES[0], PICTURE_HELP, choices=PICTURES)
    jitter: int = option(0, "maximum shift of a picture element, in pixels", ge=0, le=MAX_JITTER)
    turns: int = option(100_000, "total number of turns, rounded up to whole rollouts", ge=1)
    size: int = option(84, "side of the network's input picture, in pixels", ge=36, le=300)
    num_envs: int = option(8, "environments N", ge=1, limit=65_536)
    num_steps: int = option(128, "turns T per environment in a rollout", ge=1, limit=65_536)
    epochs: int = option(4, "passes over a rollout", ge=1, limit=10_000)
    minibatch: int = option(
        256, "turns per optimizer step; in a shorter rollout, all its turns", ge=2
    )
    lr: float = option(2.5e-4, "learning rate", gt=0)
    gamma: float = option(0.99, "discount", ge=0, le=1)
    gae_lambda: float = option(0.95, "λ of generalised advantage estimation", ge=0, le=1)
    clip: float = option(0.2, "ε of the clipped ratio", gt=0)
    entropy_coef: float = option(0.01, "weight of the entropy bonus", ge=0)
    save_every: int = option(
        20, "rollouts between checkpoints; the last rollout is always saved", ge=1
    )
    log: str = option(
        "json",
        "where metrics go, comma-separated: json (always on), tensorboard, wandb",
        check=check_log,
        alias="--loggers",
    )
    device: str = option("auto", "device of the network: cpu, cuda or auto")
    seed: int = option(
        0, "seed of environments, weights, sampling and shuffling", ge=0, le=MAX_SEED
    )

    def check(self) -> None:
        """Check the length of a rollout, and that no argument is given twice."""
        check_env_kwargs(self)
        turns = self.num_envs * self.num_steps
        if turns < 2:
            raise ValueError("a rollout needs at least 2 turns; increase --num-envs or --num-steps")
        if turns * self.size**2 * 3 > MAX_BYTES:
            raise ValueError(
                f"the pictures of a rollout of {turns:,} turns need more than "
                f"{MAX_BYTES >> 30} GiB; lower --num-envs, --num-steps or --size"
            )

    def preflight(self) -> None:
        """Check that the extra is installed, the device exists and the environment can be made."""
        super().preflight()
        try:
            import stable_baselines3  # noqa: F401
            import torch
        except ImportError as error:
            raise ValueError(MISSING.format(error=error)) from error
        device = re.fullmatch(r"auto|cpu|cuda(?::(\d{1,3}))?", self.device)
        if not device:
            raise ValueError(
                f'--device must be auto, cpu, cuda or cuda:NUMBER, got "{self.device}"'
            )
        gpus = torch.cuda.device_count()
        if self.device.startswith("cuda") and int(device[1] or 0) >= gpus:
            raise ValueError(f"--device {self.device} doesn't exist: this computer has {gpus} GPUs")
        kwargs = {**training_deals(self.share), "theme": self.theme, "jitter": self.jitter}
        kwargs = known_kwargs(resolve_env_id(self.env), kwargs)
        check_env(self.env, kwargs | picture_kwargs(self.picture) | self.env_kwargs)

    @property
    def iterations(self) -> int:
        """Number of rollouts."""
        return math.ceil(self.turns / (self.num_envs * self.num_steps))


class SmallPicture(gymnasium.ObservationWrapper[Any, Any, Any]):
    """Downscales the picture and moves its channels first.

    Args:
        env: An environment whose observation is its picture.
        size: Side of the small picture s; observations are `Box(0, 255, (3, s, s), uint8)`.
    """

    def __init__(self, env: DiscreteActions, size: int) -> None:
        super().__init__(env)
        self.observation_space = gymnasium.spaces.Box(0, 255, (3, size, size), np.uint8)
        self._size = size

    def observation(self, observation: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
        """Return the small picture."""
        return shrunk(observation, self._size)


class Rollouts:
    """Counts, saves and restores the environments that stable-baselines3 plays.

    Args:
        learner: PPO of stable-baselines3.
        envs: Its N environments.
    """

    def __init__(self, learner: Any, envs: Sequence[SmallPicture]) -> None:
        self._learner = learner
        self._envs = envs
        self._actions: tuple[str, ...] = envs[0].get_wrapper_attr("actions")
        self._journal = Journal([env.unwrapped for env in envs])  # type: ignore[misc]
        self.episodes = EpisodeMonitor(len(envs))

    def watch(self, local: dict[str, Any], _: dict[str, Any]) -> bool:
        """Record a step of all environments; a callback for stable-baselines3."""
        success = [info["success"] for info in local["infos"]]
        rewards, ended = local["rewards"].tolist(), local["dones"].tolist()
        replies = [vlbench.reply(self._actions[action]) for action in local["actions"]]
        self._journal.add(replies, ended)
        self.episodes.count(self.episodes.update(rewards, ended, success))
        return True

    def state_dict(self) -> dict[str, Any]:
        """Return the state, including NumPy's global one, which stable-baselines3 shuffles with."""
        return {
            "journal": json.dumps(self._journal.state()),  # random states have 128-bit integers
            "starts": np.asarray(self._learner._last_episode_starts).tolist(),
            "shuffling": json.dumps(np.random.get_state(), default=np.ndarray.tolist),
            "turns": self._learner.num_timesteps,
            "running": self.episodes.running(),
            "outcomes": self.episodes.outcomes(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore a saved state.

        Raises:
            ValueError: It has another number of environments.
        """
        rows = json.loads(state["journal"])
        if len(rows) != len(self._envs):
            raise ValueError(f"the checkpoint has {len(rows)} environments, not {len(self._envs)}")
        self._learner.env.reset()
        pictures = [observation["image"] for observation in self._journal.restore(rows)]
        self._learner._last_obs = np.stack(
            [env.observation(image) for env, image in zip(self._envs, pictures, strict=True)]
        )
        self._learner._last_episode_starts = np.array(state["starts"])
        np.random.set_state(tuple(json.loads(state["shuffling"])))
        self._learner.num_timesteps = state["turns"]
        self.episodes.restore(state["running"], state["outcomes"])


def make_learner(config: Config, envs: Sequence[SmallPicture]) -> Any:
    """Return stable-baselines3's PPO; it seeds the global generators of NumPy and torch."""
    from stable_baselines3 import PPO
    from stable_baselines3.common.logger import Logger
    from stable_baselines3.common.vec_env import DummyVecEnv

    learner = PPO(
        "CnnPolicy",
        DummyVecEnv([lambda env=env: env for env in envs]),
        n_steps=config.num_steps,
        batch_size=config.minibatch,
        n_epochs=config.epochs,
        learning_rate=config.lr,
        gamma=config.gamma,
        gae_lambda=config.gae_lambda,
        clip_range=config.clip,
        ent_coef=config.entropy_coef,
        seed=config.seed,
        device=config.device,
    )
    learner.set_logger(Logger(folder=None, output_formats=[]))
    stop_at_divergence(learner.policy)
    return learner


def stop_at_divergence(policy: Any) -> None:
    """Make a policy of stable-baselines3 raise FloatingPointError before it learns from NaN.

    Its outputs and gradients are checked before each step of the optimizer, its weights after.
    """
    from agents.train.trainer import are_finite

    def check_output(module: Any, inputs: Any, output: Any) -> None:
        if not are_finite([output]):
            raise FloatingPointError("an output of the network isn't finite")

    def check_gradients(optimizer: Any, *_: Any) -> None:
        if not are_finite([w.grad for w in policy.parameters() if w.grad is not None]):
            raise FloatingPointError("a gradient isn't finite")

    def check_weights(optimizer: Any, *_: Any) -> None:
        if not are_finite(policy.parameters()):
            raise FloatingPointError("a weight is no longer finite")

    policy.action_net.register_forward_hook(check_output)
    policy.value_net.register_forward_hook(check_output)
    policy.optimizer.register_step_pre_hook(check_gradients)
    policy.optimizer.register_step_post_hook(check_weights)


def train(config: Config) -> Path:
    """Train; return the last checkpoint.

    Raises:
        ValueError: An option or a file is wrong, or a package isn't installed.
        OSError: A checkpoint can't be written.
        FloatingPointError: Outputs, gradients or weights are no longer finite.
        KeyboardInterrupt: Stopped by the user, after a checkpoint.
    """
    env_id = resolve_env_id(config.env)
    kwargs = {**training_deals(config.share), "theme": config.theme, "jitter": config.jitter}
    kwargs = known_kwargs(env_id, kwargs) | picture_kwargs(config.picture) | config.env_kwargs
    envs = [
        SmallPicture(DiscreteActions(make_env(env_id, kwargs)), config.size)
        for _ in range(config.num_envs)
    ]
    shape = Shape(env_id, envs[0].get_wrapper_attr("actions"), config.size)
    try:
        import stable_baselines3  # noqa: F401

        from agents.train.distributed import Processes
        from agents.train.trainer import Trainer

        trainer = Trainer(config, method="cnn", steps=config.iterations, processes=Processes())
        learner = make_learner(config, envs)
    except ImportError as error:
        raise ValueError(MISSING.format(error=error)) from error
    if trainer.processes.count > 1:
        raise ValueError("the CNN trains in one process; run it without a launcher")
    rollouts = Rollouts(learner, envs)
    if trainer.checkpoint:
        if read_shape(trainer.checkpoint) != shape:
            raise ValueError(
                f"{trainer.checkpoint} is of another environment or size; choose another --out"
            )
        load_weights(learner.policy, trainer.checkpoint)
    parts = {"optimizer": learner.policy.optimizer, "rollouts": rollouts}

    def write_model(folder: Path) -> None:
        write_checkpoint(learner.policy, shape, folder)

    with trainer.running(write_model, parts) as log:
        log.log_line(f"{env_id}, {len(shape.actions)} actions")
        for iteration in trainer.remaining_steps():
            start = time.monotonic()
            log.status(f"rollout {iteration}/{config.iterations}")
            turns = config.num_envs * config.num_steps
            learner.learn(turns, rollouts.watch, sys.maxsize, reset_num_timesteps=False)
            numbers = learner.logger.name_to_value
            metrics = {f"losses/{name}": float(numbers[f"train/{name}"]) for name in LOSSES}
            metrics |= rollouts.episodes.metrics()
            metrics["charts/env_steps"] = learner.num_timesteps
            metrics["charts/SPS"] = turns / (time.monotonic() - start)
            log.write(iteration, metrics)
            if iteration == config.iterations or iteration % config.save_every == 0:
                log.log_summary(iteration, config.iterations, SUMMARY, metrics)
    return trainer.last_checkpoint


def main(argv: Sequence[str] | None = None) -> int:
    """Train; return 0 on success, 2 on a wrong call, 1 if a checkpoint failed, 130 on Ctrl-C."""
    stopped = "stopped after a checkpoint; run the same command again to resume"
    return run_main("cnn", lambda: _main(argv), stopped=stopped, failure=1)


def _main(argv: Sequence[str] | None) -> None:
    prog = "python -m agents.train.cnn"
    config = parse_options(Config, argv, prog=prog, description=__doc__)
    from agents.train.distributed import memory_errors  # needs torch

    with memory_errors():
        print(train(config))


if __name__ == "__main__":
    sys.exit(main())
