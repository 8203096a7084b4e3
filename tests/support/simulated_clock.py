"""A simulated clock for asyncio: nobody waits, and a busy machine measures as an idle one does."""

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any


class _Selector(selectors.DefaultSelector):
    """Instead of waiting for the next timer, sets its clock forward to it."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None:  # no timer is set: only another thread can wake the loop
            return super().select()
        self.now += max(timeout, 0.0)
        return super().select(0)


class _Loop(asyncio.SelectorEventLoop):
    """The real event loop, on the selector's clock."""

    def __init__(self) -> None:
        self._clock = _Selector()
        super().__init__(self._clock)

    def time(self) -> float:
        return self._clock.now


def run_simulated(coroutine: Coroutine[Any, Any, Any]) -> Any:
    """Run a coroutine to its end, as `asyncio.run` does, but let no real time pass in sleeps."""
    with asyncio.Runner(loop_factory=_Loop) as runner:
        return runner.run(coroutine)
