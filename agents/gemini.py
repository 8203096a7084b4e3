"""Gemini, through google-genai or, with `--sdk google-generativeai`, through the SDK before it.

Pictures go as PNG. Retries are the harness's (`agents.retries`); both SDKs are told to make none.
"""

import base64
import os
from collections.abc import Mapping, Sequence
from typing import Any

import gymnasium

from agents.base import Observation, ProviderError
from agents.budget import Price
from agents.gemini_sdks import TRANSPORTS
from agents.openai_chat import NO_REPLY, png, retry_after
from agents.redaction import redacted, without_credentials
from agents.retries import is_transient, refused
from vlbench.episodes import Reply
from vlbench.nearest import unknown
from vlbench.prompting import messages

MODEL = "gemini-3.8-flash"
"""What `gemini` plays with: Google gives its models no dates."""

LIST_PRICES = {MODEL: Price(0.75, 3.75)}
"""Of Google, until the end of 2026."""

KEYS = ("GEMINI_API_KEY", "GOOGLE_API_KEY")
BLOCKED = {
    "SAFETY", "RECITATION", "LANGUAGE", "BLOCKLIST", "PROHIBITED_CONTENT", "SPII", "IMAGE_SAFETY",
    "IMAGE_PROHIBITED_CONTENT", "IMAGE_RECITATION", "MODEL_ARMOR", "JAILBREAK",
}  # fmt: skip
"""Reasons of an end that are the provider's, not the model's."""


class Gemini:
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

    privileged = False
    remote = True

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
            raise ValueError(unknown("sdk", sdk, TRANSPORTS))
        url = base_url or os.environ.get("GOOGLE_GEMINI_BASE_URL", "")
        names = (api_key_env,) if api_key_env else KEYS
        self._key = next(filter(None, (os.environ.get(name, "") for name in names)), "")
        if not self._key and not url:
            raise ValueError(
                f"no key: set {' or '.join(names)}, or name a gateway with --base-url (or "
                "GOOGLE_GEMINI_BASE_URL), as in --base-url http://127.0.0.1:4000"
            )
        self._url, userinfo = without_credentials(url) if url else ("", "")
        self._basic = base64.b64encode(userinfo.encode()).decode()
        self._place = self._url or "Google"
        self.name = "gemini" if model == MODEL else f"gemini:{model}"
        self.note = f"{self.name} is {model}, through {sdk}; not verified offline"
        self.model = model
        self.has_key = bool(self._key)
        self.paid = not self._url
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
        wanted = {
            "temperature": temperature,
            "max_output_tokens": max_tokens,
            "seed": seed,
            "thinking_budget": thinking_budget,
            "response_mime_type": "application/json" if json_mode else None,
        }
        self._options = {name: value for name, value in wanted.items() if value is not None}
        transport = TRANSPORTS[sdk]
        self.dropped = [name for name in transport.lacks if self._options.pop(name, None)
                        is not None]  # fmt: skip
        headers = {"Authorization": f"Basic {self._basic}"} if self._basic else {}
        self._transport = transport(model, self._key or "none", self._url, headers)

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
        contents = [_content(message) for message in chat]
        while True:
            options = dict(self._options)
            try:
                answer = await self._transport.ask(contents, options)
            except self._transport.errors as error:
                if not self._without_refused(error, options):
                    raise self._failure(error) from error
            else:
                return self._reply(answer)

    async def close(self) -> None:
        """Close the connections."""
        await self._transport.close()

    def _without_refused(self, error: Exception, sent: Mapping[str, Any]) -> bool:
        """Leave out the parameters that the model refused; return whether there were any."""
        if _status(error) != 400:
            return False
        named = refused(str(error), sent)
        for name in named:
            if self._options.pop(name, None) is not None:
                self.dropped.append(name)
        return bool(named)

    def _failure(self, error: Exception) -> ProviderError:
        """Sort an error of an SDK."""
        status = _status(error)
        told = f"status {status}: {getattr(error, 'message', None) or error}"
        if not status:
            told = f"{type(error).__name__}: {error}"
        told = redacted(told, self._key if len(self._key) > 7 else "", self._basic)
        headers = getattr(getattr(error, "response", None), "headers", None)
        return ProviderError(
            f"{self._place}: {told}"[:400],
            transient=not status or is_transient(status),
            retry_after=retry_after(headers) if headers else None,
            stops=status in (401, 402, 404) or "API key not valid" in told,
        )

    def _reply(self, answer: Mapping[str, Any]) -> Reply:
        usage = answer.get("usage_metadata") or {}
        blocked = (answer.get("prompt_feedback") or {}).get("block_reason")
        candidate = (answer.get("candidates") or [{}])[0]
        if not candidate and not blocked:
            told = f"{self._place}: status 200, but no candidate in the answer"
            raise ProviderError(told, transient=True)
        finish = candidate.get("finish_reason")
        parts = (candidate.get("content") or {}).get("parts") or ()
        thought = usage.get("thoughts_token_count") or 0  # paid for like what is written
        written = usage.get("candidates_token_count")
        return Reply(
            text="".join(part.get("text") or "" for part in parts if not part.get("thought")),
            stop_reason="refused" if blocked or finish in BLOCKED
            else "length" if finish == "MAX_TOKENS" else "stop",
            prompt_tokens=usage.get("prompt_token_count"),
            completion_tokens=thought + (written or 0) if usage else None,
            provider_id=str(answer.get("response_id") or ""),
        )  # fmt: skip


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
