"""The options that name an agent and its settings; `--temperature 0` is `--set temperature=0`."""

import dataclasses
import json
import math
from dataclasses import dataclass
from typing import Any

from agents.registry import AGENTS
from vlbench.cli import (
    MAX_SEED,
    Options,
    option,
)
from vlbench.cli.options import option_fields

AGENT_HELP = f"{', '.join(AGENTS)}; openai:MODEL; package.module:Class or path/to/file.py:Class"


def setting(text: str) -> tuple[str, Any]:
    """Parse NAME=VALUE; the value is parsed as JSON if possible, else kept as text."""
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise ValueError(f'must be NAME=VALUE, got "{text}"')
    try:
        return name, json.loads(value)
    except (ValueError, RecursionError):
        return name, value


@dataclass(frozen=True, kw_only=True)
class AgentSettings(Options):
    """Settings of agents that ask a provider, as with --set."""

    temperature: float | None = option(None, "of sampling; 0 is greedy", ge=0, limit=100)
    max_tokens: int | None = option(None, "longest reply in tokens, thinking included", ge=1)
    seed: int | None = option(None, "of sampling", ge=0, le=MAX_SEED)
    thinking_budget: int | None = option(
        None, "tokens for thinking (gemini); -1 lets the model decide", ge=-1
    )
    base_url: str | None = option(
        None, "server of the model, as in http://127.0.0.1:8000/v1", metavar="URL"
    )
    model: str | None = option(None, "the server's id of the model")
    detail: str | None = option(
        None, "how closely pictures are looked at (openai)", choices=("low", "high", "auto")
    )
    reasoning_effort: str | None = option(
        None, "minimal, low, medium, high (openai)", metavar="EFFORT"
    )
    sdk: str | None = option(
        None, "google-genai or google-generativeai (gemini)", metavar="PACKAGE"
    )
    api_key_env: str | None = option(
        None, "environment variable that holds the key", metavar="NAME"
    )
    json_mode: bool | None = option(None, "ask the provider for JSON (openai, gemini)")
    set: tuple[tuple[str, Any], ...] = option(
        (), "a setting of any agent; may be given again", parse=setting, metavar="NAME=VALUE"
    )

    def check(self) -> None:
        """Check that no setting is given twice, and the numbers that --set gives."""
        self.settings()
        own = {field.name: field for field in option_fields(AgentSettings)}
        for name, value in self.set:
            if name in own and own[name].type in (int, float):
                own[name].check(value, name)
            elif isinstance(value, float) and not math.isfinite(value):
                raise ValueError(f"{name} must be finite, got {value}")

    def settings(self) -> dict[str, Any]:
        """Return the settings that were given.

        Raises:
            ValueError: One is given twice.
        """
        names = [field.name for field in dataclasses.fields(AgentSettings) if field.name != "set"]
        settings = {name: getattr(self, name) for name in names if getattr(self, name) is not None}
        for name, value in self.set:
            if name in settings:
                raise ValueError(f"the setting {name} is given twice")
            settings[name] = value
        return settings
