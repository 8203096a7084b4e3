"""Keep keys and passwords out of files, terminals and messages.

Secrets are the values of environment variables with a secret's name, passwords in URLs, and
whatever has the form of a well-known provider's key. `RunFolder` and `vlbench.cli.terminal` apply
`redact` to all that they write and print, except a model's reply, which is never rewritten.
"""

import base64
import html
import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from typing import Any
from urllib.parse import quote, quote_plus, unquote

SECRET_VARIABLE = re.compile(
    r"(^|_)(KEY|TOKEN|SECRET|PASSWORD|PASSWD|CREDENTIAL)S?(_|\d|$)|"
    r"(KEY|TOKEN|SECRET|PASSWORD|PASSWD)S?$",
    re.IGNORECASE,
)
"""Environment variables with such names hold secrets."""

SHORTEST_SECRET = 8
"""Shorter values ("1", "none", "EMPTY") are no secrets, and replacing them would garble texts."""

KEY_FORMS = {
    "Anthropic key": r"sk-ant-[\w-]{16,}",
    "OpenRouter key": r"sk-or-[\w-]{16,}",
    "OpenAI key": r"sk-(?=[\w-]*\d)[A-Za-z0-9][\w-]{15,}",
    "Google key": r"AIza[\w-]{30,}|AQ\.[\w-]{30,}|ya29\.[\w-]{20,}",
    "Hugging Face token": r"hf_[A-Za-z0-9]{20,}",
    "Groq key": r"gsk_[A-Za-z0-9]{20,}",
    "xAI key": r"xai-[A-Za-z0-9]{20,}",
    "AWS key": r"(?:AKIA|ASIA)[A-Z0-9]{16}(?![A-Za-z0-9])",
    "GitHub token": r"gh[pousr]_[A-Za-z0-9]{20,}|github_pat_\w{20,}",
    "GitLab token": r"glpat-[\w-]{20,}",
    "Slack token": r"xox[abeoprs]-[\w-]{10,}",
    "Replicate token": r"r8_[A-Za-z0-9]{20,}",
    "Perplexity key": r"pplx-[A-Za-z0-9]{20,}",
    "NVIDIA key": r"nvapi-[\w-]{20,}",
    "Cerebras key": r"csk-[a-z0-9]{20,}",
    "Fireworks key": r"fw_[A-Za-z0-9]{20,}",
    "Together key": r"tgp_v1_[\w-]{20,}",
    "JSON web token": r"eyJ[\w-]{10,}\.eyJ[\w-]{10,}\.[\w-]{10,}",
    "private key": r"-----BEGIN [A-Z ]*PRIVATE KEY-----",
    "bearer token": r"(?i:bearer)(?:\s|%20)+(?=[\w.~+/%=-]*\d)[\w.~+/%=-]{16,}",
}
"""Kind of key → regular expression of its form."""

_KEYS = re.compile(
    r"(?<![A-Za-z0-9])(?:"
    + "|".join(f"(?P<k{n}>{form})" for n, form in enumerate(KEY_FORMS.values()))
    + ")"
)
_KINDS = tuple(KEY_FORMS)
_STARTS = re.compile(
    r"sk-|AIza|AQ\.|ya29\.|hf_|gsk_|xai-|AKIA|ASIA|gh[pousr]_|github_pat_|glpat-|xox|r8_|pplx-|"
    r"nvapi-|csk-|fw_|tgp_v1_|eyJ|-----BEGIN |b(?i:earer)|B(?i:earer)"
)
"""The beginnings of KEY_FORMS, found several times as fast as the forms themselves."""
_USERINFO = re.compile(r"(?<=://)([^/?#\s\"'<>@]*(?:@[^/?#\s\"'<>@]+)*)@")
_PARAMETER = re.compile(
    r"(?i)([?&](?:[\w.-]*(?:key|token|secret|password|passwd|signature|credential)s?|sig|auth|code)=)"
    r"[^&\s\"'<>#]+"
)
_BASIC = re.compile(r"(?i)(\bbasic(?:\s|%20)+)([A-Za-z0-9+/_-]{8,}(?:=|%3D)*)")


def redact(text: str, *secrets: str) -> str:
    """Return a text without secrets, in whatever form it holds them.

    Names stand for the values of environment variables. User and password are removed from URLs,
    and the values of parameters such as `api-key`.

    Args:
        text: Any text that is about to be shown or written, except a model's reply.
        *secrets: Further secrets.
    """
    text = _USERINFO.sub("", text)
    text = _PARAMETER.sub(r"\1[secret]", text)
    text = _BASIC.sub(_redact_basic, text)
    pattern, names = _secrets(secrets)
    if pattern is not None:
        text = pattern.sub(lambda match: f"[{names[match.group()]}]", text)
    return _KEYS.sub(lambda match: f"[{_kind(match)}]", text)


def redact_data(data: Any, *secrets: str, except_field: str = "") -> Any:
    """Return plain data with the texts in it redacted, names of fields excepted.

    Args:
        data: What JSON can hold.
        *secrets: Further secrets.
        except_field: Name of the fields that are left as they are.
    """
    if isinstance(data, str):
        return redact(data, *secrets)
    if isinstance(data, Mapping):
        return {
            name: value
            if name == except_field
            else redact_data(value, *secrets, except_field=except_field)
            for name, value in data.items()
        }
    if isinstance(data, list | tuple):
        return [redact_data(value, *secrets, except_field=except_field) for value in data]
    return data


class SecretInReply(ValueError):
    """A model's reply holds a secret, so that it can be neither recorded nor rewritten.

    Args:
        reply_hash: sha256 of the reply's text.
    """

    def __init__(self, reply_hash: str) -> None:
        super().__init__(
            f"secret in reply: it holds a key or a password in use here, so that only its sha256 "
            f"{reply_hash[:12]}… is kept"
        )
        self.reply_hash = reply_hash


def holds_secret(text: str, *secrets: str) -> bool:
    """Return whether a model's reply holds a secret that is in use.

    A value that may well be an ordinary word ("anything", "not-needed") doesn't count.
    """
    pattern, names = _secrets(secrets)
    if pattern is None:
        return False
    return any(_is_unguessable(match.group()) for match in pattern.finditer(text))


def find_key(text: str) -> str:
    """Return the kind of the first key of a well-known form in a text; "" if there is none."""
    match = _KEYS.search(text) if _STARTS.search(text) else None
    return _kind(match) if match else ""


def _kind(match: re.Match[str]) -> str:
    assert match.lastgroup
    return _KINDS[int(match.lastgroup[1:])]


def _redact_basic(match: re.Match[str]) -> str:
    """Redact the credentials of basic authentication; leave prose ("basic strategies") alone."""
    code = unquote(match[2]).rstrip("=").replace("-", "+").replace("_", "/")
    try:
        plain = base64.b64decode(code + "=" * (-len(code) % 4)).decode()
    except ValueError:
        return match[0]
    return f"{match[1]}[secret]" if ":" in plain else match[0]


def _is_unguessable(value: str) -> bool:
    mixed = value != value.lower() and value != value.upper()
    return mixed or len(value) >= 20 or any(character.isdigit() for character in value)


def _secrets(more: Iterable[str]) -> tuple[re.Pattern[str] | None, Mapping[str, str]]:
    """Return a pattern that finds the live secrets, and what stands for each text that it finds."""
    names: list[tuple[str, str]] = []
    for name, value in os.environ.items():
        if SECRET_VARIABLE.search(name):
            names.append((name, value))
        if "://" in value:
            names += [(name, secret) for secret in _passwords(value)]
    names += [("secret", value) for value in more]
    return _compiled(tuple(names))


def _passwords(url: str) -> Iterator[str]:
    """Yield user:password and the password of a URL."""
    for match in _USERINFO.finditer(url):
        userinfo = unquote(match[1])
        yield userinfo
        yield userinfo.partition(":")[2]


@lru_cache(maxsize=64)
def _compiled(
    names: tuple[tuple[str, str], ...],
) -> tuple[re.Pattern[str] | None, Mapping[str, str]]:
    form_names: dict[str, str] = {}
    for name, value in names:
        if len(value.strip()) >= SHORTEST_SECRET:
            for form in _forms(value.strip()):
                form_names.setdefault(form, name)
    if not form_names:
        return None, {}
    longest_first = sorted(form_names, key=len, reverse=True)
    return re.compile("|".join(map(re.escape, longest_first))), form_names


def _forms(secret: str) -> set[str]:
    """Return the forms in which SDKs and servers show a secret."""
    data = secret.encode("utf-8", "replace")
    percent = {quote(secret, safe="", errors="replace"), quote(secret, errors="replace")}
    percent |= {quote_plus(secret, errors="replace")}
    forms = {
        secret,
        " ".join(secret.split()),
        repr(secret)[1:-1],
        repr(data)[2:-1],
        json.dumps(secret)[1:-1],
        html.escape(secret),
        *percent,
        *(re.sub("%[0-9A-F]{2}", lambda match: match[0].lower(), form) for form in percent),
    }
    for offset in range(3):  # base64 of any text that holds the secret, as of "user:secret"
        code = base64.b64encode(b"\0" * offset + data).decode()
        whole = code[-(-offset * 8 // 6) : (offset + len(data)) * 8 // 6]
        forms |= {whole, whole.replace("+", "-").replace("/", "_"), quote(whole, safe="")}
    return {form for form in forms if len(form) >= SHORTEST_SECRET}
