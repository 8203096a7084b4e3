"""Read the bodies of errors. Providers and gateways nest messages, codes and waits in many ways."""

import json
import math
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

CODES = {
    *("code", "type", "status", "reason", "reasons", "error_type", "error_code"),
    *("errortype", "errorcode", "__type", "quotaid", "quota_id"),
}
"""Fields, in lower case, that hold a code of an error."""

MESSAGES = (
    "message",
    "msg",
    "detail",
    "error",
    "error_description",
    "errormessage",
    "raw",
    "title",
)
"""Fields, in lower case, that hold a message, the best first."""

WAITS = {"retrydelay": "s", "retry_delay": "s", "retry_after": "s", "retryafter": "s"}
WAITS |= {"retry-after": "s", "retry_after_seconds": "s", "retry_after_ms": "ms"}
"""Fields, in lower case, that hold the wait that a provider asks for → unit of a bare number."""

DEEPEST = 8
"""Levels of nesting that are looked at."""

_WAIT = re.compile(
    r"(?:retry|try again|wait)[a-z ]{0,12}?((?:\d+\s*h\s*)?(?:\d+\s*m(?:in)?\s*)?\d+(?:\.\d+)?\s*"
    r"(?:ms|milliseconds?|s|sec|seconds?|m|min|minutes?|h|hours?)\b)",
    re.IGNORECASE,
)
_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*([a-z]+)", re.IGNORECASE)
_UNITS = {"ms": 1e-3, "milli": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
"""Beginning of a unit's name → seconds; the first that fits counts."""


def message_in(body: Any) -> str:
    """Return the message of an error body, with the upstream's own where a gateway adds it."""
    if isinstance(body, str):
        return " ".join(re.sub(r"<[^<>]{0,300}>", " ", body).split())[:1000]
    texts: dict[str, str] = {}
    for name, value in _fields(body):
        if isinstance(value, str) and value.strip():
            texts.setdefault(name, value.strip())
    message = next((texts[name] for name in MESSAGES if name in texts), "")
    upstream = texts.get("raw", "")
    upstream = message_in(_parsed(upstream)) if _parsed(upstream) is not None else upstream
    return f"{message} ({upstream})" if upstream and upstream not in message else message


def codes_in(body: Any) -> tuple[str, ...]:
    """Return every code in an error body, the outermost first, each once."""
    codes = [
        str(value)
        for name, value in _fields(body)
        if name in CODES and isinstance(value, str | int) and not isinstance(value, bool)
    ]
    return tuple(dict.fromkeys(codes))


def waits_in(body: Any, message: str) -> Iterator[float]:
    """Yield the waits in seconds that an error asks for, in its fields and in its message."""
    for name, value in _fields(body):
        if name in WAITS:
            seconds = parse_duration(value, WAITS[name])
            if seconds is not None:
                yield seconds
    for match in _WAIT.finditer(message):
        seconds = parse_duration(match[1], "s")
        if seconds is not None:
            yield seconds


def parse_duration(value: Any, unit: str) -> float | None:
    """Return a duration in seconds; None if it is none.

    Args:
        value: A number, "3s", "7m12.5s", "2 minutes", or a date as HTTP writes it.
        unit: "s" or "ms", of a bare number.
    """
    if isinstance(value, Mapping):  # protobuf's Duration
        value = value.get("seconds", 0)
    try:
        seconds = float(value) * _UNITS[unit]
    except (TypeError, ValueError):
        return _date(str(value)) if "," in str(value) else _spelt_out(str(value))
    return None if math.isnan(seconds) else max(seconds, 0.0)


def _spelt_out(text: str) -> float | None:
    """Return the seconds of "7m12.5s"; None for another text."""
    total = 0.0
    for number, name in _DURATION.findall(text):
        size = next((size for unit, size in _UNITS.items() if name.lower().startswith(unit)), 0.0)
        total += float(number) * size
    return total or None


def _date(text: str) -> float | None:
    try:
        date = parsedate_to_datetime(text)
    except ValueError:
        return None
    return max((date - datetime.now(UTC)).total_seconds(), 0.0) if date.tzinfo else None


def _fields(value: Any, depth: int = 0) -> Iterator[tuple[str, Any]]:
    """Yield the fields of nested data, outer ones first; JSON inside texts is looked at too."""
    if depth > DEEPEST:
        return
    if isinstance(value, str) and (parsed := _parsed(value)) is not None:
        value = parsed
    if isinstance(value, Mapping):
        items = [(str(name).casefold(), item) for name, item in value.items()]
        yield from items
        for name, item in items:
            if isinstance(item, list):
                yield from ((name, element) for element in item[:50])
            yield from _fields(item, depth + 1)
    elif isinstance(value, list | tuple):
        for item in value[:50]:
            yield from _fields(item, depth + 1)


def _parsed(text: str) -> Any:
    """Return the JSON object or list that a text is; None if it is none."""
    if text.lstrip()[:1] not in ("{", "["):
        return None
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None
