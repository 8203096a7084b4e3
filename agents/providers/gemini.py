"""Gemini, through google-genai or, with `--sdk google-generativeai`, through the SDK before it.

Pictures go as PNG. Retries are the harness's (`agents.retry`); retries are disabled in both SDKs.
"""

from collections.abc import Mapping
from typing import Any

from agents.cost import Price
from agents.providers.answers import Answer, Fault, count_tokens, plain_text, sort_parts
from agents.providers.base import NO_REPLY, Provider, ProviderAgent
from agents.providers.gemini_sdks import TRANSPORTS
from vlbench.errors import unknown_name
from vlbench.observation import png

MODEL = "gemini-3.8-flash"
"""Default model of `gemini`; Google's model ids carry no date."""

LIST_PRICES = {MODEL: Price(0.75, 3.75)}
"""Of Google, until the end of 2026."""

GOOGLE = Provider(
    name="Google",
    url="https://generativelanguage.googleapis.com",
    url_variable="GOOGLE_GEMINI_BASE_URL",
    key_variables=("GEMINI_API_KEY", "GOOGLE_API_KEY"),
    alternative="a gateway",
    example_url="http://127.0.0.1:4000",
    list_prices=LIST_PRICES,
)


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
        api_key_env: Name of the environment variable that holds the key; by default
            GEMINI_API_KEY or GOOGLE_API_KEY.

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
        super().__init__(GOOGLE, base_url, api_key_env)
        self.name = "gemini" if model == MODEL else f"gemini:{model}"
        self.note = f"{self.name} is {model}, through {sdk}; not verified offline"
        self.model = model
        self.list_price = self.known_price(model)
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

    async def _request(self, sent: list[dict[str, Any]], options: dict[str, Any]) -> Answer:
        return read_content(await self._transport.ask(sent, options))

    def _message(self, message: Mapping[str, Any]) -> dict[str, Any]:
        parts: list[dict[str, Any]] = []
        for part in message["content"]:
            if part["type"] == "text":
                parts.append({"text": part["text"] or NO_REPLY})
            else:
                data = png(part["image"])
                parts.append({"inline_data": {"mime_type": "image/png", "data": data}})
        return {"role": "model" if message["role"] == "assistant" else "user", "parts": parts}

    async def close(self) -> None:
        """Close the connections."""
        await self._transport.close()


def read_content(answer: Mapping[str, Any]) -> Answer:
    """Read generated content, as plain data with names in snake case.

    Raises:
        Fault: It holds neither a candidate nor the reason why there is none.
    """
    usage = answer.get("usage_metadata") or {}
    feedback = answer.get("prompt_feedback") or {}
    blocked = str(feedback.get("block_reason") or "")
    candidate = (answer.get("candidates") or [{}])[0]
    if not candidate and not blocked:
        raise Fault("no candidate in the answer", status=200)
    content = sort_parts((candidate.get("content") or {}).get("parts") or ())
    thought = count_tokens(usage.get("thoughts_token_count")) or 0  # charged like the reply
    written = count_tokens(usage.get("candidates_token_count")) or 0
    message = plain_text(candidate.get("finish_message") or feedback.get("block_reason_message"))
    return Answer(
        text=content.text,
        reasoning=content.reasoning,
        finish_reason=str(candidate.get("finish_reason") or blocked),
        refusal=(message or f"the prompt was blocked: {blocked}") if blocked else "",
        prompt_tokens=count_tokens(usage.get("prompt_token_count")),
        completion_tokens=thought + written if usage else None,
        provider_id=str(answer.get("response_id") or ""),
    )
