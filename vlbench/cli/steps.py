"""Tell on stderr what a long command does: a refreshed line on a terminal, else now and then."""

import sys
import time

from vlbench.cli.terminal import erase_line, is_terminal

PAUSE = 5.0
"""Seconds between lines where stderr is no terminal."""
REFRESH = 0.1
"""Seconds between refreshed lines on a terminal."""


class Steps:
    """Shows the step that a command has reached; a short command says nothing."""

    def __init__(self) -> None:
        self._terminal = is_terminal(sys.stderr)
        self._last = time.monotonic()
        self._shown = ""

    def say(self, step: str) -> None:
        """Show a step, unless the last one was shown a moment ago."""
        now = time.monotonic()
        if now - self._last < (REFRESH if self._terminal else PAUSE):
            return
        self._last = now
        self.clear()
        print(step, end="" if self._terminal else "\n", file=sys.stderr, flush=True)
        self._shown = step if self._terminal else ""

    def clear(self) -> None:
        """Erase the refreshed line."""
        if self._shown:
            erase_line(sys.stderr, len(self._shown))
            self._shown = ""
