"""Turn a person's keys and clicks (pygame events) into whole replies and commands."""

import enum
from collections.abc import Sequence
from dataclasses import dataclass

import vlbench
from vlbench.window import pygame


class Command(enum.Enum):
    """A command of the player."""

    TYPE = enum.auto()
    """Switch between keys and typing whole replies."""
    EXPERT = enum.auto()
    """Show the expert's action."""
    NEXT = enum.auto()
    """Start the next episode; an unfinished one is given up."""
    QUIT = enum.auto()


COMMAND_KEYS = {
    pygame.K_TAB: Command.TYPE,
    pygame.K_F1: Command.EXPERT,
    pygame.K_F2: Command.NEXT,
    pygame.K_ESCAPE: Command.QUIT,
}
COMMAND_LETTERS = {"h": Command.EXPERT, "n": Command.NEXT}
"""Used only if no action begins with the letter: in Blackjack, H hits."""

ARROWS = {pygame.K_UP: "+", pygame.K_RIGHT: "+", pygame.K_DOWN: "-", pygame.K_LEFT: "-"}
"""Used only if + and - are the only actions."""


@dataclass(frozen=True, slots=True)
class Button:
    """A button on the screen."""

    rect: pygame.Rect
    meaning: str | Command
    """The action or the command that a click sends."""


class InputHandler:
    """Turns keys and clicks into whole replies and commands.

    If all actions differ in their first letters, a single key plays an action. Otherwise the person
    types the action, and it is sent as soon as it is unambiguous: "2" at once, but "1" with Enter
    if "10" is possible. While `writing`, the person types the reply itself, as a model would, and
    Enter sends it.
    """

    def __init__(self) -> None:
        self.vocabulary: tuple[str, ...] = ()
        self.buttons: Sequence[Button] = ()
        """The buttons on the screen."""
        self.over = False
        """Whether the episode has ended, so that only commands have an effect."""
        self.writing = False
        """Whether the person types whole replies."""
        self.line = ""
        """The text of the action or reply so far."""
        self.note = ""
        """A message on the line; "" for none."""

    def handle(self, event: pygame.event.Event) -> str | Command | None:
        """Handle an event.

        Returns:
            A whole reply, a command, or None if the event completes neither.
        """
        if event.type == pygame.QUIT:
            return Command.QUIT
        if event.type == pygame.MOUSEBUTTONDOWN and event.button == 1:
            hits = [b.meaning for b in self.buttons if b.rect.collidepoint(event.pos)]
            return self._do(hits[0]) if hits else None
        if event.type == pygame.KEYDOWN:
            self.note = ""
            return self._press(event)
        return None

    def key(self, action: str) -> str:
        """Return the name of the key that plays an action; "" if only its text does."""
        if self._arrows:
            return "Up" if action == "+" else "Down"
        initials = {name[:1].casefold() for name in self.vocabulary}
        apart = len(initials) == len(self.vocabulary)
        return action[0].upper() if apart and len(action) > 1 else ""

    def completions(self, line: str) -> tuple[str, ...]:
        """Return the actions that begin with a line."""
        return tuple(a for a in self.vocabulary if a.casefold().startswith(line))

    @property
    def _arrows(self) -> bool:
        return set(self.vocabulary) <= set(ARROWS.values())

    def _press(self, event: pygame.event.Event) -> str | Command | None:
        if event.key in COMMAND_KEYS:
            return self._do(COMMAND_KEYS[event.key])
        if event.key in (pygame.K_RETURN, pygame.K_KP_ENTER):
            return self._enter()
        if event.key == pygame.K_BACKSPACE:
            self.line = "" if event.dict.get("mod", 0) & pygame.KMOD_CTRL else self.line[:-1]
        elif event.key in ARROWS and self._arrows and not self.writing:
            return self._do(ARROWS[event.key])
        else:
            character = event.dict.get("unicode", "")
            return self._type(character) if character and character.isprintable() else None
        return None

    def _type(self, character: str) -> str | Command | None:
        if self.writing:
            self.line += "" if self.over else character
            return None
        line = self.line + character.casefold()
        matches = () if self.over else self.completions(line)
        if not matches and line in COMMAND_LETTERS:
            return self._do(COMMAND_LETTERS[line])
        if len(matches) == 1 and (self.key(matches[0]) or matches[0].casefold() == line):
            return self._do(matches[0])
        if matches:
            self.line = line
            self.note = _describe_completions(line, matches)
        elif not self.over:
            self.note = f'no action begins with "{line}"'
        return None

    def _enter(self) -> str | Command | None:
        if self.over:
            return Command.NEXT
        if self.writing:
            reply, self.line = self.line, ""
            self.note = "" if reply else "write a reply first"
            return reply or None
        matches = [action for action in self.vocabulary if action.casefold() == self.line]
        if not matches:
            self.note = f'"{self.line}" is no action' if self.line else "type an action first"
            return None
        return self._do(matches[0])

    def _do(self, meaning: str | Command) -> str | Command | None:
        if meaning not in (Command.EXPERT, Command.QUIT):
            self.line = self.note = ""
        if meaning is Command.TYPE:
            self.writing = not self.writing
            return None
        if isinstance(meaning, Command):
            return meaning
        return None if self.over else vlbench.reply(meaning)


def _describe_completions(line: str, completions: Sequence[str]) -> str:
    """Return a message with the actions that an unfinished line can become."""
    others = [action for action in completions if action.casefold() != line]
    some = ", ".join(others[:5]) + (", …" if len(others) > 5 else "")
    send = f'Enter sends "{line}"; or k' if len(others) < len(completions) else "K"
    return f"{send}eep typing: {some}"
