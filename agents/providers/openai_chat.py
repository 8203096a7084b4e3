"""GPT-4V and every server that speaks OpenAI's chat completions.

OpenAI, vLLM, transformers serve, Ollama, LiteLLM, OpenRouter: `docs/agents.md` has a line for each.
Pictures go as PNG data URIs. Retries are the harness's (`agents.retry`); the SDK makes none.
"""

import asyncio
import base64
import re
from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Any

from agents.agent import ProviderError
from agents.cost import Price
from agents.providers.base import NO_REPLY, Alternative, ProviderAgent, unsupported_parameters
from vlbench.errors import unknown_name
from vlbench.observation import png
from vlbench.records import Reply

GPT4V = "gpt-4o-2024-11-20"
"""Model behind the alias `gpt4v`. GPT-4V's own ids were switched off; of the dated ids that the
SDK lists as living this is the nearest (announced to end on 2027-01-14)."""

LIST_PRICES = {GPT4V: Price(2.50, 10.00)}
"""Of OpenAI, as of November 2026."""

DETAILS = ("auto", "low", "high")

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
        alternative = Alternative("a server of your own", "http://127.0.0.1:8000/v1")
        super().__init__("OpenAI", base_url, "OPENAI_BASE_URL", (api_key_env,), alternative)
        self._sdk = _sdk()
        self.note = ""
        self.name = f"openai:{model}"
        if model == "gpt4v":
            self.name, model = model, GPT4V
            self.note = f"gpt4v is an alias of {GPT4V}; not verified offline"
        self.model = model
        thinks = bool(_THINKS.match(model.rpartition("/")[2]))
        max_tokens = max_tokens or (8192 if thinks else 1024)
        self.list_price = LIST_PRICES.get(model) if self.paid else None
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
        limit = "max_completion_tokens" if thinks or not self._url else "max_tokens"
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

    async def complete(self, chat: Sequence[Mapping[str, Any]]) -> Reply:
        """Answer chat messages."""
        sent = [self._message(message) for message in chat]
        while True:
            options = dict(self._options)
            try:
                answer = await self._connected().chat.completions.create(
                    model=self.model, messages=sent, **options
                )
            except (self._sdk.APIError, ValueError) as error:  # the latter: a body that is no JSON
                if not self._drop_unsupported(error, options):
                    raise self._failure(error) from error
            else:
                return self._reply(answer)

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
                base_url=self._url or "https://api.openai.com/v1",
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

    def _drop_unsupported(self, error: Any, sent: Mapping[str, Any]) -> bool:
        """Drop or rename a parameter that the server refused.

        Returns:
            Whether there was one, so that the request can be sent again.
        """
        if getattr(error, "status_code", 0) not in (400, 422):
            return False
        message = f"{error.message} {error.body}"
        names = unsupported_parameters(f"{message} {error.param or ''}", sent)
        for name in names:
            value = self._options.pop(name, None)
            other = {"max_tokens": "max_completion_tokens"}.get(name, "max_tokens")
            if name in ("max_tokens", "max_completion_tokens") and other in message:
                self._options.setdefault(other, sent[name])
                return True  # the message names both: the one refused and the one wanted
            if value is not None:
                self.dropped.append(name)
        return bool(names)

    def _failure(self, error: Any) -> ProviderError:
        """Classify an SDK error."""
        status = getattr(error, "status_code", 0)
        if status < 400:
            cause = error.__cause__ or error
            return self._failed(f"{type(cause).__name__}: {str(cause) or error}")
        broke = error.code == "insufficient_quota"
        return self._failed(error.message, status, error.response.headers, broke)

    def _reply(self, completion: Any) -> Reply:
        choices = getattr(completion, "choices", None)
        message = choices[0].message if choices else None
        if not choices or message is None:
            missing_part = "no choice" if hasattr(completion, "choices") else "no chat completion"
            reason = f"{self._place}: status 200, but {missing_part} in the answer"
            raise ProviderError(reason, status=200, transient=True)
        usage = getattr(completion, "usage", None)
        finish = choices[0].finish_reason
        declined = finish == "content_filter" or bool(getattr(message, "refusal", None))
        return Reply(
            text=message.content or "",
            stop_reason="refused" if declined else "length" if finish == "length" else "stop",
            prompt_tokens=getattr(usage, "prompt_tokens", None),
            completion_tokens=getattr(usage, "completion_tokens", None),
            provider_id=str(getattr(completion, "id", None) or ""),
        )


def _sdk() -> Any:
    try:
        return import_module("openai")
    except ImportError as error:
        raise ValueError(
            f'the openai SDK is missing: pip install "vlbench[api]" ({error})'
        ) from error
