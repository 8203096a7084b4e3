"""Show recorded turns to an agent again."""

import asyncio
from collections import deque
from collections.abc import Sequence

from agents.agent import Agent, Observation
from agents.retry import RetryingCaller, RetryPolicy
from vlbench.prompts import Exchange
from vlbench.recorder import EnvCache, EpisodeRecorder
from vlbench.records import Reply
from vlbench.replay import TurnPlace


def observations_of(places: Sequence[TurnPlace], history: int) -> list[Observation]:
    """Return what the agent was shown at each turn, from the replayed texts before it.

    Args:
        places: The turns.
        history: How many past turns the agent was shown.

    Raises:
        ValueError: An environment refuses an episode's id, arguments or instance.
    """
    envs = EnvCache()
    return [_observation(place, history, envs) for place in places]


def _observation(place: TurnPlace, history: int, envs: EnvCache) -> Observation:
    episode = place.episode
    start = episode.start
    recording = EpisodeRecorder(envs.of(start), start, episode.row, episode.repeat)
    about = {"env_id": episode.env_id, "repeat": episode.repeat}
    past: deque[Exchange] = deque(maxlen=history)
    for turn in episode.turns[: place.number]:
        past.append(Exchange({**recording.observation, **about}, turn.reply.text))
        recording.play(turn.reply)
    observation = {**recording.observation, **about}
    return {**observation, "history": tuple(past)} if history else observation


def read_actions(places: Sequence[TurnPlace], texts: Sequence[str]) -> list[str]:
    """Return the action that the environment reads in each text at its turn; "" for none."""
    envs = EnvCache()
    actions = []
    for place, text in zip(places, texts, strict=True):
        start = place.episode.start
        recording = EpisodeRecorder(envs.of(start), start)
        for turn in place.episode.turns[: place.number]:
            recording.play(turn.reply)
        actions.append(recording.read(text).action or "")
    return actions


async def ask(
    agent: Agent, observations: Sequence[Observation], patience: RetryPolicy, concurrency: int
) -> list[Reply]:
    """Return the agent's reply to each observation, in order.

    Raises:
        ProviderError: The agent's provider gave no reply.
    """
    caller, slots = RetryingCaller(patience), asyncio.Semaphore(concurrency)

    async def answer(observation: Observation) -> Reply:
        async with slots:
            return (await caller.ask(lambda: agent.act(observation))).bounded()

    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(answer(observation)) for observation in observations]
    except BaseExceptionGroup as errors:
        raise errors.exceptions[0] from None
    finally:
        await agent.close()
    return [task.result() for task in tasks]
