"""The rules of ALFWorld: the engine's, with rewards."""

import json
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from typing import Any

import numpy as np

from vlbench.errors import unknown_name
from vlbench.task import Move, instance_body
from vlbench.tasks.alfworld.engine.client import EngineClient, EngineError, Snapshot, shared_engine
from vlbench.tasks.alfworld.engine.rules import RuleEngine
from vlbench.tasks.alfworld.games import official
from vlbench.tasks.alfworld.games.generator import KINDS, GameData, generate, scenes
from vlbench.tasks.alfworld.games.options import USUAL, GameOptions
from vlbench.tasks.alfworld.games.package_data import check_installed, engine_versions
from vlbench.tasks.alfworld.planner import WON, BestOutcome, best_outcome
from vlbench.tasks.alfworld.scene import Scene
from vlbench.tasks.alfworld.world import Room, World

MAX_SEED = 10**6
"""Games per task type and floor plan; they are numbered 0..MAX_SEED−1."""

EXAMPLE = "alfworld/pick_heat_then_place_in_recep/12-345"

MAX_LOADED = 64
"""Games that stay loaded."""


@dataclass(frozen=True)
class CommandState:
    """The commands so far with their feedback, and the scene that the player sees."""

    instance: str
    commands: tuple[str, ...]
    feedback: tuple[str, ...]
    """The intro, then the feedback to each command."""
    admissible: tuple[str, ...]
    won: bool
    scene: Scene
    """The visible scene; pictures show nothing else."""


@dataclass(frozen=True)
class AlfworldState(CommandState):
    """A state of the engine, with its full world."""

    world: World
    conditions_met: int
    """Number of the goal's conditions that hold."""


@dataclass(frozen=True, slots=True)
class FrozenGame:
    """A game's record from when the sets were frozen."""

    sha256: str
    plan: tuple[str, ...]
    """Commands that reach the goal, verified when the set was frozen."""


@lru_cache(maxsize=1)
def frozen_games() -> Mapping[tuple[str, GameOptions], FrozenGame]:
    """Return the games of the frozen sets, by (instance, options)."""
    source = files(__package__).joinpath("games.jsonl")
    rows = [json.loads(line) for line in source.read_text("utf-8").splitlines()]
    return {
        (row["instance"], GameOptions(**row["options"])): FrozenGame(
            row["sha256"], tuple(row["plan"])
        )
        for row in rows
    }


@dataclass(frozen=True, slots=True)
class _Loaded:
    game: GameData
    room: Room


class AlfworldGame:
    """The rules of ALFWorld.

    States are pure data, as in every game: the engine replays a state's commands from the start of
    the game, or continues from a cursor (see `engine.client`).

    Args:
        options: Difficulty, rule and wording of generated games.
        engine: The engine; by default ALFWorld's, which this process's environments share.
        group: The task type to deal; "" for all six.

    Raises:
        ImportError: The engine isn't installed.
        ValueError: There is no such group.
    """

    name = "alfworld"
    vocabulary: tuple[str, ...] = ("help", "inventory", "look")
    """The commands that every state allows; each state has more."""
    max_turns = 50
    test_share = 0.2
    val_share = 0.1

    def __init__(
        self,
        options: GameOptions = USUAL,
        engine: EngineClient | RuleEngine | None = None,
        group: str = "",
    ) -> None:
        check_installed()
        if group and group not in KINDS:
            raise ValueError(unknown_name("group of games", str(group), KINDS))
        self.options = options
        self.group = group
        self.engine = engine or shared_engine()
        self._loaded: OrderedDict[str, _Loaded] = OrderedDict()
        self._foreseen: dict[tuple[str, tuple[str, ...]], Snapshot] = {}

    def deal(self, rng: np.random.Generator) -> str:
        """Draw a task type, a floor plan that allows it, and a number, all uniformly."""
        kind = self.group or KINDS[int(rng.integers(len(KINDS)))]
        plans = scenes(kind)
        scene = plans[int(rng.integers(len(plans)))]
        return f"{self.name}/{kind}/{scene}-{int(rng.integers(MAX_SEED))}"

    def start(self, instance: str) -> AlfworldState:
        """Start a game.

        Raises:
            ValueError: The instance isn't a game, or the game has changed since the sets were
                frozen.
            EngineError: The engine failed.
        """
        loaded = self._load(instance)
        return self._state(instance, loaded, (), (), self._snapshot(loaded.game, ()))

    def legal(self, state: AlfworldState) -> tuple[str, ...]:
        """Return the admissible commands, sorted."""
        return state.admissible

    def step(self, state: AlfworldState, action: str) -> Move[AlfworldState]:
        """Play a command: 50 for the goal, plus the change in the fraction of its conditions.

        Raises:
            EngineError: The engine failed.
        """
        loaded = self._load(state.instance)
        commands = (*state.commands, action)
        snapshot = self._snapshot(loaded.game, commands)
        after = self._state(state.instance, loaded, commands, state.feedback, snapshot)
        reward = (
            after.conditions_met - state.conditions_met
        ) / loaded.room.conditions + WON * after.won
        return Move(after, reward, terminated=after.won, success=after.won)

    def values(self, state: AlfworldState, turns: int) -> Mapping[str, float]:
        """Return the best return that can follow each command.

        If the goal can be reached in the turns that remain: 50 plus the fraction of conditions that
        don't hold yet. Otherwise: the largest fraction that can hold by then, minus the current
        one.
        """
        return {
            command: outcome.worth for command, outcome in self._best_outcomes(state, turns).items()
        }

    def expert(self, state: AlfworldState, turns: int) -> str:
        """Return the command with the largest value; on a tie, the one that gets there soonest.

        Remaining ties go to the first command in order.
        """
        outcomes = self._best_outcomes(state, turns)
        return max(
            outcomes, key=lambda command: (outcomes[command].worth, -outcomes[command].distance)
        )

    def room(self, instance: str) -> Room:
        """Return the fixed part of a game."""
        return self._load(instance).room

    def data(self, instance: str) -> GameData:
        """Return a game as the engine loads it.

        Raises:
            ValueError: The instance isn't a game, or the game has changed.
        """
        body = instance_body(instance, self.name, EXAMPLE)
        kind, _, rest = body.partition("/")
        scene, _, number = rest.partition("-")
        if kind not in KINDS:
            raise ValueError(unknown_name("type of task", kind, KINDS) + f' in "{instance}"')
        if number.startswith("T") and isinstance(self.engine, RuleEngine):
            raise ValueError(f'"{instance}" is an official game; play it with engine="textworld"')
        if number.startswith("T"):
            if self.options.examine_first or self.options.wording != USUAL.wording:
                raise ValueError(
                    f'"{instance}" is an official game, which has its own rules and words: leave '
                    "out examine_first and wording"
                )
            return official.game(instance)
        plans = scenes(kind)
        if not scene.isdecimal() or scene not in map(str, plans):
            raise ValueError(
                f'unknown instance "{instance}": {kind} is played in the floor plans '
                f'{", ".join(map(str, plans))}; wanted one like "{EXAMPLE}"'
            )
        if not number.isdecimal() or len(number) > 6 or str(int(number)) != number:
            raise ValueError(
                f'unknown instance "{instance}"; wanted "alfworld/<type>/<floor plan>-<number>" '
                f'with a number from 0 to {MAX_SEED - 1}, like "{EXAMPLE}"'
            )
        game = generate(kind, int(scene), int(number), self.options)
        frozen = frozen_games().get((instance, self.options))
        if frozen is not None and frozen.sha256 != game.sha256:
            raise ValueError(
                f'the game "{instance}" has changed since it was frozen (sha256 '
                f"{game.sha256[:12]}…, not {frozen.sha256[:12]}…): {engine_versions()} generates "
                "other games; install the versions that the set was frozen with"
            )
        return game

    def foresee(self, state: AlfworldState, action: str) -> AlfworldState:
        """Compute a command's result in the engine now, so that the next `step` needn't wait."""
        loaded = self._load(state.instance)
        commands = (*state.commands, action)
        snapshot = self.engine.play(loaded.game, commands)
        self._foreseen = {(loaded.game.sha256, commands): snapshot}
        return self._state(state.instance, loaded, commands, state.feedback, snapshot)

    def _snapshot(self, game: GameData, commands: tuple[str, ...]) -> Snapshot:
        foreseen = self._foreseen.pop((game.sha256, commands), None)
        return foreseen or self.engine.play(game, commands)

    def _load(self, instance: str) -> _Loaded:
        if instance not in self._loaded:
            game = self.data(instance)
            try:
                description = self.engine.describe(game)
            except EngineError as error:
                raise EngineError(f'"{instance}" can\'t be started: {error}') from None
            room = Room.read(game.scene, game.goal, description, self.options.examine_first)
            self._loaded[instance] = _Loaded(game, room)
            if len(self._loaded) > MAX_LOADED:
                self._loaded.popitem(last=False)
        return self._loaded[instance]

    @staticmethod
    def _state(
        instance: str,
        loaded: _Loaded,
        commands: tuple[str, ...],
        feedback: tuple[str, ...],
        snapshot: Snapshot,
    ) -> AlfworldState:
        room = loaded.room
        world = room.world(snapshot.facts)
        walks = [command.removeprefix("go to ") for command in commands if command[:3] == "go "]
        scene = room.scene_of(world, walks[-1] if walks else "")
        return AlfworldState(
            instance,
            commands,
            (*feedback, snapshot.feedback),
            snapshot.commands,
            snapshot.won,
            scene,
            world,
            room.conditions_met(world),
        )

    def _best_outcomes(self, state: AlfworldState, turns: int) -> dict[str, BestOutcome]:
        room = self._load(state.instance).room
        return {
            command: best_outcome(room, state.world, command, turns) for command in state.admissible
        }

    def __getstate__(self) -> dict[str, Any]:
        """Return the arguments, without loaded games and the shared engine."""
        engine = None if self.engine is shared_engine() else self.engine
        return {
            "options": self.options,
            "engine": engine,
            "group": self.group,
        }

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Rebuild without loaded games."""
        self.__init__(**state)  # type: ignore[misc]
