"""What EZPoints and Points24 share as environments of the original."""

from collections import Counter
from collections.abc import Mapping
from itertools import product
from typing import Any, Unpack

from vlbench.env import Outcome
from vlbench.parsing import Json
from vlbench.rl4vlm.env import RL4VLMEnv, load_prompt
from vlbench.rl4vlm.formula_game import AFTER, END, SPACE, FormulaGame, FormulaState
from vlbench.rl4vlm.formula_picture import FormulaPicture, FormulaStyle
from vlbench.rl4vlm.python_eval import python_eval
from vlbench.task import EnvOptions, Statements
from vlbench.tasks.formula.arithmetic import evaluate
from vlbench.tasks.formula.demonstrate import CARDS, FORMULA, THOUGHTS
from vlbench.tasks.formula.picture import FormulaLayout


class FormulaEnv(RL4VLMEnv[FormulaState, FormulaStyle]):
    """A formula written one token a turn, and told in the prompt; see the tasks for the rules.

    Args:
        task: Name of the prompts.
        game: The rules.
        layout: Where things stand in the picture.
        prompt: "cot" or "action_only".
        stale_prompt: The first prompt of an episode shows the formula of the one before.
        **options: See `vlbench.env.VLEnv`.
    """

    game: FormulaGame
    fields = (CARDS, FORMULA, THOUGHTS)

    def __init__(
        self,
        task: str,
        game: FormulaGame,
        layout: FormulaLayout,
        prompt: str,
        stale_prompt: bool,
        **options: Unpack[EnvOptions],
    ) -> None:
        words = load_prompt(task, prompt)
        super().__init__(game, FormulaPicture(layout), words, **options)
        self.stale_prompt = stale_prompt
        self._last_formula = ""

    def begin(self, seed: int | None, options: Mapping[str, Any] | None) -> dict[str, Any]:
        """Do what `reset` does, without drawing; return the info.

        Raises:
            ValueError: The instance names an earlier formula, which this environment doesn't show.
        """
        instance = str((options or {}).get("instance", ""))
        if AFTER in instance and not self.stale_prompt:
            raise ValueError(
                f'instance "{instance}" shows the formula of the episode before it; make the '
                "environment with stale_prompt=True"
            )
        return super().begin(seed, options)

    @property
    def text(self) -> str:
        """The prompt of the current state: tokens joined, or what the last episode left behind."""
        return self.prompt.render({"formula": self._state.stale or "".join(self._state.tokens)})

    def advance(self, reply: str) -> Outcome:
        """Do what `step` does, without drawing."""
        outcome = super().advance(reply)
        if self._over:
            self._last_formula = "".join(self._state.tokens)
        return outcome

    def heuristic(self) -> str:
        """Try the cards as they lie, with the first operators that make the target, else sums."""
        cards = list(map(str, self._state.hand.numbers))
        tries = product(self.game.grammar.operators, repeat=len(cards) - 1)
        formulas = [[cards[0], *sum(zip(signs, cards[1:], strict=True), ())] for signs in tries]
        right = (f for f in formulas if python_eval("".join(f)).value == self.game.target)
        planned = [*next(right, formulas[0]), END]
        written = [token for token in self._state.tokens if token != SPACE]
        return planned[len(written)] if planned[: len(written)] == written else END

    def check_statements(self, fields: Mapping[str, Json]) -> Statements:
        """Hold `cards` and `current formula` against the picture.

        Cards may be named by rank or by what they count, in any order; spaces don't count.
        """
        checks: list[bool] = []
        cards = fields.get(CARDS.name)
        if isinstance(cards, list):
            checks.append(Counter(map(_count, cards)) == Counter(self._state.hand.numbers))
        stated = fields.get(FORMULA.name)
        if isinstance(stated, (str, int)):
            formula = "".join(self._state.tokens).replace(SPACE, "")
            checks.append(str(stated).replace(SPACE, "") == formula)
        return Statements(all(checks) if checks else None)

    def _deal(self) -> str:
        formula = self._last_formula if self.stale_prompt else ""
        return super()._deal() + (AFTER + formula if formula else "")

    def _remark(self, state: FormulaState, action: str) -> str:
        if len(state.tokens) > self.game.max_tokens:
            return f"more than {self.game.max_tokens} tokens: −1, whatever the action"
        if action != END:
            return ""
        verdict = python_eval("".join(state.tokens))
        tokens = [token for token in state.tokens if token != SPACE]
        exact = not state.unused and evaluate(tokens) == self.game.target
        if self.game.right(state) and not exact:
            return "paid, though it is no well-formed formula with these cards"
        if exact and not self.game.right(state):
            return f"not paid, though it is exactly {self.game.target}: eval gives {verdict.value}"
        return verdict.note


def _count(card: Json) -> int:
    """Return what a card named in a reply counts; 0 for what is no card."""
    name = str(card).strip().upper()
    faces = {"A": 1, "T": 10, "J": 10, "Q": 10, "K": 10}
    return faces.get(name) or (int(name) if name.isdecimal() and len(name) < 3 else 0)
