"""The bundled checkpoints, as the agents `llava-sft` and `llava-rl`.

    python -m agents.evaluate --agent llava-rl --env NumberLine --episodes 20

Each agent has one tiny LLaVA per task, trained from scratch on that task alone: a working example
of the whole pipeline, not a general model. `llava-rl` continues `llava-sft` with PPO.
`docs/results/checkpoints.md` reports the experiments and where the models fail.
"""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import gymnasium

from agents.agent import Agent, Observation
from agents.vlm.agent import Llava, LocalSettings
from vlbench.records import Reply

CHECKPOINTS = Path(__file__).parents[1] / "checkpoints"
"""Folder of `<stage>/<task>/`, each with a model card."""

TASKS = {
    "vlbench/NumberLine-v0": "number_line",
    "vlbench/EZPoints-v0": "ez_points",
    "vlbench/Points24-v0": "points24",
    "vlbench/Blackjack-v0": "blackjack",
}
"""Environment id → folder of its checkpoint."""


@dataclass(kw_only=True, eq=False)
class BundledLlava(LocalSettings, Agent):
    """Plays each task with its own checkpoint.

    Raises:
        ValueError: A setting is wrong, or a package isn't installed.
    """

    stage: ClassVar[str]
    """Name of the agent, and of its folder of checkpoints."""
    env_ids = tuple(TASKS)

    def __post_init__(self) -> None:
        """Load the checkpoints."""
        super().__post_init__()
        self.name = f"{self.stage}: tiny-llava-2M (trained only on these tasks)"
        self._players = {
            env_id: Llava(str(CHECKPOINTS / self.stage / task), **self.local_settings())
            for env_id, task in TASKS.items()
        }
        self.settings = {**self._players[self.env_ids[0]].settings, "model": self.stage}
        self.models = {
            env_id: replace(player.models[""], checkpoint=f"{self.stage}/{TASKS[env_id]}")
            for env_id, player in self._players.items()
        }

    async def act(
        self, observation: Observation, env: gymnasium.Env[Any, str] | None = None
    ) -> Reply:
        """Answer an observation of one of these tasks."""
        return await self._players[observation["env_id"]].act(observation)


class LlavaSft(BundledLlava):
    """The checkpoints fine-tuned on expert transcripts."""

    stage = "llava-sft"


class LlavaRl(BundledLlava):
    """The checkpoints of `llava-sft` after PPO."""

    stage = "llava-rl"
