"""The agent interface, its replies and its errors.

An agent answers one observation with one reply. It knows no episode: `agents.rollout` keeps the
environments, the history and the record.
"""

import inspect
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import gymnasium

from agents.pricing.cost import Price
from vlbench.records import ModelInfo, Reply, from_json, to_json

Observation = Mapping[str, Any]
"""`image` ((300, 300, 3) uint8, RGB), `text` (the whole prompt), `env_id` (the task),
`repeat` (how often the row was played before, in this run) and, where the harness keeps one,
`history` (a tuple of `vlbench.prompts.Exchange`, oldest first)."""


class Agent(ABC):
    """Whatever writes replies.

    Subclasses set `name` and `settings` and override what differs from the defaults. An object that
    only has the attributes it needs will do too; see `as_agent`.
    """

    name: str
    """Shown in tables and written into records."""
    settings: dict[str, Any]
    """What a reader needs to run the same agent again, as plain data; never a key."""
    privileged: bool = False
    """Whether `act` is handed the environment; such an agent is no model."""
    env_ids: Sequence[str] | None = None
    """The ids that it can play; None for all."""
    needs: Sequence[str] = ()
    """What it asks of an environment besides the contract, e.g. ("expert",)."""
    remote: bool = False
    """Whether it asks a provider: calls then get a timeout, and an estimate precedes the run."""
    paid: bool = False
    """Whether the provider is known to charge."""
    reports_cost: bool = False
    """Whether the provider is known to report what each reply costs."""
    list_price: Price | None = None
    """Price of tokens, if known."""
    has_key: bool | None = None
    """Whether the provider's key is set; None for an agent that needs none."""
    answers_text: bool = False
    """Whether `act` also answers an observation without `image`."""
    uses_reply_schema: bool = False
    """Whether observations should hold `reply_schema`, the JSON schema of a reply."""
    note: str = ""
    """A line that the user should read before the run."""
    models: Mapping[str, ModelInfo] = MappingProxyType({})
    """Local models: env id ("" for all) → what is known about the model."""
    secrets: Sequence[str] = ()
    """Keys and passwords, besides those in the environment, that nothing may show."""
    dropped: Sequence[str] = ()
    """The settings that the provider refused and that are no longer sent."""

    @abstractmethod
    async def act(
        self, observation: Observation, env: gymnasium.Env[Any, str] | None = None
    ) -> Reply:
        """Answer an observation. Several calls may be waiting at once, one an episode.

        Args:
            observation: What is shown.
            env: The environment, for a privileged agent only; another is called without it.

        Raises:
            ProviderError: The model's provider gave no reply. `agents.retry` says what other errors
                mean: some are retried, some end the episode, and a bug stops the run.
        """

    async def close(self) -> None:
        """Close connections when a run is over; the agent may be asked again afterwards."""
        return None  # by default there is nothing to close

    @property
    def source(self) -> Callable[..., Any]:
        """The function that answers, for messages that say where it is defined."""
        return self.act


class ProviderError(Exception):
    """A model's provider gave no reply.

    An agent of your own needn't raise it: errors of connections and of HTTP clients are recognized;
    see `agents.retry.as_provider_error`.

    Args:
        message: What was requested from whom, and the response.
        status: The answer's HTTP status, if there was an answer.
        transient: Whether the same request may succeed later.
        retry_after: Seconds that the provider asks to wait, if any.
        stops: Whether every other request would fail too (a wrong key, an unknown model, an empty
            account), so that there is no sense in going on.
        finish_reason: The provider's own, of an answer that is no reply.
        provider_message: What the provider says.
        usd: What it charged all the same, in USD, if it says so.
    """

    def __init__(
        self,
        message: str,
        *,
        status: int | None = None,
        transient: bool = False,
        retry_after: float | None = None,
        stops: bool = False,
        finish_reason: str = "",
        provider_message: str = "",
        usd: float | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.transient = transient
        self.retry_after = retry_after
        self.stops = stops
        self.finish_reason = finish_reason
        self.provider_message = provider_message
        self.usd = usd


class CallableAgent(Agent):
    """A plain function `observation -> str` (or `-> Reply`) as an agent.

    A coroutine function has its calls waiting at once, one an episode; an ordinary function is
    called once at a time, in the thread of the harness.

    Args:
        function: The function.
        name: Its name in tables; by default its own.
    """

    def __init__(self, function: Callable[[Observation], Any], name: str = "") -> None:
        self.name = name or getattr(function, "__name__", type(function).__name__).strip("<>")
        self.settings: dict[str, Any] = {}
        self._function = function

    async def act(
        self, observation: Observation, env: gymnasium.Env[Any, str] | None = None
    ) -> Reply:
        """Call the function."""
        return await as_reply(self._function(observation))

    @property
    def source(self) -> Callable[..., Any]:
        """The function."""
        return self._function


class ObjectAgent(Agent):
    """Another object as an agent: its attributes, and defaults for those that it lacks.

    The attributes are read once, here.

    Args:
        thing: It has `name`, `privileged`, `settings` and `act`, which may be a coroutine function
            or an ordinary one and gives a text or a `Reply`.
    """

    def __init__(self, thing: Any) -> None:
        self._thing = thing
        for attribute in inspect.get_annotations(Agent):
            if hasattr(thing, attribute):
                setattr(self, attribute, getattr(thing, attribute))

    async def act(
        self, observation: Observation, env: gymnasium.Env[Any, str] | None = None
    ) -> Reply:
        """Call the object's `act`, with `env` only if it is privileged."""
        arguments = (observation, env) if self.privileged else (observation,)
        return await as_reply(self._thing.act(*arguments))

    @property
    def source(self) -> Callable[..., Any]:
        """The object's `act`."""
        act: Callable[..., Any] = self._thing.act
        return act

    async def close(self) -> None:
        """Close the object, if it can be closed."""
        if hasattr(self._thing, "close"):
            closing = self._thing.close()
            if inspect.isawaitable(closing):
                await closing


async def as_reply(value: Any) -> Reply:
    """Await an agent's result if needed and return it as a `Reply`; a bare text is wrapped.

    Raises:
        TypeError: It is neither a text nor a Reply.
    """
    if inspect.isawaitable(value):
        value = await value
    if isinstance(value, str):
        return Reply(value)
    if not isinstance(value, Reply):
        raise TypeError(f"an agent must give a str or a Reply; got {type(value).__name__}")
    # What can't be read back is not recorded.
    return from_json(Reply, to_json(value.bounded()))


def as_agent(thing: Any) -> Agent:
    """Return the object itself if it is an agent, else an agent that wraps it.

    Raises:
        ValueError: It is neither; says what it lacks.
    """
    if isinstance(thing, type):
        raise ValueError(f"wanted an agent, got its class; pass {thing.__name__}()")
    if isinstance(thing, Agent):
        return thing
    if hasattr(thing, "act"):
        required = ("name", "privileged", "settings")
        if lacking := [name for name in required if not hasattr(thing, name)]:
            raise ValueError(f"agent {type(thing).__name__} lacks {', '.join(lacking)}")
        return ObjectAgent(thing)
    if not callable(thing):
        raise ValueError(
            f"an agent needs name, privileged, settings and act(observation), or is a function "
            f"observation -> str; got {type(thing).__name__}"
        )
    return CallableAgent(thing)
