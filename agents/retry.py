"""The only layer of retries: call an agent until it replies or the retries are used up.

Retries in SDKs are disabled. An agent of ours classifies an error itself
(`ProviderError.transient`); what an agent of yours raises is classified by `as_provider_error`.
"""

import asyncio
import dataclasses
import errno
import random
import socket
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from agents.agent import ProviderError, as_reply
from agents.providers.answers import Fault, Meaning, retry_after
from vlbench.records import Reply

FIRST_WAIT = 0.5
"""Seconds before the first retry, where the provider names none; each next wait is doubled."""

LONGEST_WAIT = 30.0
"""Longest wait of our own, in seconds."""

LONGEST_RETRY_AFTER = 120.0
"""Longest wait that a provider may ask for; a longer one fails the call."""


NETWORK_ERRNOS = (errno.EHOSTUNREACH, errno.ENETUNREACH, errno.ENETDOWN, errno.ENETRESET)
"""Faults of the network that aren't a `ConnectionError`."""

CONNECTION_ERRORS = (
    *(("httpx", name) for name in ("TimeoutException", "NetworkError", "RemoteProtocolError")),
    *(("requests", name) for name in ("ConnectionError", "Timeout")),
    *(("aiohttp", name) for name in ("ClientConnectionError", "ClientPayloadError")),
    *(("http.client", name) for name in ("RemoteDisconnected", "IncompleteRead")),
    *(("openai", "APIConnectionError"), ("anthropic", "APIConnectionError")),
    *(("urllib3.exceptions", "HTTPError"), ("websockets.exceptions", "ConnectionClosed")),
    *(("asyncio", "IncompleteReadError"), ("ssl", "SSLEOFError")),
)
"""(module, name) of further exceptions of connections; a module is never imported for them."""


BUGS = (
    *(TypeError, ValueError, LookupError, AttributeError, NameError, ArithmeticError),
    *(AssertionError, ImportError, SyntaxError, NotImplementedError, RecursionError, SystemExit),
    *(FileNotFoundError, FileExistsError, IsADirectoryError, NotADirectoryError, PermissionError),
)
"""Exceptions of an agent's code that are a bug, or a mistake in its set-up, and stop the run."""


def as_provider_error(error: Exception) -> ProviderError | None:
    """Return an agent's exception as a `ProviderError`, if a connection or a server failed.

    The exceptions that it was raised `from` count too. Transient are `ConnectionError`,
    `TimeoutError`, faults of the network, CONNECTION_ERRORS, and exceptions of HTTP clients with a
    `Retry-After` or a status that `agents.providers.answers` calls a transient fault. That table
    also says which statuses stop the run.

    Returns:
        None if neither failed.
    """
    if isinstance(error, ProviderError):
        return error
    message = f"{type(error).__name__}: {error}"
    for cause in _causes(error):
        status, wait = _http_status(cause), _asked_wait(cause)
        if status is not None or wait is not None:
            meaning = Fault(message, status=status or 0, retry_after=wait).meaning
            transient = wait is not None or meaning is Meaning.TRANSIENT
            return ProviderError(
                message,
                status=status,
                transient=transient,
                retry_after=wait,
                stops=meaning is Meaning.STOP and not transient,
            )
        if _is_connection_error(cause):
            return ProviderError(message, transient=True)
    return None


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Yield an error and those that it was raised from; urllib keeps one as `reason`."""
    cause: Any = error
    for _ in range(10):
        if not isinstance(cause, Exception):
            return
        yield cause
        cause = cause.__cause__ or getattr(cause, "reason", None)


def _is_connection_error(error: BaseException) -> bool:
    if isinstance(error, (ConnectionError, TimeoutError)):
        return True
    if isinstance(error, socket.gaierror):
        return error.errno == socket.EAI_AGAIN
    if isinstance(error, OSError) and error.errno in NETWORK_ERRNOS:
        return True
    kinds = (getattr(sys.modules.get(module), name, None) for module, name in CONNECTION_ERRORS)
    return isinstance(error, tuple(kind for kind in kinds if isinstance(kind, type)))


def _http_status(error: BaseException) -> int | None:
    """Return the HTTP status in an exception of an HTTP client."""
    for owner in (error, getattr(error, "response", None)):
        for name in ("status_code", "status", "code"):
            value = getattr(owner, name, None)
            if isinstance(value, int) and 400 <= value < 600:
                return int(value)
    return None


def _asked_wait(error: BaseException) -> float | None:
    """Return the seconds that an exception of an HTTP client asks to wait."""
    value = getattr(error, "retry_after", None)
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return float(value)
    for owner in (error, getattr(error, "response", None)):
        headers: Any = getattr(owner, "headers", None)
        if hasattr(headers, "items"):
            wait = retry_after({str(name).lower(): str(v) for name, v in headers.items()})
            if wait is not None:
                return wait
    return None


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """Timeout, retries and pace of calls to an agent.

    Raises:
        ValueError: A number is out of its range.
    """

    timeout: float | None = None
    """Seconds that a call may take; None for as long as it takes."""
    retries: int = 7
    """How often a call is made again after a transient fault."""
    rpm: float | None = None
    """Calls a minute, retries included; None for as many as come."""

    def __post_init__(self) -> None:
        """Check the numbers."""
        if self.timeout is not None and not self.timeout > 0:
            raise ValueError(f"timeout must be above 0, got {self.timeout}")
        if self.retries < 0:
            raise ValueError(f"retries must be at least 0, got {self.retries}")
        if self.rpm is not None and not self.rpm > 0:
            raise ValueError(f"rpm must be above 0, got {self.rpm}")


class RetryingCaller:
    """Calls an agent under a `RetryPolicy`; shared by all episodes of a run."""

    def __init__(self, patience: RetryPolicy) -> None:
        self._patience = patience
        self._next_start = 0.0

    async def ask(self, call: Callable[[], Any]) -> Reply:
        """Return the reply of a call, with its duration and number of retries.

        Args:
            call: Makes one try; gives a Reply or a text, or something awaitable that does.

        Raises:
            ProviderError: Every try failed, or the error is not transient.
            Exception: What the call raised, if neither a connection nor a server failed.
        """
        await self._turn()
        start = time.perf_counter()
        retries, lost_usd = 0, 0.0
        while True:
            try:
                reply = await self._within_timeout(call)
            except Exception as error:  # the boundary to the agent's code
                fault = as_provider_error(error)
                if fault is None:
                    raise
                wait = _wait(fault, retries)
                over = not fault.transient or retries >= self._patience.retries
                if over or wait > LONGEST_RETRY_AFTER:
                    why = f"try {retries + 1}" if over else f"asked to wait {wait:.0f} s"
                    raise ProviderError(
                        f"{fault} ({why})",
                        status=fault.status,
                        stops=fault.stops,
                        finish_reason=fault.finish_reason,
                        provider_message=fault.provider_message,
                        usd=lost_usd + (fault.usd or 0.0),
                    ) from error
                retries += 1
                lost_usd += fault.usd or 0.0
                await asyncio.sleep(wait)
                await self._turn()
            else:
                seconds = reply.seconds or time.perf_counter() - start
                if lost_usd:
                    usd = (reply.usd or 0.0) + lost_usd
                    reply = dataclasses.replace(reply, usd=usd, usd_source="provider")
                return dataclasses.replace(reply, seconds=seconds, retries=reply.retries + retries)

    async def _within_timeout(self, call: Callable[[], Any]) -> Reply:
        try:
            async with asyncio.timeout(self._patience.timeout) as limit:
                return await as_reply(call())
        except TimeoutError as error:
            if not limit.expired():
                raise  # the agent's own
            message = f"no reply within {self._patience.timeout:g} s"
            raise ProviderError(message, transient=True) from error

    async def _turn(self) -> None:
        """Wait until the next call may start."""
        if self._patience.rpm is None:
            await asyncio.sleep(0)  # lets others, and Ctrl-C, have their turn all the same
            return
        now = asyncio.get_running_loop().time()
        start = max(now, self._next_start)
        self._next_start = start + 60 / self._patience.rpm
        await asyncio.sleep(start - now)


def _wait(error: ProviderError, retries: int) -> float:
    if error.retry_after is not None:
        return max(error.retry_after, 0.0)
    longest: float = min(FIRST_WAIT * 2**retries, LONGEST_WAIT)
    # Calls that failed together part; nothing of a run may depend on these draws.
    return longest * random.SystemRandom().uniform(0.5, 1.0)
