"""The environment that ALFWorld and ALFWorldThor share: replies are text commands."""

import dataclasses
from typing import TypeVar, Unpack

from vlbench.env import VLEnv
from vlbench.parsing import Level, Parsed
from vlbench.prompts import Prompt
from vlbench.task import EnvOptions, Fact, Game, Picture
from vlbench.tasks.alfworld.commands import CommandSpace, spellings
from vlbench.tasks.alfworld.demonstrate import FIELDS
from vlbench.tasks.alfworld.game import CommandState
from vlbench.tasks.alfworld.prompt_text import PromptText

S = TypeVar("S", bound=CommandState)
Style = TypeVar("Style")


class CommandEnv(VLEnv[S, Style]):
    """An environment whose actions are commands that depend on the state; see the tasks.

    Args:
        game: The rules.
        picture: Renders states.
        prompt: "cot", "action_only" or "cot_facts".
        text: Fills the prompt's fields.
        **options: See `vlbench.env.VLEnv`.

    Raises:
        ValueError: An argument is unknown.
    """

    actions_change = True
    fields = FIELDS

    def __init__(
        self,
        game: Game[S],
        picture: Picture[S, Style],
        prompt: str,
        text: PromptText,
        /,
        **options: Unpack[EnvOptions],
    ) -> None:
        self._prompt_text = text
        # Both tasks share a prompt: only their games and pictures differ.
        words = Prompt.load("vlbench.tasks.alfworld", prompt, {})
        super().__init__(game, picture, words, **options)
        self.action_space: CommandSpace = CommandSpace(game.vocabulary)

    @property
    def text(self) -> str:
        """The prompt of the current state."""
        self._must_be_reset()
        return self.prompt.render(self._prompt_text.fields(self._state))

    @property
    def text_facts(self) -> dict[str, Fact]:
        """The facts of the picture, if the prompt states them, as the engine's feedback does."""
        is_stated = self._prompt_text.text_obs != "none" or "shown" in self.prompt.fields
        return self._facts.copy() if is_stated else {}

    @property
    def vocabulary(self) -> tuple[str, ...]:
        """The admissible commands; before the first reset, those of every state."""
        return self._legal if self._has_episode else self.game.vocabulary

    def read(self, reply: str, level: Level = "standard") -> Parsed:
        """Read a command in either spelling; return it in the engine's spelling."""
        ways = spellings(self.vocabulary)
        parsed = self._parse(reply, tuple(ways), level)
        command = parsed.action and ways[parsed.action]
        return parsed if command == parsed.action else dataclasses.replace(parsed, action=command)

    def _enter(self, state: S) -> None:
        """Set the current state, and sample from its commands."""
        super()._enter(state)
        self.action_space.offer(self._legal)
