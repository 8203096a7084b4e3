"""Reading an action out of a reply as RL4VLM does (its `text_projection`)."""

import re
from collections.abc import Sequence

_KEY = re.compile('"action":', re.IGNORECASE | re.ASCII)


def read_action(reply: str, actions: Sequence[str]) -> str | None:
    """Return the one action that the reply's tail contains, None if it contains none or several.

    The tail begins at the first `"action":`, or is the last character where there is none. Every
    action that is a substring of the tail counts, without regard to case, wherever it stands: in
    another field, in a word ("hit" in "white"), in a number ("1" in "12"). Where "10" is an action,
    every `10` is taken out first, so that it doesn't count as "1".

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
    """Return start and end of the tail that `read_action` searches; None where no key begins it."""
    key = _KEY.search(reply)
    return None if key is None else (key.start(), len(reply))
