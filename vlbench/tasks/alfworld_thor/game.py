"""The rules of ALFWorldThor: the simulator's, with rewards."""

from dataclasses import dataclass, field

import numpy as np

from vlbench.instances import Presentation
from vlbench.task import Fact, Frame, Move
from vlbench.tasks.alfworld.drawing.picture import MIDDLE, NOTHING
from vlbench.tasks.alfworld.engine.client import EngineError
from vlbench.tasks.alfworld.game import CommandState
from vlbench.tasks.alfworld.planner import WON
from vlbench.tasks.alfworld_thor.client import Snapshot, ThorClient
from vlbench.tasks.alfworld_thor.trials import NAME, trajectory, trials


@dataclass(frozen=True, slots=True)
class ThorState(CommandState):
    """A state of the simulator, with its frame."""

    rate: float
    """Fraction of the goal's conditions that hold, 0..1."""
    number: int
    """Number of the simulator's snapshot."""
    frame: Frame = field(compare=False, repr=False)


class ThorGame:
    """The rules of ALFWorld on one running simulator.

    The simulator can't go back: only its latest state can be stepped.

    Args:
        simulator: The simulator's client.
    """

    name = NAME
    vocabulary: tuple[str, ...] = ("help", "inventory", "look")
    """The commands that every state allows; each state has more."""
    max_turns = 50
    test_share = 0.0
    val_share = 0.0
    """Unused: splits are ALFRED's folders."""

    def __init__(self, simulator: ThorClient) -> None:
        self.simulator = simulator
        self._trials: dict[str, tuple[str, ...]] = {}

    def deal(self, rng: np.random.Generator, split: str = "all") -> str:
        """Draw an episode of a split, uniformly.

        Raises:
            ValueError: The split has no episodes.
        """
        if split not in self._trials:
            self._trials[split] = trials(split)
        names = self._trials[split]
        if not names:
            raise ValueError(f"the data has no {split} episodes; use another split")
        return names[int(rng.integers(len(names)))]

    def start(self, instance: str) -> ThorState:
        """Start an episode.

        Raises:
            ValueError: The episode doesn't exist.
            EngineError: The simulator failed.
        """
        snapshot = self.simulator.reset(trajectory(instance), instance)
        return _state(instance, (), (), snapshot)

    def legal(self, state: ThorState) -> tuple[str, ...]:
        """Return the commands that ALFWorld's controller offers, sorted."""
        return state.admissible

    def step(self, state: ThorState, action: str) -> Move[ThorState]:
        """Play a command: 50 for the goal, plus the change in the fraction of its conditions.

        Raises:
            EngineError: The simulator failed, or is in another state.
        """
        if state.number != self.simulator.last_number:
            raise EngineError("AI2-THOR can't go back: only its latest state can be stepped")
        snapshot = self.simulator.step(action)
        after = _state(state.instance, (*state.commands, action), state.feedback, snapshot)
        reward = after.rate - state.rate + WON * after.won
        return Move(after, reward, terminated=after.won, success=after.won)


def _state(
    instance: str, commands: tuple[str, ...], feedback: tuple[str, ...], snapshot: Snapshot
) -> ThorState:
    return ThorState(
        instance,
        commands,
        (*feedback, snapshot.feedback),
        snapshot.commands,
        snapshot.won,
        snapshot.scene,
        snapshot.rate,
        snapshot.number,
        snapshot.frame,
    )


class ThorPicture:
    """Copies Unity's frame; the presentation has no effect."""

    def style(self, start: ThorState, presentation: Presentation) -> None:
        """Return None: there is nothing to choose."""

    def paint(self, frame: Frame, state: ThorState, style: None) -> None:
        """Copy the frame."""
        frame[:] = state.frame

    def facts(self, state: ThorState, style: None) -> dict[str, Fact]:
        """Return the location, the object in hand, and the visible objects there."""
        scene = state.scene
        here = next((place for place in scene.places if place.name == scene.at), None)
        contents = (here.contents if here else None) or ()
        return {
            "location": scene.at or MIDDLE,
            "holding": scene.holding.name if scene.holding else NOTHING,
            "visible": tuple(thing.name for thing in contents),
        }
