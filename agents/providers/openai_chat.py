"""GPT-4V and every server that speaks OpenAI's chat completions or its Responses API.

OpenAI, Azure, vLLM, transformers serve, Ollama, LiteLLM, OpenRouter: `docs/agents.md` has a line
for each. Pictures go as PNG data URIs. Retries are the harness's (`agents.retry`); the SDK makes
none.
"""

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import urlsplit

from agents.agent_options import check_settings
from agents.pricing.cost import Price
from agents.providers.answers import Answer, Fault, read_error
from agents.providers.base import ProviderAgent, import_sdk
from agents.providers.connection import Connection, Provider, SDKClient
from agents.providers.endpoint import CHAT, METHODS, RESPONSES
from agents.providers.network import check_proxies, fault_without_answer
from agents.providers.openai_apis import APIS, ChatCompletions
from agents.providers.parameters import Parameter

GPT4V = "gpt-4o-2024-11-20"
"""Model behind the alias `gpt4v`. GPT-4V's own ids were switched off; of the dated ids that the
SDK lists as living this is the nearest (announced to end on 2027-01-14)."""

LIST_PRICES = {GPT4V: Price(2.50, 10.00)}
"""Of OpenAI, as of November 2026."""

OPENAI = Provider(
    name="OpenAI",
    url="https://api.openai.com/v1",
    url_variable="OPENAI_BASE_URL",
    key_variables=("OPENAI_API_KEY",),
    alternative="a server of your own",
    example_url="http://127.0.0.1:8000/v1",
    list_prices=LIST_PRICES,
)

LIMITS = {"max_tokens": "max_completion_tokens", "max_completion_tokens": "max_tokens"}
"""The two names of the limit on a reply's length in chat completions, each with the other."""

_THINKS = re.compile(r"(o\d|gpt-[5-9])(?!\d)")


@dataclass(kw_only=True, eq=False)
class OpenAIChat(ProviderAgent):
    """A model behind one of OpenAI's APIs.

    Raises:
        ValueError: A setting is wrong, neither key nor server is given, or the SDK is missing.
    """

    model: str = field(default="gpt4v", kw_only=False)
    """the server's id of the model, or "gpt4v\""""
    api: str | None = None
    """"chat" or "responses"; by default what the URL ends with, else "chat\""""
    max_tokens: int | None = None
    """longest reply, thinking included; by default 1024, and 8192 for models that think"""
    detail: str | None = None
    """"low", "high" or "auto": how closely the provider looks at pictures"""
    top_k: int | None = None
    """of sampling, where the server has such a thing"""
    presence_penalty: float | None = None
    """of sampling"""
    seed: int | None = None
    """of sampling, where the server has such a thing"""
    reasoning_effort: str | None = None
    """"minimal", "low", "medium", "high", … for models that think"""
    chat_template_kwargs: dict[str, Any] = field(default_factory=dict)
    """variables of the chat template, at servers of open models"""
    json_mode: bool = False
    """ask for a JSON object; servers may ignore it, and the parser decides all the same"""

    def __post_init__(self) -> None:
        """Check the settings, and find the SDK."""
        check_settings(self)
        alias = "gpt4v" if self.model == "gpt4v" else ""
        self.model = GPT4V if alias else self.model
        thinks = bool(_THINKS.match(self.model.rpartition("/")[2]))
        self.max_tokens = self.max_tokens or (8192 if thinks else 1024)
        super().__post_init__()
        if self.api == CHAT and (thinks or _is_own(self._connection.server)):
            self._paths["max_tokens"] = LIMITS["max_tokens"]
        self._has_renamed_limit = False
        self.name = alias or f"openai:{self.model}"
        self.note = f"gpt4v is an alias of {GPT4V}; not verified offline" if alias else ""
        self.settings["note"] = self.note
        if self.api == CHAT:
            del self.settings["api"]  # what runs of earlier versions used, without saying so
        self._sdk = import_sdk("openai", "api")
        check_proxies("socksio", self._sdk.DefaultAsyncHttpxClient)
        self._client = SDKClient(self._sdk.AsyncOpenAI, self._connection)

    def _connect(self) -> Connection:
        """Choose API, server and key.

        Raises:
            ValueError: They can't be used, or the API lacks a setting.
        """
        if self.api is None:
            url = self.base_url or os.environ.get(OPENAI.url_variable, "")
            is_pasted = METHODS[RESPONSES].path.search(urlsplit(url.strip()).path.rstrip("/"))
            self.api = RESPONSES if is_pasted else CHAT
        self._api = APIS[self.api]
        for name in ChatCompletions.paths:
            if name not in self._api.paths and getattr(self, name) not in (None, {}):
                raise ValueError(f"OpenAI's {self.api} API has no setting {name}")
        connection = Connection.choose(
            OPENAI, self.base_url, self.api_key_env, self.headers, self.api
        )
        endpoint = connection.endpoint
        if not urlsplit(endpoint.url).path and _is_own(endpoint.url):
            return replace(connection, endpoint=replace(endpoint, url=OPENAI.url))
        return _for_azure(connection) if endpoint.is_azure else connection

    def _places(self) -> Mapping[str, str]:
        return self._api.paths

    def _values(self, schema: Mapping[str, Any] | None) -> dict[str, Any]:
        values = super()._values(schema)
        values["json_mode"] = self._api.json_format(None) if self.json_mode else None
        if self.json_schema and schema is not None:
            values["json_schema"] = self._api.json_format(schema)
        return values

    def _message(self, message: Mapping[str, Any]) -> dict[str, Any]:
        return self._api.message(message, self.detail)

    async def _request(self, chat: list[dict[str, Any]], body: dict[str, Any]) -> Answer:
        client = self._client.connected()
        headers = {"Authorization": self._sdk.Omit()} if self._connection.omits_bearer else {}
        try:
            raw = await self._api.call(
                client, self.model, chat, extra_body=body, extra_headers=headers
            )
        except self._sdk.APIStatusError as error:
            raise read_error(
                error.status_code, error.body, error.response.headers, error.message
            ) from error
        except (self._sdk.APIError, ValueError) as error:
            raise fault_without_answer(error) from error
        return self._api.read(raw.http_response)

    def _drop_refused(self, fault: Fault, sent: Sequence[Parameter]) -> bool:
        """Drop the settings that the server refuses, or rename the limit on tokens."""
        limit = next((each.path for each in sent if each.setting == "max_tokens"), "")
        other = LIMITS.get(limit, "")
        if fault.status in (400, 422) and other and other in fault.message:
            if self._paths["max_tokens"] == other:
                return True  # another call has renamed it meanwhile
            if not self._has_renamed_limit:
                self._has_renamed_limit = True
                self._paths["max_tokens"] = other
                return True  # the message names both: the one refused and the one wanted
        return super()._drop_refused(fault, sent)

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()


def _is_own(url: str) -> bool:
    """Return whether a server is OpenAI's."""
    return urlsplit(url).hostname == urlsplit(OPENAI.url).hostname


def _for_azure(connection: Connection) -> Connection:
    """Return a connection with the key in the header that Azure wants.

    Raises:
        ValueError: The URL names no path of Azure's APIs.
    """
    url = connection.endpoint.url
    if not urlsplit(url).path:
        raise ValueError(
            f"base URL {url}: Azure's end with /openai/v1, or with "
            "/openai/deployments/DEPLOYMENT?api-version=VERSION"
        )
    if not connection.key:
        return connection
    return replace(connection, key="", headers={"api-key": connection.key, **connection.headers})
