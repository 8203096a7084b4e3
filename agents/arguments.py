"""Command lines: what several commands read alike."""

import argparse
import json
from typing import Any


def setting(text: str) -> tuple[str, Any]:
    """Read NAME=VALUE; the value is JSON where it can be read so, else a text."""
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise argparse.ArgumentTypeError(f'wanted NAME=VALUE, got "{text}"')
    try:
        return name, json.loads(value)
    except ValueError:
        return name, value
