"""Read the action out of a model's reply: the rules `vlact-1`.

`docs/vlact-1.md` is the specification, and `vlact1.jsonl` beside this file its conformance corpus;
a change of any result is a new version of the rules. Reading is total, pure, deterministic and
linear in the length of the text: a bad reply is data and never an exception, no action is guessed,
and no limit of the interpreter shows. Whether the *state* allows the action isn't decided here.
"""

import json
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, NamedTuple, TypeAlias

RULES = "vlact-1"
"""Name and version of these rules; runs record it."""

Json: TypeAlias = "None | bool | int | float | str | list[Json] | dict[str, Json]"
Status: TypeAlias = Literal["ok", "unknown", "malformed", "truncated", "empty"]
Level: TypeAlias = Literal["standard", "strict"]

MAX_DEPTH = 64
"""How many objects and lists may stand inside each other, the top-level object counted."""

MAX_DIGITS = 18
"""An integer with more digits is kept as its decimal text, so that it fits every language."""

MAX_CACHED = 1000
"""Length, in characters, up to which `CachedParser` shares a reply's result in the process."""

# One token inside an object, with the comma or colon after it. It matches at every position: a
# quote that nothing closes is a token of its own, so is a comma or colon that follows no token, and
# the end of the text is the empty token. Possessive quantifiers: nothing is tried twice.
_TOKEN = re.compile(
    r"""
    [ \t\n\r]*+
    (                                               # 1. the token
        "([^"\\\x00-\x1f]*+)"                       # 2. the body of a string that needs no decoding
      | "[^"\\]*+(?:\\.[^"\\]*+)*+"
      | '[^'\\]*+(?:\\.[^'\\]*+)*+'
      | [^][{},:"'\ \t\n\r] [^][{},:"\ \t\n\r]*+    # a bare word; apostrophes inside belong to it
      | [][{},:"']
      | \Z
    )
    (?: [ \t\n\r]*+ ([,:]) )?                       # 3. what follows it
    """,
    re.VERBOSE | re.DOTALL,
)
_ESCAPE_OR_QUOTE = re.compile(r'\\.|"', re.DOTALL)
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?")
_JSON_WORDS: dict[str, Json] = {"null": None, "true": True, "false": False}
_PYTHON_WORDS: dict[str, Json] = {"None": None, "True": True, "False": False}
_CONTROL = re.compile(r"[\x00-\x1f]")
_ACTION_FIELD = re.compile(r'"action"[ \t\n\r]*:[ \t\n\r]*("[^"\\]*"|-?[0-9]+(?![.eE0-9]))')


@dataclass(frozen=True, slots=True)
class Parsed:
    """What a reply says."""

    action: str | None
    """The action, spelled as in `actions`; None unless the status is ok."""
    status: Status
    """What kind of reply this is; docs/vlact-1.md defines the five."""
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


class _Object(NamedTuple):
    """A readable top-level object; its action field, if it has one, is apart from the others."""

    start: int
    end: int
    recovered: bool
    action: Json
    span: tuple[int, int] | None
    fields: dict[str, Json]


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
    decider: _Object | None = None
    flat = text.count("{") == 1 and text.count("[") < MAX_DEPTH
    read = _read_flat if flat else _read
    start, end = text.find("{"), 0
    while start >= 0 and end >= 0:
        try:
            found = read(text, start)
        except ValueError:
            end = _end(text, start)
        else:
            end = found.end
            if found.span:
                decider = found
        start = text.find("{", end)

    strict = level == "strict"
    if decider is None or (strict and not _is_strict(text, decider)):
        status: Status = "malformed" if text.strip() else "empty"
        if end < 0 and not strict:
            status = "truncated"
        return Parsed(None, status, False, None, {})
    action, status = None, "malformed"
    if isinstance(decider.action, str):
        action = known.get(_fold(decider.action))
        if strict and action != decider.action:
            action = None
        status = "unknown" if action is None else "ok"
    return Parsed(action, status, decider.recovered, decider.span, decider.fields)


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
    known = {_fold(action): action for action in actions}
    if len(known) < len(actions):
        raise ValueError(f"actions must differ in more than case and outer space: {actions!r}")
    return known


def _fold(text: str) -> str:
    return text.strip().casefold()


def _is_strict(text: str, decider: _Object) -> bool:
    assert decider.span is not None
    start, end = decider.span
    return (
        not decider.recovered
        and len(text.strip(" \t\n\r")) == decider.end - decider.start
        and text.startswith('"action"', start)
        and text[end - 1] == '"'
    )


def _integer(digits: str) -> int | str:
    return int(digits) if len(digits.lstrip("-")) <= MAX_DIGITS else digits


def _float(digits: str) -> float:
    number = float(digits)
    if not math.isfinite(number):
        raise ValueError
    return number


_decode_string = json.JSONDecoder(strict=False).decode
_decode_pairs = json.JSONDecoder(
    object_pairs_hook=list, parse_int=_integer, parse_float=_float, parse_constant=_float
).raw_decode


def _read_flat(text: str, start: int) -> _Object:
    """Do what `_read` does for the only `{` of a text, in C if it is plain JSON: the usual reply.

    The action field is where the text `"action"` is, if that occurs once and a colon follows;
    otherwise, and wherever else `_read` might see another thing, `_read` reads.
    """
    try:
        pairs, end = _decode_pairs(text, start)
    except (ValueError, RecursionError):
        return _read(text, start)
    fields: dict[str, Json] = {key.strip().casefold(): value for key, value in pairs}
    key_start = text.find('"action"', start, end)
    field = _ACTION_FIELD.match(text, key_start, end) if key_start >= 0 else None
    if (
        field is None
        or text[key_start - 1] == "\\"
        or text.find('"action"', key_start + 1, end) >= 0
        or len(fields) < len(pairs)
    ):
        return _read(text, start)
    action = fields.pop("action")
    action = field[1] if isinstance(action, int) else action
    return _Object(start, end, False, action, field.span(), fields)


def _read(text: str, start: int) -> _Object:
    """Read the object that opens at `start`; a ValueError if it is unreadable or never closes."""
    root: dict[str, Json] = {}
    box: dict[str, Json] | list[Json] = root  # the innermost open container
    outer: list[dict[str, Json] | list[Json]] = []  # the containers around it
    key: str | None = None  # the key in `box` that waits for its value
    before = "opening"  # what stood before this token in `box`; or "comma", or "value"
    recovered = False
    action: Json = None
    action_start = -1  # where the top-level field being read began, if that is the action
    span: tuple[int, int] | None = None

    for match in _TOKEN.finditer(text, start + 1):
        token, plain, follows = match.groups()
        value: Json
        if token == "}" or token == "]":
            if key is not None or (token == "}") is isinstance(box, list):
                raise ValueError
            recovered = recovered or before == "comma"
            if not outer:
                root.pop("action", None)
                return _Object(start, match.end(1), recovered, action, span, root)
            value, box = box, outer.pop()
        else:
            if plain is not None:
                value = plain
            elif token == "{":
                value = {}
            elif token == "[":
                value = []
            else:
                value, lenient = _scalar(token)
                recovered = recovered or lenient

            if key is not None and isinstance(box, dict):
                box[key] = value
                key = None
            elif isinstance(box, list):
                if before == "value":
                    raise ValueError
                box.append(value)
            elif follows == ":" and isinstance(value, str) and token[0] in "\"'":
                key = _fold(value)
                recovered = recovered or before == "value" or key in box
                if not outer:
                    action_start = match.start(1) if key == "action" else -1
                continue
            else:
                raise ValueError

            if isinstance(value, (dict, list)):
                outer.append(box)
                if follows or len(outer) == MAX_DEPTH:
                    raise ValueError
                box, before = value, "opening"
                continue
        if follows == ":":
            raise ValueError
        before = "comma" if follows else "value"
        if action_start >= 0 and not outer:
            action = token if type(value) is int else value
            span = (action_start, match.end(1))
    raise ValueError


def _scalar(token: str) -> tuple[Json, bool]:
    """Read a string, a number or a word; also says whether that took a leniency."""
    if len(token) > 1 and token[0] in "\"'":
        body = token[1:-1]
        if "\\" not in body:
            return body, True
        as_json = _ESCAPE_OR_QUOTE.sub(_to_json, body)
        recovered = token[0] == "'" or as_json != body or _CONTROL.search(body) is not None
        return str(_decode_string(f'"{as_json}"')), recovered
    if token in _JSON_WORDS:
        return _JSON_WORDS[token], False
    if token in _PYTHON_WORDS:
        return _PYTHON_WORDS[token], True
    number = _NUMBER.fullmatch(token)
    if number is None:
        raise ValueError
    return (_float if number.lastindex else _integer)(token), False


def _to_json(match: re.Match[str]) -> str:
    return {"\\'": "'", '"': '\\"'}.get(match[0], match[0])


def _end(text: str, start: int) -> int:
    """Where the object that opens at `start` ends, readable or not; -1 if it never does."""
    depth = 0
    for match in _TOKEN.finditer(text, start):
        token = match[1]
        if token == "{":
            depth += 1
        elif token == "}":
            depth -= 1
            if not depth:
                return match.end(1)
        elif token == '"' or token == "'":
            break
    return -1
