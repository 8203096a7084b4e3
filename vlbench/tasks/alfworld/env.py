"""What ALFWorld and ALFWorldThor share as environments: replies are commands, states are told."""

import dataclasses
from typing import TypeVar, Unpack

from vlbench.env import VLEnv
from vlbench.parsing import Level, Parsed
from vlbench.prompts import Prompt
from vlbench.task import EnvOptions, Game, Picture, checked_int
from vlbench.tasks.alfworld.commands import CommandSpace, spellings
from vlbench.tasks.alfworld.demonstrate import FIELDS
from vlbench.tasks.alfworld.game import CommandState
from vlbench.tasks.alfworld.prompt_text import PromptText

S = TypeVar("S", bound=CommandState)
Style = TypeVar("Style")


class CommandEnv(VLEnv[S, Style]):
    """A room that is commanded: which commands there are depends on the state; see the tasks.

    Args:
        game: The rules.
        picture: How a state is drawn.
        prompt: "cot", "action_only" or "cot_facts".
        text_obs: "full", "feedback" or "none": how much the text tells.
        memory: How many of the last commands the text tells, at least 0.
        **options: See `vlbench.env.VLEnv`.

    Raises:
        ValueError: An argument isn't known, or `memory` is no integer of at least 0.
    """

    actions_change = True
    fields = FIELDS

    def __init__(
        self,
        game: Game[S],
        picture: Picture[S, Style],
        prompt: str,
        text_obs: str,
        memory: int,
        **options: Unpack[EnvOptions],
    ) -> None:
        self._telling = PromptText(text_obs, checked_int("memory", memory, 0))
        # The same words for all: the tasks differ in their games and pictures alone.
        words = Prompt.load("vlbench.tasks.alfworld", prompt, {})
        super().__init__(game, picture, words, **options)
        self.action_space: CommandSpace = CommandSpace(game.vocabulary)

    @property
    def text(self) -> str:
        """The prompt of the current state."""
        self._must_be_reset()
        return self.prompt.render(self._telling.fields(self._state))

    @property
    def vocabulary(self) -> tuple[str, ...]:
        """The commands on offer; before the first reset, those that every state has."""
        return self._legal if self._has_episode else self.game.vocabulary

    def read(self, reply: str, level: Level = "standard") -> Parsed:
        """Read the command out of a reply, in either spelling, and spell it as ALFWorld does."""
        ways = spellings(self.vocabulary)
        parsed = self._parse(reply, tuple(ways), level)
        command = parsed.action and ways[parsed.action]
        return parsed if command == parsed.action else dataclasses.replace(parsed, action=command)

    def _enter(self, state: S) -> None:
        """Make a state the current one, and its commands those that are sampled."""
        super()._enter(state)
        self.action_space.offer(self._legal)
