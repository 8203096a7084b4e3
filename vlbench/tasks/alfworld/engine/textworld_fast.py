"""TextWorld's grammar and state with cached parses: the same texts, faster.

This runs in the engine's process (`server`), without the rest of vlbench. Stock TextWorld parses
the same few grammar strings for every command of every state, and copies the whole context for
every symbol. These are subclasses that only we use; nothing is patched.
`tests/tasks/alfworld_tests/test_alfworld_engine.py` compares them with the stock engine.
"""

import re
from collections import Counter, defaultdict
from functools import lru_cache
from types import CodeType
from typing import Any

import textworld.logic
from textworld.envs.pddl import logic, textgen
from textworld.logic import Proposition, Rule, Variable

_GOAL = re.compile(r'(?<=Your task is to: )[^"\n]*')
_NO_GOAL = "UNKNOWN GOAL."

query_of = lru_cache(maxsize=1024)(Rule.parse_conjunctive_query)
fast_downward = logic.fast_downward

Context = dict[str, Any]
"""The context of a symbol: variables and mapping vary, the rest belongs to the state."""


@lru_cache(maxsize=1024)
def code_of(text: str) -> CodeType:
    """Return a compiled grammar expression."""
    return compile(text, "<grammar>", "eval")


@lru_cache(maxsize=4096)
def symbols_of(text: str) -> Any:
    """Return the symbols of a right-hand side."""
    return textgen._parse_and_convert(text, rule_name="symbols")


@lru_cache(maxsize=8)
def document_of(text: str) -> Any:
    """Return the actions and the grammar of a document."""
    return logic._parse_and_convert(text, rule_name="pddlStart")


class Grammar(textgen.ContextSensitiveGrammar):  # type: ignore[misc]
    """A grammar that copies only the parts of a context that change."""

    def derive(self, start: str, context: Context) -> str:
        """Return the text that `start` expands to."""
        output: list[str] = []
        self._expand(symbols_of(start), context, output)
        return "".join(output)

    def _expand(self, symbols: Any, context: Context, output: list[str]) -> None:
        for symbol in symbols:
            self._expand_one(symbol, context, output)

    def _expand_one(self, symbol: Any, context: Context, output: list[str]) -> None:
        if isinstance(symbol, textgen.TerminalSymbol):
            output.append(str(symbol))
        elif isinstance(symbol, textgen.NonterminalSymbol):
            self._expand(self._rule(str(symbol), context).rhs, context, output)
        elif isinstance(symbol, textgen.EvalSymbol):
            output.append(str(eval(code_of(symbol.expression), {}, context["variables"])))
        elif isinstance(symbol, textgen.ConditionalSymbol):
            for inner in self._contexts(symbol, context):
                self._expand_one(symbol.expression, inner, output)
        elif isinstance(symbol, textgen.ListSymbol):
            self._expand_list(symbol.symbol, context, output)
        else:
            raise NotImplementedError(f"unknown symbol {symbol!r}")

    def _expand_list(self, symbol: Any, context: Context, output: list[str]) -> None:
        """Expand a list to "a, b, and c", or to the grammar's #list_empty#."""
        items = [(symbol, context)]
        if isinstance(symbol, textgen.ConditionalSymbol):
            items = [(symbol.expression, inner) for inner in self._contexts(symbol, context)]
        if not items:
            self._expand(self._rule("list_empty", context).rhs, context, output)
        for number, (item, inner) in enumerate(items):
            if number:
                last = number == len(items) - 1
                name = "list_last_separator" if last else "list_separator"
                self._expand(self._rule(name, context).rhs, context, output)
            self._expand_one(item, inner, output)

    def _rule(self, name: str, context: Context) -> Any:
        """Return the first rule with this name whose condition holds."""
        rules = self._rules.get(name)
        if not rules:
            raise textgen.CSGUnknownSymbolError(name)
        for rule in rules:
            if not rule.condition:
                return rule
            matches = context["state"].all_assignments(query_of(rule.condition), context["mapping"])
            if next(iter(matches), None) is not None:
                return rule
        raise IndexError(f"no rule of #{name}# applies")

    @staticmethod
    def _contexts(symbol: Any, context: Context) -> list[Context]:
        """Return one context for each way to satisfy a symbol's condition."""
        if not symbol.given:
            return [context]
        contexts = []
        for mapping in context["state"].all_assignments(query_of(symbol.given), context["mapping"]):
            variables = {ph.name: context["entity_infos"][var.name] for ph, var in mapping.items()}
            contexts.append(
                {
                    **context,
                    "variables": context["variables"] | variables,
                    "mapping": {**context["mapping"], **mapping},
                }
            )
        return contexts


class Logic(logic.GameLogic):  # type: ignore[misc]
    """A game's actions and grammar; games that differ only in the goal's sentence share a parse."""

    def __init__(self, domain: str, grammar: str) -> None:
        self.domain = domain
        self.types = textworld.logic.TypeHierarchy()
        goals = _GOAL.findall(grammar)
        separate = len(goals) == 1 and "\\" not in goals[0]
        shared = _GOAL.sub(_NO_GOAL, grammar) if separate else grammar
        self.actions, parsed = document_of(shared)
        self.grammar = Grammar()
        self.grammar.update(parsed)
        if separate:
            (task,) = self.grammar._rules["task"]
            whole = f"Your task is to: {goals[0]}"
            rule = textgen.ProductionRule(task.lhs, symbols_of(whole), task.weight, task.condition)
            self.grammar._rules["task"] = [rule]


class Problem:
    """A problem, translated once, with its initial facts."""

    def __init__(self, domain: str, problem: str) -> None:
        self.domain, self.text = domain, problem
        self.task, sas = fast_downward.pddl2sas(domain, problem)
        self.sas = sas.encode()
        self.name2type = {o.name: o.type_name for o in self.task.objects}
        self.actions = {action.name: action for action in self.task.actions}
        changed = {
            effect.literal.predicate for action in self.task.actions for effect in action.effects
        }
        self.changing = frozenset(changed | {axiom.name for axiom in self.task.axioms})
        """Predicates that a step may change."""
        self.stated = [fact for atom in self.task.init if (fact := self._fact(atom))]
        self.initial: Any = None
        """The library's facts of the initial state; the first `State` fills it in."""

    def _fact(self, atom: Any) -> Any:
        if isinstance(atom, fast_downward.translate.pddl.conditions.Atom):
            if atom.predicate != "=":
                return self._proposition(atom.predicate, atom.args)
        elif isinstance(atom, fast_downward.translate.pddl.f_expression.Assign):
            value = str(atom.expression.value)
            if atom.fluent.symbol != "total-cost" and not value.isdigit():
                return self._proposition(value, atom.fluent.args)
        return None

    def _proposition(self, name: str, arguments: Any) -> Any:
        return Proposition(name, [Variable(a, self.name2type[a]) for a in arguments])


class State(logic.PddlState):  # type: ignore[misc]
    """A state of a translated problem."""

    def __init__(self, downward_lib: Any, problem: Problem, game_logic: Logic) -> None:
        self._facts: Any = defaultdict(set)
        self._vars_by_name: dict[str, Any] = {}
        self._vars_by_type: Any = defaultdict(set)
        self._var_counts: Counter[str] = Counter()
        self._logic = game_logic
        self.downward_lib = downward_lib
        self.pddl_problem = problem.text
        self.task, self.sas = problem.task, problem.sas
        self.name2type = problem.name2type
        self._actions = problem.actions
        for kind in self.task.types:
            try:
                game_logic.types.add(textworld.logic.Type(kind.name, kind.supertype_names))
            except ValueError:  # already added
                pass
        downward_lib.load_sas(problem.sas)
        if problem.initial is None:
            atoms = (logic.Atom * downward_lib.get_state_size())()
            downward_lib.get_state(atoms)
            facts = [atom.get_fact(self.name2type) for atom in atoms]
            problem.initial = [fact for fact in facts if not fact.is_negation]
        self.add_facts(problem.stated)
        self.add_facts(problem.initial)
