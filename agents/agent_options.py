"""The options that name an agent and its settings; `--temperature 0` is `--set temperature=0`."""

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from agents.providers.endpoint import check_header
from agents.registry import AGENTS
from vlbench.cli import (
    MAX_SEED,
    Options,
    option,
)
from vlbench.cli.options import option_fields, setting

AGENT_HELP = (
    f"{', '.join(AGENTS)}; openai:MODEL, anthropic:MODEL, gemini:MODEL; package.module:Class or "
    "path/to/file.py:Class"
)

LLAVA_ONLY = ("base", "batch_size", "device", "dtype", "trust_remote_code")
"""The settings of the agent llava that have no option of their own."""


def header(text: str) -> tuple[str, str]:
    """Parse the NAME=VALUE of a header; messages don't show the value."""
    name, equals, value = text.partition("=")
    if not equals:
        raise ValueError("must be NAME=VALUE")
    check_header(name.strip(), value.strip())
    return name.strip(), value.strip()


def without_header_values(argv: Sequence[str]) -> list[str]:
    """Return the arguments of a command with the values of headers replaced."""
    words: list[str] = []
    for before, word in zip(["", *argv], argv, strict=False):
        flag, equals, value = word.partition("=")
        if before in ("--header", "--set"):
            words.append(_without_value(before, word))
        else:
            words.append(f"{flag}{equals}{_without_value(flag, value)}")
    return words


def _without_value(flag: str, value: str) -> str:
    """Return the value of an option; that of a header without what it is set to."""
    name, equals, _ = value.partition("=")
    is_header = flag == "--header" or (flag == "--set" and name == "headers")
    if not is_header or not value:
        return value
    return f"{name}=[not shown]" if equals else "[not shown]"


def check_settings(agent: object) -> None:
    """Check the attributes of an agent that `AgentSettings` declares.

    Raises:
        ValueError: One has a wrong type or is out of range.
    """
    for declared in option_fields(AgentSettings):
        value = getattr(agent, declared.name, None)
        if value is not None and declared.name != "set":
            declared.check(value, declared.name)


@dataclass(frozen=True, kw_only=True)
class AgentSettings(Options):
    """Settings of agents that run a model, as with --set. Each agent takes some of them."""

    temperature: float | None = option(None, "of sampling; 0 is greedy", ge=0, limit=100)
    top_p: float | None = option(None, "probability mass of the nucleus to sample from", gt=0, le=1)
    top_k: int | None = option(None, "sample from this many likeliest tokens", ge=1)
    presence_penalty: float | None = option(
        None, "penalty of tokens that occurred already (openai, gemini)", ge=-2, le=2
    )
    max_tokens: int | None = option(None, "longest reply in tokens, thinking included", ge=1)
    seed: int | None = option(None, "of sampling", ge=0, le=MAX_SEED)
    thinking_budget: int | None = option(
        None, "tokens for thinking (anthropic, gemini); -1 lets the model decide", ge=-1
    )
    base_url: str | None = option(
        None, "server of the model, as in http://127.0.0.1:8000/v1", metavar="URL"
    )
    header: tuple[tuple[str, str], ...] = option(
        (),
        "header of every request; may be given again; only its name is recorded",
        parse=header,
        metavar="NAME=VALUE",
    )
    extra_body: dict[str, Any] = option({}, "more fields of every request's body")
    model: str | None = option(
        None,
        "the model: its id at the server, as in openai:MODEL; of the agent llava a checkpoint's "
        "folder, or hf:ID of one on the Hugging Face Hub",
    )
    api: str | None = option(
        None, "which of OpenAI's APIs (openai); chat by default", choices=("chat", "responses")
    )
    detail: str | None = option(
        None, "how closely pictures are looked at (openai)", choices=("low", "high", "auto")
    )
    reasoning_effort: str | None = option(
        None, "minimal, low, medium, high, … (openai, anthropic)", metavar="EFFORT"
    )
    chat_template_kwargs: dict[str, Any] = option(
        {}, "variables of the chat template (servers of open models, llava)"
    )
    sdk: str | None = option(
        None, "google-genai or google-generativeai (gemini)", metavar="PACKAGE"
    )
    api_key_env: str | None = option(
        None, "environment variable that holds the key", metavar="NAME"
    )
    json_mode: bool | None = option(None, "ask the provider for JSON (openai, gemini)")
    json_schema: bool | None = option(
        None, "ask the provider for JSON with the task's own fields and actions"
    )
    set: tuple[tuple[str, Any], ...] = option(
        (),
        "a setting of any agent, your own included; may be given again; llava has besides: "
        f"{', '.join(LLAVA_ONLY)}",
        parse=setting,
        metavar="NAME=VALUE",
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
        settings = {
            field.name: getattr(self, field.name)
            for field in dataclasses.fields(AgentSettings)
            if field.name not in ("set", "header") and getattr(self, field.name) not in (None, {})
        }
        if self.header:
            settings["headers"] = dict(self.header)
            if len(settings["headers"]) < len(self.header):
                raise ValueError("a header is given twice")
        for name, value in self.set:
            if name in settings:
                raise ValueError(f"the setting {name} is given twice")
            settings[name] = value
        return settings
