"""Measure the effect of RL4VLM's defects: simple players under its rules and under vlbench's.

    python -m scripts.rl4vlm_audit [--episodes 10000] [--update]

Every player plays the same number of episodes of each task, from seeds 0, 1, 2, … in one
environment: as `vlbench/<Task>-v0`, as `rl4vlm/<Task>-v0`, and, if the prompt shows a formula, with
`stale_prompt=True`. Two more tables count the Points24 deals that are solvable only because of
`eval`, and the cost of Blackjack's invisible card. The script prints the tables in Markdown;
`--update` also writes them into docs/rl4vlm-audit.md.
"""

import contextlib
import itertools
import re
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from math import sqrt
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np

import vlbench
from agents.players.scripted import Random
from vlbench.cli import Options, option, parse_options, run_main
from vlbench.intervals import Z95, Interval, wilson
from vlbench.rl4vlm.blackjack import IN_A_ROW, VISIBLE, RL4VLMBlackjackGame
from vlbench.rl4vlm.python_eval import FLOATS, python_eval
from vlbench.tasks.formula.arithmetic import Cards, Grammar, hands
from vlbench.tasks.formula.solver import EXACT, Arithmetic, fewest_tokens

PAGE = Path(__file__).parent.parent / "docs" / "rl4vlm-audit.md"
PLACES = ("vlbench", "rl4vlm", "rl4vlm, stale prompt")
TASKS = ("NumberLine", "EZPoints", "Points24", "Blackjack")
SHOWN = re.compile(r'current formula(?: is "(.*?)"\. Your|: (.*?)\. You)', re.DOTALL)
TARGETS = {"EZPoints": (12, Grammar("+*", False)), "Points24": (24, Grammar("+-*/", True))}
LOOPHOLES = (
    "well-formed formulas, in floats",
    "and joined digits",
    "and `**` and `//`",
    "and signs",
)
TOO_LARGE = 10**30
"""Larger values can't return to 24 with the remaining numbers."""

RANDOM = Random()
Choose = Callable[[Any, str], str]
"""(environment, the prompt's text) → a reply."""


@dataclass(frozen=True, slots=True)
class Cell:
    """Results of one player in one environment."""

    success: Interval
    """By the environment's own rule."""
    positive: Interval
    """Share of episodes with a return above 0, the original's rule."""
    mean_return: Interval


def random(env: Any, text: str) -> str:
    """Draw an action uniformly, like the harness's random player."""
    return vlbench.reply(RANDOM.choose(env))


def silent(env: Any, text: str) -> str:
    """Return an empty reply."""
    return ""


def heuristic(env: Any, text: str) -> str:
    return vlbench.reply(env.heuristic())


class Expert:
    """Plays the environment's expert; it caches the action for each hand and formula."""

    def __init__(self) -> None:
        self._known: dict[Any, str] = {}

    def __call__(self, env: Any, text: str) -> str:
        """Return the expert's action."""
        facts = env._facts
        key = tuple(sorted(facts.get("numbers", ()))), facts.get("formula")
        if not key[0]:
            return vlbench.reply(env.expert())
        if key not in self._known:
            self._known[key] = env.expert()
        return vlbench.reply(self._known[key])


class Trusting:
    """Sees the cards correctly, but takes the current formula from the prompt.

    It continues a formula that its cards can complete. Otherwise, and once the formula is correct,
    it plays "=".

    Args:
        task: "EZPoints" or "Points24".
        arithmetic: The arithmetic of the environment.
    """

    def __init__(self, task: str, arithmetic: Arithmetic[Any]) -> None:
        self.target, self.grammar = TARGETS[task]
        self._arithmetic = arithmetic
        self._known: dict[Any, str] = {}

    def __call__(self, env: Any, text: str) -> str:
        """Return the next token."""
        match = SHOWN.search(text)
        assert match is not None, text
        formula = (match[1] if match[1] is not None else match[2]).replace(" ", "")
        numbers = tuple(sorted(env._facts["numbers"]))
        key = numbers, formula
        if key not in self._known:
            self._known[key] = self._next(numbers, tuple(re.findall(r"\d+|\D", formula)))
        return vlbench.reply(self._known[key])

    def _next(self, numbers: Cards, formula: tuple[str, ...]) -> str:
        remaining = list(numbers)
        for token in filter(str.isdecimal, formula):
            if int(token) not in remaining:
                return "="  # with other cards the formula can't be continued
            remaining.remove(int(token))
        distance = self._tokens_to_go(formula, remaining)
        for token in [*dict.fromkeys(map(str, remaining)), *self.grammar.operators, "(", ")"]:
            rest = list(remaining)
            if token.isdecimal():
                rest.remove(int(token))
            after = self._tokens_to_go((*formula, token), rest)
            if distance and after == distance - 1:
                return token
        return "="

    def _tokens_to_go(self, formula: tuple[str, ...], cards: list[int]) -> int | None:
        return fewest_tokens(formula, tuple(cards), self.target, self.grammar, self._arithmetic)


def play(env_id: str, kwargs: dict[str, Any], choose: Choose, episodes: int) -> Cell:
    """Play episodes from seeds 0, 1, 2, … in one environment."""
    env: Any = gymnasium.make(env_id, **kwargs).unwrapped
    successes, returns = 0, []
    for seed in range(episodes):
        env.begin(seed, None)
        total, over, success = 0.0, False, False
        while not over:
            outcome = env.advance(choose(env, env.text))
            total += outcome.reward
            over = outcome.terminated or outcome.truncated
            success = outcome.info["success"]
        successes += success
        returns.append(total)
    mean = sum(returns) / episodes
    half = Z95 * float(np.std(returns)) / sqrt(episodes)
    positive = wilson(sum(total > 0 for total in returns), episodes)
    return Cell(wilson(successes, episodes), positive, Interval(mean, mean - half, mean + half))


def cells(episodes: int) -> dict[tuple[str, str, str], Cell]:
    """Return (task, player, environment) → results, in the order of the table."""
    results = {}
    for task in TASKS:
        names = ["silent", "random", "heuristic", "expert", "prompt-trusting"]
        for name in names if task in TARGETS else names[:-1]:
            for place in PLACES[: 3 if name == "prompt-trusting" else 2]:
                kwargs = {"stale_prompt": True} if place == PLACES[2] else {}
                env_id = f"{place.partition(',')[0]}/{task}-v0"
                results[task, name, place] = play(
                    env_id, kwargs, player(name, task, place), episodes
                )
                print(f"{env_id} {kwargs or ''} {name}: done", file=sys.stderr)
    return results


def player(name: str, task: str, place: str) -> Choose:
    """Return a player that knows the arithmetic of its environment."""
    if name == "prompt-trusting":
        return Trusting(task, EXACT if place == "vlbench" else FLOATS)
    if name == "expert":
        return Expert()
    return {"silent": silent, "random": random, "heuristic": heuristic}[name]


def percent(share: Interval) -> str:
    return f"{100 * share.value:.1f} ({100 * share.low:.1f}–{100 * share.high:.1f})"


def players_table(results: dict[tuple[str, str, str], Cell]) -> str:
    """Return the cells as Markdown."""
    lines = [
        "| task | player | environment | success, % | return > 0, % | mean return |",
        "|---|---|---|---|---|---|",
    ]
    for (task, player, place), cell in results.items():
        mean, half = cell.mean_return.value, cell.mean_return.high - cell.mean_return.value
        lines.append(
            f"| {task} | {player} | {place} | {percent(cell.success)} | {percent(cell.positive)} "
            f"| {mean:.2f} ± {half:.2f} |"
        )
    return "\n".join(lines)


def loopholes_table() -> str:
    """Return, as loopholes are added one by one, the share of solvable Points24 deals.

    Every counted hand has a formula of at most 20 tokens that the judge rewards.
    """
    chances = {}
    for hand in hands(4, range(1, 11)):
        orders = len(set(itertools.permutations(hand)))
        chances[hand] = orders * 4 ** hand.count(10) / 13**4
    rows, before = [], 0
    for number, name in enumerate(LOOPHOLES):
        won = {hand: paid for hand in chances if (paid := shortest(hand, number))}
        example = next((won[h] for h in won if not number or not shortest(h, number - 1)), "")
        share = sum(chances[hand] for hand in won)
        rows.append(
            f"| {name} | {len(won)} of {len(chances)} | {len(won) - before} | {100 * share:.2f} "
            f"| `{example}` |"
        )
        before = len(won)
        print(f"{name}: done", file=sys.stderr)
    head = "| solved by | hands | more | deals, % | for example |\n|---|---|---|---|---|"
    return "\n".join([head, *rows])


@cache
def shortest(hand: Cards, loopholes: int) -> str:
    """Return a short formula that `eval` evaluates to 24 with the first loopholes; "" if none."""
    formula = formulas(hand, loopholes).get(24, "")
    formula = formula[1:-1] if formula.startswith("(") else formula
    formulas.cache_clear()
    assert not formula or python_eval(formula).value == 24
    tokens = len(hand) + len(re.sub(r"\d", "", formula))
    return formula if tokens <= 20 else ""


@cache
def formulas(cards: Cards, loopholes: int) -> dict[float, str]:
    """Return value → a short formula in parentheses, with the first `loopholes` of LOOPHOLES."""
    values: dict[float, str] = {}

    def add(value: Any, formula: str) -> None:
        if isinstance(value, complex) or not abs(value) < TOO_LARGE:
            return
        if len(formula) < len(values.get(value, formula + "+")):
            values[value] = formula

    if len(cards) == 1 or loopholes > 0:
        for order in itertools.permutations(cards):
            joined = "".join(map(str, order))
            add(int(joined), joined)
    for mask in range(1, (1 << len(cards)) - 1):
        left = tuple(card for i, card in enumerate(cards) if mask >> i & 1)
        right = tuple(card for i, card in enumerate(cards) if not mask >> i & 1)
        for a, first in formulas(left, loopholes).items():
            for b, second in formulas(right, loopholes).items():
                add(a + b, f"({first}+{second})")
                add(a - b, f"({first}-{second})")
                add(a * b, f"({first}*{second})")
                if b:
                    add(a / b, f"({first}/{second})")
                if b and loopholes > 1:
                    add(a // b, f"({first}//{second})")
                if loopholes > 1 and abs(b) < 128 and (a or b >= 0):
                    with contextlib.suppress(OverflowError):
                        add(a**b, f"({first}**{second})")
    if loopholes > 2:
        for value, formula in list(values.items()):
            add(-value, f"(-{formula})")
    return values


def hidden_card_table(shoes: int) -> str:
    """Compare an optimal player that counts all of its cards with one that counts the visible."""
    visible = {"all": range(22), "those in the picture": VISIBLE}
    played = {
        name: [hand(number, cards) for number in range(shoes)] for name, cards in visible.items()
    }
    rows = []
    for name, results in played.items():
        won = wilson(sum(reward > 0 for reward, _ in results), shoes)
        blind = wilson(sum(five for _, five in results), shoes)
        mean = sum(reward for reward, _ in results) / shoes
        rows.append(f"| {name} | {percent(won)} | {mean:.4f} | {percent(blind)} |")
    lost = [(a > 0) - (b > 0) for (a, _), (b, _) in zip(*played.values(), strict=True)]
    mean, half = sum(lost) / shoes, Z95 * float(np.std(lost)) / sqrt(shoes)
    gap = Interval(mean, mean - half, mean + half)
    rows.append(f"| lost by not seeing, same shoes | {percent(gap)} | | |")
    head = "| cards that count | success, % | mean return | hands with five cards or more, % |"
    return "\n".join([head, "|---|---|---|---|", *rows])


def hand(number: int, cards: Iterable[int]) -> tuple[float, bool]:
    """Play a shoe, counting only some cards.

    Args:
        number: Number of the shoe.
        cards: Positions in the hand of the cards that count.

    Returns:
        The reward, and whether the hand reached five cards.
    """
    game = RL4VLMBlackjackGame()
    state, five = game.start(f"{game.name}/{number}"), False
    while True:
        known = tuple(state.player[i] for i in cards if i < len(state.player))
        five |= len(state.player) >= IN_A_ROW
        values = game.values(replace(state, player=known), game.max_turns)
        move = game.step(state, max(values, key=lambda action: values[action]))
        if move.terminated:
            return move.reward, five
        state = move.state


def update(page: Path, name: str, table: str) -> None:
    """Write a table between its marks in a page."""
    text = page.read_text("utf-8")
    begin, end = f"<!-- {name} -->", f"<!-- end of {name} -->"
    head, _, rest = text.partition(begin)
    _, mark, tail = rest.partition(end)
    if not mark:
        raise ValueError(f"{page} has no place for the table: <!-- {name} -->")
    page.write_text(f"{head}{begin}\n{table}\n{end}{tail}", "utf-8")


@dataclass(frozen=True, kw_only=True)
class Config(Options):
    """Options of `rl4vlm_audit`."""

    episodes: int = option(10_000, "episodes per cell", ge=1, limit=10_000_000)
    update: bool = option(False, f"also write the tables into {PAGE.name}")


def main(argv: Sequence[str] | None = None) -> int:
    """Print the tables; return 0, or 2 on a wrong call."""
    return run_main("rl4vlm_audit", lambda: _main(argv))


def _main(argv: Sequence[str] | None) -> None:
    prog = "python -m scripts.rl4vlm_audit"
    config = parse_options(Config, argv, prog=prog, description=__doc__)
    tables = {
        "loopholes": loopholes_table(),
        "hidden card": hidden_card_table(6 * config.episodes),
        "players": players_table(cells(config.episodes)),
    }
    for name, table in tables.items():
        print(f"{table}\n")
        if config.update:
            update(PAGE, name, table)


if __name__ == "__main__":
    sys.exit(main())
