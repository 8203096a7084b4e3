"""The paper's CNN+RL baseline: `python -m agents.train.cnn --env NumberLine --out runs/cnn`.

PPO of stable-baselines3 with its `CnnPolicy` (the network of Mnih et al. 2015) on the picture
alone, shrunk once, with the vocabulary's index as action. RL4VLM names such a baseline, but neither
its code nor its network or settings are published: this is a baseline of that kind, not that one.
Called again with the same `--out`, it goes on where it stopped.
"""

import contextlib
import json
import math
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import numpy.typing as npt

from agents.cnn import MISSING, Shape, load_weights, read_shape, shrunk, write_checkpoint
from agents.train.environments import check_env, make_env
from agents.train.monitors import EpisodeMonitor
from vlbench.cli import MAX_SEED, Options, option, parse_options, run_main, writable_folder
from vlbench.env import SPLITS
from vlbench.registry import resolve_env_id
from vlbench.sprites import MAX_JITTER
from vlbench.wrappers import DiscreteActions

LOSSES = (
    "policy_gradient_loss",
    "value_loss",
    "entropy_loss",
    "approx_kl",
    "clip_fraction",
    "explained_variance",
)
"""What is kept of that which stable-baselines3 tells of an update."""

SHOWN = {
    "return": "rollout/return",
    "success": "rollout/success",
    "length": "rollout/length",
    "entropy": "losses/entropy_loss",
    "explained": "losses/explained_variance",
}
"""What people are told of a rollout."""


@dataclass(frozen=True)
class Config(Options):
    """Options of `cnn`."""

    out: Path = option(
        Path("runs/cnn"), "the run's folder; one that is there goes on", check=writable_folder
    )
    env: str = option("NumberLine", "environment, by id or short name")
    env_kwargs: dict[str, Any] = option({}, "further keyword arguments of the environment")
    split: str = option("train", "instances that are dealt in training", choices=SPLITS)
    theme: str = option("train", "theme, or group of themes")
    jitter: int = option(
        0, "largest shift of an element of the picture, in pixels", ge=0, le=MAX_JITTER
    )
    turns: int = option(100_000, "turns that are played in all, rounded up to whole rollouts", ge=1)
    size: int = option(84, "side of the picture that the network sees, in pixels", ge=36, le=300)
    num_envs: int = option(8, "environments N", ge=1)
    num_steps: int = option(128, "turns T of each environment in a rollout", ge=1)
    epochs: int = option(4, "passes over a rollout", ge=1)
    minibatch: int = option(256, "turns in an optimizer step", ge=2)
    lr: float = option(2.5e-4, "learning rate", gt=0)
    gamma: float = option(0.99, "discount", ge=0, le=1)
    gae_lambda: float = option(0.95, "λ of generalised advantage estimation", ge=0, le=1)
    clip: float = option(0.2, "ε of the clipped ratio", gt=0)
    entropy_coef: float = option(0.01, "weight of the entropy bonus", ge=0)
    save_every: int = option(
        20, "rollouts between checkpoints; there is always one at the end", ge=1
    )
    device: str = option("auto", "of the network: cpu, cuda or auto")
    seed: int = option(
        0, "seed of environments, weights, sampling and shuffling", ge=0, le=MAX_SEED
    )

    def check(self) -> None:
        """Check that a rollout has turns enough for a mean and a deviation."""
        if self.num_envs * self.num_steps < 2:
            raise ValueError("a rollout needs at least 2 turns: more num-envs or num-steps")

    def preflight(self) -> None:
        """Check that the extra is installed, the device named, and the environment can be made."""
        super().preflight()
        try:
            import stable_baselines3  # noqa: F401
            import torch
        except ImportError as error:
            raise ValueError(MISSING.format(error=error)) from error
        try:
            torch.device("cpu" if self.device == "auto" else self.device)
        except RuntimeError as error:
            raise ValueError(
                f'--device must be auto, cpu, cuda or cuda:NUMBER, got "{self.device}"'
            ) from error
        kwargs = {"split": self.split, "theme": self.theme, "jitter": self.jitter}
        check_env(self.env, kwargs | self.env_kwargs)

    @property
    def iterations(self) -> int:
        """Rollouts in all."""
        return math.ceil(self.turns / (self.num_envs * self.num_steps))


class Shrunk(gymnasium.Wrapper[Any, Any, Any, Any]):
    """DiscreteActions with a small picture, colours first, and with a state that can be restored.

    Args:
        env: What is shrunk.
        size: Side of the picture s; observations are `Box(0, 255, (3, s, s), uint8)`.
    """

    def __init__(self, env: DiscreteActions, size: int) -> None:
        super().__init__(env)
        self.observation_space = gymnasium.spaces.Box(0, 255, (3, size, size), np.uint8)
        self._size = size
        self._played: list[int] = []

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[npt.NDArray[np.uint8], dict[str, Any]]:
        """Start an episode."""
        image, info = self.env.reset(seed=seed, options=options)
        self._played = []
        return shrunk(image, self._size), info

    def step(self, action: Any) -> tuple[npt.NDArray[np.uint8], float, bool, bool, dict[str, Any]]:
        """Play an action."""
        self._played.append(int(action))
        image, reward, terminated, truncated, info = self.env.step(action)
        return shrunk(image, self._size), float(reward), terminated, truncated, info

    def state(self) -> dict[str, Any]:
        """Return what `restore` needs, as plain data."""
        inner: Any = self.unwrapped
        return {
            "instance": inner.presentation.instance,
            "presentation": inner.presentation.number,
            "played": list(self._played),
            "random": inner.np_random.bit_generator.state,
        }

    def restore(self, state: dict[str, Any]) -> npt.NDArray[np.uint8]:
        """Bring the environment back to a saved state; return what it shows."""
        names = ("instance", "presentation")
        picture, _ = self.reset(seed=0, options={name: state[name] for name in names})
        for action in state["played"]:
            picture, *_ = self.step(action)
        inner: Any = self.unwrapped
        inner.np_random.bit_generator.state = state["random"]
        return picture


def train(config: Config) -> Path:
    """Train; return the last checkpoint.

    Raises:
        ValueError: An argument or a file is wrong, or what it needs isn't installed.
        OSError: A checkpoint can't be written.
        KeyboardInterrupt: Stopped, after a checkpoint.
    """
    env_id = resolve_env_id(config.env)
    try:
        import torch
        from stable_baselines3 import PPO
        from stable_baselines3.common.logger import Logger
        from stable_baselines3.common.vec_env import DummyVecEnv

        from agents.train.checkpoint import Checkpoints, Interruption, load_state, step_of
        from agents.train.logbook import Logbook
    except ImportError as error:
        raise ValueError(MISSING.format(error=error)) from error
    kwargs = {"split": config.split, "theme": config.theme, "jitter": config.jitter}
    kwargs |= config.env_kwargs
    envs = [
        Shrunk(DiscreteActions(make_env(env_id, kwargs)), config.size)
        for _ in range(config.num_envs)
    ]
    shape = Shape(env_id, DiscreteActions(make_env(env_id, kwargs)).actions, config.size)
    learner = PPO(
        "CnnPolicy",
        DummyVecEnv([lambda env=env: env for env in envs]),  # type: ignore[misc]
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
    episodes = EpisodeMonitor(config.num_envs)
    config.out.mkdir(parents=True, exist_ok=True)
    checkpoints = Checkpoints(config.out)
    resumed = checkpoints.latest()
    done = step_of(resumed) if resumed else 0
    if resumed:
        if read_shape(resumed) != shape:
            raise ValueError(f"{resumed} is of another environment or size; give another --out")
        state = load_state(resumed)
        load_weights(learner.policy, resumed)
        learner.policy.optimizer.load_state_dict(state["optimizer"])
        learner.num_timesteps = done * config.num_envs * config.num_steps
        saved = json.loads(state["environments"])
        if len(saved) != config.num_envs:
            raise ValueError(f"{resumed} has {len(saved)} environments, not {config.num_envs}")
        learner._last_obs = np.stack(
            [env.restore(one) for env, one in zip(envs, saved, strict=True)]
        )
        learner._last_episode_starts = np.array(state["starts"])
        episodes.restore(state["running"], state["episodes"])
        np.random.set_state(tuple(json.loads(state["shuffling"])))
        torch.set_rng_state(state["random"])

    def save(iteration: int) -> Path:
        return checkpoints.save(
            iteration,
            lambda folder: write_checkpoint(learner.policy, shape, folder),
            {
                "optimizer": learner.policy.optimizer.state_dict(),
                "random": torch.get_rng_state(),
                "shuffling": json.dumps(
                    [
                        part.tolist() if isinstance(part, np.ndarray) else part
                        for part in np.random.get_state()
                    ]
                ),
                "environments": json.dumps([env.state() for env in envs]),  # 128-bit integers
                "starts": np.asarray(learner._last_episode_starts).tolist(),
                "running": episodes.running(),
                "episodes": episodes.ended(),
            },
        )

    log = Logbook(config.out, step=done, tensorboard=False, stream=sys.stderr)
    log.say(f"{env_id}, {len(shape.actions)} actions" + (f"; goes on after {done}" if done else ""))
    kept = resumed
    with Interruption() as interruption, contextlib.closing(log):
        for iteration in range(done + 1, config.iterations + 1):
            begun = time.monotonic()
            log.doing(f"rollout {iteration}/{config.iterations}")
            learner.learn(
                config.num_envs * config.num_steps,
                watching(episodes),
                sys.maxsize,
                reset_num_timesteps=False,
            )
            told = learner.logger.name_to_value
            metrics = {f"losses/{name}": float(told[f"train/{name}"]) for name in LOSSES}
            metrics |= episodes.metrics()
            metrics["charts/env_steps"] = learner.num_timesteps
            metrics["charts/SPS"] = learner.n_steps * config.num_envs / (time.monotonic() - begun)
            log.write(iteration, metrics)
            stopping = interruption.asked
            last = iteration == config.iterations or stopping
            if last or iteration % config.save_every == 0:
                kept = save(iteration)
                log.sum_up(iteration, config.iterations, SHOWN, metrics)
            if stopping and iteration < config.iterations:
                raise KeyboardInterrupt
    assert kept is not None
    return kept


def watching(episodes: EpisodeMonitor) -> Callable[[dict[str, Any], dict[str, Any]], bool]:
    """Return a callback of stable-baselines3 that counts each step of all environments."""

    def watch(local: dict[str, Any], _: dict[str, Any]) -> bool:
        success = [info["success"] for info in local["infos"]]
        rewards, dones = local["rewards"].tolist(), local["dones"].tolist()
        episodes.count(episodes.step(rewards, dones, success))
        return True

    return watch


def main(argv: Sequence[str] | None = None) -> int:
    """Train; exit 0 when done, 2 on a wrong call, 1 if a checkpoint failed, 130 on Ctrl-C."""
    stopped = "stopped after a checkpoint; the same command goes on"
    return run_main("cnn", lambda: _main(argv), stopped=stopped, failure=1)


def _main(argv: Sequence[str] | None) -> None:
    prog = "python -m agents.train.cnn"
    print(train(parse_options(Config, argv, prog=prog, description=__doc__)))


if __name__ == "__main__":
    sys.exit(main())
