"""AI2-THOR as a game: the simulator's, counted in rewards."""

from dataclasses import dataclass, field

import numpy as np

from vlbench.instances import Presentation
from vlbench.task import Fact, Frame, Move
from vlbench.tasks.alfworld.drawing.picture import MIDDLE, NOTHING
from vlbench.tasks.alfworld.engine.client import EngineError
from vlbench.tasks.alfworld.game import WON, CommandState
from vlbench.tasks.alfworld_thor.client import Snapshot, ThorClient
from vlbench.tasks.alfworld_thor.trials import NAME, trajectory, trials


@dataclass(frozen=True, slots=True)
class ThorState(CommandState):
    """A state of the simulator, with the frame that it drew."""

    rate: float
    """The goal's conditions that hold, 0..1."""
    number: int
    """Of the simulator's glimpse."""
    frame: Frame = field(compare=False, repr=False)


class ThorGame:
    """The rules of ALFWorld over one running simulator.

    The simulator has one state, its latest, and can't go back: only that one can be stepped.

    Args:
        simulator: Where it is played.
    """

    name = NAME
    vocabulary: tuple[str, ...] = ("help", "inventory", "look")
    """The commands that every state allows; each state has more."""
    max_turns = 50
    held_out = True
    test_share = 0.0
    """The split is ALFRED's, by folder."""

    def __init__(self, simulator: ThorClient) -> None:
        self.simulator = simulator
        self._trials: dict[str, tuple[str, ...]] = {}

    def deal(self, rng: np.random.Generator, split: str = "all") -> str:
        """Draw one of a split's episodes, uniformly.

        Raises:
            ValueError: There is none.
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
            ValueError: There is no such episode.
            EngineError: The simulator failed.
        """
        snapshot = self.simulator.reset(trajectory(instance), instance)
        return _state(instance, (), (), snapshot)

    def legal(self, state: ThorState) -> tuple[str, ...]:
        """Return the commands that ALFWorld's controller offers, sorted."""
        return state.admissible

    def step(self, state: ThorState, action: str) -> Move[ThorState]:
        """Play a command: 50 for reaching the goal, and the change of the rate of its conditions.

        Raises:
            EngineError: The simulator failed, or has left this state.
        """
        if state.number != self.simulator.last_number:
            raise EngineError("AI2-THOR can't go back: this isn't the state where it stands")
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
    """The frame that Unity drew; a presentation changes nothing."""

    def style(self, start: ThorState, presentation: Presentation) -> None:
        """There is nothing to choose."""

    def paint(self, frame: Frame, state: ThorState, style: None) -> None:
        """Copy the frame."""
        frame[:] = state.frame

    def facts(self, state: ThorState, style: None) -> dict[str, Fact]:
        """Return where the player stands, what is held, and the named objects in the frame."""
        scene = state.scene
        here = next((place for place in scene.places if place.name == scene.at), None)
        contents = (here.contents if here else None) or ()
        return {
            "location": scene.at or MIDDLE,
            "holding": scene.holding.name if scene.holding else NOTHING,
            "visible": tuple(thing.name for thing in contents),
        }
