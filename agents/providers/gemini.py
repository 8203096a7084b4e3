"""Gemini, through google-genai or, with `--sdk google-generativeai`, through the SDK before it.

Pictures go as PNG. Retries are the harness's (`agents.retry`); retries are disabled in both SDKs.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from agents.agent import ProviderError
from agents.cost import Price
from agents.providers.base import NO_REPLY, Alternative, ProviderAgent, unsupported_parameters
from agents.providers.gemini_sdks import TRANSPORTS
from vlbench.errors import unknown_name
from vlbench.observation import png
from vlbench.records import Reply

MODEL = "gemini-3.8-flash"
"""Default model of `gemini`; Google's model ids carry no date."""

LIST_PRICES = {MODEL: Price(0.75, 3.75)}
"""Of Google, until the end of 2026."""

KEYS = ("GEMINI_API_KEY", "GOOGLE_API_KEY")
BLOCKED = {
    "SAFETY",
    "RECITATION",
    "LANGUAGE",
    "BLOCKLIST",
    "PROHIBITED_CONTENT",
    "SPII",
    "IMAGE_SAFETY",
    "IMAGE_PROHIBITED_CONTENT",
    "IMAGE_RECITATION",
    "MODEL_ARMOR",
    "JAILBREAK",
}
"""Reasons of an end that are the provider's, not the model's."""


class Gemini(ProviderAgent):
    """A Gemini model.

    Args:
        model: Its id.
        base_url: A gateway instead of Google; by default `GOOGLE_GEMINI_BASE_URL`.
        sdk: "google-genai" or "google-generativeai".
        temperature: Of sampling; None leaves it to the provider, as for all that are None.
        max_tokens: Longest reply, thinking included.
        seed: Of sampling; google-generativeai has none.
        thinking_budget: Tokens for thinking: 0 for none, -1 for as many as the model wants.
            google-generativeai has none.
        json_mode: Ask for JSON.
        api_key_env: Name of the environment variable that holds the key; by default one of KEYS.

    Raises:
        ValueError: A setting is wrong, neither key nor server is given, or the SDK is missing.
    """

    def __init__(
        self,
        model: str = MODEL,
        base_url: str | None = None,
        sdk: str = "google-genai",
        temperature: float | None = None,
        max_tokens: int = 8192,
        seed: int | None = None,
        thinking_budget: int | None = None,
        json_mode: bool = False,
        api_key_env: str = "",
    ) -> None:
        if sdk not in TRANSPORTS:
            raise ValueError(unknown_name("sdk", sdk, TRANSPORTS))
        keys = (api_key_env,) if api_key_env else KEYS
        alternative = Alternative("a gateway", "http://127.0.0.1:4000")
        super().__init__("Google", base_url, "GOOGLE_GEMINI_BASE_URL", keys, alternative)
        self.name = "gemini" if model == MODEL else f"gemini:{model}"
        self.note = f"{self.name} is {model}, through {sdk}; not verified offline"
        self.model = model
        self.list_price = LIST_PRICES.get(model) if self.paid else None
        self.settings: dict[str, Any] = {
            "model": model,
            "note": self.note,
            "base_url": self._url,
            "sdk": sdk,
            "temperature": temperature,
            "max_tokens": max_tokens,
            "seed": seed,
            "thinking_budget": thinking_budget,
            "json_mode": json_mode,
        }
        parameters = {
            "temperature": temperature,
            "max_output_tokens": max_tokens,
            "seed": seed,
            "thinking_budget": thinking_budget,
            "response_mime_type": "application/json" if json_mode else None,
        }
        self._options = {name: value for name, value in parameters.items() if value is not None}
        transport = TRANSPORTS[sdk]
        self.dropped = [
            name for name in transport.lacks if self._options.pop(name, None) is not None
        ]
        self._transport = transport(model, self._key or "none", self._url, self._headers)

    async def complete(self, chat: Sequence[Mapping[str, Any]]) -> Reply:
        """Answer chat messages."""
        contents = [_content(message) for message in chat]
        while True:
            options = dict(self._options)
            try:
                answer = await self._transport.ask(contents, options)
            except self._transport.errors as error:
                if not self._drop_unsupported(error, options):
                    raise self._failure(error) from error
            else:
                return self._reply(answer)

    async def close(self) -> None:
        """Close the connections."""
        await self._transport.close()

    def _drop_unsupported(self, error: Exception, sent: Mapping[str, Any]) -> bool:
        """Drop the parameters that the model refused; return whether there were any."""
        if _status(error) != 400:
            return False
        names = unsupported_parameters(str(error), sent)
        for name in names:
            if self._options.pop(name, None) is not None:
                self.dropped.append(name)
        return bool(names)

    def _failure(self, error: Exception) -> ProviderError:
        """Classify an SDK error."""
        status = _status(error)
        said = getattr(error, "message", None) or error
        message = str(said) if status else f"{type(error).__name__}: {error}"
        headers = getattr(getattr(error, "response", None), "headers", None) or {}
        return self._failed(message, status, headers, stops="API key not valid" in message)

    def _reply(self, answer: Mapping[str, Any]) -> Reply:
        usage = answer.get("usage_metadata") or {}
        blocked = (answer.get("prompt_feedback") or {}).get("block_reason")
        candidate = (answer.get("candidates") or [{}])[0]
        if not candidate and not blocked:
            message = f"{self._place}: status 200, but no candidate in the answer"
            raise ProviderError(message, status=200, transient=True)
        finish = candidate.get("finish_reason")
        parts = (candidate.get("content") or {}).get("parts") or ()
        thought = usage.get("thoughts_token_count") or 0  # paid for like what is written
        written = usage.get("candidates_token_count")
        return Reply(
            text="".join(part.get("text") or "" for part in parts if not part.get("thought")),
            stop_reason="refused"
            if blocked or finish in BLOCKED
            else "length"
            if finish == "MAX_TOKENS"
            else "stop",
            prompt_tokens=usage.get("prompt_token_count"),
            completion_tokens=thought + (written or 0) if usage else None,
            provider_id=str(answer.get("response_id") or ""),
        )


def _content(message: Mapping[str, Any]) -> dict[str, Any]:
    parts: list[dict[str, Any]] = []
    for part in message["content"]:
        if part["type"] == "text":
            parts.append({"text": part["text"] or NO_REPLY})
        else:
            parts.append({"inline_data": {"mime_type": "image/png", "data": png(part["image"])}})
    return {"role": "model" if message["role"] == "assistant" else "user", "parts": parts}


def _status(error: Exception) -> int:
    code = getattr(error, "code", 0)
    return code if isinstance(code, int) else 0
