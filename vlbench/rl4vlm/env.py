"""What the environments of the original share: its reader, its random fallback, its success."""

import dataclasses
from collections.abc import Mapping
from importlib.resources import files
from typing import Any, TypeVar

from vlbench.env import Outcome, SolvedEnv
from vlbench.errors import unknown_name
from vlbench.parsing import Level, Parsed, Status
from vlbench.prompts import Prompt, select_variant
from vlbench.rl4vlm.parser import action_field, read_action

S = TypeVar("S")
Style = TypeVar("Style")

PROMPTS = ("cot", "action_only")
"""The original's two prompts; `action_only` is its `--action_only_prompt`."""


def load_prompt(task: str, variant: str) -> Prompt:
    """Return a prompt of the original, word for word.

    Raises:
        ValueError: No such variant.
    """
    if variant not in PROMPTS:
        raise ValueError(unknown_name("prompt", variant, PROMPTS))
    text = files("vlbench.rl4vlm").joinpath(f"{task}.txt").read_text("utf-8")
    return Prompt.from_text(select_variant(text, variant), {})


class RL4VLMEnv(SolvedEnv[S, Style]):
    """An environment with the rules of RL4VLM, played like any other of vlbench.

    Every reply moves: the original's reader takes an action out of it, and where it finds none or
    several, one is drawn uniformly from the whole vocabulary. What was drawn is played and rewarded
    like any other action. The seeded generator draws the presentation, and the presentation fixes
    what is drawn in each turn, so that an episode follows from instance, presentation and replies.

    `info` has, besides the keys of `VLEnv`: `random_action` (the action was drawn) and `note` (what
    a reader of the record should know of this turn, else ""). `action` is what was played, `status`
    "ok" if the reply named it, else "malformed" or "empty". `illegal` marks a number that stands on
    no unused card. `success` is the original's: the return of the whole episode is above 0.
    """

    def begin(self, seed: int | None, options: Mapping[str, Any] | None) -> dict[str, Any]:
        """Do what `reset` does, without drawing; return the info."""
        self._total = 0.0
        self._drawn = False
        self._note = ""
        return super().begin(seed, options)

    def advance(self, reply: str) -> Outcome:
        """Do what `step` does, without drawing."""
        if not isinstance(reply, str) or self._over:
            return super().advance(reply)  # which raises what every environment raises
        parsed = self.read(reply)
        action = parsed.action
        self._drawn = action is None
        if action is None:
            choice = self.presentation.pick(f"random action/{self._turn}", len(self.vocabulary))
            action = self.vocabulary[choice]
            parsed = dataclasses.replace(parsed, action=action)
        before, illegal = self._state, action not in self.legal
        move = self.game.step(before, action)
        self._note = self._remark(before, action)
        self._turn += 1
        self._total += move.reward
        if move.state is not before:
            self._enter(move.state)
        truncated = not move.terminated and self._turn >= self.game.max_turns
        self._over = move.terminated or truncated
        hint = self._hint(parsed, illegal) if illegal or self._drawn else ""
        info = self._info(parsed, illegal, hint, self._over and self._total > 0)
        return Outcome(move.reward, move.terminated, truncated, info)

    def read(self, reply: str, level: Level = "standard") -> Parsed:
        """Read a reply as the original does.

        The status is "ok" where the original's reader finds one action, else "malformed" or
        "empty"; it knows no leniency, so nothing is ever `recovered`. The span is the text that it
        searches: from the first `"action":` to the end, None where there is none. It reads no other
        fields; these are what vlact-1 reads, so that claims can be checked.

        The original has one level. "strict" reads the same action, or none: it wants a reply that
        is one JSON object and nothing else, whose action vlact-1 reads strictly as the original
        does.
        """
        action = read_action(reply, self.vocabulary)
        parsed = self._parse(reply, self.vocabulary, level)
        if level == "strict" and parsed.action != action:
            action = None
        status: Status = "ok" if action is not None else "malformed" if reply.strip() else "empty"
        span = action_field(reply)
        return dataclasses.replace(parsed, action=action, status=status, recovered=False, span=span)

    def _remark(self, state: S, action: str) -> str:
        """Return what a reader of the record should know of an action, "" if nothing."""
        return ""

    def _info(self, parsed: Parsed, illegal: bool, hint: str, success: bool) -> dict[str, Any]:
        info = super()._info(parsed, illegal, hint, success)
        return {**info, "random_action": self._drawn, "note": self._note}

    def _hint(self, parsed: Parsed, illegal: bool) -> str:
        said = []
        if self._drawn:
            said.append(f'the reply names no single action; "{parsed.action}" was drawn at random')
        if illegal:
            said.append(f'"{parsed.action}" stands on no unused card; a space was appended')
        return "; ".join(said)
