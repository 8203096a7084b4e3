"""The base of the `rl4vlm/*` environments: the original's parser, random fallback and success."""

import dataclasses
from collections.abc import Mapping
from importlib.resources import files
from typing import Any, TypeVar

from vlbench.env import Outcome
from vlbench.errors import unknown_name
from vlbench.parsing import Level, Parsed, Status
from vlbench.prompts import Prompt, select_variant
from vlbench.rl4vlm.parser import action_field, read_action
from vlbench.solved_env import SolvedEnv

S = TypeVar("S")
Style = TypeVar("Style")

PROMPTS = ("cot", "action_only")
"""The original's two prompts; `action_only` is its `--action_only_prompt`."""


def load_prompt(task: str, variant: str) -> Prompt:
    """Return the original's prompt, word for word.

    Raises:
        ValueError: No such variant.
    """
    if variant not in PROMPTS:
        raise ValueError(unknown_name("prompt", variant, PROMPTS))
    text = files("vlbench.rl4vlm").joinpath(f"{task}.txt").read_text("utf-8")
    return Prompt.from_text(select_variant(text, variant), {})


class RL4VLMEnv(SolvedEnv[S, Style]):
    """An environment with RL4VLM's rules and vlbench's interface.

    Every reply plays an action. The original's parser reads it; if it finds none or several, an
    action is drawn uniformly from the vocabulary, played and rewarded like any other. The seeded
    generator draws the presentation, and the presentation fixes the random action of each turn. So
    instance, presentation and replies determine an episode.

    `info` has two keys besides those of `VLEnv`: `random_action` (whether the action was drawn) and
    `note` (a remark on this turn for readers of the record, or ""). `action` is the action played.
    `status` is "ok" if the reply named it, else "malformed" or "empty". `illegal` marks a number
    that isn't on an unused card. `success` is the original's: the episode's return is above 0.
    """

    _total = 0.0
    """Return of the episode so far."""
    _drawn = False
    """Whether the last action was drawn."""
    _note = ""
    """The remark on the last action."""

    def begin(self, seed: int | None, options: Mapping[str, Any] | None) -> dict[str, Any]:
        """Start an episode like `reset`, without rendering; return the info."""
        info = super().begin(seed, options)
        self._total, self._drawn, self._note = 0.0, False, ""
        return {**info, "random_action": False, "note": ""}

    def advance(self, reply: str) -> Outcome:
        """Play a turn like `step`, without rendering."""
        if not isinstance(reply, str) or self._over:
            return super().advance(reply)  # raises the usual error
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

        The status is "ok" if the original's parser finds one action, else "malformed" or "empty".
        The parser has no lenient mode, so `recovered` is always False. The span is the text that it
        searches, from the first `"action":` to the end; None if there is no such key. It reads no
        other fields: these come from vlact-2, so that statements can be checked.

        The original has one level. "strict" returns the same action or none: the reply must be a
        single JSON object, and vlact-2 must read the same action from it at level "strict".
        """
        action = read_action(reply, self.vocabulary)
        parsed = self._parse(reply, self.vocabulary, level)
        if level == "strict" and parsed.action != action:
            action = None
        status: Status = "ok" if action is not None else "malformed" if reply.strip() else "empty"
        span = action_field(reply)
        return dataclasses.replace(parsed, action=action, status=status, recovered=False, span=span)

    def _remark(self, state: S, action: str) -> str:
        """Return a remark on an action for readers of the record, or ""."""
        return ""

    def _info(self, parsed: Parsed, illegal: bool, hint: str, success: bool) -> dict[str, Any]:
        info = super()._info(parsed, illegal, hint, success)
        return {**info, "random_action": self._drawn, "note": self._note}

    def _hint(self, parsed: Parsed, illegal: bool) -> str:
        hints = []
        if self._drawn:
            hints.append(f'the reply names no single action; "{parsed.action}" was drawn at random')
        if illegal:
            hints.append(f'"{parsed.action}" is not on an unused card; a space was appended')
        return "; ".join(hints)
