"""What a person's keys and clicks mean: pygame events become whole replies and commands."""

import enum
from collections.abc import Sequence
from dataclasses import dataclass

import vlbench
from vlbench.window import pygame


class Command(enum.Enum):
    """What a person may want besides acting."""

    TYPE = enum.auto()
    """Write whole replies, or stop doing so."""
    EXPERT = enum.auto()
    """See what the expert would do."""
    NEXT = enum.auto()
    """Go on to the next episode, giving up one that isn't over."""
    QUIT = enum.auto()


COMMAND_KEYS = {
    pygame.K_TAB: Command.TYPE,
    pygame.K_F1: Command.EXPERT,
    pygame.K_F2: Command.NEXT,
    pygame.K_ESCAPE: Command.QUIT,
}
COMMAND_LETTERS = {"h": Command.EXPERT, "n": Command.NEXT}
"""They hold where no action begins with the letter: in Blackjack, H hits."""

ARROWS = {pygame.K_UP: "+", pygame.K_RIGHT: "+", pygame.K_DOWN: "-", pygame.K_LEFT: "-"}
"""They hold where + and - are all that there is to do."""


@dataclass(frozen=True, slots=True)
class Button:
    """A place to click."""

    rect: pygame.Rect
    means: str | Command
    """An action, or a command."""


class InputHandler:
    """Turns what a person presses, clicks and types into whole replies.

    A single key is an action where the actions differ in their first letters. Elsewhere an action
    is typed, and sent as soon as it can be no other: "2" at once, "1" with Enter where "10" could
    follow. While `writing`, the person types the reply itself, as a model would, and Enter sends
    it.
    """

    def __init__(self) -> None:
        self.vocabulary: tuple[str, ...] = ()
        self.buttons: Sequence[Button] = ()
        """What is on the screen to be clicked."""
        self.over = False
        """Whether the episode has ended, so that nothing is left to do but to go on."""
        self.writing = False
        self.line = ""
        """The action or the reply that is being typed."""
        self.note = ""
        """What the person should know of the line."""

    def handle(self, event: pygame.event.Event) -> str | Command | None:
        """Take an event.

        Returns:
            A whole reply, a command, or None where the event asks for nothing yet.
        """
        if event.type == pygame.QUIT:
            return Command.QUIT
        if event.type == pygame.MOUSEBUTTONDOWN and event.button == 1:
            hit = [button.means for button in self.buttons if button.rect.collidepoint(event.pos)]
            return self._do(hit[0]) if hit else None
        if event.type == pygame.KEYDOWN:
            self.note = ""
            return self._press(event)
        return None

    def key(self, action: str) -> str:
        """Return the name of a key besides the action's own text; "" where there is none."""
        if self._arrows:
            return "Up" if action == "+" else "Down"
        initials = {name[:1].casefold() for name in self.vocabulary}
        apart = len(initials) == len(self.vocabulary)
        return action[0].upper() if apart and len(action) > 1 else ""

    def begun(self, line: str) -> tuple[str, ...]:
        """Return the actions that a line can still become."""
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
            typed = event.dict.get("unicode", "")
            return self._character(typed) if typed and typed.isprintable() else None
        return None

    def _character(self, text: str) -> str | Command | None:
        if self.writing:
            self.line += "" if self.over else text
            return None
        line = self.line + text.casefold()
        begun = () if self.over else self.begun(line)
        if not begun and line in COMMAND_LETTERS:
            return self._do(COMMAND_LETTERS[line])
        if len(begun) == 1 and (self.key(begun[0]) or begun[0].casefold() == line):
            return self._do(begun[0])
        if begun:
            self.line = line
            self.note = _ways(line, begun)
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
        whole = [action for action in self.vocabulary if action.casefold() == self.line]
        if not whole:
            self.note = f'"{self.line}" is no whole action' if self.line else "type an action first"
            return None
        return self._do(whole[0])

    def _do(self, meaning: str | Command) -> str | Command | None:
        if meaning not in (Command.EXPERT, Command.QUIT):
            self.line = self.note = ""
        if meaning is Command.TYPE:
            self.writing = not self.writing
            return None
        if isinstance(meaning, Command):
            return meaning
        return None if self.over else vlbench.reply(meaning)


def _ways(line: str, begun: Sequence[str]) -> str:
    """Say what an unfinished line can still become."""
    others = [action for action in begun if action.casefold() != line]
    some = ", ".join(others[:5]) + (", …" if len(others) > 5 else "")
    send = f'Enter sends "{line}"; or t' if len(others) < len(begun) else "T"
    return f"{send}ype on: {some}"
