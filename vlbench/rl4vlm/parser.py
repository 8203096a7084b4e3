"""RL4VLM's parser, which reads an action from a reply (its `text_projection`)."""

import re
from collections.abc import Sequence

_KEY = re.compile('"action":', re.IGNORECASE | re.ASCII)


def read_action(reply: str, actions: Sequence[str]) -> str | None:
    """Return the only action in the reply's tail; None if it contains none or several.

    The tail starts at the first `"action":`; without that key it is the last character. Every
    action that is a substring of the tail counts, in any case and anywhere: in another field, in a
    word ("hit" in "white"), in a number ("1" in "12"). If "10" is an action, every `10` is removed
    before the search for the others, so that it doesn't count as "1".

    Args:
        reply: The whole reply.
        actions: The vocabulary, in lower case.
    """
    text = reply.lower()
    tail = text[text.find('"action":') :]
    matches = set()
    if "10" in actions and "10" in tail:
        matches.add("10")
        tail = tail.replace("10", "")
    matches.update(action for action in actions if action in tail)
    return matches.pop() if len(matches) == 1 else None


def action_field(reply: str) -> tuple[int, int] | None:
    """Return start and end of the tail that `read_action` searches; None without the key."""
    key = _KEY.search(reply)
    return None if key is None else (key.start(), len(reply))
