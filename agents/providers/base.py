"""Shared by API agents: credentials, PNG encoding, error classification."""

import base64
import os
import re
from abc import abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import gymnasium

from agents.agent import Agent, Observation, ProviderError
from agents.providers.redaction import SHORTEST_SECRET, redacted, without_credentials
from agents.retry import STOPPING, is_transient, retry_after
from vlbench.prompts import messages
from vlbench.records import Reply

NO_REPLY = "(no reply)"
"""Stands for an empty past reply: servers refuse messages without text."""


@dataclass(frozen=True, slots=True)
class Alternative:
    """A server that works without a key; shown in the message about a missing key."""

    kind: str
    """As in "a gateway"."""
    example_url: str


class ProviderAgent(Agent):
    """An agent that asks a provider, with its key or at a server that needs none.

    Args:
        owner: Whose server it is where none is named.
        base_url: The server; by default what `url_variable` holds.
        url_variable: Name of an environment variable.
        key_variables: Those that may hold the key; the first that is set does.
        alternative: What can be named instead of a key.

    Raises:
        ValueError: Neither key nor server is given, or the server is no URL.
    """

    remote = True
    answers_text = True

    def __init__(
        self,
        owner: str,
        base_url: str | None,
        url_variable: str,
        key_variables: Sequence[str],
        alternative: Alternative,
    ) -> None:
        url = base_url or os.environ.get(url_variable, "")
        self._key = next(filter(None, map(os.environ.get, key_variables)), "")
        if not self._key and not url:
            raise ValueError(
                f"no key: set {' or '.join(key_variables)}, or name {alternative.kind} with "
                f"--base-url (or {url_variable}), as in --base-url {alternative.example_url}"
            )
        self._url, userinfo = without_credentials(url) if url else ("", "")
        self._basic = base64.b64encode(userinfo.encode()).decode()
        self._headers = {"Authorization": f"Basic {self._basic}"} if self._basic else {}
        self._place = self._url or owner
        self.has_key = bool(self._key)
        self.paid = not self._url
        self.dropped: list[str] = []

    async def act(
        self, observation: Observation, env: gymnasium.Env[Any, str] | None = None
    ) -> Reply:
        """Make one call.

        Raises:
            ProviderError: There was no reply.
        """
        return await self.complete(messages(observation))

    @abstractmethod
    async def complete(self, chat: Sequence[Mapping[str, Any]]) -> Reply:
        """Answer chat messages, as `vlbench.prompts.messages` makes them.

        Raises:
            ProviderError: There was no reply.
        """

    def _failed(
        self, message: str, status: int = 0, headers: Mapping[str, str] = {}, stops: bool = False
    ) -> ProviderError:
        """Classify an error by its HTTP status; 0 if there was no response."""
        message = f"{self._place}: {f'status {status}: ' if status else ''}{message}"
        key = self._key if len(self._key) >= SHORTEST_SECRET else ""
        return ProviderError(
            redacted(message, key, self._basic)[:400],  # providers put keys into their messages
            status=status or None,
            transient=(not status or is_transient(status)) and not stops,
            retry_after=retry_after(headers),
            stops=status in STOPPING or stops,
        )


_UNSUPPORTED = re.compile(
    r"unsupported|unknown|unrecogni[sz]ed|unexpected|not (be )?(support|permit|allow|available)|"
    r"n't (support|allow)|extra (field|input)",
    re.IGNORECASE,
)


def unsupported_parameters(message: str, sent: Iterable[str]) -> list[str]:
    """Return the parameters that an error message reports as unsupported.

    A message that names a parameter because its value is wrong is the user's to read.
    """
    if not _UNSUPPORTED.search(message):
        return []
    spelt = {name: name.replace("_", "[_ ]?") for name in sent}
    return [name for name, form in spelt.items() if re.search(rf"\b{form}\b", message, re.I)]
