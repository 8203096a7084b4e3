"""The engine: TextWorld and ALFWorld's games, in a separate process.

`client` runs this file as a program. Nothing imports it, and it imports nothing from vlbench. It
confines the engine's side effects (rewriting `sys.argv`, swapping `sys.stdout`, printing from C,
setting ALFWORLD_DATA and the translator's global options), crashes and hangs.

A request is a tuple that starts with a name; an answer is a value; both are plain data. An error
ends the process: its last line of output states the error, and the next process starts afresh.
"""

import atexit
import contextlib
import gc
import os
import shutil
import sys
from collections import OrderedDict
from multiprocessing.connection import Connection
from types import TracebackType
from typing import Any

import textworld
from alfworld.agents.environment.alfred_tw_env import AlfredDemangler
from textworld.core import GameState
from textworld.envs.pddl import PddlEnv, logic, textgen
from textworld.logic import Action, Placeholder, Variable
from textworld_fast import (  # type: ignore[import-not-found]  # a file beside this one
    Logic,
    Problem,
    State,
    query_of,
    symbols_of,
)

PREPARED = 128
"""Translations in the cache, at about 3 MB each: more than games in progress, since a translation
takes 0.2 s."""
NEEDED = textworld.EnvInfos(won=True, admissible_commands=True)


class Prepared:
    """A game, parsed and translated."""

    def __init__(self, domain: str, grammar: str, problem: str) -> None:
        gc.disable()  # a translation makes millions of objects but no garbage
        try:
            self.problem = Problem(domain, problem)
        finally:
            gc.enable()
        self.logic = Logic(domain, grammar)
        self.entities: Any = None
        """Id → entity info; the first load fills it in."""
        self.actions: dict[str, tuple[Any, str]] = {}
        """Operator → action and command; only those whose command can't change."""


class MemoisedEnv(PddlEnv):  # type: ignore[misc]
    """TextWorld's PDDL environment over a prepared game."""

    def load(self, prepared: Prepared) -> None:
        """Load a game."""
        self._prepared = prepared
        self._logic = prepared.logic
        self._game_data = {"pddl_problem": prepared.problem.text}
        self.walkthrough = None
        if prepared.entities is None:
            self._pddl_state = State(self.downward_lib, prepared.problem, prepared.logic)
            prepared.entities = self._get_entity_infos()
        self._entity_infos = prepared.entities

    def reset(self) -> Any:
        """Start the game; see `PddlEnv.reset`."""
        self._pddl_state = State(self.downward_lib, self._prepared.problem, self._logic)
        self.prev_state, self.state = None, GameState()
        self._last_action, self._moves = None, 0
        self.state.feedback = self._logic.grammar.derive("#intro#", self._context({}))
        self.state.raw = self.state.feedback
        self._gather_infos()
        return self.state

    def _context(self, mapping: dict[Any, Any]) -> dict[str, Any]:
        return {
            "state": self._pddl_state,
            "facts": (),
            "variables": {ph.name: self._entity_infos[var.name] for ph, var in mapping.items()},
            "mapping": mapping,
            "entity_infos": self._entity_infos,
        }

    def _gather_infos(self) -> None:
        """Set the valid actions and the outcome; see `PddlEnv._gather_infos`."""
        state = self._pddl_state
        count = state.downward_lib.get_applicable_operators_count()
        operators = (logic.fast_downward.Operator * count)()
        state.downward_lib.get_applicable_operators(operators)
        state._operators = {operator.id: operator for operator in operators}
        known: dict[str, tuple[Any, str]] = {}
        for operator in operators:
            name = operator.name
            if name not in known:
                known[name] = self._action(name, operator.id)
        self.state["_valid_actions"] = [action for action, _ in known.values()]
        self.state["_valid_commands"] = [command for _, command in known.values()]
        self.state["admissible_commands"] = sorted(set(self.state["_valid_commands"]))
        self.state["won"] = state.check_goal()
        self.state["lost"] = False

    def _action(self, operator: str, number: int) -> tuple[Any, str]:
        """Return an operator's action and command."""
        entry = self._prepared.actions.get(operator)
        if entry is None:
            name, *arguments = operator.split()
            action = Action(name=name, preconditions=[], postconditions=[])
            action.mapping = {
                Placeholder(p.name.strip("?"), p.type_name): Variable(argument, p.type_name)
                for p, argument in zip(
                    self._prepared.problem.actions[name].parameters, arguments, strict=False
                )
            }
            action.feedback_rule = self._logic.actions[name].feedback_rule
            template = self._logic.actions[name].template
            entry = action, self._command(action, template)
            if not self._may_change(template):
                self._prepared.actions[operator] = entry
        entry[0].id = number
        return entry

    def _command(self, action: Any, template: str) -> str:
        action.command_template = self._logic.grammar.derive(
            template, self._context(action.mapping)
        )
        names = {key: info.name for key, info in self._entity_infos.items()}
        return str(action.format_command(names))

    def _may_change(self, template: str) -> bool:
        """Whether a command's text depends on facts that steps change."""
        predicates: set[str] = set()
        for symbol in symbols_of(template):
            symbol = symbol.symbol if isinstance(symbol, textgen.ListSymbol) else symbol
            if isinstance(symbol, textgen.NonterminalSymbol):
                return True
            if isinstance(symbol, textgen.ConditionalSymbol):
                if isinstance(symbol.expression, textgen.NonterminalSymbol):
                    return True
                if symbol.given:
                    predicates |= {p.name for p in query_of(symbol.given).preconditions}
        return bool(predicates & self._prepared.problem.changing)


class Cursor:
    """A game in progress; it holds a copy of the planner's library."""

    def __init__(self) -> None:
        self._env = MemoisedEnv(NEEDED)
        self._names = AlfredDemangler(self._env)
        self._prepared: Prepared | None = None
        self.snapshot: tuple[Any, ...] = ()
        """The current feedback, commands, whether won, and the changeable facts."""

    def start(self, prepared: Prepared) -> None:
        """Start a game."""
        if prepared is not self._prepared:
            self._names.load(prepared)
            self._prepared = prepared
        self._take_snapshot(self._env.reset())

    def step(self, command: str) -> None:
        """Play a command."""
        self._take_snapshot(self._env.step(command)[0])

    def _take_snapshot(self, state: Any) -> None:
        facts = self._facts(self._changing)
        commands = tuple(state["admissible_commands"])
        self.snapshot = state.feedback, commands, state["won"], facts

    @property
    def _changing(self) -> frozenset[str]:
        assert self._prepared is not None
        changing: frozenset[str] = self._prepared.problem.changing
        return changing

    def _facts(self, predicates: frozenset[str]) -> list[tuple[str, ...]]:
        return sorted(
            (fact.name, *(argument.name for argument in fact.arguments))
            for signature, facts in self._env._pddl_state._facts.items()
            if signature.name in predicates and not signature.name.startswith("new-axiom@")
            for fact in facts
        )

    def static(self) -> tuple[list[tuple[str, ...]], dict[str, str]]:
        """Return the fixed facts, and the names of all things by id."""
        state = self._env._pddl_state
        stated = frozenset(signature.name for signature in state._facts)
        names = {key: info.name.strip() for key, info in self._env._entity_infos.items()}
        return self._facts(stated - self._changing), names


class Engine:
    """Plays games from the start, and keeps cursors at their last positions.

    Args:
        cursors: Most games in progress; a new one replaces the least recently used.
    """

    def __init__(self, cursors: int) -> None:
        self._most = cursors
        self._prepared: OrderedDict[str, Prepared] = OrderedDict()
        self._cursors: OrderedDict[tuple[str, tuple[str, ...]], Cursor] = OrderedDict()

    def play(
        self, game: str, commands: tuple[str, ...], texts: tuple[str, str, str] | None = None
    ) -> tuple[Any, ...] | None:
        """Return the state after these commands, continued from a cursor if there is one.

        Args:
            game: The game's name.
            commands: All commands since its start.
            texts: (domain, grammar, problem) of a game that isn't loaded yet.

        Returns:
            None for a game that isn't loaded.
        """
        if game not in self._prepared:
            if texts is None:
                return None
            self._prepared[game] = Prepared(*texts)
            if len(self._prepared) > PREPARED:
                self._prepared.popitem(last=False)
        self._prepared.move_to_end(game)
        cursor = self._cursors.pop((game, commands), None)
        if cursor is None:
            cursor = self._cursors.pop((game, commands[:-1]), None) if commands else None
            rest = commands[-1:]
            if cursor is None:
                cursor, rest = self._fresh(), commands
                cursor.start(self._prepared[game])
            for command in rest:
                cursor.step(command)
        self._cursors[game, commands] = cursor
        return cursor.snapshot

    def describe(self, game: str) -> tuple[list[tuple[str, ...]], dict[str, str]]:
        """Return a game's fixed facts, and the names of all things by id."""
        return next(c for (name, _), c in self._cursors.items() if name == game).static()

    def plan(self, texts: tuple[str, str, str]) -> tuple[str, ...]:
        """Return the planner's plan as commands; () if it finds none."""
        cursor = Cursor()
        cursor.start(Prepared(*texts))
        env = cursor._env
        state = logic.PddlState(env.downward_lib, texts[2], env._logic)
        return tuple(state.replan(env._entity_infos))

    def _fresh(self) -> Cursor:
        if len(self._cursors) < self._most:
            return Cursor()
        return self._cursors.popitem(last=False)[1]


def serve(connection: Any, cursors: int) -> None:
    """Answer requests until the client is gone."""
    engine = Engine(cursors)
    connection.send(None)
    while True:
        try:
            name, *arguments = connection.recv()
        except EOFError:
            return
        connection.send(getattr(engine, name)(*arguments))


def print_error(
    kind: type[BaseException], error: BaseException, trace: TracebackType | None
) -> None:
    """Print an error's traceback, then its whole message in one line."""
    sys.__excepthook__(kind, error, trace)
    print(f"{kind.__name__}: {' '.join(str(error).split())}", file=sys.stderr)


if __name__ == "__main__":
    sys.excepthook = print_error
    atexit.register(shutil.rmtree, os.environ["TMPDIR"], ignore_errors=True)
    with contextlib.suppress(KeyboardInterrupt):
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # the planner's library prints
        serve(Connection(int(sys.argv[1])), int(sys.argv[2]))
