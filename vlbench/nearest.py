"""One sentence for a name that isn't known, with the nearest one that is."""

from collections.abc import Iterable
from difflib import get_close_matches


def unknown(kind: str, name: object, known: Iterable[str]) -> str:
    """Return `unknown <kind> "<name>"; did you mean "<nearest>"? (known: …)`."""
    names = list(known)
    near = get_close_matches(str(name), names, n=1, cutoff=0.5)
    suggestion = f'; did you mean "{near[0]}"?' if near else ""
    return f'unknown {kind} "{name}"{suggestion} (known: {", ".join(names)})'
