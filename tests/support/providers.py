"""The ways in which agents ask providers: each SDK with each API that it is used for."""

from dataclasses import dataclass, field
from typing import Any

from agents.registry import load_agent


@dataclass(frozen=True)
class Way:
    """An agent, and how its requests look on the wire."""

    name: str
    agent: str
    root: str
    """Base URL of a server, after its host."""
    path: str
    """Path of a request, after the host."""
    key: tuple[str, str]
    """Header of the key, and what stands before it."""
    variable: str
    """Environment variable that holds the key."""
    limit: int
    """Default of the longest reply."""
    wire: dict[str, str]
    """Setting → its place in a request."""
    stops: dict[str, str]
    """The provider's word for the end of a reply → the record's."""
    settings: dict[str, Any] = field(default_factory=dict)
    always: dict[str, Any] = field(default_factory=dict)
    """What every request holds besides; transformers serve streams unless told not to."""

    def make(self, server, **settings):
        return load_agent(self.agent, base_url=server.url + self.root, **self.settings, **settings)


BEARER = ("authorization", "Bearer ")
GOOGLE_KEY = ("x-goog-api-key", "")
CHAT = {
    "max_tokens": "max_tokens",
    "temperature": "temperature",
    "top_p": "top_p",
    "top_k": "top_k",
    "presence_penalty": "presence_penalty",
    "seed": "seed",
    "reasoning_effort": "reasoning_effort",
    "chat_template_kwargs": "chat_template_kwargs",
}
GEMINI = {
    "max_tokens": "maxOutputTokens",
    "temperature": "temperature",
    "top_p": "topP",
    "top_k": "topK",
    "presence_penalty": "presencePenalty",
}
CHAT_STOPS = {"stop": "stop", "length": "length", "content_filter": "refused"}
GEMINI_STOPS = {"STOP": "stop", "MAX_TOKENS": "length", "SAFETY": "refused"}

WAYS = [
    Way(
        *("openai", "openai:m", "/v1", "/v1/chat/completions", BEARER, "OPENAI_API_KEY", 1024),
        CHAT,
        CHAT_STOPS,
    ),
    Way(
        *("responses", "openai:m", "/v1", "/v1/responses", BEARER, "OPENAI_API_KEY", 1024),
        {
            "max_tokens": "max_output_tokens",
            "temperature": "temperature",
            "top_p": "top_p",
            "reasoning_effort": "reasoning.effort",
        },
        {"": "stop", "max_output_tokens": "length", "content_filter": "refused"},
        {"api": "responses"},
        {"stream": False},
    ),
    Way(
        *("azure", "openai:m", "/openai/deployments/m?api-version=2024-10-21"),
        "/openai/deployments/m/chat/completions?api-version=2024-10-21",
        *(("api-key", ""), "OPENAI_API_KEY", 1024),
        CHAT,
        CHAT_STOPS,
    ),
    Way(
        *("anthropic", "anthropic:m", "", "/v1/messages", BEARER, "ANTHROPIC_API_KEY", 8192),
        {
            "max_tokens": "max_tokens",
            "temperature": "temperature",
            "top_p": "top_p",
            "top_k": "top_k",
            "reasoning_effort": "output_config.effort",
            "thinking_budget": "thinking.budget_tokens",
        },
        {"end_turn": "stop", "max_tokens": "length", "refusal": "refused"},
    ),
    Way(
        *("google-genai", "gemini:m", "", "/v1beta/models/m:generateContent", GOOGLE_KEY),
        *("GEMINI_API_KEY", 8192),
        GEMINI | {"seed": "seed", "thinking_budget": "thinkingConfig.thinking_budget"},
        GEMINI_STOPS,
    ),
    Way(
        *("google-generativeai", "gemini:m", "", "/v1beta/models/m:generateContent", GOOGLE_KEY),
        *("GEMINI_API_KEY", 8192),
        GEMINI,
        GEMINI_STOPS,
        {"sdk": "google-generativeai"},
    ),
]
"""Every way; each must keep the same contract."""

VALUES = {
    "max_tokens": 77,
    "temperature": 0.5,
    "top_p": 0.75,
    "top_k": 40,
    "presence_penalty": 0.25,
    "seed": 3,
    "reasoning_effort": "low",
    "thinking_budget": 2048,
    "chat_template_kwargs": {"enable_thinking": False},
}
"""A value of each setting."""


def place(options, path):
    """Return what stands at a dotted path of a request; None if nothing does."""
    for name in path.split("."):
        options = options.get(name) if isinstance(options, dict) else None
    return options
