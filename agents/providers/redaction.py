"""Keeping keys and passwords out of files, logs and messages."""

import os
import re
from urllib.parse import unquote, urlsplit, urlunsplit

SECRET_VARIABLE = re.compile(r"(KEY|TOKEN|SECRET|PASSWORD|PASSWD)S?$", re.IGNORECASE)
"""Environment variables with such names hold secrets."""

SHORTEST_SECRET = 8
"""Shorter values ("1", "none", "EMPTY") are no secrets, and replacing them would garble texts."""

_USERINFO = re.compile(r"(?<=://)[^/?#\s\"'<>]*@")
_QUERY = re.compile(r"(://[^?#\s\"'<>]*)\?[^\s\"'<>]*")


def redacted(text: str, *secrets: str) -> str:
    """Return a text without the environment's keys, and URLs in it without user and query.

    Args:
        text: Any text about to be shown or written.
        *secrets: Further secrets to remove.
    """
    for secret in filter(None, secrets):
        text = text.replace(secret, "[secret]")
    for name, value in os.environ.items():
        if len(value) >= SHORTEST_SECRET and SECRET_VARIABLE.search(name):
            text = text.replace(value, f"[{name}]")
    return _QUERY.sub(r"\1", _USERINFO.sub("", text))


def without_credentials(url: str) -> tuple[str, str]:
    """Split a URL into itself without credentials, and its "user:password" ("" without any).

    A query goes too: services put keys there.

    Raises:
        ValueError: It is no http or https URL.
    """
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError(f'base URL "{redacted(url)}": wanted one like http://127.0.0.1:8000/v1')
    userinfo, _, place = parts.netloc.rpartition("@")
    return urlunsplit((parts.scheme, place, parts.path.rstrip("/"), "", "")), unquote(userinfo)
