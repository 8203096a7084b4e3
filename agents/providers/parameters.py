"""Which parameters of a request a server refuses, read from its error.

A refused *parameter* ("Unsupported parameter: 'top_k'") can be left out. A refused *value*
("Unsupported value: 'temperature' does not support 0") is the user's to mend: without it the run
would not be the one that was asked for.
"""

import json
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

EXTRA_BODY = "extra_body."
"""Beginning of the names of settings that a user adds to the body of a request."""

PARAMETER_CODES = frozenset(
    ("unsupported_parameter", "unknown_parameter", "extra_forbidden", "unexpected_keyword_argument")
)
"""Error codes of servers that don't know or don't take a parameter."""

VALUE_CODES = frozenset(("unsupported_value", "invalid_value"))
"""Error codes of servers that don't take a value."""

_PARAMETER = re.compile(
    r"(unsupported|unknown|unrecogni[sz]ed|unexpected|extra)\b[\w ]{0,20}"
    r"\b(param(eter)?|argument|field|input|name|key|property|option)s?\b"
    r"|(\bnot|n't|\bno longer) (be )?(support|permit|allow|available|accept|recogni[sz]e|enabled)"
    r"|\b(is|are) (deprecated|unsupported|unknown|unrecogni[sz]ed|unavailable)\b"
    r"|\bdeprecated for\b",
    re.IGNORECASE,
)
_VALUE = re.compile(
    r"\b(unsupported|invalid|illegal|unknown) (value|enum|option)"
    r"|\b(supported|allowed|valid|permitted|accepted|possible) (values|options) (is|are)\b"
    r"|\bmust be\b|\bshould be\b|\bexpected (one of|a |an )|\bonly the default\b|\bone of\b"
    r"|\b(cannot|can't|can not) both\b|\bgreater than\b|\bless than\b|\bout of range\b",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Parameter:
    """A setting as a request sends it."""

    setting: str
    """Its name for the user, e.g. "reasoning_effort"."""
    path: str
    """Its place in the request, e.g. "reasoning.effort"."""
    value: Any

    def is_named_in(self, text: str) -> bool:
        """Return whether a text names it, in snake case, camel case or with spaces.

        A part of its place ("effort" of "reasoning.effort") is often an ordinary word, so it counts
        only where the text speaks of a parameter.
        """
        setting = self.setting.removeprefix(EXTRA_BODY)
        whole = "|".join(map(_form, {setting, self.path}))
        if re.search(rf"(?<![\w-])(?:{whole})(?![\w-])", text, re.IGNORECASE):
            return True
        if "." not in self.path:
            return False
        parts = "|".join(map(_form, {self.path.partition(".")[0], self.path.rpartition(".")[2]}))
        nouns = r"(?:param(?:eter)?|argument|field|option|setting|name)s?"
        pattern = rf"""^(?:{parts})(?:$|:)|['"`](?:{parts})['"`]|\b(?:{parts}) {nouns}\b"""
        return bool(re.search(pattern, text.strip(), re.IGNORECASE))

    def has_value_in(self, text: str) -> bool:
        """Return whether a text repeats its value, or the `type` of a value that is an object."""
        value = self.value.get("type", "") if isinstance(self.value, dict) else self.value
        if isinstance(self.value, dict):
            return bool(value and re.search(rf"\b{re.escape(str(value))}\b", text))
        if isinstance(value, (bool, list)):
            return False
        return bool(re.search(rf"(?<![\w.]){re.escape(str(value))}(?![\w]|\.\d)", text))


def _form(name: str) -> str:
    """Return the regular expression of a name in all its spellings."""
    return re.sub(r"[_.]", r"[_. ]?", name)


def make_body(parameters: Iterable[Parameter]) -> dict[str, Any]:
    """Return the body of a request that holds the parameters, each at its place."""
    body: dict[str, Any] = {}
    for parameter in parameters:
        value = parameter.value
        for name in reversed(parameter.path.split(".")):
            value = {name: value}
        _merge(body, value)
    return body


def _merge(body: dict[str, Any], more: Mapping[str, Any]) -> None:
    """Add fields to a body; objects within it are merged."""
    for name, value in more.items():
        inner = body.get(name)
        if isinstance(inner, dict) and isinstance(value, Mapping):
            body[name] = dict(inner)
            _merge(body[name], value)
        else:
            body[name] = value


def refused_parameters(body: object, sent: Collection[Parameter]) -> list[Parameter]:
    """Return the parameters that a server refuses.

    Args:
        body: The body of its error, as JSON data or as text.
        sent: What the request held.

    Returns:
        None of them if the error is about anything else, or about a value.
    """
    entries = [entry for entry in _objects(body) if isinstance(entry.get("loc"), list)]
    if entries:  # one entry a field, as FastAPI writes them
        places = [
            ".".join(part for part in entry["loc"] if isinstance(part, str))
            for entry in entries
            if entry.get("type") in PARAMETER_CODES
        ]
        return [parameter for parameter in sent if any(map(parameter.is_named_in, places))]
    codes = {str(entry.get(key)) for entry in _objects(body) for key in ("code", "type")}
    text = body if isinstance(body, str) else json.dumps(body, ensure_ascii=False)
    culprits = [parameter for parameter in sent if parameter.is_named_in(text)]
    if codes & PARAMETER_CODES:
        blamed = {str(entry["param"]) for entry in _objects(body) if entry.get("param")}
        exact = [parameter for parameter in culprits if any(map(parameter.is_named_in, blamed))]
        return exact or culprits
    if codes & VALUE_CODES or _VALUE.search(text) or not _PARAMETER.search(text):
        return []
    return [parameter for parameter in culprits if not parameter.has_value_in(text)]


def _objects(body: object) -> Iterator[Mapping[str, Any]]:
    """Yield the JSON objects in a body, from outside in."""
    if isinstance(body, dict):
        yield body
        for value in body.values():
            yield from _objects(value)
    elif isinstance(body, list):
        for value in body:
            yield from _objects(value)
