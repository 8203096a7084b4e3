"""A task outside the package: three lamps, and a reply switches one of them."""

from dataclasses import dataclass, replace

import gymnasium

from vlbench.prompts import Prompt
from vlbench.solved_env import SolvedEnv
from vlbench.task import Demonstration, Field, Move, Statements, instance_body, read_number

PROMPT = """Three lamps; light all of them. Lamps that are on: $count.
Answer with {"lit": how many you see, "action": "1", "2" or "3"}."""
LIT = Field("lit", "perception")


@dataclass(frozen=True, slots=True)
class Lamps:
    lit: tuple[bool, bool, bool]


class LampsGame:
    name = "lamps"
    vocabulary = ("1", "2", "3")
    max_turns = 5
    test_share = 0.0
    val_share = 0.0

    def deal(self, rng):
        return f"lamps/{int(rng.integers(7)):03b}"

    def start(self, instance):
        body = instance_body(instance, self.name, "lamps/010")
        if len(body) != 3 or set(body) - {"0", "1"} or body == "111":
            raise ValueError(f'unknown instance "{instance}"; wanted one like "lamps/010"')
        return Lamps(tuple(digit == "1" for digit in body))

    def legal(self, state):
        return self.vocabulary

    def step(self, state, action):
        lit = list(state.lit)
        lit[int(action) - 1] ^= True
        done = all(lit)
        return Move(replace(state, lit=tuple(lit)), float(done), done, done)

    def values(self, state, turns):
        after = {action: self.step(state, action).state.lit for action in self.vocabulary}
        return {action: float(lit.count(False) <= turns - 1) for action, lit in after.items()}

    def expert(self, state, turns):
        return str(state.lit.index(False) + 1)


class LampsPicture:
    def style(self, start, presentation):
        return 60 + presentation.pick("brightness", 150)

    def paint(self, frame, state, style):
        frame[:] = 20
        for number, lit in enumerate(state.lit):
            frame[100:200, 20 + 90 * number : 100 + 90 * number] = style if lit else 40

    def facts(self, state, style):
        return {"count": sum(state.lit)}


class LampsEnv(SolvedEnv):
    fields = (LIT,)

    def __init__(self, *, prompt="cot", **options):
        if prompt != "cot":
            raise ValueError(f'unknown prompt "{prompt}" (known: cot)')
        super().__init__(LampsGame(), LampsPicture(), Prompt.from_text(PROMPT, {}), **options)

    def demonstrate(self):
        return Demonstration({LIT.name: sum(self._state.lit)}, self.expert())

    def check_statements(self, fields):
        number = read_number(fields.get(LIT.name))
        return Statements(None if number is None else number == sum(self._state.lit))


gymnasium.register(id="toy/Lamps-v0", entry_point="toy_task:LampsEnv")
