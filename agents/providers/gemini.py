"""Gemini, through google-genai or, with `--sdk google-generativeai`, through the SDK before it.

Pictures go as PNG. Retries are the harness's (`agents.retry`); retries are disabled in both SDKs.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from agents.pricing.cost import Price
from agents.providers.answers import Answer, Fault, count_tokens, plain_text, sort_parts
from agents.providers.base import NO_REPLY, ProviderAgent
from agents.providers.connection import Connection, Provider
from agents.providers.endpoint import GEMINI
from agents.providers.gemini_sdks import TRANSPORTS
from agents.providers.parameters import EXTRA_BODY
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


ROLES = {"user": "user", "assistant": "model", "system": "system"}
"""Role of a chat message → Gemini's; a system message is sent apart."""

PLACES = {
    "temperature": "temperature",
    "top_p": "top_p",
    "top_k": "top_k",
    "presence_penalty": "presence_penalty",
    "max_tokens": "max_output_tokens",
    "seed": "seed",
    "thinking_budget": "thinking_config.thinking_budget",
    "json_mode": "response_mime_type",
    "json_schema": "response_json_schema",
}
"""Setting → its place in the configuration that the SDKs take."""


@dataclass(kw_only=True, eq=False)
class Gemini(ProviderAgent):
    """A Gemini model.

    Raises:
        ValueError: A setting is wrong, neither key nor server is given, or the SDK is missing.
    """

    extra_body_place: ClassVar[str] = EXTRA_BODY

    model: str = field(default=MODEL, kw_only=False)
    sdk: str = "google-genai"
    """"google-genai" or "google-generativeai", which lacks some settings"""
    max_tokens: int = 8192
    """longest reply, thinking included"""
    top_k: int | None = None
    """of sampling"""
    presence_penalty: float | None = None
    """of sampling"""
    seed: int | None = None
    """of sampling"""
    thinking_budget: int | None = None
    """tokens for thinking: 0 for none, -1 for as many as the model wants"""
    json_mode: bool = False
    """ask for JSON"""

    def __post_init__(self) -> None:
        """Check the settings, and find the SDK."""
        super().__post_init__()
        if self.sdk not in TRANSPORTS:
            raise ValueError(unknown_name("sdk", self.sdk, TRANSPORTS))
        self.name = "gemini" if self.model == MODEL else f"gemini:{self.model}"
        self.note = f"{self.name} is {self.model}, through {self.sdk}; not verified offline"
        self.settings["note"] = self.note
        transport = TRANSPORTS[self.sdk]
        self.dropped = [name for name in transport.lacks if name in self.settings]
        self._transport = transport(self.model, self._connection, bool(self.extra_body))

    def _connect(self) -> Connection:
        return Connection.choose(GOOGLE, self.base_url, self.api_key_env, self.headers, GEMINI)

    def _places(self) -> Mapping[str, str]:
        return PLACES

    def _values(self, schema: Mapping[str, Any] | None) -> dict[str, Any]:
        values = super()._values(schema)
        has_schema = self.json_schema and schema is not None
        values["json_mode"] = "application/json" if self.json_mode or has_schema else None
        values["json_schema"] = dict(schema) if has_schema and schema else None
        return values

    async def _request(self, chat: list[dict[str, Any]], body: dict[str, Any]) -> Answer:
        system = [p["text"] for m in chat if m["role"] == "system" for p in m["parts"]]
        options = {**body, "system_instruction": "\n".join(system)} if system else body
        contents = [message for message in chat if message["role"] != "system"]
        return read_content(await self._transport.ask(contents, options))

    def _message(self, message: Mapping[str, Any]) -> dict[str, Any]:
        parts: list[dict[str, Any]] = []
        for part in message["content"]:
            if part["type"] == "text":
                parts.append({"text": part["text"] or NO_REPLY})
            else:
                data = png(part["image"])
                parts.append({"inline_data": {"mime_type": "image/png", "data": data}})
        return {"role": ROLES[message["role"]], "parts": parts}

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
