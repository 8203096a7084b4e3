"""Observations for agents of providers, and calls of them."""

import asyncio
import hashlib

import gymnasium

from vlbench.observation import png


def shown(seed=0):
    observation, _ = gymnasium.make("vlbench/Points24-v0").reset(seed=seed)
    return observation


def ask(agent, *observations):
    """Return an agent's replies to observations, in one event loop, as in a run; then close it."""

    async def run():
        try:
            return [await agent.act(observation) for observation in observations]
        finally:
            await agent.close()

    return asyncio.run(run())


def picture(observation):
    return hashlib.sha256(png(observation["image"])).hexdigest()
