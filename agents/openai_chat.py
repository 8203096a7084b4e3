"""GPT-4V and every server that speaks OpenAI's chat completions.

OpenAI, vLLM, transformers serve, Ollama, LiteLLM, OpenRouter: `docs/agents.md` has a line for each.
Pictures go as PNG data URIs. Retries are the harness's (`agents.retries`); the SDK makes none.
"""

import asyncio
import base64
import io
import os
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from importlib import import_module
from typing import Any

import gymnasium
from PIL import Image

from agents.base import Observation, ProviderError
from agents.budget import Price
from agents.redaction import redacted, without_credentials
from agents.retries import is_transient, refused
from vlbench.episodes import Reply
from vlbench.nearest import unknown
from vlbench.prompting import messages

GPT4V = "gpt-4o-2024-11-20"
"""What the alias `gpt4v` stands for. GPT-4V's own ids were switched off; of the dated ids that the
SDK lists as living this is the nearest (announced to end on 2027-01-14)."""

LIST_PRICES = {GPT4V: Price(2.50, 10.00)}
"""Of OpenAI, as of November 2026."""

NO_REPLY = "(no reply)"
"""Stands for an empty past reply: servers refuse messages without text."""

DETAILS = ("auto", "low", "high")

_THINKS = re.compile(r"(o\d|gpt-[5-9])(?!\d)")


class OpenAIChat:
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

    privileged = False
    remote = True

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
            raise ValueError(unknown("detail", detail, DETAILS))
        url = base_url or os.environ.get("OPENAI_BASE_URL", "")
        self._key = os.environ.get(api_key_env, "")
        if not self._key and not url:
            raise ValueError(
                f"no key: set {api_key_env}, or name a server of your own with --base-url (or "
                "OPENAI_BASE_URL), as in --base-url http://127.0.0.1:8000/v1"
            )
        self._url, userinfo = without_credentials(url) if url else ("", "")
        self._basic = base64.b64encode(userinfo.encode()).decode()
        self._place = self._url or "OpenAI"
        self._sdk = _sdk()
        self.note = ""
        self.name = f"openai:{model}"
        if model == "gpt4v":
            self.name, model = model, GPT4V
            self.note = f"gpt4v is an alias of {GPT4V}; not verified offline"
        self.model = model
        thinks = bool(_THINKS.match(model.rpartition("/")[2]))
        max_tokens = max_tokens or (8192 if thinks else 1024)
        self.has_key = bool(self._key)
        self.paid = not self._url
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
        self.dropped: list[str] = []
        self._detail = detail
        limit = "max_completion_tokens" if thinks or not self._url else "max_tokens"
        wanted = {
            "temperature": temperature,
            "seed": seed,
            "reasoning_effort": reasoning_effort,
            "response_format": {"type": "json_object"} if json_mode else None,
            limit: max_tokens,
        }
        self._options = {name: value for name, value in wanted.items() if value is not None}
        self._client: Any = None
        self._loop: asyncio.AbstractEventLoop | None = None

    async def act(
        self, observation: Observation, env: gymnasium.Env[Any, str] | None = None
    ) -> Reply:
        """Ask once.

        Raises:
            ProviderError: There was no reply.
        """
        return await self.complete(messages(observation))

    async def complete(self, chat: Sequence[Mapping[str, Any]]) -> Reply:
        """Answer chat messages, as `vlbench.prompting.messages` makes them.

        Raises:
            ProviderError: There was no reply.
        """
        sent = [self._message(message) for message in chat]
        while True:
            options = dict(self._options)
            try:
                answer = await self._connected().chat.completions.create(
                    model=self.model, messages=sent, **options
                )
            except self._sdk.APIStatusError as error:
                if not self._without_refused(error, options):
                    raise self._failure(error) from error
            except (
                self._sdk.APIError,
                ValueError,
            ) as error:  # a body that is no JSON is the latter
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
            headers = {"Authorization": f"Basic {self._basic}"} if self._basic else {}
            self._loop = loop
            self._client = self._sdk.AsyncOpenAI(
                api_key=self._key or "none",
                base_url=self._url or "https://api.openai.com/v1",
                default_headers=headers,
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

    def _without_refused(self, error: Any, sent: Mapping[str, Any]) -> bool:
        """Leave out, or name otherwise, a parameter that the server refused.

        Returns:
            Whether there was one, so that the request can be sent again.
        """
        if error.status_code not in (400, 422):
            return False
        told = f"{error.message} {error.body}"
        named = refused(f"{told} {error.param or ''}", sent)
        for name in named:
            value = self._options.pop(name, None)
            other = {"max_tokens": "max_completion_tokens"}.get(name, "max_tokens")
            if name in ("max_tokens", "max_completion_tokens") and other in told:
                self._options.setdefault(other, sent[name])
                return True  # the message names both: the one refused and the one wanted
            if value is not None:
                self.dropped.append(name)
        return bool(named)

    def _failure(self, error: Any) -> ProviderError:
        """Sort an error of the SDK."""
        status = getattr(error, "status_code", 0)
        if status < 400:
            cause = error.__cause__ or error
            told = f"{self._place}: {type(cause).__name__}: {str(cause) or error}"
            return ProviderError(self._told(told), transient=True)
        broke = error.code == "insufficient_quota"
        return ProviderError(
            self._told(f"{self._place}: status {status}: {error.message}"),
            transient=is_transient(status) and not broke,
            retry_after=retry_after(error.response.headers),
            stops=status in (401, 402, 404) or broke,
        )

    def _told(self, message: str) -> str:
        """Return an error's message as it may be shown: providers put keys into theirs."""
        return redacted(message, self._key if len(self._key) > 7 else "", self._basic)[:400]

    def _reply(self, answer: Any) -> Reply:
        choices = getattr(answer, "choices", None)
        message = choices[0].message if choices else None
        if not choices or message is None:
            kind = "no choice" if hasattr(answer, "choices") else "no chat completion"
            told = f"{self._place}: status 200, but {kind} in the answer"
            raise ProviderError(told, transient=True)
        usage = getattr(answer, "usage", None)
        finish = choices[0].finish_reason
        declined = finish == "content_filter" or bool(getattr(message, "refusal", None))
        return Reply(
            text=message.content or "",
            stop_reason="refused" if declined else "length" if finish == "length" else "stop",
            prompt_tokens=getattr(usage, "prompt_tokens", None),
            completion_tokens=getattr(usage, "completion_tokens", None),
            provider_id=str(getattr(answer, "id", None) or ""),
        )


def png(image: Any) -> bytes:
    """Return a picture ((height, width, 3) uint8) as PNG."""
    file = io.BytesIO()
    Image.fromarray(image).save(file, "PNG", compress_level=1)  # half the time, a sixth larger
    return file.getvalue()


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Return the seconds that a provider asks to wait, if it asks so."""
    for name, unit in (("retry-after-ms", 1e-3), ("retry-after", 1.0)):
        try:
            return float(headers.get(name, "")) * unit
        except ValueError:
            continue
    try:
        date = parsedate_to_datetime(headers.get("retry-after", ""))
    except ValueError:
        return None
    return (date - datetime.now(UTC)).total_seconds() if date.tzinfo else None


def _sdk() -> Any:
    try:
        return import_module("openai")
    except ImportError as error:
        raise ValueError(
            f'the openai SDK is missing: pip install "vlbench[api]" ({error})'
        ) from error
