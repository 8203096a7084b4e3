"""GPT-4V and every server that speaks OpenAI's chat completions.

OpenAI, vLLM, transformers serve, Ollama, LiteLLM, OpenRouter: `docs/agents.md` has a line for each.
Pictures go as PNG data URIs. Retries are the harness's (`agents.retry`); the SDK makes none.
"""

import asyncio
import base64
import re
from collections.abc import Mapping
from importlib import import_module
from typing import Any

from agents.cost import Price
from agents.providers.answers import (
    Answer,
    Fault,
    count_tokens,
    plain_text,
    read_error,
    reported_usd,
    sort_parts,
)
from agents.providers.base import NO_REPLY, Provider, ProviderAgent
from agents.providers.network import check_proxies, fault_without_answer
from vlbench.errors import unknown_name
from vlbench.observation import png

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

DETAILS = ("auto", "low", "high")

LIMITS = {"max_tokens": "max_completion_tokens", "max_completion_tokens": "max_tokens"}
"""The two names of the limit on a reply's length, each with the other."""

_THINKS = re.compile(r"(o\d|gpt-[5-9])(?!\d)")


class OpenAIChat(ProviderAgent):
    """A model behind chat completions.

    Args:
        model: The server's id of the model, or "gpt4v".
        base_url: The server, up to and with `/v1`; by default `OPENAI_BASE_URL`, else OpenAI.
        temperature: Of sampling; None leaves it to the provider, as for all that are None.
        max_tokens: Longest reply, thinking included; by default 1024, and 8192 for models that
            think. It is sent under the name that the model takes.
        detail: "low", "high" or "auto": how closely the provider looks at pictures.
        seed: Of sampling, where the provider has such a thing.
        reasoning_effort: "minimal", "low", "medium", "high", … for models that think.
        json_mode: Ask for a JSON object. Servers may ignore it; the parser decides all the same.
        api_key_env: Name of the environment variable that holds the key.

    Raises:
        ValueError: A setting is wrong, neither key nor server is given, or the SDK is missing.
    """

    def __init__(
        self,
        model: str = "gpt4v",
        base_url: str | None = None,
        temperature: float | None = None,
        max_tokens: int | None = None,
        detail: str | None = None,
        seed: int | None = None,
        reasoning_effort: str | None = None,
        json_mode: bool = False,
        api_key_env: str = "OPENAI_API_KEY",
    ) -> None:
        if detail is not None and detail not in DETAILS:
            raise ValueError(unknown_name("detail", detail, DETAILS))
        super().__init__(OPENAI, base_url, api_key_env)
        self._sdk = _sdk()
        check_proxies("socksio", self._sdk.DefaultAsyncHttpxClient)
        self.note = ""
        self.name = f"openai:{model}"
        if model == "gpt4v":
            self.name, model = model, GPT4V
            self.note = f"gpt4v is an alias of {GPT4V}; not verified offline"
        self.model = model
        thinks = bool(_THINKS.match(model.rpartition("/")[2]))
        max_tokens = max_tokens or (8192 if thinks else 1024)
        self.list_price = self.known_price(model)
        self.settings: dict[str, Any] = {
            "model": model,
            "note": self.note,
            "base_url": self._url,
            "temperature": temperature,
            "max_tokens": max_tokens,
            "detail": detail,
            "seed": seed,
            "reasoning_effort": reasoning_effort,
            "json_mode": json_mode,
        }
        self._detail = detail
        limit = (
            "max_completion_tokens" if thinks or "api.openai.com" in self._server else "max_tokens"
        )
        parameters = {
            "temperature": temperature,
            "seed": seed,
            "reasoning_effort": reasoning_effort,
            "response_format": {"type": "json_object"} if json_mode else None,
            limit: max_tokens,
        }
        self._options = {name: value for name, value in parameters.items() if value is not None}
        self._client: Any = None
        self._loop: asyncio.AbstractEventLoop | None = None

    async def _request(self, sent: list[dict[str, Any]], options: dict[str, Any]) -> Answer:
        client = self._connected()
        try:
            response = await client.chat.completions.with_raw_response.create(
                model=self.model, messages=sent, **options
            )
        except self._sdk.APIStatusError as error:
            raise read_error(
                error.status_code, error.body, error.response.headers, error.message
            ) from error
        except (self._sdk.APIError, ValueError) as error:
            raise fault_without_answer(error) from error
        return read_completion(response.http_response)

    async def close(self) -> None:
        """Close the connections."""
        client, self._client = self._client, None
        if client is not None:
            await client.close()
            await asyncio.sleep(0)  # transports close in the loop's next round

    def _connected(self) -> Any:
        """Return the client; its connections belong to one event loop."""
        loop = asyncio.get_running_loop()
        if self._client is None or self._loop is not loop:
            self._loop = loop
            self._client = self._sdk.AsyncOpenAI(
                api_key=self._key or "none",
                base_url=self._server,
                default_headers=self._headers,
                max_retries=0,
                timeout=None,  # the harness's
            )
        return self._client

    def _message(self, message: Mapping[str, Any]) -> dict[str, Any]:
        if message["role"] == "assistant":
            text = "".join(part["text"] for part in message["content"])
            return {"role": "assistant", "content": text or NO_REPLY}
        parts: list[dict[str, Any]] = []
        for part in message["content"]:
            if part["type"] == "text":
                parts.append({"type": "text", "text": part["text"]})
            else:
                url = f"data:image/png;base64,{base64.b64encode(png(part['image'])).decode()}"
                image = {"url": url} | ({"detail": self._detail} if self._detail else {})
                parts.append({"type": "image_url", "image_url": image})
        return {"role": message["role"], "content": parts}

    def _drop_unsupported(self, fault: Fault, sent: Mapping[str, Any]) -> bool:
        """Drop the parameters that the server refused, or rename the limit on tokens."""
        for name, other in LIMITS.items():
            if fault.status in (400, 422) and name in self._options and other in fault.message:
                self._options[other] = self._options.pop(name)
                return True  # the message names both: the one refused and the one wanted
        return super()._drop_unsupported(fault, sent)


def read_completion(response: Any) -> Answer:
    """Read the body of a chat completion.

    Args:
        response: An HTTP response with status 200.

    Raises:
        Fault: It holds none.
    """
    try:
        body = response.json()
    except ValueError as error:
        raise Fault("no chat completion in the answer", status=200) from error
    choices = body.get("choices") if isinstance(body, Mapping) else None
    choice = choices[0] if isinstance(choices, list) and choices else None
    usage = body.get("usage") if isinstance(body, Mapping) else None
    usd = reported_usd(usage)
    message = choice.get("message") if isinstance(choice, Mapping) else None
    if not isinstance(choice, Mapping) or not isinstance(message, Mapping) or choice.get("error"):
        missing_part = "no choice" if isinstance(choices, list) else "no chat completion"
        fault = read_error(200, choice or body, response.headers, f"{missing_part} in the answer")
        fault.usd = usd
        raise fault
    content = sort_parts(message.get("content"))
    apart = [message.get(name) for name in ("reasoning_content", "reasoning", "thinking")]
    apart += [message.get("reasoning_details")]
    reasoning = next((text for value in apart if (text := plain_text(value))), "")
    usage = usage if isinstance(usage, Mapping) else {}
    return Answer(
        text=content.text,
        reasoning="\n".join(filter(None, [reasoning, content.reasoning])),
        finish_reason=str(choice.get("finish_reason") or ""),
        refusal=plain_text(message.get("refusal")) or content.refusal,
        prompt_tokens=count_tokens(usage.get("prompt_tokens")),
        completion_tokens=count_tokens(usage.get("completion_tokens")),
        usd=usd,
        provider_id=str(body.get("id") or ""),
    )


def _sdk() -> Any:
    try:
        return import_module("openai")
    except ImportError as error:
        raise ValueError(
            f'the openai SDK is missing: pip install "vlbench[api]" ({error})'
        ) from error
