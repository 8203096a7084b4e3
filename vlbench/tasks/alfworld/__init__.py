"""The ALFWorld task."""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from copy import copy, deepcopy
from functools import partial
from os import cpu_count
from typing import Any, Unpack

from gymnasium.utils.seeding import np_random

from vlbench.errors import unknown_name
from vlbench.parsing import Json
from vlbench.solved_env import SolvedEnv
from vlbench.task import CommonOptions, Demonstration, Fact, Statements, checked_int, split_options
from vlbench.tasks.alfworld.by_picture import Knowledge, PicturePlayer
from vlbench.tasks.alfworld.demonstrate import HOLDING, LOCATION, make_demonstration
from vlbench.tasks.alfworld.drawing.picture import MIDDLE, NOTHING, AlfworldPicture, AlfworldStyle
from vlbench.tasks.alfworld.engine.client import EngineClient
from vlbench.tasks.alfworld.engine.rules import RuleEngine
from vlbench.tasks.alfworld.env import CommandEnv
from vlbench.tasks.alfworld.exercises import write_exercises
from vlbench.tasks.alfworld.game import AlfworldGame, AlfworldState
from vlbench.tasks.alfworld.games.options import USUAL, GameOptions
from vlbench.tasks.alfworld.heuristic import SearchHeuristic
from vlbench.tasks.alfworld.prompt_text import EXAMINE_FIRST, MEMORY, PromptText
from vlbench.vector import VLVectorEnv

ENGINES = ("textworld", "rules")
"""What plays the games."""


class ALFWorld(CommandEnv[AlfworldState, AlfworldStyle], SolvedEnv[AlfworldState, AlfworldStyle]):
    """Do a household task in a room, on ALFWorld's own text engine; needs the extra `alfworld`.

    Example: `gymnasium.make("vlbench/ALFWorld-v0", text_obs="none")`.

    The games are generated from the data of the `alfworld` package, and the pictures are schematic,
    drawn from the engine's state. Results aren't comparable with those on the official games or on
    AI2-THOR's frames.

    Picture:
        From the middle of the room, a plan of its receptacles; elsewhere the receptacle in front of
        the player, open or closed, and its visible contents. Always what the player holds, and
        which visible objects are hot, cold, clean or lit.
    Text:
        The intro (all receptacles), the goal, the last `memory` commands with the engine's
        feedback, and the admissible commands. The default matches RL4VLM, whose prompt includes the
        last feedback and the admissible commands. `text_obs="feedback"` replaces the admissible
        commands with the command grammar. `"none"` also omits the feedback; then only the picture
        shows which objects there are and where.
    Actions:
        The commands that the engine admits in the state, e.g. "go to fridge 1", "open fridge 1",
        "take apple 1 from fridge 1", "move apple 1 to countertop 2" (or "put apple 1 in/on
        countertop 2"), "heat apple 1 with microwave 1", "use desklamp 1", "look". Every admissible
        command is legal and anything else is unknown, so `illegal` is always False.
    Rewards:
        50 for reaching the goal, plus each turn the change in the fraction of the goal's conditions
        that hold (ALFWorld's conditions: 1 for placing, 2 for two objects or light, 3 for clean,
        heat, cool). An unreadable reply changes nothing and costs −1.
    Episode end:
        Terminated when the goal is reached; truncated after 50 turns.
    Success:
        The goal is reached.
    Instances:
        `alfworld/<type>/<floor plan>-<number>`, for ALFWorld's six types and THOR's 120 floor
        plans. Number, `objects` and `hidden` fix the goal and all object locations, by sha256. A
        keyed hash makes about 20 % of the floor plans test plans and 10 % val plans. A room has at
        most six receptacles of a kind, each at its own location; lamps stand on furniture; nothing
        can be sliced. With the official games in `$ALFWORLD_DATA`, these are available as separate
        suites: see `docs/alfworld.md`.
    Differences from RL4VLM:
        Generated games and schematic pictures (in RL4VLM, official games in AI2-THOR). The reward
        is the change in the fraction of conditions (in RL4VLM its level, every turn, so idling
        pays). 50 turns (in RL4VLM up to 52). The text includes the last commands (in RL4VLM only
        the last feedback). An action must be an admissible command (in RL4VLM the first one that is
        a substring of the text: "cabinet 1" in "cabinet 10"). An unreadable reply never becomes a
        random command. Seeding works.
    Version history:
        v0: first version.

    Args:
        objects: Number of objects in the room, 3..60.
        hidden: Whether the goal's objects start in closed receptacles if possible.
        examine_first: Whether an object can be taken only from a receptacle that has been examined
            ("examine shelf 1"). The prompt says so.
        wording: "usual" gives the goal and the room in ALFWorld's words, "other" in words that
            ALFWorld doesn't use; the frozen set `ood-text` has them.
        group: The task type to deal, e.g. "pick_and_place_simple"; "" for all six. An explicit
            instance may have any type.
        text_obs: How much the text includes: "full", "feedback" or "none"; see above.
        memory: Number of past commands in the text, at least 0.
        labels: "names" labels each object with its name, "numbers" only with its number.
        engine: "textworld", or "rules": this package's own rules, for training on many games. They
            give the same states and texts, and load a game at once, where the engine needs most of
            a second. Official games need the engine.
        **options: See `vlbench.task.CommonOptions`.

    Raises:
        ImportError: The extra `alfworld` isn't installed.
        EngineError: The engine died or hung (raised by `reset` or `step`).
    """

    extra = "alfworld"
    no_rules = frozenset({"engine"})
    game: AlfworldGame

    def __init__(
        self,
        *,
        objects: int = USUAL.objects,
        hidden: bool = USUAL.hidden,
        examine_first: bool = USUAL.examine_first,
        wording: str = USUAL.wording,
        group: str = "",
        text_obs: str = "full",
        memory: int = MEMORY,
        labels: str = "names",
        engine: str = ENGINES[0],
        **options: Unpack[CommonOptions],
    ) -> None:
        common = split_options(options)
        if engine not in ENGINES:
            raise ValueError(unknown_name("engine", str(engine), ENGINES))
        rules = RuleEngine() if engine == "rules" else None
        game = AlfworldGame(GameOptions(objects, hidden, examine_first, wording), rules, group)
        picture = AlfworldPicture(common.themes, labels)
        text = PromptText(text_obs, memory, EXAMINE_FIRST if examine_first else "")
        super().__init__(game, picture, common.prompt, text, **common.rest)

    def heuristic(self) -> str:
        """Search receptacles in a sensible order, remember their contents, then do the task."""
        self._must_be_reset()
        room = self.game.room(self.presentation.instance)
        command = SearchHeuristic.from_history(
            room, self._state.world, self._state.commands
        ).next_command()
        return command if command in self._legal else "look"

    def expert_by_picture(self, facts: Mapping[str, Fact]) -> str:
        """Return the command of a player who reads the goal and the last commands in the text.

        Args:
            facts: What it sees; see `VLEnv.seen_facts`.
        """
        self._must_be_reset()
        room, memory = self.game.room(self.presentation.instance), self._prompt_text.memory
        commands = self._state.commands[-memory:] if memory else ()
        player = PicturePlayer(
            room.goal, facts, commands, Knowledge.of(room), self.game.options.examine_first
        )
        return player.next_command()

    def demonstrate(self) -> Demonstration | None:
        """State location, object in hand and next goal, and give the heuristic's command."""
        self._must_be_reset()
        turns = max(self.turns_left, 1)
        return make_demonstration(self.game, self._state, self._facts, turns)

    exercises = staticmethod(write_exercises)

    def check_statements(self, fields: Mapping[str, Json]) -> Statements:
        """Compare `location` and `holding` with the picture."""
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
            *([sorted(world.examined)] if self.game.options.examine_first else ()),
        ]
        parts = [state.instance, state.commands, state.feedback, state.admissible, things]
        text = json.dumps([parts, self.presentation.number])
        return hashlib.sha256(text.encode()).hexdigest()

    def foresee(self, reply: str) -> None:
        """Precompute a reply's result in the engine, and the next game if this one ends."""
        action = self.read(reply).action
        over = self.turns_left <= 1
        if action is not None:
            over |= self.game.foresee(self._state, action).won
        if over:
            self.prepare(None, None)

    def prepare(self, seed: int | None, options: Mapping[str, Any] | None) -> None:
        """Load the game that `begin` will start into the engine, without advancing `np_random`."""
        twin = copy(self)
        twin.np_random = deepcopy(self.np_random) if seed is None else np_random(seed)[0]
        instance = (options or {}).get("instance")
        self.game.start(instance if isinstance(instance, str) else twin._deal())


class ALFWorldVector(VLVectorEnv):
    """Several ALFWorld environments over parallel engines, each in its own process.

    The results equal those of the environments stepped one after another. A copy starts engines of
    its own.

    Args:
        num_envs: Number of environments.
        *arguments: `copy` and `autoreset_mode`, as in `VLVectorEnv`.
        engines: Number of engines; by default one per processor, at most one per environment.
        **kwargs: `copy`, `autoreset_mode`, and arguments of the environments.
    """

    env_class = ALFWorld
    envs: list[ALFWorld]  # type: ignore[assignment]

    def __init__(
        self, num_envs: int, *arguments: Any, engines: int | None = None, **kwargs: Any
    ) -> None:
        super().__init__(num_envs, *arguments, **kwargs)
        self._start_engines(min(num_envs, checked_int("engines", engines or cpu_count() or 1, 1)))

    def _start_engines(self, count: int) -> None:
        # One cursor for each environment's current game, and one for its next.
        cursors = 2 * -(-self.num_envs // count)
        self._engines = [EngineClient(cursors=cursors) for _ in range(count)]
        for number, env in enumerate(self.envs):
            if not isinstance(env.game.engine, RuleEngine):
                env.game.engine = self._engines[number % count]
        self._threads = ThreadPoolExecutor(count)

    def __getstate__(self) -> dict[str, Any]:
        """Leave the engines out, and the threads that wait for them."""
        state = super().__getstate__()
        return {**state, "_engines": len(self._engines), "_threads": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Start other engines."""
        super().__setstate__(state)
        self._start_engines(state["_engines"])

    def close_extras(self, **kwargs: Any) -> None:
        """Close the environments and stop the engines."""
        super().close_extras(**kwargs)
        self._threads.shutdown()
        for engine in self._engines:
            engine.close()

    def _prepare_resets(self, seeds: Mapping[int, int | None], options: Mapping[str, Any]) -> None:
        """Load the games that `begin` will start."""
        self._each({i: partial(self.envs[i].prepare, seed, options) for i, seed in seeds.items()})

    def _prepare_steps(self, replies: Sequence[str | None]) -> None:
        """Compute the results of the replies, and load the games that follow."""
        calls: dict[int, Callable[[], None]] = {}
        for i, (env, reply) in enumerate(zip(self.envs, replies, strict=True)):
            restart = partial(env.prepare, None, None)
            calls[i] = restart if reply is None else partial(env.foresee, reply)
        self._each(calls)

    def _each(self, calls: Mapping[int, Callable[[], None]]) -> None:
        """Make the calls of environments; engines run in parallel, calls of an engine in order."""
        count = len(self._engines)

        def work(engine: int) -> None:
            for i, call in calls.items():
                if i % count == engine:
                    call()

        list(self._threads.map(work, range(count)))
