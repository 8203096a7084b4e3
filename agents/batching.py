"""Micro-batching: observations that wait at the same time are answered in one batch."""

import asyncio
from collections.abc import Callable, Sequence

from agents.agent import Observation
from vlbench.records import Reply


class Batcher:
    """Collects what episodes ask at once, for a model in this process.

    Args:
        answer: Answers a batch, in a thread of its own; one batch at a time.
        size: Most observations in a batch.
    """

    def __init__(
        self, answer: Callable[[Sequence[Observation]], Sequence[Reply]], size: int
    ) -> None:
        self._answer = answer
        self._size = size
        self._waiting: list[tuple[Observation, asyncio.Future[Reply]]] = []
        self._answering: asyncio.Task[None] | None = None

    async def ask(self, observation: Observation) -> Reply:
        """Answer an observation, together with those that wait when the model is free."""
        reply: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
        self._waiting.append((observation, reply))
        if self._answering is None or self._answering.done():
            self._answering = asyncio.create_task(self._answer_all())
        return await reply

    async def _answer_all(self) -> None:
        """Answer batches until no observation waits."""
        while self._waiting:
            await self._gather()
            batch = self._waiting[: self._size]
            del self._waiting[: self._size]
            batch = [(observation, reply) for observation, reply in batch if not reply.done()]
            if not batch:
                continue
            writing = asyncio.create_task(
                asyncio.to_thread(self._answer, [observation for observation, _ in batch])
            )
            await asyncio.wait([writing])
            for place, (_, reply) in enumerate(batch):
                if reply.done():
                    continue
                if error := writing.exception():  # theirs who wait; others are answered still
                    reply.set_exception(error)
                else:
                    reply.set_result(writing.result()[place])

    async def _gather(self) -> None:
        """Yield to the event loop until no new observation arrives."""
        count = -1
        while count < len(self._waiting) < self._size:
            count = len(self._waiting)
            for _ in range(3):
                await asyncio.sleep(0)
