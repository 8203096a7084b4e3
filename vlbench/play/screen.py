"""The desk at which a person plays: the picture, and beside it all that goes with it."""

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
"""Heights at which the prompt, the actions, the line with what was told, and the commands begin."""

SIZES = (32, 28, 24, 22, 18, 16)
"""Those in which pygame's font has clear letters; at others it loses the dots of its i."""

EVENTS = (pygame.QUIT, pygame.KEYDOWN, pygame.MOUSEBUTTONDOWN, pygame.WINDOWEXPOSED)

PAPER, INK, FAINT = (27, 29, 34), (232, 232, 228), (142, 146, 154)
KEY, FIELD = (58, 62, 72), (14, 15, 18)
GOOD, BAD = (134, 208, 130), (246, 164, 116)

_FORM = re.compile(r"\n[^\n]*\n\{")
"""Where a prompt begins to say how replies are written, which keys and clicks need not know."""


@dataclass(frozen=True, slots=True)
class View:
    """What the desk shows of a game."""

    frame: Frame
    title: str
    progress: str
    prompt: str
    legal: tuple[str, ...]
    told: str
    """What came of the last reply."""
    good: bool | None
    """Whether that was good news; None for neither."""
    onward: str
    """What comes after the episode."""


class Screen:
    """Draws the picture, and beside it the prompt, the actions, the line and what was told.

    Args:
        title: What the window's bar says.

    Raises:
        ValueError: There is no screen to open a window on.
    """

    def __init__(self, title: str) -> None:
        self.window = Window(title, PANEL)
        pygame.font.init()
        self._fonts: dict[int, pygame.font.Font] = {}
        self._buttons: list[Button] = []

    def draw(self, view: View, player: InputHandler) -> None:
        """Show a view, and tell the player where the buttons are."""
        self._buttons = []
        self.window.surface.fill(PAPER)
        self.window.paint(view.frame)
        self._text(view.title, GAP, 30, 32, INK)
        self._text(view.progress, 52, 24, 22, FAINT)
        prompt = view.prompt if player.writing else _FORM.split(view.prompt)[0]
        self._text(prompt, PROMPT, CHOICE - PROMPT - 12, 24, INK)
        told, y = player.note or view.told, LINE
        if player.over:
            self._row([(f"{view.onward}  (Enter)", Command.NEXT, INK)], CHOICE, 28)
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
                    for action in player.begun(player.line)
                ],
                CHOICE,
                28,
            )
            if player.line:
                self._line(player.line, LINE, 32)
                y += 40
        good = {True: GOOD, False: BAD, None: INK}[view.good]
        self._text(told, y, FOOT - y - 8, 24, INK if player.note else good)
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
        """Return the next event that can matter."""
        while True:
            event = pygame.event.wait(200)  # not for ever, so that Ctrl-C is heard
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
        """Write a text into a box, smaller where it is long, cut where even that is too much.

        Args:
            text: What to write.
            y: Where the box begins.
            height: How high it is.
            size: The largest size of the font.
            colour: Of the letters.
            inset: How much narrower than the panel the box is, on each side.
            end: Keep the end of a text that must be cut, rather than its beginning.
        """
        for points in (points for points in SIZES if points <= size):
            font = self._font(points)
            lines = wrapped(text, font, ROOM - 2 * inset)
            fitting = max(height // font.get_linesize(), 1)
            if len(lines) <= fitting:
                break
        if len(lines) > fitting:
            kept = lines[-fitting:] if end else lines[:fitting]
            kept[0 if end else -1] = "…"
            lines = kept
        for number, line in enumerate(lines):
            at = self._left + inset, y + number * font.get_linesize()
            self.window.surface.blit(font.render(line, True, colour), at)

    def _line(self, line: str, y: int, height: int) -> None:
        """Draw the field in which the person types."""
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
        """Draw buttons (label, meaning, colour), as many as there is room for.

        Actions that aren't drawn can be typed; what is typed leaves fewer to draw.
        """
        font = self._font(size if len(labels) < 20 else 18)
        height = font.get_linesize() + 10
        x, floor = 0, LINE if y < LINE else self.window.size[1]
        for label, means, colour in labels:
            width = max(font.size(label)[0] + 16, 40)
            if x and x + width > ROOM:
                x, y = 0, y + height + 6
            if y + height > floor:
                break
            rect = pygame.Rect(self._left + x, y, width, height)
            pygame.draw.rect(self.window.surface, KEY, rect, border_radius=5)
            text = font.render(label, True, colour)
            self.window.surface.blit(text, text.get_rect(center=rect.center))
            self._buttons.append(Button(rect, means))
            x += width + 6

    def _font(self, size: int) -> pygame.font.Font:
        if size not in self._fonts:
            self._fonts[size] = pygame.font.Font(None, size)
        return self._fonts[size]


def wrapped(text: str, font: pygame.font.Font, width: int) -> list[str]:
    """Break a text into lines no wider than `width` pixels, within words only where it must."""
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
