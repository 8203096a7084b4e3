"""A convolutional policy as an agent: the classic reinforcement learner beside the language models.

    python -m agents.evaluate --agent cnn --model runs/cnn --env NumberLine

It sees the picture alone, reads no text, and knows the actions of the environment that it was
trained on. `agents.train.cnn` trains it.
"""

import dataclasses
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import numpy.typing as npt
from PIL import Image

import vlbench
from agents.agent import Agent, Observation
from agents.batching import Batcher
from agents.vlm.checkpoint_files import (
    check_inside,
    identify,
    is_model_name,
    read_object,
    resolve,
)
from vlbench.cli import Options, option
from vlbench.records import Reply, from_json
from vlbench.records.provenance import package_versions
from vlbench.task import SIZE

MISSING = (
    "the cnn agent needs stable-baselines3, torch and safetensors: "
    'pip install "vlbench[cnn]" ({error})'
)
WEIGHTS, SHAPE = "model.safetensors", "cnn.json"
"""A checkpoint's files: no pickles, which could run code when they are loaded."""
MIN_SIZE = 36
"""Smallest side of a picture that the network takes, in pixels; SIZE is the largest."""
MAX_ACTIONS = 10_000
"""Largest number of actions."""


@dataclass(frozen=True)
class Shape:
    """The shape of a policy's layers and the meaning of its outputs."""

    env: str
    """The environment it was trained on."""
    actions: tuple[str, ...]
    size: int
    """Side of the picture it sees, in pixels."""


def shrunk(image: npt.NDArray[np.uint8], size: int) -> npt.NDArray[np.uint8]:
    """Return a picture as the network sees it.

    Args:
        image: (H, W, 3) uint8.
        size: The side s.

    Returns:
        (3, s, s) uint8, each pixel the mean of what it covers (a triangle filter).
    """
    small = Image.fromarray(image).resize((size, size), Image.Resampling.BILINEAR)
    return np.ascontiguousarray(np.asarray(small).transpose(2, 0, 1))


def new_policy(shape: Shape) -> Any:
    """Return an untrained policy of stable-baselines3: the network of Mnih et al. 2015."""
    from stable_baselines3.common.policies import ActorCriticCnnPolicy

    return ActorCriticCnnPolicy(
        gymnasium.spaces.Box(0, 255, (3, shape.size, shape.size), np.uint8),
        gymnasium.spaces.Discrete(len(shape.actions)),
        lambda _: 0.0,
    )


def write_checkpoint(policy: Any, shape: Shape, folder: Path) -> None:
    """Write a policy's weights and shape into a folder."""
    from safetensors.torch import save_model

    save_model(policy, str(folder / WEIGHTS))
    text = json.dumps(dataclasses.asdict(shape), ensure_ascii=False, indent=2)
    (folder / SHAPE).write_text(text + "\n", "utf-8")


def read_shape(folder: Path) -> Shape:
    """Return the shape of a checkpoint.

    Raises:
        ValueError: It is none, or its shape isn't one that `agents.train.cnn` writes.
    """
    path = folder / SHAPE
    try:
        check_inside(path, folder)
        shape = from_json(Shape, read_object(path))
        if not MIN_SIZE <= shape.size <= SIZE:
            raise ValueError(f"size must be from {MIN_SIZE} to {SIZE}, got {shape.size}")
        if not 0 < len(shape.actions) <= MAX_ACTIONS:
            raise ValueError(f"wanted 1 to {MAX_ACTIONS} actions, got {len(shape.actions)}")
        for name in (shape.env, *shape.actions):
            if not is_model_name(name):
                raise ValueError(f"wanted short printable texts, got {name!r:.60}")
    except ValueError as error:
        raise ValueError(
            f"{folder} is no checkpoint of agents.train.cnn: {SHAPE}: {error}"
        ) from error
    return shape


def load_weights(policy: Any, folder: Path) -> None:
    """Load a checkpoint's weights into a policy of its shape.

    Raises:
        ValueError: They can't be read, or don't fit.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_model

    path = folder / WEIGHTS
    check_inside(path, folder)
    try:
        load_model(policy, path)
    except (OSError, SafetensorError, RuntimeError, ValueError) as error:
        reason = " ".join(str(error).split())[:200]
        raise ValueError(f"{path} can't be loaded: {reason}") from error


def located(model: str) -> Path:
    """Return a checkpoint's folder: the one that is named, or a run's latest; links are resolved.

    Raises:
        ValueError: There is no such folder.
    """
    if not Path(model).is_dir():
        raise ValueError(f"no folder {model} of a run of agents.train.cnn")
    latest = Path(model, "latest")
    return resolve(str(latest) if latest.is_dir() else model)


@dataclass(frozen=True, kw_only=True)
class Settings(Options):
    """How a checkpoint plays."""

    batch_size: int = option(64, "most observations that are answered at once", ge=1, limit=65_536)


class _Model:
    """A checkpoint, which plays the task that it was trained on.

    Raises:
        ValueError: The checkpoint can't be loaded, or what it needs isn't installed.
    """

    def __init__(self, model: str, batch_size: int) -> None:
        folder = located(model)
        self.shape = read_shape(folder)
        try:
            self._policy = new_policy(self.shape)
            load_weights(self._policy, folder)
        except ImportError as error:
            raise ValueError(MISSING.format(error=error)) from error
        self._policy.set_training_mode(False)
        self.info = dataclasses.replace(
            identify(folder),
            dtype=str(next(self._policy.parameters()).dtype).removeprefix("torch."),
            device=self._policy.device.type,
            picture_size=f"{self.shape.size}x{self.shape.size}",
            versions=package_versions(("torch", "stable-baselines3")),
        )
        self.batcher = Batcher(self._answer, batch_size)

    def _answer(self, observations: Sequence[Observation]) -> list[Reply]:
        start = time.perf_counter()
        pictures = np.stack(
            [shrunk(observation["image"], self.shape.size) for observation in observations]
        )
        actions, _ = self._policy.predict(pictures, deterministic=True)
        seconds = time.perf_counter() - start
        return [
            Reply(
                vlbench.reply(self.shape.actions[i]),
                stop_reason="stop",
                usd=0.0,
                seconds=seconds,
                provider_id=self.info.mark,
            )
            for i in actions
        ]


class Cnn(Agent):
    """Plays checkpoints of `agents.train.cnn`, greedily; pictures that wait are seen in one batch.

    Args:
        model: A run's folder, or a checkpoint's; several, comma-separated, one for each task.
        batch_size: Most observations that are answered at once.

    Raises:
        ValueError: A checkpoint can't be loaded, two play one task, or what they need isn't
            installed.
    """

    def __init__(self, model: str, *, batch_size: int = 64) -> None:
        Settings(batch_size=batch_size)
        self._models = dict[str, _Model]()
        names = [model] if Path(model).is_dir() else [name.strip() for name in model.split(",")]
        for name in names:
            loaded = _Model(name, batch_size)
            if loaded.shape.env in self._models:
                raise ValueError(
                    f"wanted one checkpoint for each task; {name} is another one for "
                    f"{loaded.shape.env}: leave one out"
                )
            self._models[loaded.shape.env] = loaded
        self.env_ids = tuple(self._models)
        self.name = f"cnn ({self.env_ids[0] if len(names) == 1 else 'one model for each task'})"
        self.settings: dict[str, Any] = {"model": model, "batch_size": batch_size}
        infos = {env_id: loaded.info for env_id, loaded in self._models.items()}
        self.models = infos if len(names) > 1 else {"": infos[self.env_ids[0]]}

    async def act(
        self, observation: Observation, env: gymnasium.Env[Any, str] | None = None
    ) -> Reply:
        """Answer an observation's picture."""
        return await self._models[observation["env_id"]].batcher.ask(observation)
