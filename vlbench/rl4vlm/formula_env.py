"""The environment that `rl4vlm/EZPoints` and `rl4vlm/Points24` share."""

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
    """An environment that writes a formula one token a turn; the tasks state the rules.

    Args:
        task: Name of the prompt file.
        game: The rules.
        layout: Positions in the picture.
        prompt: "cot" or "action_only".
        stale_prompt: Whether the first prompt of an episode shows the previous episode's formula.
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
        """Start an episode like `reset`, without rendering; return the info.

        Raises:
            ValueError: The instance names an earlier formula but `stale_prompt` is off.
        """
        instance = str((options or {}).get("instance", ""))
        if AFTER in instance and not self.stale_prompt:
            raise ValueError(
                f'instance "{instance}" shows the formula of the previous episode; make the '
                "environment with stale_prompt=True"
            )
        return super().begin(seed, options)

    @property
    def text(self) -> str:
        """The prompt of the current state, with its joined tokens or the stale formula."""
        return self.prompt.render({"formula": self._state.stale or "".join(self._state.tokens)})

    def advance(self, reply: str) -> Outcome:
        """Play a turn like `step`, without rendering."""
        outcome = super().advance(reply)
        if self._over:
            self._last_formula = "".join(self._state.tokens)
        return outcome

    def heuristic(self) -> str:
        """Use the cards in order, with the first operators that reach the target, else sums."""
        cards = list(map(str, self._state.hand.numbers))
        tries = product(self.game.grammar.operators, repeat=len(cards) - 1)
        formulas = [[cards[0], *sum(zip(signs, cards[1:], strict=True), ())] for signs in tries]
        right = (f for f in formulas if python_eval("".join(f)).value == self.game.target)
        plan = [*next(right, formulas[0]), END]
        tokens = [token for token in self._state.tokens if token != SPACE]
        return plan[len(tokens)] if plan[: len(tokens)] == tokens else END

    def check_statements(self, fields: Mapping[str, Json]) -> Statements:
        """Compare `cards` and `current formula` with the picture.

        A reply may name cards by rank or by value, in any order; spaces are ignored.
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
            return "rewarded, although it isn't a well-formed formula of these cards"
        if exact and not self.game.right(state):
            target = self.game.target
            return f"not rewarded, although it is exactly {target}: eval gives {verdict.value}"
        return verdict.note


def _count(card: Json) -> int:
    """Return the value of a card that a reply names; 0 if it isn't a card."""
    name = str(card).strip().upper()
    faces = {"A": 1, "T": 10, "J": 10, "Q": 10, "K": 10}
    return faces.get(name) or (int(name) if name.isdecimal() and len(name) < 3 else 0)
