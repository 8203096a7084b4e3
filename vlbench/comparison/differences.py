"""What differs between runs: agent, settings, weights, prompt, looks, rows."""

import json
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from vlbench.records import RunHeader
from vlbench.registry import LOOKS

LEFT_OUT = ("price", "started", "commit", "dirty", "dropped", "shard", "bounds", "models") + (
    "prompt_text",  # the name of an own prompt follows from its text
)
"""Fields of a header that say nothing of what was played, or are shown otherwise."""
WORDS = {"settings": "", "env_kwargs": "rule ", "frozen_hashes": "set ", "versions": "version of "}
"""Field that holds several values → what is written before the name of each."""
NOT_SET = "–"
SHA256 = re.compile(r"[0-9a-f]{64}")
LONGEST = 60
"""Characters of a value that are shown."""


@dataclass(frozen=True, slots=True)
class Difference:
    """A property that not all runs share."""

    name: str
    """In words, e.g. "temperature" or "weights"."""
    values: tuple[str, ...]
    """Its value in each run, shortened; "–" where it isn't set."""


def differences(headers: Sequence[RunHeader]) -> list[Difference]:
    """Return what differs between runs, in the order of the headers' fields."""
    tables = [_properties(header) for header in headers]
    names = dict.fromkeys(name for table in tables for name in table)
    found = []
    for name in names:
        values = tuple(table.get(name, NOT_SET) for table in tables)
        if len(set(values)) > 1:
            found.append(Difference(name, values))
    return found


def _properties(header: RunHeader) -> dict[str, str]:
    """Return the properties of a run, by name."""
    found: dict[str, str] = {}
    for name, value in asdict(header).items():
        if name in LEFT_OUT:
            continue
        if isinstance(value, dict):
            before = WORDS.get(name, f"{name.replace('_', ' ')} ")
            for key, part in value.items():
                is_look = name == "env_kwargs" and key in LOOKS
                if _is_set(part):
                    found[key.replace("_", " ") if is_look else f"{before}{key}"] = short_text(part)
        elif _is_set(value):
            found[name.replace("_", " ")] = short_text(value)
    for env_id, model in header.models.items():
        place = f" of {env_id}" if env_id else ""
        if model.weights_hash:
            found[f"weights{place}"] = f"sha256 {model.weights_hash[:12]}"
        if model.step is not None:
            found[f"training step{place}"] = str(model.step)
        if model.dtype:
            found[f"dtype{place}"] = model.dtype
    return found


def _is_set(value: Any) -> bool:
    return not (value is None or value is False or value in ("", (), [], {}))


def short_text(value: Any) -> str:
    """Return a value on one line, cut after LONGEST characters; of a hash, its beginning."""
    if isinstance(value, str) and SHA256.fullmatch(value):
        return f"sha256 {value[:12]}"
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    text = " ".join(text.split())
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"
