"""SkyRL: the tasks as an environment of SkyRL-Gym, with a picture in every turn.

    python -m vlbench.bridges.starts --engine skyrl --env Points24 --out points24

and, where SkyRL's trainer starts:

    from vlbench.bridges import skyrl_env
    skyrl_env.register(record="runs/skyrl")

`SkyRLVLMGymGenerator` plays it. A turn of the environment is the next message of the user, so that
the prompts, the parser and the records are the benchmark's. SkyRL keeps a reward for each turn.
"""

import functools
from pathlib import Path
from typing import Any

from vlbench.bridges.engines import SKYRL

if SKYRL.problem:
    SKYRL.refuse(__name__, "skyrl_env")

import skyrl_gym.envs
from skyrl_gym.envs.base_text_env import BaseTextEnv, BaseTextEnvStepOutput

from vlbench.bridges.conversation import Conversation
from vlbench.bridges.rollouts import RolloutRecord
from vlbench.bridges.starts import NAME, ROW, read_start
from vlbench.observation import data_url
from vlbench.records import Reply
from vlbench.task import Frame


def register(record: Path | str | None = None) -> None:
    """Make the environment known to SkyRL as "vlbench", in this process.

    Args:
        record: Folder of the recorded rollouts, one run folder a process; None for no record.
    """
    skyrl_gym.envs.register(
        id=NAME,
        entry_point="vlbench.bridges.skyrl_env:TaskEnv",
        kwargs={"record": "" if record is None else str(record)},
    )


@functools.cache
def record_of(folder: str) -> RolloutRecord:
    """Return the record of this process in a folder; "" for none."""
    return RolloutRecord(Path(folder) if folder else None, "skyrl")


class TaskEnv(BaseTextEnv):  # type: ignore[misc]  # untyped
    """One episode of the environment that its row names.

    It ends with the environment's last turn, or after SkyRL's `max_turns`; turns that were not
    taken then count −1 each, as unreadable replies do.

    Args:
        env_config: Ignored; SkyRL passes its settings of the environment.
        extras: The row's columns, and `max_turns`.
        record: See `register`.

    Raises:
        ValueError: The row is no start.
    """

    def __init__(
        self, env_config: Any = None, extras: dict[str, Any] | None = None, record: str = ""
    ) -> None:
        super().__init__()
        extras = extras or {}
        if ROW not in extras:
            raise ValueError(f"wanted a row of vlbench.bridges.starts; got {sorted(extras)}")
        self._record = record_of(record)
        self._conversation = Conversation(read_start(extras[ROW]), self._record.next_number())
        self.max_turns = int(extras.get("max_turns") or 10**9)

    def init(self, prompt: Any) -> tuple[list[dict[str, Any]], dict[str, Any]]:
        """Return the first picture and prompt; the row's own prompt only names the start."""
        return self._conversation.messages(_picture), {}

    def step(self, action: str) -> BaseTextEnvStepOutput:
        """Play a reply; return the next picture and prompt, and the turn's reward."""
        conversation = self._conversation
        reward = conversation.play(Reply(action)).reward
        self.turns += 1
        done = conversation.is_over or self.turns >= self.max_turns
        if done:
            reward += conversation.forfeit
        return BaseTextEnvStepOutput(
            observations=[] if done else conversation.messages(_picture),
            reward=reward,
            done=done,
            metadata={"status": conversation.turns[-1].status},
        )

    def get_metrics(self) -> dict[str, Any]:
        """Return the episode's success, 0 or 1, return and number of turns."""
        conversation = self._conversation
        return {
            "success": float(conversation.success),
            "total": conversation.total,
            "turns": len(conversation.turns),
        }

    def close(self) -> None:
        """Record the episode, and close its environment."""
        self._record.add(self._conversation.episode())
        self._conversation.close()


def _picture(image: Frame) -> dict[str, Any]:
    return {"type": "image_url", "image_url": {"url": data_url(image)}}
