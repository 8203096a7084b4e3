"""Two small tasks that keep the contract; tests break them on purpose, one thing at a time."""

from dataclasses import dataclass, replace

from vlbench.instances import hashed
from vlbench.prompts import Prompt, select_variant
from vlbench.solved_env import SolvedEnv
from vlbench.task import (
    Demonstration,
    Field,
    Move,
    Statements,
    instance_body,
    read_number,
)

MOST = 9
"""The most dots in a row."""
CELL = 30
"""Width and height of a dot's cell, in pixels."""


@dataclass(frozen=True, slots=True)
class Dots:
    dots: int
    target: int


class DotsGame:
    """Make the upper row of dots as long as the lower one, then say that it is done."""

    name = "dots"
    vocabulary = ("add", "take", "done")
    max_turns = 12
    test_share = 0.3
    val_share = 0.1

    def deal(self, rng):
        return f"dots/{rng.integers(1, MOST + 1)}-{rng.integers(1, MOST + 1)}"

    def start(self, instance):
        numbers = instance_body(instance, self.name, "dots/3-5").split("-")
        if len(numbers) != 2 or not set(numbers) <= set("123456789"):
            raise ValueError(f'unknown instance "{instance}"; wanted one like "dots/3-5"')
        return Dots(*map(int, numbers))

    def legal(self, state):
        return self.vocabulary

    def step(self, state, action):
        if action == "done":
            right = state.dots == state.target
            return Move(state, 1.0 if right else -1.0, terminated=True, success=right)
        dots = min(max(state.dots + (1 if action == "add" else -1), 1), MOST)
        return Move(replace(state, dots=dots), 0.0)

    def values(self, state, turns):
        values = {"done": 1.0 if state.dots == state.target else -1.0}
        for action in ("add", "take"):
            after = self.step(state, action).state
            in_time = abs(after.dots - after.target) + 1 <= turns - 1
            values[action] = 1.0 if in_time else 0.0
        return values

    def expert(self, state, turns):
        if state.dots == state.target:
            return "done"
        return "add" if state.dots < state.target else "take"


class DotsPicture:
    """Two rows of squares; the presentation fixes the colour and the order of the cells."""

    def style(self, start, presentation):
        order = sorted(range(MOST), key=lambda cell: presentation.pick(f"cell {cell}", 1000))
        return 100 + presentation.pick("brightness", 100), tuple(order)

    def paint(self, frame, state, style):
        frame[:] = 10
        self.draw_row(frame, state.dots, 60, style)
        self.draw_row(frame, state.target, 200, style)

    def draw_row(self, frame, count, top, style):
        brightness, order = style
        for cell in order[:count]:
            left = 10 + CELL * cell
            frame[top : top + CELL - 8, left : left + CELL - 8] = brightness

    def facts(self, state, style):
        return {"dots": state.dots, "target": state.target}


DOTS_PROMPT = """Make the upper row as long as the lower one, of at most $most dots. \\
[cot_facts] The rows have $dots and $target dots. \\
Answer with one JSON object:
{
[cot, cot_facts] "upper": how many dots the upper row has,
[cot, cot_facts] "lower": how many dots the lower row has,
[cot, cot_facts] "plan": the next word,
"action": "add", "take" or "done"
}"""


class DotsEnv(SolvedEnv):
    """The task of the rows of dots."""

    fields = (Field("upper", "perception"), Field("lower", "perception"), Field("plan", "plan"))
    game_class = DotsGame
    picture_class = DotsPicture
    source = DOTS_PROMPT

    def __init__(self, *, prompt="cot", **options):
        words = Prompt.from_text(select_variant(self.source, prompt), {"most": MOST})
        super().__init__(self.game_class(), self.picture_class(), words, **options)

    def demonstrate(self):
        state, action = self._state, self.expert()
        return Demonstration({"upper": state.dots, "lower": state.target, "plan": action}, action)

    def check_statements(self, fields):
        pairs = ("upper", self._state.dots), ("lower", self._state.target)
        numbers = [(read_number(fields.get(name)), truth) for name, truth in pairs]
        checks = [number == truth for number, truth in numbers if number is not None]
        plan = fields.get("plan")
        return Statements(
            all(checks) if checks else None, plan if plan in self.vocabulary else None
        )


@dataclass(frozen=True, slots=True)
class Card:
    instance: str
    rank: int


class CardGame:
    """Keep a card of rank 1 to 6, or draw another one unseen; the reward is the rank."""

    name = "card"
    vocabulary = ("keep", "draw")
    max_turns = 3
    test_share = 0.3
    val_share = 0.1

    def deal(self, rng):
        return f"card/{rng.integers(10**6)}"

    def start(self, instance):
        body = instance_body(instance, self.name, "card/123")
        if not body.isascii() or not body.isdecimal() or str(int(body)) != body:
            raise ValueError(f'unknown instance "{instance}"; wanted one like "card/123"')
        return Card(instance, 1 + hashed(instance) % 6)

    def legal(self, state):
        return self.vocabulary

    def step(self, state, action):
        rank = state.rank if action == "keep" else 1 + hashed(f"{state.instance}|next") % 6
        return Move(replace(state, rank=rank), float(rank), terminated=True, success=rank > 3)

    def values(self, state, turns):
        return {"keep": float(state.rank), "draw": 3.5}

    def expert(self, state, turns):
        return "keep" if state.rank > 3 else "draw"


class CardPicture:
    """As many squares as the card's rank says."""

    def style(self, start, presentation):
        return 100 + presentation.pick("brightness", 100)

    def paint(self, frame, state, style):
        frame[:] = 30
        for number in range(state.rank):
            frame[20 + 40 * number : 50 + 40 * number, 20:50] = style

    def facts(self, state, style):
        return {"rank": state.rank}


CARD_PROMPT = """Keep your card or draw another. Answer with
{"rank": the number of squares, "action": "keep" or "draw"}"""


class CardEnv(SolvedEnv):
    """The task of the card."""

    fields = (Field("rank", "perception"),)
    game_class = CardGame
    picture_class = CardPicture

    def __init__(self, **options):
        words = Prompt.from_text(CARD_PROMPT, {})
        super().__init__(self.game_class(), self.picture_class(), words, **options)

    def demonstrate(self):
        return Demonstration({"rank": self._state.rank}, self.expert())

    def check_statements(self, fields):
        rank = read_number(fields.get("rank"))
        return Statements(None if rank is None else rank == self._state.rank)
