"""Where a provider is reached: the base URL that a user gives, and the headers of requests."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, unquote, urlsplit, urlunsplit

from vlbench.records.redaction import redact

API_VERSION = "api-version"
"""The one parameter of a query whose value is recorded; others may hold keys."""

NOT_RECORDED = "[not recorded]"
"""Stands in a record for what may be a secret."""

KEY_HEADERS = frozenset(("authorization", "api-key", "x-api-key", "x-goog-api-key"))
"""Headers in which providers expect their key, in lower case."""

OWN_HEADERS = frozenset(
    ("connection", "content-encoding", "content-length", "content-type", "host")
    + ("transfer-encoding",)
)
"""Headers that describe the request itself, in lower case."""

_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_HEADER_VALUE = re.compile(r"[\t\x20-\x7e]*")


@dataclass(frozen=True, slots=True)
class Method:
    """A path that a provider's API appends to its base URL."""

    path: re.Pattern[str]
    """The end of a URL that names the method."""
    agent: str
    """The agent that calls it; "" if none does."""


def _method(path: str, agent: str) -> Method:
    return Method(re.compile(f"{path}$"), agent)


CHAT, RESPONSES, MESSAGES, GEMINI = "chat", "responses", "messages", "gemini"

METHODS = {
    CHAT: _method(r"/chat/completions", "--agent openai:MODEL"),
    RESPONSES: _method(r"/responses", "--agent openai:MODEL --api responses"),
    MESSAGES: _method(r"(?:/v1)?/messages|/v1", "--agent anthropic:MODEL"),
    GEMINI: _method(r"/v1(?:beta|alpha)?(?:/models(?:/[^/]*)?)?", "--agent gemini:MODEL"),
    "completions": _method(r"(?<!/chat)/completions", ""),
    "embeddings": _method(r"/embeddings", ""),
}
"""API → the end of its URLs. Messages and Gemini have their version in the method's path, while
OpenAI's is part of the base URL."""

_OTHERS_METHOD = {
    **METHODS,
    MESSAGES: _method(r"/messages", METHODS[MESSAGES].agent),
    GEMINI: _method(r"/models/[^/]*:\w+", METHODS[GEMINI].agent),
}
"""The same for the agents of other APIs, to which a bare version belongs."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A base URL, taken apart."""

    url: str = ""
    """Without credentials, query and the method's path; "" for the provider's own server."""
    userinfo: str = ""
    """"user:password"; "" without any."""
    query: Mapping[str, str] = field(default_factory=dict)
    """Parameters that go with every request."""

    @classmethod
    def parse(cls, text: str, api: str) -> "Endpoint":
        """Take a base URL apart; one that ends with the path of the API's method loses it.

        Args:
            text: What the user gave; "" for the provider's own server.
            api: A key of METHODS.

        Raises:
            ValueError: It is no http or https URL, or it ends with the path of another API.
        """
        text = text.strip()
        if not text:
            return cls()
        example = "wanted one like http://127.0.0.1:8000/v1"
        try:
            parts = urlsplit(text)
            is_url = parts.scheme in ("http", "https") and bool(parts.hostname)
            is_url = is_url and (parts.port is None or parts.port > 0)
        except ValueError:  # a port that is no number, or a bracket that stays open
            is_url = False
        if not is_url or not text.isascii() or re.search(r"[\s\x00-\x1f\x7f]", text):
            raise ValueError(f'base URL "{_shown(text)}": {example}')
        userinfo, _, place = parts.netloc.rpartition("@")
        path = METHODS[api].path.sub("", parts.path.rstrip("/")).rstrip("/")
        for name, method in _OTHERS_METHOD.items():
            if name != api and (match := method.path.search(path)):
                advice = method.agent and f"; use {method.agent}, or "
                raise ValueError(
                    f'base URL "{_shown(text)}" ends with {match[0]}, a method of another API'
                    f"{advice or '; '}end it before {match[0]}"
                )
        query = dict(parse_qsl(parts.query, keep_blank_values=True))
        url = urlunsplit((parts.scheme, place, path, "", ""))
        return cls(url, unquote(userinfo), query)

    @property
    def is_azure(self) -> bool:
        """Whether it is Azure's, whose keys go into a header of their own."""
        host = urlsplit(self.url).hostname or ""
        return API_VERSION in self.query or host.endswith(".azure.com")

    @property
    def recorded_query(self) -> dict[str, str]:
        """The parameters as a record holds them: their names, and the value of API_VERSION."""
        return {
            name: value if name == API_VERSION else NOT_RECORDED
            for name, value in self.query.items()
        }

    @property
    def secrets(self) -> tuple[str, ...]:
        """What no message may show."""
        values = [value for name, value in self.query.items() if name != API_VERSION]
        return (*values, self.userinfo, self.userinfo.partition(":")[2])


def _shown(url: str) -> str:
    """Return a URL without user and query, even if it is none."""
    return redact(" ".join(url.rpartition("@")[2].partition("?")[0].split()))


def check_header(name: str, value: object) -> None:
    """Check a header that a user adds; no message shows its value, which may be a key.

    Raises:
        ValueError: It has an invalid name or value, or describes the request itself.
    """
    if not _HEADER_NAME.fullmatch(name):  # what stands there may be a part of the value
        raise ValueError("must be NAME=VALUE, with letters, digits and dashes as NAME")
    if name.lower() in OWN_HEADERS:
        raise ValueError(f'"{name}" is set by the SDK and can\'t be changed')
    if not isinstance(value, str) or not value.strip() or not _HEADER_VALUE.fullmatch(value):
        raise ValueError(f'"{name}": its value must be printable ASCII in one line, and not empty')
