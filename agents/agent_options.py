"""The options that name an agent and its settings; `--temperature 0` is `--set temperature=0`."""

import argparse
from typing import Any

from agents.arguments import setting
from agents.cost import Price
from agents.registry import AGENTS
from vlbench.cli import Parser

NUMBERS: dict[str, tuple[type, str]] = {
    "temperature": (float, "of sampling"),
    "max_tokens": (int, "longest reply, thinking included"),
    "seed": (int, "of sampling"),
    "thinking_budget": (int, "tokens for thinking (gemini)"),
}
TEXTS = {
    "base_url": "server of the model, as in http://127.0.0.1:8000/v1",
    "model": "the server's id of the model",
    "detail": "low, high or auto: how closely pictures are looked at (openai)",
    "reasoning_effort": "minimal, low, medium, high (openai)",
    "sdk": "google-genai or google-generativeai (gemini)",
    "api_key_env": "environment variable that holds the key",
}


def add_agent_options(parser: Parser, required: bool = True) -> None:
    """Add `--agent`, `--set` and a flag for each setting that providers' agents know.

    Args:
        parser: Gets the options.
        required: Whether the agent must be named.
    """
    names = ", ".join(AGENTS)
    parser.add_argument(
        "--agent",
        required=required,
        help=f"{names}; openai:MODEL; package.module:Class or path/to/file.py:Class",
    )
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        type=setting,
        metavar="NAME=VALUE",
        help="a setting of the agent; may be given again",
    )
    group = parser.add_argument_group("settings of agents that ask a provider, as with --set")
    for name, (kind, told) in NUMBERS.items():
        group.add_argument(_flag(name), type=kind, help=told)
    for name, told in TEXTS.items():
        group.add_argument(_flag(name), help=told)
    group.add_argument(
        "--json-mode",
        action="store_true",
        default=None,
        help="ask the provider for JSON (openai, gemini)",
    )


def agent_settings(arguments: argparse.Namespace) -> dict[str, Any]:
    """Return the settings that were given.

    Raises:
        ValueError: One is given twice.
    """
    settings = {
        name: getattr(arguments, name)
        for name in (*NUMBERS, *TEXTS, "json_mode")
        if getattr(arguments, name) is not None
    }
    for name, value in arguments.set:
        if name in settings:
            raise ValueError(f"the setting {name} is given twice")
        settings[name] = value
    return settings


def max_usd(text: str) -> float | None:
    """Read a sum; "none" is any."""
    if text.casefold() == "none":
        return None
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value < float("inf"):
        raise argparse.ArgumentTypeError(f'wanted a sum in USD from 0, or none; got "{text}"')
    return value


def price(text: str) -> Price:
    """Read IN,OUT."""
    try:
        return Price.parse(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def _flag(name: str) -> str:
    return f"--{name.replace('_', '-')}"
