"""The JSON schema of a reply, from the fields that the prompt asks for and the actions."""

import re
from typing import Any

import gymnasium

from vlbench.prompts import Prompt

NEEDS = ("prompt", "vocabulary")
"""What `reply_schema` needs of an environment."""

_FORM = re.compile(r'"([^"\n]+)"\s*:\s*([\["]?)')
_TYPES: dict[str, dict[str, Any]] = {
    "[": {"type": "array", "items": {"type": "string"}},
    '"': {"type": "string"},
    "": {"type": "number"},
}
"""How the prompt writes a field's value → its schema."""


def reply_schema(env: gymnasium.Env[Any, str]) -> dict[str, Any]:
    """Return the schema of a reply to the current state, in the strict form of providers.

    Every field is required and no other is allowed. The fields stand in the order of the prompt,
    so that the action comes last.

    Args:
        env: An environment with a `vlbench.prompts.Prompt` and a vocabulary, after `reset`.
    """
    inner: Any = env.unwrapped
    prompt: Prompt = inner.prompt
    forms = dict(_FORM.findall("".join(prompt.pieces)))
    properties = {name: _TYPES[forms.get(name, '"')] for name in prompt.reply_fields}
    properties["action"] = {"type": "string", "enum": list(inner.vocabulary)}
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }
