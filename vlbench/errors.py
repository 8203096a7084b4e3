"""One-line errors: for exceptions of a user's module, agent or environment, and for unknown names.

Such code may raise anything, even when it is only imported.
"""

import traceback
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from difflib import get_close_matches

import gymnasium

_SELF_EXPLANATORY = (ImportError, OSError, gymnasium.error.Error)


@contextmanager
def user_code(context: str = "", *, importing: bool = False) -> Iterator[None]:
    """Turn any exception of the block, SystemExit included, into a one-line ValueError.

    For an error that says what is missing, the line is its message; for any other, its type, its
    message, and the file and line that raised it. A ValueError passes unchanged, because its
    message is written for the user, unless the block only imports code.

    Args:
        context: Text to put before the error, followed by a colon; "" for none.
        importing: Whether the block only imports code. A ValueError is then treated as any other
            error.

    Raises:
        ValueError: The block raised.
    """
    try:
        yield
    except (Exception, SystemExit) as error:
        if isinstance(error, ValueError) and not importing:
            raise
        missing = isinstance(error, ModuleNotFoundError)
        plain = isinstance(error, _SELF_EXPLANATORY) and str(error) and (importing or not missing)
        message = " ".join(str(error).split()) if plain else _with_location(error)
        raise ValueError(f"{context}: {message}" if context else message) from error


def _with_location(error: BaseException) -> str:
    """Return an error's type, message, file and line; a SyntaxError's message has its own line."""
    message = ": ".join(filter(None, (type(error).__name__, " ".join(str(error).split()))))
    if isinstance(error, SyntaxError):
        return message
    last = traceback.extract_tb(error.__traceback__)[-1]
    return f"{message} ({last.filename}:{last.lineno})"


def unknown_name(kind: str, name: object, known: Iterable[str]) -> str:
    """Return `unknown <kind> "<name>"; did you mean "<nearest>"? (known: …)`."""
    names = list(known)
    suggestion = did_you_mean(str(name), names)
    return f'unknown {kind} "{name}"{suggestion} (known: {", ".join(names)})'


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return `; did you mean "<nearest>"?`, or "" if no name is close."""
    near = get_close_matches(name, list(known), n=1, cutoff=0.5)
    return f'; did you mean "{near[0]}"?' if near else ""
