"""What reaches a terminal: printable text without secrets, whatever the input.

File names, replies, model names and providers' errors may hold keys, and control sequences that
move the cursor, recolour or hide text. `plain_output` replaces `sys.stdout` and `sys.stderr` by
streams that redact the former and write the latter as JSON's escapes, so that JSON can still be
read.
"""

import io
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from typing import TextIO

from vlbench.records.redaction import redact

UNPRINTABLE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\xad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff"
    "\ufff9-\ufffb\U000e0000-\U000e0fff\ud800-\udfff]"
)
"""Control, direction and invisible characters, line separators and surrogates; not tab and line
feed."""


def printable(text: str) -> str:
    """Return a text with unprintable characters as escapes, like JSON's for U+001B."""
    return UNPRINTABLE.sub(_escape, text)


def _escape(match: re.Match[str]) -> str:
    code = ord(match[0])
    if code <= 0xFFFF:
        return f"\\u{code:04x}"
    high, low = divmod(code - 0x10000, 0x400)  # JSON writes a surrogate pair
    return f"\\u{0xD800 + high:04x}\\u{0xDC00 + low:04x}"


class PrintableStream(io.TextIOBase):
    """Writes to another stream what is printable, the rest as escapes, and no secrets.

    It says that it is no terminal, so that nothing writes control sequences on purpose; see
    `is_terminal` and `erase_line`.

    Args:
        stream: Where to write.
    """

    def __init__(self, stream: TextIO) -> None:
        self.stream = stream

    def write(self, text: str) -> int:
        """Write a text; return its length."""
        self.stream.write(printable(redact(text)))
        return len(text)

    def flush(self) -> None:
        """Flush the stream."""
        self.stream.flush()

    def writable(self) -> bool:
        """Return True."""
        return True

    def fileno(self) -> int:
        """Return the stream's file descriptor."""
        return self.stream.fileno()

    @property
    def encoding(self) -> str:  # type: ignore[override]
        """The stream's encoding."""
        return self.stream.encoding

    @property
    def errors(self) -> str | None:  # type: ignore[override]
        """What the stream does with characters that it can't encode."""
        return self.stream.errors


def is_terminal(stream: TextIO | None) -> bool:
    """Return whether a stream ends at a terminal."""
    return stream is not None and _inner(stream).isatty()


def erase_line(stream: TextIO, length: int) -> None:
    """Erase the last line of a terminal, of `length` characters, and go to its start."""
    _inner(stream).write(f"\r{' ' * length}\r")
    _inner(stream).flush()


def _inner(stream: TextIO) -> TextIO:
    return stream.stream if isinstance(stream, PrintableStream) else stream


@contextmanager
def plain_output() -> Iterator[None]:
    """Make `sys.stdout` and `sys.stderr` print printable text without secrets only.

    Standard output also prints "?" for characters that it can't encode, instead of raising.
    """
    if isinstance(sys.stdout, io.TextIOWrapper) and sys.stdout.errors == "strict":
        sys.stdout.reconfigure(errors="replace")
    with redirect_stdout(plain(sys.stdout)), redirect_stderr(plain(sys.stderr)):
        yield


def plain(stream: TextIO) -> TextIO:
    """Return a stream that writes to `stream` what `PrintableStream` does."""
    return stream if isinstance(stream, PrintableStream) else PrintableStream(stream)  # type: ignore[return-value]
