"""Claude, through Anthropic's SDK.

Pictures go as PNG in base64. Retries are the harness's (`agents.retry`); the SDK makes none.
"""

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from agents.pricing.cost import Price
from agents.providers.answers import (
    Answer,
    count_tokens,
    plain_text,
    read_error,
    reported_usd,
    sort_parts,
)
from agents.providers.base import NO_REPLY, ProviderAgent, import_sdk, read_json
from agents.providers.connection import Connection, Provider, SDKClient
from agents.providers.endpoint import MESSAGES
from agents.providers.network import check_proxies, fault_without_answer
from vlbench.observation import png

MODEL = "claude-sonnet-5-5"
"""Default model of `claude`."""

ANTHROPIC = Provider(
    name="Anthropic",
    url="https://api.anthropic.com",
    url_variable="ANTHROPIC_BASE_URL",
    key_variables=("ANTHROPIC_API_KEY",),
    alternative="a gateway",
    example_url="http://127.0.0.1:4000",
    list_prices={
        MODEL: Price(2.0, 10.0),
        "claude-opus-5-5": Price(4.0, 20.0),
        "claude-opus-5": Price(5.0, 25.0),
        "claude-fable-5-1": Price(10.0, 50.0),
    },
)
"""Prices: platform.claude.com/docs, "What's new in Claude Opus 5", as of November 2026."""

MAX_TOKENS = 8192
"""Default of the longest reply, which the API requires; models think within it."""


PLACES = {
    "max_tokens": "max_tokens",
    "temperature": "temperature",
    "top_p": "top_p",
    "top_k": "top_k",
    "reasoning_effort": "output_config.effort",
    "thinking_budget": "thinking",
    "json_schema": "output_config.format",
}
"""Setting → its place in the body of a request."""


@dataclass(kw_only=True, eq=False)
class Claude(ProviderAgent):
    """A Claude model behind Anthropic's messages API.

    Raises:
        ValueError: A setting is wrong, neither key nor server is given, or the SDK is missing.
    """

    required: ClassVar[frozenset[str]] = frozenset(("max_tokens",))

    model: str = field(default=MODEL, kw_only=False)
    max_tokens: int = MAX_TOKENS
    """longest reply, thinking included"""
    top_k: int | None = None
    """of sampling, which newer models refuse, like temperature and top_p"""
    reasoning_effort: str | None = None
    """"low", "medium", "high", …"""
    thinking_budget: int | None = None
    """tokens for thinking: 0 for none, -1 for as many as the model wants"""

    def __post_init__(self) -> None:
        """Check the settings, and find the SDK."""
        super().__post_init__()
        self._sdk = import_sdk("anthropic", "api")
        check_proxies("socksio", self._sdk.DefaultAsyncHttpxClient)
        self.name = "claude" if self.model == MODEL else f"anthropic:{self.model}"
        self.note = f"{self.name} is {self.model}; not verified offline"
        self.settings["note"] = self.note
        self._client = SDKClient(self._sdk.AsyncAnthropic, self._connection)

    def _connect(self) -> Connection:
        return Connection.choose(ANTHROPIC, self.base_url, self.api_key_env, self.headers, MESSAGES)

    def _places(self) -> Mapping[str, str]:
        return PLACES

    def _values(self, schema: Mapping[str, Any] | None) -> dict[str, Any]:
        values = super()._values(schema)
        if self.thinking_budget is not None:
            values["thinking_budget"] = _thinking(self.thinking_budget)
        if self.json_schema and schema is not None:
            values["json_schema"] = {"type": "json_schema", "schema": dict(schema)}
        return values

    def _message(self, message: Mapping[str, Any]) -> dict[str, Any]:
        parts: list[dict[str, Any]] = []
        for part in message["content"]:
            if part["type"] == "text":
                text = part["text"] if part["text"].strip() else NO_REPLY
                parts.append({"type": "text", "text": text})
            else:
                data = base64.b64encode(png(part["image"])).decode()
                source = {"type": "base64", "media_type": "image/png", "data": data}
                parts.append({"type": "image", "source": source})
        return {"role": message["role"], "content": parts}

    async def _request(self, chat: list[dict[str, Any]], body: dict[str, Any]) -> Answer:
        limit = body.pop("max_tokens")
        system = [part for m in chat if m["role"] == "system" for part in m["content"]]
        extra = {"system": system} if system else {}
        client = self._client.connected()
        headers = {"Authorization": self._sdk.Omit()} if self._connection.omits_bearer else {}
        try:
            raw = await client.messages.with_raw_response.create(
                model=self.model,
                max_tokens=limit,
                messages=[message for message in chat if message["role"] != "system"],
                **extra,
                extra_body=body,
                extra_headers=headers,
            )
        except self._sdk.APIStatusError as error:
            raise read_error(
                error.status_code, error.body, error.response.headers, error.message
            ) from error
        except (self._sdk.APIError, ValueError) as error:
            raise fault_without_answer(error) from error
        return read_message(raw.http_response)

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()


def read_message(response: Any) -> Answer:
    """Read the body of a message.

    Args:
        response: An HTTP response with status 200.

    Raises:
        Fault: It holds none.
    """
    body = read_json(response.text, "message")
    parts = body.get("content")
    if not isinstance(parts, list) or body.get("type") == "error":
        raise read_error(200, body, response.headers, "no message in the answer")
    usage = body.get("usage")
    usage = usage if isinstance(usage, Mapping) else {}
    names = ("input_tokens", "cache_creation_input_tokens", "cache_read_input_tokens")
    counts = [count for name in names if (count := count_tokens(usage.get(name))) is not None]
    details = body.get("stop_details")
    content = sort_parts(parts)
    return Answer(
        text=content.text,
        reasoning=content.reasoning,
        finish_reason=str(body.get("stop_reason") or ""),
        refusal=plain_text(details.get("explanation")) if isinstance(details, Mapping) else "",
        prompt_tokens=sum(counts) if counts else None,
        completion_tokens=count_tokens(usage.get("output_tokens")),
        usd=reported_usd(usage),
        provider_id=str(body.get("id") or ""),
    )


def _thinking(budget: int) -> dict[str, Any]:
    """Return a budget for thinking as the API takes it; -1 lets the model decide, 0 is none."""
    if budget > 0:
        return {"type": "enabled", "budget_tokens": budget}
    return {"type": "disabled" if budget == 0 else "adaptive"}
