"""The checkpoints that come with the package, as the agents `llava-sft` and `llava-rl`.

    python -m agents.evaluate --agent llava-rl --env NumberLine --episodes 20

Each is a tiny LLaVA for each of four tasks, trained from nothing on that task alone: a working
example of the whole way, and no general model. `llava-sft` is what PPO started from.
`docs/results/checkpoints.md` says what was tried, and where they fail.
"""

from pathlib import Path
from typing import Any, ClassVar

import gymnasium

from agents.agent import Observation
from agents.vlm.agent import Llava
from vlbench.records import Reply

CHECKPOINTS = Path(__file__).parents[1] / "checkpoints"
"""A folder a stage, in it a folder a task; each with a model card."""

TASKS = {
    "vlbench/NumberLine-v0": "number_line",
    "vlbench/EZPoints-v0": "ez_points",
    "vlbench/Points24-v0": "points24",
    "vlbench/Blackjack-v0": "blackjack",
}
"""What they play, and the name of its checkpoint."""


class BundledLlava:
    """Plays each task with the checkpoint that was trained on it, loaded when it is first asked.

    Args:
        temperature: 0 is greedy.
        top_p: Nucleus of sampling.
        max_tokens: Longest reply, in tokens.
        batch_size: Most observations that are answered at once.
        seed: Of sampling.
        device: "cuda", "mps" or "cpu"; by default the best that is there.
        dtype: "float32", "bfloat16" or "float16"; by default float32 on a CPU, else bfloat16.

    Raises:
        ValueError: A setting is wrong, or what it needs isn't installed.
    """

    stage: ClassVar[str]
    """Name of the agent and of the folder of its checkpoints."""
    privileged = False
    env_ids = tuple(TASKS)

    def __init__(
        self,
        *,
        temperature: float = 0.0,
        top_p: float = 1.0,
        max_tokens: int = 256,
        batch_size: int = 32,
        seed: int = 0,
        device: str = "",
        dtype: str = "",
    ) -> None:
        self.name = f"{self.stage}: tiny-llava-2M (trained only on these tasks)"
        self._settings: dict[str, Any] = {
            "temperature": temperature,
            "top_p": top_p,
            "max_tokens": max_tokens,
            "batch_size": batch_size,
            "seed": seed,
            "device": device,
            "dtype": dtype,
        }
        self._players: dict[str, Llava] = {}
        first = self._player(self.env_ids[0])
        self.settings = {**first.settings, "model": self.stage}

    async def act(
        self, observation: Observation, env: gymnasium.Env[Any, str] | None = None
    ) -> Reply:
        """Answer an observation of one of these tasks."""
        return await self._player(observation["env_id"]).act(observation)

    def _player(self, env_id: str) -> Llava:
        if env_id not in self._players:
            model = str(CHECKPOINTS / self.stage / TASKS[env_id])
            self._players[env_id] = Llava(model, **self._settings)
        return self._players[env_id]


class LlavaSft(BundledLlava):
    """After fine-tuning on expert transcripts."""

    stage = "llava-sft"


class LlavaRl(BundledLlava):
    """After PPO."""

    stage = "llava-rl"
