"""Read the action out of a model's reply: the rules `vlact-2`.

`docs/vlact-2.md` is the specification, and `vlact2.jsonl` beside this file its conformance corpus;
a change of any result is a new version of the rules. Reading is total, pure, deterministic and
linear in the length of the text: a bad reply is data and never an exception, no action is guessed,
and no limit of the interpreter shows. Whether the *state* allows the action isn't decided here.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, TypeAlias

from vlbench import lenient_json
from vlbench.lenient_json import BLANKS, MAX_DEPTH, Json, Object, fold

__all__ = ["NOTHING_READ", "RULES", "CachedParser", "Json", "Level", "Parsed", "Status", "parse"]

RULES = "vlact-2"
"""Name and version of these rules; runs record it."""

Status: TypeAlias = Literal["ok", "unknown", "malformed", "truncated", "empty"]
Level: TypeAlias = Literal["standard", "strict"]

MAX_CACHED = 1000
"""Length, in characters, up to which `CachedParser` shares a reply's result in the process."""


@dataclass(frozen=True, slots=True)
class Parsed:
    """What a reply says."""

    action: str | None
    """The action, spelled as in `actions`; None unless the status is ok."""
    status: Status
    """What kind of reply this is; docs/vlact-2.md defines the five."""
    recovered: bool
    """Whether the deciding object could be read only through a leniency."""
    span: tuple[int, int] | None
    """Start and end, in characters, of the deciding action field: from the opening quote of its key
    to the end of its value. None if no object decides."""
    _fields: dict[str, Json]  # which equal replies share; `fields` gives copies

    @property
    def fields(self) -> dict[str, Json]:
        """The deciding object's other fields, keys stripped and case-folded; {} if none decides.

        A new copy each time: what is done to it changes no other reading of the same text.
        """
        return {key: _copy(value) for key, value in self._fields.items()}


NOTHING_READ = Parsed(None, "ok", False, None, {})
"""What an environment has read before the first reply."""


def parse(text: str, actions: Sequence[str], level: Level = "standard") -> Parsed:
    """Read the action that a reply names.

    Args:
        text: The whole reply; any text has a result.
        actions: The vocabulary. What is derived from it is cached, so pass the same tuple again.
        level: "standard" counts. "strict" is for reports: the text must be one JSON object and
            nothing else, with no key repeated, and key and action spelled exactly.

    Returns:
        What the reply says, as data.

    Raises:
        ValueError: Two of `actions` differ in nothing but case or surrounding white space.
    """
    known = _prepare(tuple(actions))
    decider, unclosed = _search(text)
    strict = level == "strict"
    if decider is None or (strict and not _is_strict(text, decider)):
        status: Status = "malformed" if text.strip() else "empty"
        if unclosed and not strict:
            status = "truncated"
        return Parsed(None, status, False, None, {})
    value, recovered = decider.value, decider.recovered
    if isinstance(value, list) and len(value) == 1 and type(value[0]) in (str, int):
        value, recovered = str(value[0]), True
    action, status = None, "malformed"
    if isinstance(value, str):
        action = known.get(fold(value))
        if action is None and value.rstrip().endswith("."):
            action = known.get(fold(value.rstrip()[:-1]))
            recovered = recovered or action is not None
        if strict and action != value:
            action = None
        status = "unknown" if action is None else "ok"
    return Parsed(action, status, recovered and not strict, decider.span, decider.fields)


class CachedParser:
    """`parse` for one environment, which reads a turn's reply several times: to judge and to play.

    Short replies are cached for the whole process, since policies repeat themselves. Of longer ones
    only the last at each level is kept.
    """

    def __init__(self) -> None:
        self._last: dict[Level, tuple[str, tuple[str, ...], Parsed]] = {}

    def __call__(self, text: str, actions: tuple[str, ...], level: Level) -> Parsed:
        """Return what `parse` returns."""
        if len(text) <= MAX_CACHED:
            return _parse_short(text, actions, level)
        last = self._last.get(level)
        if last is None or last[0] != text or last[1] != actions:
            last = self._last[level] = text, actions, parse(text, actions, level)
        return last[2]


@lru_cache(maxsize=4096)
def _parse_short(text: str, actions: tuple[str, ...], level: Level) -> Parsed:
    return parse(text, actions, level)


def _copy(value: Json) -> Json:
    if isinstance(value, dict):
        return {key: _copy(item) for key, item in value.items()}
    return [_copy(item) for item in value] if isinstance(value, list) else value


@lru_cache(maxsize=1024)
def _prepare(actions: tuple[str, ...]) -> dict[str, str]:
    """The actions by their folded text."""
    known = {fold(action): action for action in actions}
    if len(known) < len(actions):
        raise ValueError(f"actions must differ in more than case and outer space: {actions!r}")
    return known


def _is_strict(text: str, decider: Object) -> bool:
    assert decider.span is not None
    start, end = decider.span
    return (
        not decider.recovered
        and len(text.strip(BLANKS)) == decider.end - decider.start
        and text.startswith('"action"', start)
        and text[end - 1] == '"'
    )


def _search(text: str) -> tuple[Object | None, bool]:
    """Find the deciding object in the answer; the thoughts before it are no part of that.

    Returns:
        The object, and whether the text ends inside an object or inside thoughts.
    """
    start = 0
    if "think>" in text:
        tag = text.rfind("</think>")
        if tag >= 0 and not _in_object(text, tag):
            start = tag + len("</think>")
        elif tag < 0 and text.lstrip(BLANKS).startswith("<think>"):
            return None, True
    decider, unclosed = _search_from(text, start)
    if decider is None:
        opening = start + len(text[start:]) - len(text[start:].lstrip(BLANKS))
        decider = _decoded(text, opening, len(text.rstrip(BLANKS)))
        unclosed = unclosed and decider is None
    return decider, unclosed


def _search_from(text: str, start: int) -> tuple[Object | None, bool]:
    """Find the last readable object with an action, as `_search` does."""
    decider: Object | None = None
    if text.count("{", start) == 1 and text.count("[") < MAX_DEPTH:
        decider = lenient_json.read_usual(text, text.find("{", start))
        if decider is not None:
            return decider, False
    start = text.find("{", start)
    while start >= 0:
        end = lenient_json.prose_end(text, start)
        if end < 0:
            try:
                candidate = lenient_json.read(text, start)
            except ValueError:
                end = lenient_json.balanced_end(text, start)
                if end < 0:
                    return decider, True
            else:
                end = candidate.end
                if candidate.span is None:
                    candidate = _called(text, candidate)
                if candidate.span is not None:
                    decider = candidate
        start = text.find("{", end)
    return decider, False


def _in_object(text: str, place: int) -> bool:
    """Whether a place lies in a readable object: in a string of it."""
    start = text.find("{", 0, place)
    while start >= 0:
        end = lenient_json.prose_end(text, start)
        if end < 0:
            try:
                end = lenient_json.read(text, start).end
            except ValueError:
                end = lenient_json.balanced_end(text, start)
            else:
                if end > place:
                    return True
        if not 0 <= end <= place:
            return False
        start = text.find("{", end, place)
    return False


def _called(text: str, found: Object) -> Object:
    """Return what the arguments of a tool call say, if an object without action is one."""
    call = found
    if isinstance(call.fields.get("function"), dict):
        call = lenient_json.read(text, lenient_json.read(text, call.start, "function").value_start)
    keys = [key for key in ("arguments", "parameters") if key in call.fields]
    if not isinstance(call.fields.get("name"), str) or len(keys) != 1 or call.span is not None:
        return found
    call = lenient_json.read(text, call.start, keys[0])
    arguments: Object | None = None
    if isinstance(call.value, dict):
        arguments = lenient_json.read(text, call.value_start)
    elif isinstance(call.value, str) and call.span is not None:
        arguments = _decoded(text, call.value_start, call.span[1])
    if arguments is None or arguments.span is None:
        return found
    return arguments._replace(start=found.start, end=found.end, recovered=True)


def _decoded(text: str, start: int, end: int) -> Object | None:
    """Return the object with an action that a JSON string is; None if it is no such string."""
    encoded = lenient_json.decode_string(text, start, end)
    if encoded is None:
        return None
    opening = len(encoded.text) - len(encoded.text.lstrip(BLANKS))
    if not encoded.text.startswith("{", opening):
        return None
    try:
        inner = lenient_json.read(encoded.text, opening)
    except ValueError:
        return None
    if inner.span is None or encoded.text[inner.end :].strip(BLANKS):
        return None
    first, last = (encoded.places[place] for place in inner.span)
    return inner._replace(start=start, end=end, recovered=True, span=(first, last), value_start=-1)
