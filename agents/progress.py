"""Progress of a run, on a stream for people: one refreshed line on a terminal, else a few lines."""

import time
from collections.abc import Iterable
from typing import TextIO

from vlbench.cli import erase_line, is_terminal, plain
from vlbench.display.formatting import duration, time_left
from vlbench.records import Episode, Reply

SECONDS_BETWEEN_LINES = 10.0
SECONDS_BETWEEN_REFRESHES = 0.1


class Progress:
    """Shows the progress of a run.

    Args:
        stream: Where to write; None for nowhere.
        opening: A line to write when the run starts.
    """

    def __init__(self, stream: TextIO | None, opening: str = "") -> None:
        self._stream = None if stream is None else plain(stream)
        self._opening = opening
        self._terminal = is_terminal(stream)
        self._pause = SECONDS_BETWEEN_REFRESHES if self._terminal else SECONDS_BETWEEN_LINES
        self._shown = ""
        self._total = self._kept = self._done = self._errored = 0
        self._at_once = 1
        self._retries = 0
        self._dropped: set[str] = set()
        self._usd: float | None = None
        self._start = self._last = time.monotonic()

    def say(self, line: str) -> None:
        """Write a separate line."""
        if self._stream is not None:
            self._clear()
            print(line, file=self._stream, flush=True)

    def start(self, total: int, kept: int, at_once: int = 1) -> None:
        """Begin to count.

        Args:
            total: Episodes of the run.
            kept: How many of them are finished already.
            at_once: Episodes played at once. The remaining time is estimated once so many are done:
                the first of them comes after as long as all of them.
        """
        if self._opening:
            self.say(self._opening)
        self._total, self._kept, self._at_once = total, kept, at_once
        self._start = self._last = time.monotonic()

    def count(self, episode: Episode) -> None:
        """Count an episode."""
        self._done += 1
        self._errored += episode.is_errored
        self._refresh()

    def reply(self, reply: Reply, dropped: Iterable[str] = ()) -> None:
        """Count a reply, and tell once of each setting that the provider refuses.

        Args:
            reply: The reply.
            dropped: The settings that the provider has refused so far.
        """
        for name in dropped:
            if name not in self._dropped:
                self._dropped.add(name)
                self.say(f"the model doesn't take {name}; it is left out from now on")
        self._retries += reply.retries
        if reply.usd is not None:
            self._usd = (self._usd or 0.0) + reply.usd
        if self._terminal and self._done:
            self._refresh()

    def _refresh(self) -> None:
        now = time.monotonic()
        if self._stream is None or now - self._last < self._pause:
            return
        self._last = now
        line = self._line(now - self._start)
        if self._terminal:
            self._clear()
            print(line, end="", file=self._stream, flush=True)
            self._shown = line
        else:
            self.say(line)

    def end(self) -> None:
        """Clear the refreshed line."""
        self._clear()

    def _line(self, seconds: float) -> str:
        errored = f", {self._errored} errored" if self._errored else ""
        done = f"{self._kept + self._done}/{self._total} episodes{errored}"
        done += f", {self._retries} retries" if self._retries else ""
        done += f", {self._usd:.3f} USD" if self._usd is not None else ""
        done += f", {duration(seconds)}"
        if self._done < self._at_once:
            return done
        rest = self._total - self._kept - self._done
        return f"{done}, {time_left(self._done, rest, seconds)}"

    def _clear(self) -> None:
        if self._shown and self._stream is not None:
            erase_line(self._stream, len(self._shown))
            self._shown = ""
