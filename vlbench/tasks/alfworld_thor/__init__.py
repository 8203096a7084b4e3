"""The ALFWorldThor task."""

import hashlib
import json
from typing import NoReturn, Unpack

from vlbench.task import EnvOptions
from vlbench.tasks.alfworld.env import CommandEnv
from vlbench.tasks.alfworld.prompt_text import PromptText
from vlbench.tasks.alfworld_thor.client import ThorClient
from vlbench.tasks.alfworld_thor.game import ThorGame, ThorPicture, ThorState
from vlbench.tasks.alfworld_thor.requirements import Requirement, build, check, needs
from vlbench.vector import VLVectorEnv


class ALFWorldThor(CommandEnv[ThorState, None]):
    """Do a household task in a room of AI2-THOR, in one of ALFWorld's official games.

    Example: `gymnasium.make("vlbench/ALFWorldThor-v0", timeout=300)`.

    Untested against real Unity: the tests run ai2thor's server and ALFWorld's controller with a
    simulated Unity. This is a different task from ALFWorld (other games, pictures and controller);
    their results are never averaged, and neither replaces the other. It needs the extra `thor`, the
    Unity program of ai2thor 2.1.0, an X server with GL, and the official data; `python -m
    agents.doctor --env ALFWorldThor` lists what is missing. vlbench downloads nothing.

    Picture:
        The camera of THOR's agent, 300×300, rendered by Unity at quality "MediumCloseFitShadows".
    Text:
        ALFWorld's prompt: the intro (all receptacles), the goal, the last `memory` commands with
        the controller's feedback, and the commands that it offers; see `text_obs` of `ALFWorld`.
    Actions:
        The commands that ALFWorld's controller offers. Its heuristics offer more than the state
        allows; an impossible command gets the feedback "Nothing happens." "move apple 1 to
        countertop 2" and "put apple 1 in/on countertop 2" are equivalent. Any other command is
        unknown, so `illegal` is always False.
    Rewards:
        50 for reaching the goal, plus each turn the change in the fraction of the goal's conditions
        that hold, as in ALFWorld. An unreadable reply changes nothing and costs −1.
    Episode end:
        Terminated when the goal is reached; truncated after 50 turns.
    Success:
        The goal is reached.
    Instances:
        `alfworld_thor/<folder>/<task>/<trial>`: the trial folders under
        `$ALFWORLD_DATA/json_2.1.1` of ALFWorld's six types, without movable receptacles and sliced
        objects, dealt uniformly. Split "train" is ALFRED's `train`, "test" its `valid_unseen`;
        "all" also includes `valid_seen`. The instance fixes the goal's wording. The presentation
        has no effect. No set is frozen, because rendering, and with it the numbering of
        receptacles, depends on the graphics driver.
    Differences from RL4VLM:
        The reward is the change in the fraction of conditions (in RL4VLM its level, every turn, so
        idling pays). 50 turns (in RL4VLM up to 52). The text includes the last commands (in RL4VLM
        only the last feedback). An action must be an offered command (in RL4VLM the first one that
        is a substring of the text: "cabinet 1" in "cabinet 10"). An unreadable reply never becomes
        a random command. Seeding works. The first frame is ALFRED's start (in RL4VLM the last
        receptacle of the controller's exploration). `sink` and `bathtub` aren't receptacles; their
        basins are.
    Experts:
        None: no model of THOR exists to plan with. `values`, `expert`, `heuristic` and
        `demonstrate` don't exist, turns have no regret, and an environment can't be copied or
        pickled.
    Version history:
        v0: first version.

    Args:
        text_obs: How much the text includes: "full", "feedback" or "none"; see `ALFWorld`.
        memory: Number of past commands in the text, at least 0.
        timeout: Time limit of a reset or step in seconds, above 0; the first reset starts Unity.
        prompt: "cot", "action_only" or "cot_facts".
        **options: See `vlbench.task.EnvOptions`.

    Raises:
        ImportError: Packages are missing, or have the wrong version.
        ValueError: An argument is unknown or out of range.
        EngineError: Unity, an X server or the data is missing; or the simulator died or hung
            (raised by `reset` or `step`).
    """

    extra = "thor"
    game: ThorGame

    def __init__(
        self,
        *,
        text_obs: str = "full",
        memory: int = 8,
        timeout: float = 180.0,
        prompt: str = "cot",
        **options: Unpack[EnvOptions],
    ) -> None:
        if isinstance(timeout, bool) or not isinstance(timeout, (int, float)) or not timeout > 0:
            raise ValueError(f"timeout must be a number of seconds above 0, got {timeout!r}")
        game = ThorGame(ThorClient(build(), float(timeout)))
        super().__init__(game, ThorPicture(), prompt, PromptText(text_obs, memory), **options)
        check()

    @staticmethod
    def requirements() -> tuple[Requirement, ...]:
        """Return all requirements and whether each is met; imports and starts nothing."""
        return needs()

    def state_hash(self) -> str:
        """Return the sha256 of the commands, the feedback, the frame and the presentation."""
        state = self._state
        parts = [state.instance, state.commands, state.feedback, state.admissible, state.rate]
        text = json.dumps([parts, self.frame_hash(), self.presentation.number])
        return hashlib.sha256(text.encode()).hexdigest()

    def close(self) -> None:
        """Close the window, and stop Unity."""
        super().close()
        self.game.simulator.close()

    def _deal(self) -> str:
        return self.game.deal(self.np_random, self.split)

    def __getstate__(self) -> NoReturn:
        """Refuse: a running Unity can't be copied."""
        raise TypeError(
            "ALFWorldThor can't be copied or pickled, because its Unity can't; make a new one"
        )


class ALFWorldThorVector(VLVectorEnv):
    """Several ALFWorldThor environments, stepped in order, each with its own Unity."""

    env_class = ALFWorldThor
