"""The only loop between agents and environments.

N episodes run at once in one thread, each worker with its own environments. A reply is journaled
before it is stepped, so that a run that is killed at any point goes on without asking for a
journaled reply again.
"""

import asyncio
import dataclasses
import inspect
from collections import deque
from collections.abc import Callable, Coroutine, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

import gymnasium

import agents.agent
import agents.retry
from agents.agent import Agent, Observation, ProviderError
from agents.pricing.cost import FIRST_CALL_WAIT, Budget
from agents.providers.reply_schema import reply_schema
from agents.retry import BUGS, RetryingCaller, RetryPolicy
from vlbench.errors import location
from vlbench.preamble import Opening
from vlbench.prompts import Exchange
from vlbench.recorder import EnvCache, EpisodeRecorder
from vlbench.records import MAX_ERROR, SCHEMA, Episode, Failure, Reply, episode_key
from vlbench.records.redaction import SecretInReply, redact
from vlbench.run_folder import RunFolder
from vlbench.suites import Row

HARNESS = tuple(str(module) for module in (__file__, agents.agent.__file__, agents.retry.__file__))
"""Files that only call an agent's code."""

GIVE_UP = 20
"""A run stops after this many consecutive failed calls, retries included."""


@dataclass(frozen=True, slots=True)
class Job:
    """One episode that is to be played."""

    row: Row
    number: int
    """The row's number in its suite."""
    repeat: int
    journaled: tuple[Reply, ...] = ()
    """Replies of an earlier try, which are played again and not asked for."""

    @property
    def key(self) -> str:
        """Names the episode within its run."""
        return episode_key(self.row.env_id, self.number, self.repeat)


def unfinished(jobs: Sequence[Job], folder: RunFolder) -> list[Job]:
    """Return the jobs that a run still has to play, each with its journaled replies.

    Episodes that are finished are kept; those that errored are tried again.
    """
    finished = {episode.key for episode in folder.tallies() if not episode.is_errored}
    journal = folder.replies()
    return [
        dataclasses.replace(job, journaled=tuple(journal.get(job.key, ())))
        for job in jobs
        if job.key not in finished
    ]


class Stopped(Exception):
    """The run stops before its end; it can be resumed."""


async def play(
    agent: Agent,
    jobs: Sequence[Job],
    folder: RunFolder,
    *,
    history: int = 0,
    concurrency: int = 8,
    patience: RetryPolicy | None = None,
    budget: Budget | None = None,
    finished: Callable[[Episode], None] = lambda episode: None,
    replied: Callable[[Reply], None] = lambda reply: None,
) -> str:
    """Play episodes and record them.

    When the agent or an environment fails, the episode is errored and the run goes on. A bug of the
    agent (`agents.retry.BUGS`) stops the run. Stopped or cancelled, it can be resumed.

    Args:
        agent: Who plays.
        jobs: What is played, in this order.
        folder: Where replies and episodes are written.
        history: How many past turns the agent is shown.
        concurrency: How many episodes run at once.
        patience: How the agent is asked; by default a call takes as long as it takes.
        budget: What the run may cost; by default any sum.
        finished: Called with each episode when it is written.
        replied: Called with each reply when it is written.

    Returns:
        Why the run stopped before its end, "" if it didn't. Replies that were under way then are
        in the journal.

    Raises:
        OSError: The folder can't be written any more.
    """
    waiting = iter(jobs)
    player = _Player(agent, folder, patience or RetryPolicy(), budget or Budget(), replied)
    workers = [_Worker(player, folder, history) for _ in range(min(concurrency, len(jobs)))]
    try:
        async with asyncio.TaskGroup() as group:
            for worker in workers:
                group.create_task(worker.work(waiting, finished))
    except BaseExceptionGroup as errors:
        raise errors.exceptions[0] from None
    finally:
        await player.close()
    return player.stop


class _Player:
    """The agent behind retries, budget and stop conditions, shared by all workers."""

    def __init__(
        self,
        agent: Agent,
        folder: RunFolder,
        patience: RetryPolicy,
        budget: Budget,
        replied: Callable[[Reply], None],
    ) -> None:
        self.stop = ""
        self.uses_reply_schema = agent.uses_reply_schema
        self._agent = agent
        self._folder = folder
        self._asking = RetryingCaller(patience)
        self._budget = budget
        self._replied = replied
        self._failed = 0
        self._first_call_has_begun = False
        self._first_call_is_over = asyncio.Event()
        if budget.max_usd is None or not (agent.remote or agent.paid):
            self._first_call_is_over.set()

    async def close(self) -> None:
        """Close the agent; an error of its code stops the run like a bug of `act`."""
        try:
            await self._agent.close()
        except Exception as error:  # the boundary to the agent's code
            self._stop_for_bug(error)

    def _stop_for_bug(self, error: BaseException) -> None:
        place = location(error, HARNESS) or _definition(self._agent.source)
        name = self._agent.name
        self.stop = self.stop or f"stopped: {name} raised {_message(error)} ({place})"

    async def reply(
        self, job: Job, turn: int, observation: Observation, env: gymnasium.Env[Any, str]
    ) -> Reply:
        """Return a new reply, which is journaled.

        Raises:
            Stopped: No reply is asked for any more.
        """
        if self.stop:
            raise Stopped
        await self._wait_for_first_call()
        if self.stop:
            raise Stopped
        if not self._budget.reserve():
            self.stop = self._budget.stop_reason
            raise Stopped
        reply, lost_usd = None, 0.0
        try:
            reply = await self._ask(observation, env)
        except ProviderError as error:
            lost_usd = error.usd or 0.0
            raise
        finally:
            reply = self._budget.settle(reply, lost_usd)
            self._first_call_is_over.set()
        assert reply is not None
        self._folder.journal(job.key, turn, reply)
        self._folder.drop(self._agent.dropped)
        self._replied(reply)
        return reply

    async def _wait_for_first_call(self) -> None:
        """Wait, where a call costs, until the first reply shows how much."""
        if not self._first_call_is_over.is_set() and self._first_call_has_begun:
            with suppress(TimeoutError):
                async with asyncio.timeout(FIRST_CALL_WAIT):
                    await self._first_call_is_over.wait()
        self._first_call_has_begun = True

    async def _ask(self, observation: Observation, env: gymnasium.Env[Any, str]) -> Reply:
        agent = self._agent
        try:
            reply = await self._asking.ask(
                lambda: agent.act(observation, env) if agent.privileged else agent.act(observation)
            )
        except BUGS as error:
            self._stop_for_bug(error)
            raise Stopped from error
        except ProviderError as error:
            self._failed += 1
            if not error.stops and self._failed < GIVE_UP:
                raise
            self.stop = self.stop or redact(
                f"stopped: {error}"
                if error.stops
                else f"stopped: {GIVE_UP} calls failed in a row; the last: {error}"
            )
            raise Stopped from error
        # The boundary to the agent's code, which may raise anything.
        except (Exception, asyncio.CancelledError) as error:
            task = asyncio.current_task()
            if isinstance(error, asyncio.CancelledError) and task and task.cancelling():
                raise  # it is the run that is cancelled, not something of the agent's
            raise CodeFailed("agent", error) from error
        self._failed = 0
        return reply.bounded()


class _Worker:
    """Plays one episode after the other, in environments that it keeps."""

    def __init__(self, player: _Player, folder: RunFolder, history: int) -> None:
        self._player = player
        self._folder = folder
        self._history = history
        self._opening = Opening(folder.header.preamble)
        self._envs = EnvCache()

    async def work(self, jobs: Iterator[Job], finished: Callable[[Episode], None]) -> None:
        """Play jobs until none is left, or the run stops."""
        for job in jobs:
            try:
                episode = await self._episode(job)
            except Stopped:
                break
            self._folder.add(episode)
            finished(episode)
        for env in self._envs.values():
            env.close()

    async def _episode(self, job: Job) -> Episode:
        recording = None
        try:
            with _environment():
                recording = EpisodeRecorder(self._envs.of(job.row), job.row, job.number, job.repeat)
            await self._finish(recording, job)
        except ProviderError as error:
            details = (error.status, error.finish_reason, error.provider_message)
            failure = Failure("provider", *details).bounded()
            return _errored(job, recording, _message(error), failure)
        except SecretInReply as error:
            failure = Failure("secret", reply_hash=error.reply_hash)
            return _errored(job, recording, _message(error), failure)
        except CodeFailed as error:
            self._envs.pop(job.row.env_key, None)
            failure = Failure(error.kind, place=location(error.cause, HARNESS))
            return _errored(job, recording, _message(error.cause), failure)
        return recording.episode()

    async def _finish(self, recording: EpisodeRecorder, job: Job) -> None:
        """Play an episode to its end, first from the journal."""
        past: deque[Exchange] = deque(maxlen=self._history)
        turn = 0
        while not recording.end:
            observation: Observation = {
                **recording.observation,
                "env_id": job.row.env_id,
                "repeat": job.repeat,
                **self._opening.shown(job.row.env_id),
            }
            if self._player.uses_reply_schema:
                observation = {**observation, "reply_schema": reply_schema(recording.env)}
            if turn < len(job.journaled):
                reply = job.journaled[turn]
            else:
                prompt = {**observation, "history": tuple(past)} if self._history else observation
                reply = await self._player.reply(job, turn, prompt, recording.env)
            with _environment():
                recording.play(reply)
            past.append(Exchange(observation, reply.text))
            turn += 1


class CodeFailed(Exception):
    """An agent or an environment raised an exception, which ends the episode."""

    def __init__(self, kind: str, cause: BaseException) -> None:
        super().__init__(str(cause))
        self.kind = kind
        self.cause = cause


@contextmanager
def _environment() -> Iterator[None]:
    """The boundary to an environment's code, which may raise anything."""
    try:
        yield
    except (Exception, SystemExit) as error:
        raise CodeFailed("environment", error) from error


def _definition(function: Callable[..., Any]) -> str:
    """Return where a function is defined, as "file:line"; its name if that is unknown."""
    function = getattr(inspect.unwrap(function), "__func__", function)
    code = getattr(function, "__code__", None) or getattr(type(function).__call__, "__code__", None)
    return f"{code.co_filename}:{code.co_firstlineno}" if code else repr(function)


def _message(error: BaseException) -> str:
    """Return an error as one printable line."""
    line = redact(f"{type(error).__name__}: {error}").encode("utf-8", "replace").decode()
    return "".join(c if c.isprintable() else " " for c in " ".join(line.split()))[:MAX_ERROR]


def _errored(job: Job, recording: EpisodeRecorder | None, error: str, failure: Failure) -> Episode:
    if recording is not None:
        return recording.episode(error, failure)
    row = job.row
    return Episode(
        SCHEMA,
        row.env_id,
        row.kwargs,
        row.instance,
        row.presentation,
        row.seed,
        job.number,
        job.repeat,
        turns=(),
        end="errored",
        success=False,
        final_state_hash="",
        final_frame_hash="",
        error=error,
        failure=failure,
    )


def run_coroutine(coroutine: Coroutine[Any, Any, str]) -> str:
    """Run a coroutine to its end, even if an event loop is running, as in a notebook."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(coroutine)
    loops: list[asyncio.AbstractEventLoop] = []

    def elsewhere() -> str:
        with asyncio.Runner() as runner:
            loops.append(runner.get_loop())
            return runner.run(coroutine)

    with ThreadPoolExecutor(1) as pool:
        future = pool.submit(elsewhere)
        try:
            return future.result()
        except KeyboardInterrupt:
            for task in asyncio.all_tasks(loops[0]):
                loops[0].call_soon_threadsafe(task.cancel)
            raise
