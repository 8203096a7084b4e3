"""The way to a provider: its server, its key and the headers of requests."""

import asyncio
import base64
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from agents.pricing.cost import Price
from agents.providers.endpoint import KEY_HEADERS, NOT_RECORDED, Endpoint, check_header
from vlbench.records.redaction import SECRET_VARIABLE


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


@dataclass(frozen=True, slots=True)
class Connection:
    """Where requests of an agent go, and with which credentials."""

    provider: Provider
    endpoint: Endpoint
    key: str
    """The provider's key; "" if there is none, or if a header of the user's takes its place."""
    headers: Mapping[str, str]
    """Headers of every request besides the SDK's, secret ones among them."""

    @classmethod
    def choose(
        cls,
        provider: Provider,
        base_url: str | None,
        api_key_env: str,
        headers: Mapping[str, str],
        api: str,
    ) -> "Connection":
        """Choose server and key, from settings and the environment.

        Args:
            provider: Whose server it is where none is named.
            base_url: The server; by default what the provider's `url_variable` holds.
            api_key_env: Environment variable that holds the key; "" for the provider's.
            headers: Headers that the user adds.
            api: What the server speaks, a key of `endpoint.METHODS`.

        Raises:
            ValueError: There is neither key nor server, the key or a header can't be sent, or the
                server is no URL.
        """
        if not isinstance(headers, Mapping):  # its content may be a key, so it isn't shown
            raise ValueError("headers must be a JSON object of names and values")
        for name, value in headers.items():
            try:
                check_header(name, value)
            except ValueError as error:
                raise ValueError(f"headers: {error}") from error
        has_own_key = any(name.lower() in KEY_HEADERS for name in headers)
        variables = (api_key_env,) if api_key_env else provider.key_variables
        key = "" if has_own_key else next(filter(None, map(read_key, variables)), "")
        url = base_url or os.environ.get(provider.url_variable, "")
        if not (key or has_own_key or url.strip()):
            raise ValueError(
                f"no key: set {' or '.join(variables)}, or name {provider.alternative} with "
                f"--base-url (or {provider.url_variable}), as in --base-url {provider.example_url}"
            )
        endpoint = Endpoint.parse(url, api)
        basic = (
            {"Authorization": f"Basic {_base64(endpoint.userinfo)}"} if endpoint.userinfo else {}
        )
        own = {
            "Authorization" if name.lower() == "authorization" else name: value.strip()
            for name, value in headers.items()
        }
        return cls(provider, endpoint, key, basic | own)

    @property
    def server(self) -> str:
        """The URL of the server, without credentials and query."""
        return self.endpoint.url or self.provider.url

    @property
    def place(self) -> str:
        """The server in messages."""
        return self.endpoint.url or self.provider.name

    @property
    def has_key(self) -> bool:
        """Whether requests carry a key."""
        return bool(self.key) or any(name.lower() in KEY_HEADERS for name in self.headers)

    @property
    def omits_bearer(self) -> bool:
        """Whether the SDK must not send a bearer token, since another header holds the key."""
        return self.has_key and not self.key and "Authorization" not in self.headers

    @property
    def secrets(self) -> tuple[str, ...]:
        """What no message may show."""
        return tuple(
            filter(
                None,
                (
                    self.key,
                    *self.endpoint.secrets,
                    _base64(self.endpoint.userinfo),
                    *self.headers.values(),
                ),
            )
        )

    def known_price(self, model: str) -> Price | None:
        """Return the list price of a model; None unless it is at the provider's own server."""
        is_own = urlsplit(self.server).hostname == urlsplit(self.provider.url).hostname
        return self.provider.list_prices.get(model) if is_own else None


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


def secrets_in(fields: Mapping[str, Any]) -> list[str]:
    """Return the texts in a request's fields whose names say that they are secret."""
    secrets: list[str] = []
    for name, value in fields.items():
        if isinstance(value, str) and SECRET_VARIABLE.search(name):
            secrets.append(value)
        elif isinstance(value, Mapping):
            secrets += secrets_in(value)
    return secrets


def without_secrets(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return a request's fields with NOT_RECORDED in place of secrets."""
    secrets = secrets_in(fields)
    return {
        name: without_secrets(value)
        if isinstance(value, Mapping)
        else NOT_RECORDED
        if value in secrets
        else value
        for name, value in fields.items()
    }


def _base64(userinfo: str) -> str:
    return base64.b64encode(userinfo.encode()).decode() if userinfo else ""


class SDKClient:
    """An SDK's asynchronous client, made anew for each event loop that uses it.

    Args:
        client_class: `openai.AsyncOpenAI`, or a class with the same arguments.
        connection: Where it connects.
    """

    def __init__(self, client_class: Callable[..., Any], connection: Connection) -> None:
        self._client_class = client_class
        self._connection = connection
        self._client: Any = None
        self._loop: asyncio.AbstractEventLoop | None = None

    def connected(self) -> Any:
        """Return the client; its connections belong to the running loop."""
        loop = asyncio.get_running_loop()
        if self._client is None or self._loop is not loop:
            connection = self._connection
            self._loop = loop
            self._client = self._client_class(
                api_key=connection.key or "none",
                base_url=connection.server,
                default_headers=dict(connection.headers),
                default_query=dict(connection.endpoint.query),
                max_retries=0,
                timeout=None,  # the harness's
            )
        return self._client

    async def close(self) -> None:
        """Close the connections."""
        client, self._client = self._client, None
        if client is not None:
            await client.close()
            await asyncio.sleep(0)  # transports close in the loop's next round
