"""The only layer of retries: call an agent until it replies or the retries are used up.

Retries in SDKs are disabled. The agent classifies an error (`ProviderError.transient`); this module
decides whether to call again.
"""

import asyncio
import dataclasses
import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from agents.agent import ProviderError, as_reply
from vlbench.records import Reply

FIRST_WAIT = 0.5
"""Seconds before the first retry, where the provider names none; each next wait is doubled."""

LONGEST_WAIT = 30.0
"""Longest wait of our own, in seconds."""

LONGEST_RETRY_AFTER = 120.0
"""Longest wait that a provider may ask for; a longer one fails the call."""


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
        """
        await self._turn()
        start = time.perf_counter()
        retries, lost_usd = 0, 0.0
        while True:
            try:
                reply = await self._within_timeout(call)
            except ProviderError as error:
                wait = _wait(error, retries)
                over = not error.transient or retries >= self._patience.retries
                if over or wait > LONGEST_RETRY_AFTER:
                    why = f"try {retries + 1}" if over else f"asked to wait {wait:.0f} s"
                    raise ProviderError(
                        f"{error} ({why})",
                        status=error.status,
                        stops=error.stops,
                        finish_reason=error.finish_reason,
                        provider_message=error.provider_message,
                        usd=lost_usd + (error.usd or 0.0),
                    ) from error
                retries += 1
                lost_usd += error.usd or 0.0
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
