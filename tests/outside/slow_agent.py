"""An agent that plays like `random`, but waits, and writes a line into a file for every call."""

import asyncio
from pathlib import Path

from agents.players.scripted import Random


class Slow(Random):
    def __init__(self, log):
        super().__init__()
        self._log = Path(log)

    async def act(self, observation, env=None):
        with self._log.open("a") as file:
            file.write("asked\n")
        await asyncio.sleep(0.003)
        return await super().act(observation, env)
