"""A plain restatement of RL4VLM's rules, to compare `vlbench.rl4vlm` with.

It imports nothing from the implementation, and calls Python's `eval`, behind a guard.
"""

import ast
import hashlib
import warnings

NUMBERS = [str(n) for n in range(1, 11)]
ACTIONS = {
    "NumberLine": ["-", "+"],
    "EZPoints": [*NUMBERS, "+", "*", "="],
    "Points24": [*NUMBERS, "+", "-", "*", "/", "(", ")", "="],
    "Blackjack": ["stand", "hit"],
}


class TooLarge(Exception):
    """A power that the real `eval` had better not be given."""


def fold(node, bits):
    """Evaluate a syntax tree of plain arithmetic, refusing large powers."""
    if isinstance(node, ast.Expression):
        return fold(node.body, bits)
    if isinstance(node, ast.Constant):
        return node.value
    if isinstance(node, ast.UnaryOp):
        return (
            -fold(node.operand, bits) if isinstance(node.op, ast.USub) else fold(node.operand, bits)
        )
    if isinstance(node, ast.BinOp):
        left, right = fold(node.left, bits), fold(node.right, bits)
        if isinstance(node.op, ast.Pow) and isinstance(left, int) and isinstance(right, int):
            if abs(left) > 1 and right * (abs(left).bit_length() - 1) > bits:
                raise TooLarge
        return {
            ast.Add: lambda: left + right,
            ast.Sub: lambda: left - right,
            ast.Mult: lambda: left * right,
            ast.Div: lambda: left / right,
            ast.FloorDiv: lambda: left // right,
            ast.Pow: lambda: left**right,
        }[type(node.op)]()
    raise TypeError(f"{type(node).__name__} gives no number")


def python_says(text, bits=2**16):
    """Return what `eval` gives for a text, None where it raises or gives no number.

    Raises:
        TooLarge: The text has a power of more than so many bits.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # "(2)(3)" makes the compiler wonder
        try:
            fold(ast.parse(text.lstrip(" "), mode="eval"), bits)
            value = eval(text)
        except TooLarge:
            raise
        except Exception:
            return None
    return value if isinstance(value, (int, float, complex)) else None


def read(text, task):
    """Return the action that the original's reader finds, None where it draws one."""
    lowered = text.lower()
    begin = lowered.find('"action":')
    rest = lowered[-1:] if begin < 0 else lowered[begin:]
    hits = []
    if task in ("EZPoints", "Points24") and "10" in rest:
        hits.append("10")
        rest = rest.replace("10", "")
    hits += [action for action in ACTIONS[task] if action in rest and action not in hits]
    return hits[0] if len(hits) == 1 else None


class NumberLine:
    """One NumberLine episode; `start` is an instance's text."""

    def __init__(self, start):
        self.position, self.goal = map(int, start.split("/")[1].split("-"))
        self.steps = 0

    def step(self, action):
        """Return reward, terminated, truncated."""
        self.steps += 1
        before = abs(self.position - self.goal)
        if action == "-" and self.position > 0:
            self.position -= 1
        if action == "+" and self.position < 5:
            self.position += 1
        after = abs(self.position - self.goal)
        if after == 0:
            return 1, True, False
        return (0 if after < before else -1), False, self.steps >= 10

    def shown(self):
        """Return what the episode shows, as facts."""
        return {"target": self.goal, "current": self.position}


class Formula:
    """One EZPoints or Points24 episode."""

    def __init__(self, start):
        cards = start.split("/")[1].split(" after ")[0].split("-")
        self.values = [
            {"A": 1, "T": 10, "J": 10, "Q": 10, "K": 10}.get(c[1]) or int(c[1]) for c in cards
        ]
        self.limit, self.target = (5, 12) if len(cards) == 2 else (20, 24)
        self.formula = []
        self.used = []

    def step(self, action):
        """Return reward, terminated, truncated."""
        if len(self.formula) > self.limit:
            return -1, False, True
        if action in NUMBERS:
            number = int(action)
            if self.used.count(number) + 1 > self.values.count(number):
                self.formula.append(" ")
                return -1, False, False
            self.used.append(number)
        if action == "=":
            try:
                right = python_says("".join(self.formula)) == self.target
            except TooLarge:
                right = False
            return (10 if right and len(self.used) == len(self.values) else -1), True, False
        self.formula.append(action)
        return 0, False, False

    def shown(self):
        """Return what the episode shows, as facts."""
        return {"numbers": tuple(self.values), "formula": " ".join(self.formula)}


class Blackjack:
    """One Blackjack episode."""

    def __init__(self, start):
        self.shoe = start
        self.player = [self.draw("player", 0), self.draw("player", 1)]
        self.dealer = [self.draw("dealer", 0), self.draw("dealer", 1)]

    def draw(self, stream, index):
        """Return (value, face) of a card."""
        digest = hashlib.sha256(f"{self.shoe}/{stream}/{index}".encode()).digest()
        number = int.from_bytes(digest[:8], "big")
        value = (1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 10, 10, 10)[number % 13]
        face = "JQK"[number // 52 % 3] if value == 10 else "A" if value == 1 else str(value)
        return value, face

    @staticmethod
    def total(cards):
        """Return the best total, an ace as 11 where that is no bust."""
        hard = sum(value for value, _ in cards)
        return hard + 10 if any(value == 1 for value, _ in cards) and hard + 10 <= 21 else hard

    def step(self, action):
        """Return reward, terminated, truncated."""
        if action == "hit":
            self.player.append(self.draw("player", len(self.player)))
            bust = self.total(self.player) > 21
            return (-1 if bust else 0), bust, False
        while self.total(self.dealer) < 17:
            self.dealer.append(self.draw("dealer", len(self.dealer)))
        ours, theirs = self.total(self.player), self.total(self.dealer)
        theirs = 0 if theirs > 21 else theirs
        return (ours > theirs) - (ours < theirs), True, False

    def shown(self):
        """Return what the episode shows, as facts: the fifth card is off the picture."""
        seen = [i for i in range(len(self.player)) if i < 4 or 5 <= i < 9]
        return {
            "dealer_card": self.dealer[0][1],
            "player_cards": tuple(self.player[i][1] for i in seen),
            "unseen_cards": len(self.player) - len(seen),
        }


EPISODES = {
    "NumberLine": NumberLine,
    "EZPoints": Formula,
    "Points24": Formula,
    "Blackjack": Blackjack,
}
