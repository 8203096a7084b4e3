"""The screen of a person who plays: the picture, and a panel with prompt, actions and messages."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from vlbench.play.keyboard import Button, Command, InputHandler
from vlbench.task import Frame
from vlbench.window import Window, pygame

PANEL, GAP = 500, 20
"""Width of the panel beside the picture, and of its margins, in pixels."""
ROOM = PANEL - 2 * GAP
PROMPT, CHOICE, LINE, FOOT = 92, 322, 454, 560
"""y coordinates of the prompt, the actions, the message and the commands, in pixels."""

SIZES = (32, 28, 24, 22, 18, 16)
"""Font sizes at which pygame's font is clear; at others the letter i loses its dot."""

EVENTS = (pygame.QUIT, pygame.KEYDOWN, pygame.MOUSEBUTTONDOWN, pygame.WINDOWEXPOSED)

PAPER, INK, FAINT = (27, 29, 34), (232, 232, 228), (142, 146, 154)
KEY, FIELD = (58, 62, 72), (14, 15, 18)
GOOD, BAD = (134, 208, 130), (246, 164, 116)

_FORM = re.compile(r"\n[^\n]*\n\{")
"""Matches the start of a prompt's description of the reply format, which keys don't need."""


@dataclass(frozen=True, slots=True)
class View:
    """The content of the screen."""

    frame: Frame
    title: str
    progress: str
    prompt: str
    legal: tuple[str, ...]
    message: str
    """The result of the last reply."""
    is_good: bool | None
    """Whether the result is good news; None for neither."""
    next_label: str
    """Label of the button that follows the episode."""


class Screen:
    """Draws the picture, and beside it the prompt, the actions, the typed line and the message.

    Args:
        title: Title of the window.

    Raises:
        ValueError: There is no screen.
    """

    def __init__(self, title: str) -> None:
        self.window = Window(title, PANEL, needs_screen=True)
        pygame.font.init()
        self._fonts: dict[int, pygame.font.Font] = {}
        self._buttons: list[Button] = []

    def draw(self, view: View, player: InputHandler) -> None:
        """Draw a view and set the player's buttons."""
        self._buttons = []
        self.window.surface.fill(PAPER)
        self.window.paint(view.frame)
        self._text(view.title, GAP, 30, 32, INK)
        self._text(view.progress, 52, 24, 22, FAINT)
        prompt = view.prompt if player.writing else _FORM.split(view.prompt)[0]
        self._text(prompt, PROMPT, CHOICE - PROMPT - 12, 24, INK)
        message, y = player.note or view.message, LINE
        if player.over:
            self._row([(f"{view.next_label}  (Enter)", Command.NEXT, INK)], CHOICE, 28)
        elif player.writing:
            self._line(player.line, CHOICE, LINE - CHOICE - 10)
        else:
            self._row(
                [
                    (
                        f"{action}  ({player.key(action)})" if player.key(action) else action,
                        action,
                        INK if action in view.legal else FAINT,
                    )
                    for action in player.completions(player.line)
                ],
                CHOICE,
                28,
            )
            if player.line:
                self._line(player.line, LINE, 32)
                y += 40
        colour = {True: GOOD, False: BAD, None: INK}[view.is_good]
        self._text(message, y, FOOT - y - 8, 24, INK if player.note else colour)
        mode = "keys" if player.writing else "type JSON"
        commands = [
            (f"{mode}  (Tab)", Command.TYPE, FAINT),
            ("expert  (F1)", Command.EXPERT, FAINT),
            ("next  (F2)", Command.NEXT, FAINT),
            ("quit  (Esc)", Command.QUIT, FAINT),
        ]
        self._row(commands, FOOT, 18)
        player.buttons = tuple(self._buttons)
        pygame.display.flip()

    def wait(self) -> pygame.event.Event:
        """Wait for an event of EVENTS and return it."""
        while True:
            event = pygame.event.wait(200)  # in ms; a timeout lets Ctrl-C interrupt
            if event.type in EVENTS:
                return event

    def close(self) -> None:
        """Close the window."""
        self.window.close()

    @property
    def _left(self) -> int:
        return self.window.size[0] - PANEL + GAP

    def _text(
        self,
        text: str,
        y: int,
        height: int,
        size: int,
        colour: tuple[int, int, int],
        inset: int = 0,
        end: bool = False,
    ) -> None:
        """Draw a text into a box; a long text is drawn smaller, and cut if it still doesn't fit.

        Args:
            text: The text.
            y: Top of the box, in pixels.
            height: Height of the box, in pixels.
            size: The largest font size to use.
            colour: Colour of the text.
            inset: Margin between box and panel on each side, in pixels.
            end: If the text is cut, keep its end instead of its beginning.
        """
        for points in (points for points in SIZES if points <= size):
            font = self._font(points)
            lines = wrapped(text, font, ROOM - 2 * inset)
            fitting = max(height // font.get_linesize(), 1)
            if len(lines) <= fitting:
                break
        if len(lines) > fitting:
            lines = lines[-fitting:] if end else lines[:fitting]
            lines[0 if end else -1] = "…"
        for number, line in enumerate(lines):
            corner = self._left + inset, y + number * font.get_linesize()
            self.window.surface.blit(font.render(line, True, colour), corner)

    def _line(self, line: str, y: int, height: int) -> None:
        """Draw the input field."""
        rect = pygame.Rect(self._left, y, ROOM, height)
        pygame.draw.rect(self.window.surface, FIELD, rect, border_radius=4)
        pygame.draw.rect(self.window.surface, KEY, rect, 1, border_radius=4)
        self._text(line + "_", y + 7, height - 12, 24, INK, inset=8, end=True)

    def _row(
        self,
        labels: Sequence[tuple[str, str | Command, tuple[int, int, int]]],
        y: int,
        size: int,
    ) -> None:
        """Draw as many buttons (label, meaning, colour) as fit.

        The other actions can be typed; typing narrows the list.
        """
        font = self._font(size if len(labels) < 20 else 18)
        height = font.get_linesize() + 10
        x, floor = 0, LINE if y < LINE else self.window.size[1]
        for label, meaning, colour in labels:
            width = max(font.size(label)[0] + 16, 40)
            if x and x + width > ROOM:
                x, y = 0, y + height + 6
            if y + height > floor:
                break
            rect = pygame.Rect(self._left + x, y, width, height)
            pygame.draw.rect(self.window.surface, KEY, rect, border_radius=5)
            text = font.render(label, True, colour)
            self.window.surface.blit(text, text.get_rect(center=rect.center))
            self._buttons.append(Button(rect, meaning))
            x += width + 6

    def _font(self, size: int) -> pygame.font.Font:
        if size not in self._fonts:
            self._fonts[size] = pygame.font.Font(None, size)
        return self._fonts[size]


def wrapped(text: str, font: pygame.font.Font, width: int) -> list[str]:
    """Break a text into lines of at most `width` pixels; only words wider than that are split."""
    lines: list[str] = []
    for paragraph in text.split("\n"):
        line = ""
        for word in re.findall(r"\s*\S+|\s+$", paragraph):
            if font.size(line + word)[0] <= width:
                line += word
                continue
            if line:
                lines.append(line)
            line = ""
            for character in word.lstrip():
                if font.size(line + character)[0] > width:
                    lines.append(line)
                    line = ""
                line += character
        lines.append(line)
    return lines
