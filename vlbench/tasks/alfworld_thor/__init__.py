"""The ALFWorldThor task."""

import hashlib
import json
from typing import ClassVar, NoReturn, Unpack

from vlbench.task import EnvOptions
from vlbench.tasks.alfworld.env import CommandEnv
from vlbench.tasks.alfworld_thor.client import ThorClient
from vlbench.tasks.alfworld_thor.game import ThorGame, ThorPicture, ThorState
from vlbench.tasks.alfworld_thor.requirements import Requirement, build, check, needs
from vlbench.vector import VLVectorEnv


class ALFWorldThor(CommandEnv[ThorState, None]):
    """Do a household task in a room of AI2-THOR, in one of ALFWorld's official games.

    Untested against real Unity: the adapter is tested on ai2thor's own server and ALFWorld's own
    controller, with a stand-in for Unity. It is another task than ALFWorld (other games, other
    pictures, another controller), their results are never averaged, and neither stands in for the
    other. Needs the extra `thor`, the Unity program of ai2thor 2.1.0, an X server with GL, and the
    official data; `python -m agents.doctor --env ALFWorldThor` says what is missing. Nothing is
    ever downloaded.

    Picture:
        The camera of THOR's agent, 300×300, as Unity renders it at "MediumCloseFitShadows".
    Text:
        ALFWorld's prompt: the intro (all receptacles), the goal, the last `memory` commands with
        the controller's feedback, and the commands that it offers; see `text_obs` there.
    Actions:
        The commands that ALFWorld's controller offers, by its heuristics: more than can be done in
        the state; what can't be answers "Nothing happens." "move apple 1 to countertop 2" and "put
        apple 1 in/on countertop 2" are the same. Any other command is unknown: nothing is illegal.
    Rewards:
        50 when the goal is reached, and in every turn the change of the rate of the goal's
        conditions, as in ALFWorld. A reply that can't be read moves nothing and costs −1.
    Episode end:
        Terminated when the goal is reached; truncated after 50 turns.
    Success:
        The goal is reached.
    Instances:
        `alfworld_thor/<folder>/<task>/<trial>`: the folders under `$ALFWORLD_DATA/json_2.1.1` of
        ALFWorld's six types, without movable receptacles and sliced objects, dealt uniformly from
        their sorted list. Split "train" is ALFRED's `train`, "test" its `valid_unseen`, "all" has
        `valid_seen` too. Instance fixes the goal's wording. A presentation changes nothing, and no
        set is frozen: what Unity renders, and with it how receptacles of a kind are numbered,
        depends on the graphics driver.
    Differences from RL4VLM:
        The change of the rate of conditions (there its level, in every turn, so that idling pays);
        50 turns (there up to 52); the last commands are told (there only the last feedback); an
        action must be an offered command (there the first that is a part of the text: "cabinet 1"
        in "cabinet 10"); an unreadable reply is no random command; the seed has an effect; the
        first frame is ALFRED's start (there the last receptacle that the controller looked at while
        it explored); `sink` and `bathtub` are no receptacles beside their basins.
    Experts:
        None: there is no model of THOR to plan with. `values`, `expert`, `heuristic` and
        `demonstrate` don't exist, turns have no regret, and an environment can't be copied or
        pickled.
    Version history:
        v0: first version.

    Args:
        text_obs: "full", "feedback" or "none": how much the text tells; see `ALFWorld`.
        memory: How many of the last commands the text tells, at least 0.
        timeout: Seconds that the simulator may take for a reset or a step, more than 0; the first
            reset starts Unity.
        prompt: "cot", "action_only" or "cot_facts".
        **options: See `vlbench.task.EnvOptions`.

    Raises:
        ImportError: Packages are missing, or not of the version that is needed.
        ValueError: An argument isn't known or out of its range.
        EngineError: Unity, an X server or the data is missing; or (in `reset` or `step`) the
            simulator died or hung.
    """

    label: ClassVar[str] = "AI2-THOR frames; untested against real Unity"
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
        super().__init__(game, ThorPicture(), prompt, text_obs, memory, **options)
        check()

    @staticmethod
    def requirements() -> tuple[Requirement, ...]:
        """Return what is needed and what of it is there, without importing or starting anything."""
        return needs()

    def state_hash(self) -> str:
        """Return the sha256 of what was commanded, told and shown."""
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
        """Refuse: a running Unity has no copy."""
        raise TypeError("an ALFWorldThor can't be copied or pickled: its Unity can't; make another")


class ALFWorldThorVector(VLVectorEnv):
    """Many rooms, one after the other, each in a Unity of its own."""

    env_class = ALFWorldThor
