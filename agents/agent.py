"""What an agent is, and how what it gives and how it fails are told.

An agent answers one observation with one reply. It knows no episode: `agents.rollout` keeps the
environments, the history and the record.
"""

import inspect
from collections.abc import Callable, Mapping
from typing import Any, Protocol, runtime_checkable

import gymnasium

from vlbench.records import Reply, from_json, to_json

Observation = Mapping[str, Any]
"""`image` ((300, 300, 3) uint8, RGB), `text` (the whole prompt), `env_id` (which task it is),
`repeat` (how often the row was played before, in this run) and, where the harness keeps one,
`history` (a tuple of `vlbench.prompts.Exchange`, oldest first)."""


@runtime_checkable
class Agent(Protocol):
    """Whatever writes replies.

    An agent may also have

    - `env_ids`, the ids that it can play; without it, all of them;
    - `needs`, what it asks of an environment besides the contract, e.g. ("expert",);
    - `remote` (bool): it asks a provider, so that calls get a timeout and an estimate comes first;
    - `paid` (bool): the provider is known to charge; and `list_price`, an `agents.cost.Price`,
      where it is known what;
    - `dropped`, a list of the settings that the provider refused and that were left out;
    - `models`, what is known of local models: env id, or "" for all → `vlbench.records.ModelInfo`;
    - `note`, a line that the user should read before the run;
    - `async close()`, called when a run is over; the agent may be asked again afterwards.
    """

    name: str
    """Shown in tables and written into records."""
    privileged: bool
    """Whether `act` is handed the environment; such an agent is no model."""
    settings: dict[str, Any]
    """What a reader needs to run the same agent again, as plain data; never a key."""

    async def act(
        self, observation: Observation, env: gymnasium.Env[Any, str] | None = None
    ) -> Reply:
        """Answer an observation. Several calls may be waiting at once, one an episode.

        Args:
            observation: What is shown.
            env: The environment, for a privileged agent only; another is called without it.

        Raises:
            ProviderError: The model's provider gave no reply.
        """


class ProviderError(Exception):
    """A model's provider gave no reply.

    Args:
        message: What was asked of whom, and what came.
        status: The answer's HTTP status, if there was an answer.
        transient: Whether the same request may succeed later.
        retry_after: Seconds that the provider asks to wait, if it says so.
        stops: Whether every other request would fail too (a wrong key, an unknown model, an empty
            account), so that there is no sense in going on.
    """

    def __init__(
        self,
        message: str,
        *,
        status: int | None = None,
        transient: bool = False,
        retry_after: float | None = None,
        stops: bool = False,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.transient = transient
        self.retry_after = retry_after
        self.stops = stops


class CallableAgent:
    """A plain function `observation -> str` (or `-> Reply`) as an agent.

    A coroutine function has its calls waiting at once, one an episode; an ordinary function is
    called once at a time, in the thread of the harness.

    Args:
        function: The function.
        name: Its name in tables; by default its own.
    """

    privileged = False

    def __init__(self, function: Callable[[Observation], Any], name: str = "") -> None:
        self.name = name or getattr(function, "__name__", type(function).__name__).strip("<>")
        self.settings: dict[str, Any] = {}
        self._function = function

    async def act(
        self, observation: Observation, env: gymnasium.Env[Any, str] | None = None
    ) -> Reply:
        """Call the function."""
        return await as_reply(self._function(observation))


async def as_reply(given: Any) -> Reply:
    """Return what an agent gave as a `Reply`: awaited where it must be, a bare text wrapped.

    Raises:
        TypeError: It is neither a text nor a Reply.
    """
    if inspect.isawaitable(given):
        given = await given
    if isinstance(given, str):
        return Reply(given)
    if not isinstance(given, Reply):
        raise TypeError(f"an agent must give a str or a Reply; got {type(given).__name__}")
    return from_json(Reply, to_json(given))  # what can't be read back is not recorded


def as_agent(thing: Any) -> Agent:
    """Return an agent: the thing itself, or a plain callable wrapped.

    Raises:
        ValueError: It is neither; says what it lacks.
    """
    if isinstance(thing, type):
        raise ValueError(f"wanted an agent, got its class; pass {thing.__name__}()")
    if isinstance(thing, Agent):
        return thing
    if hasattr(thing, "act"):
        lacking = [n for n in ("name", "privileged", "settings") if not hasattr(thing, n)]
        raise ValueError(f"agent {type(thing).__name__} lacks {', '.join(lacking)}")
    if not callable(thing):
        raise ValueError(
            f"an agent needs name, privileged, settings and act(observation), or is a function "
            f"observation -> str; got {type(thing).__name__}"
        )
    return CallableAgent(thing)
