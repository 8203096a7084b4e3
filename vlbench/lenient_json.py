"""Read one JSON object out of a text, with the leniencies of `vlact-2` (docs/vlact-2.md, §1–2).

Reading is total but for `ValueError`, pure and linear in the length of the text. No limit of the
interpreter shows.
"""

import json
import math
import re
from typing import NamedTuple, TypeAlias

Json: TypeAlias = "None | bool | int | float | str | list[Json] | dict[str, Json]"

MAX_DEPTH = 64
"""How many objects and lists may stand inside each other, the top-level object counted."""

MAX_DIGITS = 18
"""An integer with more digits is kept as its decimal text, so that it fits every language."""

BLANKS = " \t\n\r"
"""JSON's white space."""

_STRING = r"""
    "[^"\\]*+(?:\\.[^"\\]*+)*+" | '[^'\\]*+(?:\\.[^'\\]*+)*+' | “[^“”\\]*+(?:\\.[^“”\\]*+)*+”
"""
_NAME = r"[^\W\d]\w*+"
# Blanks, comments and the backslash of LaTeX's \{ and \}; the group matches the latter two.
_SKIP = r"""
(?: [ \t\n\r] | (?P<%s> //[^\n]*+ | \#[^\n]*+ | /\*(?:[^*]|\*(?!/))*+(?:\*/|\Z) | \\(?=[{}]) ) )*+
"""

# One token inside an object, with the comma or colon after it. It matches at every position: a
# quote that nothing closes is a token of its own, so is a comma or colon that follows no token, and
# the end of the text is the empty token. Possessive quantifiers: nothing is tried twice.
_TOKEN = re.compile(
    rf"""
    {_SKIP % "before"}
    (?P<token>
        "(?P<plain>[^"\\\x00-\x1f]*+)"              # a string that needs no decoding
      | {_STRING}
                                                    # a bare word; apostrophes inside belong to it
      | [^][{{}},:"'“\ \t\n\r] (?:[^][{{}},:"“\\ \t\n\r] | \\(?![{{}}]))*+
      | [][{{}},:"'“]
      | \Z
    )
    (?P<extra> (?<=") " (?= [ \t\n\r]*+ [],}}] ) )?  # a closing quote that came twice
    (?: {_SKIP % "after"} (?P<follows> [,:]) )?
    """,
    re.VERBOSE | re.DOTALL,
)
# What follows a brace that opens an object: its end, a key with its colon, or the text's end before
# that is decided.
_OPENING = re.compile(
    rf"""
    {_SKIP % "before"}
    (?: }} | \Z | "[^"\\]*+(?:\\.[^"\\]*+)*+\\?\Z | '[^'\\]*+(?:\\.[^'\\]*+)*+\\?\Z
      | “[^“”\\]*+(?:\\.[^“”\\]*+)*+\\?\Z
      | (?: {_STRING} | {_NAME} (?: [ \t\n\r]++ {_NAME} )*+ ) {_SKIP % "after"} (?: : | \Z )
    )
    """,
    re.VERBOSE | re.DOTALL,
)
_SKIPPED = re.compile(_SKIP % "before", re.VERBOSE)
_KEY_WORD = re.compile(_NAME)
_JSON_STRING = re.compile(r'"(?:[^"\\\x00-\x1f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*+"')
_CHARACTER = re.compile(
    r"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|\\u.{4}|\\.|.", re.DOTALL
)
_ESCAPE_OR_QUOTE = re.compile(r'\\.|"', re.DOTALL)
_KNOWN_ESCAPES = re.compile(r'(?:[^\\]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*+')
_KNOWN_ESCAPE = re.compile(r'\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})')
_LATEX = re.compile(
    r"\\(?:[bf][a-zA-Z]|(?:n(?:abla|eq?|ot)|r(?:ight|ightarrow|angle)"
    r"|t(?:imes|ext|heta|frac|au|riangle))(?![a-zA-Z]))"
)
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?")
_WHOLE_FLOAT = re.compile(r"(-?(?:0|[1-9][0-9]*))\.0+")
_JSON_WORDS: dict[str, Json] = {"null": None, "true": True, "false": False}
_PYTHON_WORDS: dict[str, Json] = {"None": None, "True": True, "False": False}
_CONTROL = re.compile(r"[\x00-\x1f]")
_QUOTES = "\"'“"
_ACTION_FIELD = re.compile(r'"action"[ \t\n\r]*:[ \t\n\r]*("[^"\\]*"|-?[0-9]+(?![.eE0-9]))')


class Object(NamedTuple):
    """A readable object; one of its fields, if it has that, is apart from the others."""

    start: int
    end: int
    recovered: bool
    """Whether a leniency was used."""
    value: Json
    """The value of the field apart; an integer as it was written."""
    span: tuple[int, int] | None
    """Where the field apart stands, from the start of its key to the end of its value."""
    value_start: int
    """Where its value begins; -1 without the field."""
    fields: dict[str, Json]
    """The other fields; keys stripped and case-folded."""


def fold(text: str) -> str:
    """Return a key or an action in the form in which it is compared."""
    return text.strip().casefold()


def prose_end(text: str, start: int) -> int:
    """Return where the search goes on after a brace of prose; -1 if an object may begin there."""
    if _OPENING.match(text, start + 1):
        return -1
    skipped = _SKIPPED.match(text, start + 1)
    assert skipped is not None
    return skipped.end()


_decode_string = json.JSONDecoder(strict=False).decode


def _integer(digits: str) -> int | str:
    return int(digits) if len(digits.lstrip("-")) <= MAX_DIGITS else digits


def _float(digits: str) -> float:
    number = float(digits)
    if not math.isfinite(number):
        raise ValueError
    return number


_decode_pairs = json.JSONDecoder(
    object_pairs_hook=list, parse_int=_integer, parse_float=_float, parse_constant=_float
).raw_decode


def read_usual(text: str, start: int) -> Object | None:
    """Do what `read` does for the only `{` of a text, in C: the usual reply is plain JSON.

    Returns:
        None where `read` might see another thing: where the text isn't plain JSON, or the text
        `"action"` doesn't occur once with a colon after it.
    """
    if "\\" in text and _LATEX.search(text, start):
        return None
    try:
        pairs, end = _decode_pairs(text, start)
    except (ValueError, RecursionError):
        return None
    fields: dict[str, Json] = {key.strip().casefold(): value for key, value in pairs}
    key_start = text.find('"action"', start, end)
    field = _ACTION_FIELD.match(text, key_start, end) if key_start >= 0 else None
    if (
        field is None
        or text[key_start - 1] == "\\"
        or text.find('"action"', key_start + 1, end) >= 0
        or len(fields) < len(pairs)
    ):
        return None
    action = fields.pop("action")
    action = field[1] if isinstance(action, int) else action
    return Object(start, end, False, action, field.span(), field.start(1), fields)


def read(text: str, start: int, apart: str = "action") -> Object:
    """Read the object that opens at `start`.

    Args:
        text: Any text.
        start: The place of the object's brace.
        apart: The key whose top-level field is kept apart.

    Raises:
        ValueError: The object is unreadable or never closes.
    """
    root: dict[str, Json] = {}
    box: dict[str, Json] | list[Json] = root  # the innermost open container
    outer: list[dict[str, Json] | list[Json]] = []  # the containers around it
    key: str | None = None  # the key in `box` that waits for its value
    words: list[str] = []  # an unquoted key, as far as it goes
    key_start = 0
    before = "opening"  # what stood before this token in `box`; or "comma", or "value"
    recovered = False
    value_apart: Json = None
    apart_start = value_start = -1  # of the top-level field being read, if it is the one apart
    span: tuple[int, int] | None = None

    for match in _TOKEN.finditer(text, start + 1):
        skipped, token, plain, extra, skipped_after, follows = match.groups()
        recovered = recovered or bool(skipped or extra or skipped_after)
        value: Json
        if not words:
            key_start = match.start("token")
        if token == "}" or token == "]":
            if key is not None or words or (token == "}") is isinstance(box, list):
                raise ValueError
            recovered = recovered or before == "comma"
            if not outer:
                root.pop(apart, None)
                end = match.end("token")
                return Object(start, end, recovered, value_apart, span, value_start, root)
            value, box = box, outer.pop()
        else:
            if key is None and isinstance(box, dict) and token and token[0] not in _MARKS:
                words.append(token)
                if follows is None:
                    continue
            elif words:
                raise ValueError
            if plain is not None:
                value = plain
            elif token == "{":
                value = {}
            elif token == "[":
                value = []
            elif words:
                value, recovered = _unquoted_key(words), True
            else:
                value, lenient = _scalar(token)
                recovered = recovered or lenient

            if key is not None and isinstance(box, dict):
                box[key] = value
                if apart_start >= 0 and not outer:
                    value_start = match.start("token")
                key = None
            elif isinstance(box, list):
                if before == "value":
                    raise ValueError
                box.append(value)
            elif follows == ":" and isinstance(value, str):
                key = fold(value)
                recovered = recovered or before == "value" or key in box
                if not outer:
                    apart_start = key_start if key == apart else -1
                words = []
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
        if apart_start >= 0 and not outer:
            value_apart = value
            if type(value) is int:
                value_apart = token
            elif whole := _WHOLE_FLOAT.fullmatch(token):
                value_apart, recovered = whole[1], True
            span = (apart_start, match.end("token"))
    raise ValueError


_MARKS = "{}[],:\"'“"


def _unquoted_key(words: list[str]) -> str:
    if not all(map(_KEY_WORD.fullmatch, words)):
        raise ValueError
    return " ".join(words)


def _scalar(token: str) -> tuple[Json, bool]:
    """Read a string, a number or a word; also says whether that took a leniency."""
    if len(token) > 1 and token[0] in _QUOTES:
        body = token[1:-1]
        recovered = token[0] != '"' or _CONTROL.search(body) is not None
        recovered = recovered or _KNOWN_ESCAPES.fullmatch(body) is None
        if "\\" not in body:
            return body, recovered
        return str(_decode_string(f'"{_ESCAPE_OR_QUOTE.sub(_to_json, body)}"')), recovered
    if token in _JSON_WORDS:
        return _JSON_WORDS[token], False
    if token in _PYTHON_WORDS:
        return _PYTHON_WORDS[token], True
    number = _NUMBER.fullmatch(token)
    if number is None:
        raise ValueError
    return (_float if number.lastindex else _integer)(token), False


def _to_json(match: re.Match[str]) -> str:
    """Write an escape or a quote as JSON does; a backslash that escapes nothing is itself."""
    if match[0] in ("\\'", '"'):
        return {"\\'": "'", '"': '\\"'}[match[0]]
    known = _KNOWN_ESCAPE.match(match.string, match.start())
    if known is None or _LATEX.match(match.string, match.start()):
        return "\\" + match[0]
    return match[0]


def balanced_end(text: str, start: int) -> int:
    """Return where the object that opens at `start` ends, readable or not; -1 if it never does."""
    depth = 0
    for match in _TOKEN.finditer(text, start):
        token = match["token"]
        if token == "{":
            depth += 1
        elif token == "}":
            depth -= 1
            if not depth:
                return match.end("token")
        elif token and token in _QUOTES:
            break
    return -1


class Encoded(NamedTuple):
    """The content of a JSON string."""

    text: str
    places: list[int]
    """Where each character, and the closing quote, stands in the text around it."""


def decode_string(text: str, start: int, end: int) -> Encoded | None:
    """Return the content of the JSON string from `start` to `end`; None if none stands there."""
    if _JSON_STRING.fullmatch(text, start, end) is None:
        return None
    matches = list(_CHARACTER.finditer(text, start + 1, end - 1))
    decoded = "".join(m[0] if len(m[0]) == 1 else json.loads(f'"{m[0]}"') for m in matches)
    return Encoded(decoded, [*(m.start() for m in matches), end - 1])
