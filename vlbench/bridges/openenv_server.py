"""OpenEnv: an environment behind a server, with frozen suites as its splits.

    python -m vlbench.bridges.openenv_server --env Points24 --port 8000
    openenv validate --url http://127.0.0.1:8000

An observation holds what a model may see: the picture, as the data of a PNG in base64, the prompt,
and how its last reply was read. The instance, the facts, the legal actions, the expert's action and
the values never leave the server: several of them name what the picture shows.
"""

import base64
import io
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from vlbench.bridges.engines import OPENENV

if OPENENV.problem:
    OPENENV.refuse(__name__, "openenv_server")

import numpy as np
import uvicorn
from openenv.core.client_types import StepResult
from openenv.core.env_client import EnvClient
from openenv.core.env_server.http_server import create_fastapi_app
from openenv.core.env_server.interfaces import Environment
from openenv.core.env_server.types import Action, EnvironmentMetadata, Observation, State
from PIL import Image
from pydantic import Field

import vlbench
from vlbench.bridges.conversation import Conversation
from vlbench.bridges.rollouts import RolloutRecord
from vlbench.cli import Options, option, parse_options, required, run_main
from vlbench.observation import png
from vlbench.recorder import EnvCache
from vlbench.records import Reply, Turn
from vlbench.records.run_spec import RunSpec
from vlbench.registry import registered_id, resolve_env_id
from vlbench.suites import Row, shipped_suites
from vlbench.task import Frame


class TaskAction(Action):  # type: ignore[misc]  # untyped
    """A turn."""

    reply: str = Field(description="The model's whole reply: text that holds a JSON object.")


class TaskObservation(Observation):  # type: ignore[misc]  # untyped
    """What a model may see."""

    text: str = Field(description="The prompt for this state.")
    image: str = Field(description="A PNG of 300x300 pixels, in base64.")
    status: str = Field("", description="How the last reply was read; empty before the first.")
    action: str = Field("", description="The action that was read; empty if none.")
    illegal: bool = Field(False, description="Whether the state forbade that action.")
    success: bool = Field(False, description="Whether the task is solved.")


class TaskState(State):  # type: ignore[misc]  # untyped
    """The state of a session."""

    total: float = Field(0.0, description="The return so far.")


class TaskEnvironment(Environment):  # type: ignore[misc]  # untyped
    """One session: one episode at a time.

    Args:
        env_id: A registered id.
        kwargs: Keyword arguments of the environment.
        record: Where the episodes are recorded.
    """

    SUPPORTS_CONCURRENT_SESSIONS: ClassVar[bool] = True

    def __init__(self, env_id: str, kwargs: dict[str, Any], record: RolloutRecord) -> None:
        super().__init__()
        self._env_id, self._kwargs, self._record = env_id, kwargs, record
        self._envs = EnvCache()
        self._conversation: Conversation | None = None
        self._episode_id = ""

    def list_splits(self) -> list[str]:
        """Return the names of the frozen suites."""
        return list(shipped_suites(self._env_id))

    def num_tasks(self, split: str) -> int:
        """Return the number of rows of a suite."""
        return len(self._rows(split))

    def get_task(self, split: str, index: int) -> dict[str, Any]:
        """Return a row's name, which doesn't tell what its picture shows.

        Raises:
            IndexError: There is no such row.
        """
        if not 0 <= index < self.num_tasks(split):
            raise IndexError(index)
        return {"id": f"{split}-{index}", "split": split, "index": index}

    def list_tasks(self, split: str) -> list[dict[str, Any]]:
        """Return the names of a suite's rows."""
        return self.get_task_range(split)

    def get_task_range(
        self, split: str, start: int | None = None, stop: int | None = None
    ) -> list[dict[str, Any]]:
        """Return the names of some rows of a suite."""
        return [self.get_task(split, i) for i in range(self.num_tasks(split))[start:stop]]

    def reset(
        self,
        seed: int | None = None,
        episode_id: str | None = None,
        split: str = "",
        index: int | None = None,
        instance: str = "",
        presentation: int = 0,
        **_: Any,
    ) -> TaskObservation:
        """Start an episode: a row of a suite, an instance, or a deal of the split "train".

        Args:
            seed: Seed of the deal; by default a new one.
            episode_id: Its name.
            split: Name of a frozen suite.
            index: Number of a row in it.
            instance: The canonical start.
            presentation: Fixes what doesn't change the game.
            **_: Ignored.

        Raises:
            ValueError: There is no such row or instance.
        """
        self._end()
        if split:
            rows = self._rows(split)
            if index is None or not 0 <= index < len(rows):
                raise ValueError(f"{split} has rows 0 to {len(rows) - 1}, got index {index}")
            row = rows[index]
        elif instance:
            row = Row(self._env_id, self._kwargs, instance, presentation)
        else:
            fresh = int(np.random.SeedSequence().generate_state(1)[0])
            row = Row(self._env_id, self._kwargs, "", 0, seed=fresh if seed is None else seed)
        number = self._record.next_number()
        self._conversation = Conversation(row, number, envs=self._envs)
        self._episode_id = episode_id or f"episode-{number}"
        return self._observe(None)

    def step(self, action: TaskAction, timeout_s: float | None = None, **_: Any) -> TaskObservation:
        """Play a reply.

        Raises:
            ValueError: The episode is over, or there is none.
        """
        if self._conversation is None or self._conversation.is_over:
            raise ValueError("the episode is over; reset first")
        return self._observe(self._conversation.play(Reply(action.reply)))

    @property
    def state(self) -> TaskState:
        """The episode's name, and the number of turns and the return so far."""
        turns = self._conversation.turns if self._conversation else ()
        total = self._conversation.total if self._conversation else 0.0
        return TaskState(episode_id=self._episode_id, step_count=len(turns), total=total)

    def get_metadata(self) -> EnvironmentMetadata:
        """Return what the environment is."""
        return EnvironmentMetadata(
            name=self._env_id,
            description=f"{self._env_id} of vlbench: a picture and a prompt in each turn",
            version=vlbench.__version__,
        )

    def close(self) -> None:
        """Record the episode, and close the environment."""
        self._end()
        for env in self._envs.values():
            env.close()
        self._envs.clear()

    def _end(self) -> None:
        if self._conversation is not None and self._conversation.turns:
            self._record.add(self._conversation.episode())
        self._conversation = None

    def _rows(self, split: str) -> Sequence[Row]:
        if split not in shipped_suites(self._env_id):
            raise ValueError(f"wanted a split of {self.list_splits()}, got {split!r:.40}")
        return RunSpec(split, "cot", env_kwargs=self._kwargs).rows(self._env_id)

    def _observe(self, turn: Turn | None) -> TaskObservation:
        assert self._conversation is not None
        observation = self._conversation.observation
        names = ("status", "action", "illegal") if turn else ()
        return TaskObservation(
            text=observation["text"],
            image=base64.b64encode(png(observation["image"])).decode(),
            done=self._conversation.is_over,
            reward=turn.reward if turn else None,
            success=self._conversation.success,
            **{name: getattr(turn, name) for name in names},
        )


class TaskClient(EnvClient):  # type: ignore[misc]  # untyped
    """A client whose actions are replies; `picture` gives an observation's pixels."""

    def _step_payload(self, action: TaskAction | str) -> dict[str, Any]:
        return {"reply": action if isinstance(action, str) else action.reply}

    def _parse_result(self, payload: dict[str, Any]) -> Any:
        data = {"reward": payload.get("reward"), "done": bool(payload.get("done"))}
        observation = TaskObservation(**{**payload["observation"], **data})
        return StepResult(observation=observation, **data)

    def _parse_state(self, payload: dict[str, Any]) -> TaskState:
        return TaskState(**payload)


def picture(observation: TaskObservation) -> Frame:
    """Return the pixels of an observation, (300, 300, 3) uint8."""
    file = io.BytesIO(base64.b64decode(observation.image))
    return np.asarray(Image.open(file).convert("RGB"))


def app(env_id: str, *, sessions: int = 64, record: Path | str | None = None, **kwargs: Any) -> Any:
    """Return the server's FastAPI application.

    Args:
        env_id: An id or short name.
        sessions: Most sessions at once.
        record: Folder of the recorded episodes; None for no record.
        **kwargs: Keyword arguments of the environment. Clients can't set any.

    Raises:
        ValueError: There is no such environment.
    """
    name = registered_id(resolve_env_id(env_id))
    episodes = RolloutRecord(None if record is None else Path(record), "openenv")

    def make() -> TaskEnvironment:
        return TaskEnvironment(name, kwargs, episodes)

    return create_fastapi_app(
        make, TaskAction, TaskObservation, sessions, env_name="vlbench", state_cls=TaskState
    )


@dataclass(frozen=True, kw_only=True)
class Config(Options):
    """Options of `openenv_server`."""

    env: str = required("environment, by id or short name")
    env_kwargs: dict[str, Any] = option({}, "further keyword arguments of the environment")
    host: str = option("127.0.0.1", "address to listen on")
    port: int = option(8000, "port to listen on", ge=1, le=65_535)
    sessions: int = option(64, "most sessions at once", ge=1, limit=4096)
    record: Path | None = option(None, "folder of the recorded episodes")


def main(argv: Sequence[str] | None = None) -> int:
    """Serve until interrupted; exit 2 on a wrong call."""

    def run() -> None:
        config = parse_options(
            Config, argv, prog="python -m vlbench.bridges.openenv_server", description=__doc__
        )
        served = app(
            config.env, sessions=config.sessions, record=config.record, **config.env_kwargs
        )
        uvicorn.run(served, host=config.host, port=config.port, log_level="warning")

    return run_main("openenv_server", run)


if __name__ == "__main__":
    sys.exit(main())
