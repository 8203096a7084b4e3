"""Shared by the agents of all providers: their settings, and the loop around a call."""

import json
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from importlib import import_module
from typing import Any, ClassVar

import gymnasium

from agents.agent import Agent, Observation, ProviderError
from agents.agent_options import check_settings
from agents.pricing.cost import is_paid_host, reports_cost
from agents.providers.answers import Answer, Fault, Meaning
from agents.providers.connection import Connection, secrets_in, without_secrets
from agents.providers.network import route_to
from agents.providers.parameters import EXTRA_BODY, Parameter, make_body, refused_parameters
from agents.providers.reply_schema import NEEDS
from vlbench.prompts import messages
from vlbench.records import Reply
from vlbench.records.redaction import redact

NO_REPLY = "(no reply)"
"""Stands for an empty past reply: servers refuse messages without text."""

LONGEST_MESSAGE = 400
"""Characters of an error's message that are shown; the record holds more."""

STOP_REASONS = {Meaning.REFUSED: "refused", Meaning.TRUNCATED: "length", Meaning.REPLY: "stop"}
"""Meaning of an answer → `Reply.stop_reason`."""

OWN_FIELDS = {
    **dict.fromkeys(("model", "messages", "input", "contents"), "is what the agent sends"),
    **dict.fromkeys(("stream", "n", "candidateCount"), "would change the form of the answer"),
    **dict.fromkeys(
        ("max_tokens", "max_completion_tokens", "max_output_tokens"), "is set by max_tokens"
    ),
}
"""Fields of a request's body that `extra_body` can't set, and why."""

_NOT_SETTINGS = ("model", "base_url", "headers", "extra_body", "api_key_env")
"""Fields that are recorded in a form of their own, or not at all."""


@dataclass(kw_only=True, eq=False)
class ProviderAgent(Agent):
    """An agent that asks a provider, with its key or at a server that needs none.

    Settings that are None are left to the provider.

    Raises:
        ValueError: A setting is wrong, or neither key nor server is given.
    """

    required: ClassVar[frozenset[str]] = frozenset()
    """Settings without which the API takes no request."""
    extra_body_place: ClassVar[str] = ""
    """Where an SDK takes the fields of `extra_body`, e.g. "extra_body."; "" for the body itself."""
    remote = True
    answers_text = True

    model: str = field(kw_only=False)
    """the provider's id of the model"""
    base_url: str | None = None
    """server, by default what the provider's variable names, else the provider's own"""
    headers: Mapping[str, str] = field(default_factory=dict)
    """headers of every request; only their names are recorded"""
    extra_body: Mapping[str, Any] = field(default_factory=dict)
    """more fields of every request's body"""
    temperature: float | None = None
    """of sampling"""
    top_p: float | None = None
    """of sampling"""
    json_schema: bool = False
    """ask for JSON with the task's own fields and actions"""
    api_key_env: str = ""
    """environment variable that holds the key, by default the provider's"""

    def __post_init__(self) -> None:
        """Check the settings, and choose server and key."""
        check_settings(self)
        self.headers, self.extra_body = self.headers or {}, self.extra_body or {}
        self._connection = self._connect()
        self._paths = dict(self._places())
        self.name = self.model
        self.note = ""
        self.secrets = (*self._connection.secrets, *secrets_in(self.extra_body))
        self.has_key = self._connection.has_key
        self.paid = is_paid_host(self._connection.server)
        self.reports_cost = reports_cost(self._connection.server)
        self.list_price = self._connection.known_price(self.model)
        self.uses_reply_schema = self.json_schema
        self.needs = NEEDS if self.json_schema else ()
        self.dropped: list[str] = []
        self._check_extra_body()
        self.settings = self._recorded_settings()

    @abstractmethod
    def _connect(self) -> Connection:
        """Choose server and key."""

    @abstractmethod
    def _places(self) -> Mapping[str, str]:
        """Return setting → its place in the body of a request."""

    def _check_extra_body(self) -> None:
        """Check that `extra_body` and the other settings don't claim the same field.

        Raises:
            ValueError: They do.
        """
        if getattr(self, "json_mode", False) and self.json_schema:
            raise ValueError("wanted json_mode or json_schema, got both")
        values = self._values({"type": "object"}).items()
        settings = {self._paths[setting]: setting for setting, value in values if value is not None}
        for name, value in self.extra_body.items():
            if name in OWN_FIELDS:
                raise ValueError(f'extra_body can\'t set "{name}": it {OWN_FIELDS[name]}')
            within = [f"{name}.{part}" for part in value] if isinstance(value, dict) else []
            for path in (name, *within):
                if path in settings:
                    raise ValueError(f'extra_body sets "{path}", and so does {settings[path]}')

    def _recorded_settings(self) -> dict[str, Any]:
        """Return the settings that a reader needs, without secrets."""
        settings = {
            item.name: getattr(self, item.name)
            for item in fields(self)
            if item.name not in _NOT_SETTINGS and _is_set(getattr(self, item.name))
        }
        endpoint = self._connection.endpoint
        places = {
            "base_url": endpoint.url,
            "query": endpoint.recorded_query,
            "headers": sorted(self.headers),
            "extra_body": without_secrets(self.extra_body),
        }
        return {
            "model": self.model,
            "note": self.note,
            **settings,
            **{name: place for name, place in places.items() if place},
        }

    async def act(
        self, observation: Observation, env: gymnasium.Env[Any, str] | None = None
    ) -> Reply:
        """Make one call.

        Raises:
            ProviderError: There was no reply.
        """
        return await self.complete(messages(observation), observation.get("reply_schema"))

    async def complete(
        self, chat: Sequence[Mapping[str, Any]], schema: Mapping[str, Any] | None = None
    ) -> Reply:
        """Answer chat messages.

        Args:
            chat: As `vlbench.prompts.messages` makes them.
            schema: JSON schema of the reply, for an agent that uses one.

        Raises:
            ProviderError: There was no reply.
        """
        sent = [self._message(message) for message in chat]
        while True:
            parameters = self._parameters(schema)
            try:
                return self._reply(await self._request(sent, make_body(parameters)))
            except Fault as fault:
                if self._drop_refused(fault, parameters):
                    continue
                if fault.meaning is not Meaning.REFUSED:
                    raise self._error(fault) from fault
                return self._reply(
                    Answer(refusal=fault.message, finish_reason="/".join(fault.codes))
                )

    @abstractmethod
    def _message(self, message: Mapping[str, Any]) -> dict[str, Any]:
        """Return a chat message in the provider's form."""

    @abstractmethod
    async def _request(self, chat: list[dict[str, Any]], body: dict[str, Any]) -> Answer:
        """Make one call.

        Args:
            chat: Messages in the provider's form.
            body: The other fields of the request's body.

        Raises:
            Fault: No reply came.
        """

    def _values(self, schema: Mapping[str, Any] | None) -> dict[str, Any]:
        """Return the settings of a request as the API takes them; None for those not sent."""
        return {name: getattr(self, name) for name in self._paths if name != "json_schema"}

    def _parameters(self, schema: Mapping[str, Any] | None) -> list[Parameter]:
        """Return what a request holds besides its messages."""
        parameters = [
            Parameter(setting, self._paths[setting], value)
            for setting, value in self._values(schema).items()
            if value not in (None, {})
        ]
        parameters += [
            Parameter(f"{EXTRA_BODY}{name}", f"{self.extra_body_place}{name}", value)
            for name, value in self.extra_body.items()
        ]
        return [each for each in parameters if each.setting not in self.dropped]

    def _drop_refused(self, fault: Fault, sent: Sequence[Parameter]) -> bool:
        """Drop the settings that the server refuses.

        Returns:
            Whether there were any, so that the request can be sent again.
        """
        if fault.status not in (400, 422):
            return False
        names = [
            parameter.setting
            for parameter in refused_parameters(fault.body or fault.message, sent)
            if parameter.setting not in self.required
        ]
        self.dropped += [name for name in names if name not in self.dropped]
        return bool(names)

    def _reply(self, answer: Answer) -> Reply:
        """Return an answer as a reply.

        Raises:
            Fault: Its finish reason says that it is none.
        """
        meaning = answer.meaning
        if meaning not in STOP_REASONS:
            reason = answer.finish_reason or "none, and nothing was written"
            raise Fault(
                f"the answer isn't a reply: finish reason {reason}",
                status=200,
                finish_reason=answer.finish_reason,
                usd=answer.usd,
            )
        return Reply(
            text=answer.text,
            stop_reason=STOP_REASONS[meaning],
            finish_reason=answer.finish_reason,
            provider_message=self._redacted(answer.refusal),
            reasoning=self._redacted(answer.reasoning),
            prompt_tokens=answer.prompt_tokens,
            completion_tokens=answer.completion_tokens,
            usd=answer.usd,
            usd_source="" if answer.usd is None else "provider",
            provider_id=answer.provider_id,
        )

    def _error(self, fault: Fault) -> ProviderError:
        """Return the error that the harness sees."""
        connection = self._connection
        place = f"{connection.place}{route_to(connection.server)}"
        status = f"status {fault.status}: " if fault.status else ""
        message = self._redacted(f"{place}: {status}{fault.message}")
        return ProviderError(
            " ".join(message.split())[:LONGEST_MESSAGE],
            status=fault.status or None,
            transient=fault.meaning is Meaning.TRANSIENT,
            stops=fault.meaning is Meaning.STOP,
            retry_after=fault.retry_after,
            finish_reason=fault.finish_reason,
            provider_message="" if fault.body is None else self._redacted(fault.message),
            usd=fault.usd,
        )

    def _redacted(self, text: str) -> str:
        """Return a text of the provider without secrets, which providers put into messages."""
        return redact(text, *self.secrets)


def _is_set(value: Any) -> bool:
    """Return whether a setting differs from its absence; 0 does."""
    return not (value is None or value is False or value == {})


def import_sdk(name: str, extra: str) -> Any:
    """Import a provider's SDK.

    Raises:
        ValueError: It is missing; the message names the extra that brings it.
    """
    try:
        return import_module(name)
    except ImportError as error:
        raise ValueError(
            f'the {name} SDK is missing: pip install "vlbench[{extra}]" ({error})'
        ) from error


def read_json(text: str, wanted: str) -> Mapping[str, Any]:
    """Return the JSON object in the body of an answer.

    Args:
        text: The body.
        wanted: What it should hold, for the message.

    Raises:
        Fault: It is none.
    """
    try:
        body = json.loads(text)
    except (ValueError, RecursionError):
        body = None
    if not isinstance(body, Mapping):
        raise Fault(f"no {wanted} in the answer", status=200)
    return body
