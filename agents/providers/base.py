"""Shared by API agents: credentials, the way to the server, and the loop around a call."""

import base64
import os
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote, urlsplit, urlunsplit

import gymnasium

from agents.agent import Agent, Observation, ProviderError
from agents.cost import Price, is_paid_host, reports_cost
from agents.providers.answers import Answer, Fault, Meaning, unsupported_parameters
from agents.providers.network import route_to
from vlbench.prompts import messages
from vlbench.records import Reply
from vlbench.records.redaction import redact

NO_REPLY = "(no reply)"
"""Stands for an empty past reply: servers refuse messages without text."""

LONGEST_MESSAGE = 400
"""Characters of an error's message that are shown; the record holds more."""

STOP_REASONS = {Meaning.REFUSED: "refused", Meaning.TRUNCATED: "length", Meaning.REPLY: "stop"}
"""Meaning of an answer → `Reply.stop_reason`."""


@dataclass(frozen=True, slots=True)
class Provider:
    """Who answers where no server is named, and how one is named instead."""

    name: str
    url: str
    """The provider's own server."""
    url_variable: str
    """Environment variable that may name another server."""
    key_variables: tuple[str, ...]
    """Environment variables that may hold the key; the first that is set does."""
    alternative: str
    """A server that works without a key, as in "a gateway"; for the message about a missing key."""
    example_url: str
    """Its URL."""
    list_prices: Mapping[str, Price]
    """Model → price at the provider's own server."""


class ProviderAgent(Agent):
    """An agent that asks a provider, with its key or at a server that needs none.

    Args:
        provider: Whose server it is where none is named.
        base_url: The server; by default what the provider's `url_variable` holds.
        api_key_env: Environment variable that holds the key; "" for the provider's.

    Raises:
        ValueError: Neither key nor server is given, the key can't be sent, or the server is no URL.
    """

    remote = True
    answers_text = True

    def __init__(self, provider: Provider, base_url: str | None, api_key_env: str = "") -> None:
        variables = (api_key_env,) if api_key_env else provider.key_variables
        url = base_url or os.environ.get(provider.url_variable, "")
        self._key = next(filter(None, map(read_key, variables)), "")
        if not self._key and not url:
            raise ValueError(
                f"no key: set {' or '.join(variables)}, or name {provider.alternative} with "
                f"--base-url (or {provider.url_variable}), as in --base-url {provider.example_url}"
            )
        self._url, userinfo = without_credentials(url) if url else ("", "")
        basic = base64.b64encode(userinfo.encode()).decode()
        self._headers = {"Authorization": f"Basic {basic}"} if basic else {}
        self._provider = provider
        self._server = self._url or provider.url
        self._place = self._url or provider.name
        self._options: dict[str, Any] = {}
        self.secrets = (self._key, basic, userinfo, userinfo.partition(":")[2])
        self.has_key = bool(self._key)
        self.paid = is_paid_host(self._server)
        self.reports_cost = reports_cost(self._server)
        self.dropped: list[str] = []

    def known_price(self, model: str) -> Price | None:
        """Return the list price of a model; None unless it is at the provider's own server."""
        is_own = urlsplit(self._server).hostname == urlsplit(self._provider.url).hostname
        return self._provider.list_prices.get(model) if is_own else None

    async def act(
        self, observation: Observation, env: gymnasium.Env[Any, str] | None = None
    ) -> Reply:
        """Make one call.

        Raises:
            ProviderError: There was no reply.
        """
        return await self.complete(messages(observation))

    async def complete(self, chat: Sequence[Mapping[str, Any]]) -> Reply:
        """Answer chat messages, as `vlbench.prompts.messages` makes them.

        Raises:
            ProviderError: There was no reply.
        """
        sent = [self._message(message) for message in chat]
        while True:
            options = dict(self._options)
            try:
                return self._reply(await self._request(sent, options))
            except Fault as fault:
                if self._drop_unsupported(fault, options):
                    continue
                if fault.meaning is not Meaning.REFUSED:
                    raise self._error(fault) from fault
                return self._reply(
                    Answer(refusal=fault.message, finish_reason="/".join(fault.codes))
                )

    @abstractmethod
    def _message(self, message: Mapping[str, Any]) -> dict[str, Any]:
        """Return a chat message in the provider's form."""

    @abstractmethod
    async def _request(self, sent: list[dict[str, Any]], options: dict[str, Any]) -> Answer:
        """Make one call.

        Args:
            sent: Messages in the provider's form.
            options: Parameters of the call.

        Raises:
            Fault: No reply came.
        """

    def _drop_unsupported(self, fault: Fault, sent: Mapping[str, Any]) -> bool:
        """Drop the parameters that the server refused.

        Returns:
            Whether there were any, so that the request can be sent again.
        """
        if fault.status not in (400, 422):
            return False
        names = unsupported_parameters(fault.message, sent)
        for name in names:
            if self._options.pop(name, None) is not None:
                self.dropped.append(name)
        return bool(names)

    def _reply(self, answer: Answer) -> Reply:
        """Return an answer as a reply.

        Raises:
            Fault: Its finish reason says that it is none.
        """
        meaning = answer.meaning
        if meaning not in STOP_REASONS:
            reason = answer.finish_reason or "none, and nothing was written"
            raise Fault(
                f"the answer isn't a reply: finish reason {reason}",
                status=200,
                finish_reason=answer.finish_reason,
                usd=answer.usd,
            )
        return Reply(
            text=answer.text,
            stop_reason=STOP_REASONS[meaning],
            finish_reason=answer.finish_reason,
            provider_message=self._redacted(answer.refusal),
            reasoning=self._redacted(answer.reasoning),
            prompt_tokens=answer.prompt_tokens,
            completion_tokens=answer.completion_tokens,
            usd=answer.usd,
            usd_source="" if answer.usd is None else "provider",
            provider_id=answer.provider_id,
        )

    def _error(self, fault: Fault) -> ProviderError:
        """Return the error that the harness sees."""
        place = f"{self._place}{route_to(self._server)}"
        status = f"status {fault.status}: " if fault.status else ""
        message = self._redacted(f"{place}: {status}{fault.message}")
        return ProviderError(
            " ".join(message.split())[:LONGEST_MESSAGE],
            status=fault.status or None,
            transient=fault.meaning is Meaning.TRANSIENT,
            stops=fault.meaning is Meaning.STOP,
            retry_after=fault.retry_after,
            finish_reason=fault.finish_reason,
            provider_message=self._redacted(fault.message),
            usd=fault.usd,
        )

    def _redacted(self, text: str) -> str:
        """Return a text of the provider without secrets, which providers put into messages."""
        return redact(text, *self.secrets)


def read_key(variable: str) -> str:
    """Return the key that an environment variable holds, without white space around it.

    Raises:
        ValueError: It holds a character that no header can.
    """
    key = os.environ.get(variable, "").strip()
    for position, character in enumerate(key):
        if not " " <= character <= "~":
            raise ValueError(
                f"the key in {variable} can't be sent: its character {position + 1} of {len(key)} "
                f"is {character!a}; copy the key again, in one line"
            )
    return key


def without_credentials(url: str) -> tuple[str, str]:
    """Split a URL into itself without credentials, and its "user:password" ("" without any).

    A query goes too: services put keys there.

    Raises:
        ValueError: It is no http or https URL.
    """
    wrong = ValueError(f'base URL "{redact(url)}": wanted one like http://127.0.0.1:8000/v1')
    try:
        parts = urlsplit(url.strip())
        port = parts.port
    except ValueError as error:  # a port or an IPv6 address that is none
        raise wrong from error
    if parts.scheme not in ("http", "https") or not parts.hostname or port == 0:
        raise wrong
    userinfo, _, place = parts.netloc.rpartition("@")
    return urlunsplit((parts.scheme, place, parts.path.rstrip("/"), "", "")), unquote(userinfo)
