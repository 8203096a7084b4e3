"""The ALFWorld task."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from copy import copy, deepcopy
from os import cpu_count
from typing import Any, Unpack

from gymnasium.utils.seeding import np_random

from vlbench.env import SolvedEnv
from vlbench.parsing import Json
from vlbench.task import CommonOptions, Demonstration, Statements, checked_int, split_options
from vlbench.tasks.alfworld.demonstrate import HOLDING, LOCATION, make_demonstration
from vlbench.tasks.alfworld.drawing.picture import MIDDLE, NOTHING, AlfworldPicture, AlfworldStyle
from vlbench.tasks.alfworld.engine.client import EngineClient
from vlbench.tasks.alfworld.env import CommandEnv
from vlbench.tasks.alfworld.game import AlfworldGame, AlfworldState
from vlbench.tasks.alfworld.games.generator import HIDDEN, OBJECTS
from vlbench.tasks.alfworld.games.official import DATA
from vlbench.tasks.alfworld.heuristic import SearchHeuristic
from vlbench.vector import Observations, Steps, VLVectorEnv


class ALFWorld(CommandEnv[AlfworldState, AlfworldStyle], SolvedEnv[AlfworldState, AlfworldStyle]):
    """Do a household task in a room, on ALFWorld's own text engine; needs the extra `alfworld`.

    Generated games, schematic pictures: the games are made from what the `alfworld` package ships,
    the pictures are drawn from the engine's state. Neither is comparable with results on the
    official games or on AI2-THOR's frames.

    Picture:
        In the middle of the room a plan of its receptacles; elsewhere the receptacle where the
        player stands, open or closed, and what is seen in or on it; what the player holds; what is
        hot, cold, clean or lit.
    Text:
        The intro (all receptacles), the goal, the last `memory` commands with the engine's
        feedback, and the admissible commands. So much is told because RL4VLM's text told the last
        feedback and the admissible commands: the default is its task. `text_obs="feedback"` gives
        the forms of commands instead of the admissible ones; `"none"` gives no feedback either:
        which objects there are, and where, stands in the picture alone.
    Actions:
        The commands that the engine admits in the state, e.g. "go to fridge 1", "open fridge 1",
        "take apple 1 from fridge 1", "move apple 1 to countertop 2" (or "put apple 1 in/on
        countertop 2"), "heat apple 1 with microwave 1", "use desklamp 1", "look". All of them are
        legal; any other is unknown: so that nothing here is ever illegal.
    Rewards:
        50 when the goal is reached, and in every turn the change of the rate of the goal's
        conditions (ALFWorld's: 1 for placing, 2 for two objects or light, 3 for clean, heat, cool).
        A reply that can't be read moves nothing and costs −1.
    Episode end:
        Terminated when the goal is reached; truncated after 50 turns.
    Success:
        The goal is reached.
    Instances:
        `alfworld/<type>/<floor plan>-<number>`, of ALFWorld's six types and THOR's 120 floor plans.
        Number, `objects` and `hidden` fix the goal and where everything lies, by sha256. 20 % of
        the floor plans are test floor plans, by a keyed hash. At most six receptacles of a kind
        stand in a room, each in a place of its own; lamps stand on furniture; nothing can be
        sliced. With the official games in `$ALFWORLD_DATA` there are theirs too, as suites of their
        own: see `docs/alfworld.md`.
    Differences from RL4VLM:
        Generated games and schematic pictures (there official games in AI2-THOR); the change of the
        rate of conditions (there its level, in every turn, so that idling pays); 50 turns (there up
        to 52); the last commands are told (there only the last feedback); an action must be an
        admissible command (there the first that is a part of the text: "cabinet 1" in "cabinet
        10"); an unreadable reply is no random command; the seed has an effect.
    Version history:
        v0: first version.

    Args:
        objects: How many things lie in the room, 3..60.
        hidden: Whether the goal's objects start in closed receptacles, where they can.
        group: The type of task that is dealt, e.g. "pick_and_place_simple"; "" for all six. An
            instance that is named may be of any.
        text_obs: "full", "feedback" or "none": how much the text tells; see above.
        memory: How many of the last commands the text tells, at least 0.
        labels: "names" writes what things are beside them, "numbers" only which of their kind.
        **options: See `vlbench.task.CommonOptions`.

    Raises:
        ImportError: The extra `alfworld` isn't installed.
        EngineError: The engine died or hung (in `reset` or `step`).
    """

    about = {
        "label": "generated games, schematic pictures",
        "local": DATA,
        "local_label": "official games, schematic pictures",
    }
    extra = "alfworld"
    game: AlfworldGame

    def __init__(
        self,
        *,
        objects: int = OBJECTS,
        hidden: bool = HIDDEN,
        group: str = "",
        text_obs: str = "full",
        memory: int = 8,
        labels: str = "names",
        **options: Unpack[CommonOptions],
    ) -> None:
        common = split_options(options)
        game = AlfworldGame(objects, hidden, group=group)
        picture = AlfworldPicture(common.themes, labels)
        super().__init__(game, picture, common.prompt, text_obs, memory, **common.rest)

    def heuristic(self) -> str:
        """Look everywhere in a sensible order, remember what was seen, then do it."""
        self._must_be_reset()
        room = self.game.room(self.presentation.instance)
        command = SearchHeuristic.from_history(
            room, self._state.world, self._state.commands
        ).next_command()
        return command if command in self._legal else "look"

    def demonstrate(self) -> Demonstration | None:
        """State where one stands, what one holds and what is next, and do what a person would."""
        self._must_be_reset()
        turns = max(self.turns_left, 1)
        return make_demonstration(self.game, self._state, self._facts, turns)

    def check_statements(self, fields: Mapping[str, Json]) -> Statements:
        """Hold `location` and `holding` against the picture."""
        scene = self._state.scene
        held = scene.holding.name if scene.holding else NOTHING
        checks = [
            " ".join(stated.split()).casefold() == true
            for field, true in ((LOCATION, scene.at or MIDDLE), (HOLDING, held))
            if isinstance(stated := fields.get(field.name), str)
        ]
        return Statements(all(checks) if checks else None)

    def state_hash(self) -> str:
        """Return the sha256 of the canonical state and the presentation."""
        state, world = self._state, self._state.world
        things = [
            world.at,
            world.holding,
            sorted(world.opened),
            world.placements,
            sorted(world.states),
        ]
        parts = [state.instance, state.commands, state.feedback, state.admissible, things]
        text = json.dumps([parts, self.presentation.number])
        return hashlib.sha256(text.encode()).hexdigest()

    def foresee(self, reply: str) -> None:
        """Have the engine work out what a reply will do, and the next game if it ends this one."""
        action = None if self._over else self.read(reply).action
        over = self.turns_left <= 1
        if action is not None:
            over |= self.game.foresee(self._state, action).won
        if over:
            self.prepare(None, None)

    def prepare(self, seed: int | None, options: Mapping[str, Any] | None) -> None:
        """Have the engine load the game that `begin` will start; nothing is drawn by it."""
        twin = copy(self)
        twin.np_random = deepcopy(self.np_random) if seed is None else np_random(seed)[0]
        instance = (options or {}).get("instance")
        self.game.start(instance if isinstance(instance, str) else twin._deal())


class ALFWorldVector(VLVectorEnv):
    """Many rooms, over a few engines that work at the same time, each in its own process.

    What it returns is what the environments would, one after the other.

    Args:
        num_envs: Number of environments.
        copy: See `VLVectorEnv`.
        engines: Number of engines; by default one a processor, at most one an environment.
        **kwargs: Arguments of the environments.
    """

    env_class = ALFWorld
    envs: list[ALFWorld]  # type: ignore[assignment]

    def __init__(
        self, num_envs: int, copy: bool = True, *, engines: int | None = None, **kwargs: Any
    ) -> None:
        super().__init__(num_envs, copy, **kwargs)
        count = min(num_envs, checked_int("engines", engines or cpu_count() or 1, 1))
        # Each environment's game stands ready, and its next one may.
        self._engines = [EngineClient(cursors=2 * -(-num_envs // count)) for _ in range(count)]
        for number, env in enumerate(self.envs):
            env.game.engine = self._engines[number % count]
        self._threads = ThreadPoolExecutor(count)

    def reset(
        self,
        *,
        seed: int | Sequence[int | None] | None = None,
        options: dict[str, Any] | None = None,
    ) -> tuple[Observations, dict[str, Any]]:
        """Start an episode in every environment; see `VLVectorEnv.reset`."""
        seeds = self._seeds(seed)
        self._each([(env.prepare, s, options) for env, s in zip(self.envs, seeds, strict=True)])
        return super().reset(seed=seed, options=options)

    def step(self, actions: Sequence[str]) -> Steps:
        """Play one reply in every environment; see `VLVectorEnv.step`."""
        if not isinstance(actions, str) and len(actions) == self.num_envs:
            self._each([(env.foresee, r) for env, r in zip(self.envs, actions, strict=True)])
        return super().step(actions)

    def close_extras(self, **kwargs: Any) -> None:
        """Close the environments and end the engines."""
        super().close_extras(**kwargs)
        self._threads.shutdown()
        for engine in self._engines:
            engine.close()

    def _each(self, calls: Sequence[tuple[Any, ...]]) -> None:
        """Make one call an environment, those of an engine in turn, the engines side by side."""
        count = len(self._engines)

        def work(first: int) -> None:
            for function, *arguments in calls[first::count]:
                function(*arguments)

        list(self._threads.map(work, range(count)))
