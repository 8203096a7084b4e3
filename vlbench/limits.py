"""Limits of record fields: ranges, lengths, choices and forms, declared in the field's type.

    seconds: Annotated[float, Range(0, 1e7)] = 0.0

`vlbench.records.from_json` checks each value against the limits of its field, so that a record
which no run can write can't be read either.
"""

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol, runtime_checkable


@runtime_checkable
class Limit(Protocol):
    """One limit of a field."""

    def check(self, value: Any) -> None:
        """Raise ValueError if a value exceeds the limit; the message continues "the field …"."""

    def json_schema(self) -> dict[str, Any]:
        """Return the limit as keywords of JSON Schema; {} if it has none."""


@dataclass(frozen=True, slots=True)
class Range:
    """A number from `least` to `most`."""

    least: float
    most: float

    def check(self, value: float) -> None:
        """Check that the number is in the range."""
        if not self.least <= value <= self.most:
            limits = f"from {self.least:.10g} to {self.most:.10g}"
            raise ValueError(f"must be {limits}, got {value!r:.40}")

    def json_schema(self) -> dict[str, Any]:
        """Return both limits."""
        return {"minimum": self.least, "maximum": self.most}


@dataclass(frozen=True, slots=True)
class Size:
    """A text of at most `most` bytes of UTF-8, or a collection of `least` to `most` items."""

    most: int
    least: int = 0

    def check(self, value: Any) -> None:
        """Check the length."""
        unit = "bytes" if isinstance(value, str) else "items"
        size = len(value.encode("utf-8", "replace")) if isinstance(value, str) else len(value)
        if not self.least <= size <= self.most:
            limits = f"at most {self.most}"
            if self.least:
                limits = (
                    f"{self.least} to {self.most}" if self.least < self.most else str(self.most)
                )
            raise ValueError(f"must have {limits} {unit}, got {size}")

    def json_schema(self) -> dict[str, Any]:
        """Return {}, because JSON Schema counts characters and can't tell texts from lists."""
        return {}


@dataclass(frozen=True, slots=True)
class OneOf:
    """One of several texts."""

    choices: tuple[str, ...]

    def check(self, value: str) -> None:
        """Check that the text is one of the choices."""
        if value not in self.choices:
            choices = ", ".join(f'"{choice}"' for choice in self.choices)
            raise ValueError(f"must be one of {choices}, got {value!r:.60}")

    def json_schema(self) -> dict[str, Any]:
        """Return the choices."""
        return {"enum": list(self.choices)}


@dataclass(frozen=True, slots=True)
class Pattern:
    """A text that matches a regular expression from its start to its end."""

    expression: str
    example: str

    def check(self, value: str) -> None:
        """Check that the whole text matches."""
        if not re.fullmatch(self.expression, value):
            raise ValueError(f'must be like "{self.example}", got {value!r:.60}')

    def json_schema(self) -> dict[str, Any]:
        """Return the expression."""
        return {"pattern": f"^({self.expression})$"}


@dataclass(frozen=True, slots=True)
class Line:
    """Printable text on one line, of at most `most` characters."""

    most: int

    def check(self, value: str) -> None:
        """Check length and characters."""
        if len(value) > self.most:
            raise ValueError(f"must have at most {self.most} characters, got {len(value)}")
        if not value.isprintable():
            raise ValueError(f"must be printable characters on one line, got {value!r:.60}")

    def json_schema(self) -> dict[str, Any]:
        """Return the length."""
        return {"maxLength": self.most}


@dataclass(frozen=True, slots=True)
class PlainText:
    """Visible text: no control, direction, invisible or other characters that hide or fake text."""

    most: int
    """Largest length, in characters."""
    has_lines: bool = False
    """Whether line breaks are allowed."""

    def check(self, value: str) -> None:
        """Check length and characters."""
        if len(value) > self.most:
            raise ValueError(f"must have at most {self.most} characters, got {len(value)}")
        if character := hidden_character(value.replace("\n", "") if self.has_lines else value):
            name = unicodedata.name(character, "control character")
            raise ValueError(f"must be plain text, got U+{ord(character):04X} ({name.lower()})")
        if value and not value.strip():
            raise ValueError("must be plain text, got only spaces")

    def json_schema(self) -> dict[str, Any]:
        """Return the length."""
        return {"maxLength": self.most}


@dataclass(frozen=True, slots=True)
class Each:
    """A limit of every item of a list or tuple, or of every key and text value of a dict."""

    limit: Limit

    def check(self, value: Any) -> None:
        """Check every item."""
        items: Iterable[Any] = value
        if isinstance(value, dict):
            items = [*value, *(item for item in value.values() if isinstance(item, str))]
        for item in items:
            self.limit.check(item)

    def json_schema(self) -> dict[str, Any]:
        """Return {}."""
        return {}


CLOCK_ERROR = timedelta(days=1)
"""How far clocks and time zones may differ."""


@dataclass(frozen=True, slots=True)
class UtcTime:
    """A past time as "2026-01-31T12:00:00Z", or ""."""

    def check(self, value: str) -> None:
        """Check the form, and that the time has passed."""
        if not value:
            return
        try:
            time = datetime.strptime(value, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
        except ValueError:
            time = None
        if time is None or f"{time:%Y-%m-%dT%H:%M:%SZ}" != value:
            raise ValueError(f'must be a UTC time like "2026-01-31T12:00:00Z", got {value!r:.40}')
        if time > datetime.now(UTC) + CLOCK_ERROR:
            raise ValueError(f"must not be in the future, got {value}")

    def json_schema(self) -> dict[str, Any]:
        """Return the form."""
        return {"pattern": "^(\\d{4}-\\d\\d-\\d\\dT\\d\\d:\\d\\d:\\d\\dZ)?$"}


SHA256 = Pattern("[0-9a-f]{64}", "0" * 8 + "… (64 hex digits)")
OPTIONAL_SHA256 = Pattern("([0-9a-f]{64})?", SHA256.example)
INVISIBLE = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\ufe00-\ufe0f\uffa0\ufffc\ufffd"
    "\U000e0000-\U000e0fff]"
)
"""Characters that show nothing although `str.isprintable` accepts them, and placeholders."""

MAX_MARKS = 3
"""Most combining marks on one character; more run over the neighbouring lines."""


def hidden_character(text: str) -> str:
    """Return the first character that hides or fakes text; "" if there is none."""
    if text.isascii() and text.isprintable():
        return ""
    marks = 0
    for character in text:
        if not character.isprintable() or INVISIBLE.match(character):
            return character
        marks = marks + 1 if unicodedata.category(character) in ("Mn", "Me") else 0
        if marks > MAX_MARKS:
            return character
    return ""
