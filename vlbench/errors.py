"""The boundary around code that isn't ours: a user's module, agent or environment.

Such code may raise anything, also where it is only imported; whoever named it is told in one line.
"""

import traceback
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from difflib import get_close_matches

import gymnasium

_TOLD = (ImportError, OSError, gymnasium.error.Error)


@contextmanager
def user_code(told: str = "", *, importing: bool = False) -> Iterator[None]:
    """Turn whatever the block raises, SystemExit included, into a ValueError.

    Errors that say that something isn't there are told by their message; any other with its type,
    and the file and line that raised it. A ValueError of code that was called with a user's words
    speaks to the user, and passes as it is.

    Args:
        told: Stands before the error, with a colon; "" for nothing.
        importing: Whether the code is only imported, so that a ValueError is like any other.

    Raises:
        ValueError: The block raised.
    """
    try:
        yield
    except (Exception, SystemExit) as error:
        if isinstance(error, ValueError) and not importing:
            raise
        missing = isinstance(error, ModuleNotFoundError)
        plain = isinstance(error, _TOLD) and str(error) and (importing or not missing)
        message = " ".join(str(error).split()) if plain else _placed(error)
        raise ValueError(f"{told}: {message}" if told else message) from error


def _placed(error: BaseException) -> str:
    """Return an error with the place where it was raised; a SyntaxError names its own."""
    told = ": ".join(filter(None, (type(error).__name__, " ".join(str(error).split()))))
    if isinstance(error, SyntaxError):
        return told
    last = traceback.extract_tb(error.__traceback__)[-1]
    return f"{told} ({last.filename}:{last.lineno})"


def unknown_name(kind: str, name: object, known: Iterable[str]) -> str:
    """Return `unknown <kind> "<name>"; did you mean "<nearest>"? (known: …)`."""
    names = list(known)
    suggestion = did_you_mean(str(name), names)
    return f'unknown {kind} "{name}"{suggestion} (known: {", ".join(names)})'


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return `; did you mean "<nearest>"?`, or "" where no name is near."""
    near = get_close_matches(name, list(known), n=1, cutoff=0.5)
    return f'; did you mean "{near[0]}"?' if near else ""
