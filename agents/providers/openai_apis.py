"""OpenAI's two APIs: chat completions, and responses. What differs between them stands here."""

import base64
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Protocol

from agents.providers.answers import (
    Answer,
    count_tokens,
    plain_text,
    read_error,
    reported_usd,
    sort_parts,
)
from agents.providers.base import NO_REPLY, read_json
from agents.providers.endpoint import CHAT, RESPONSES
from vlbench.observation import png


class OpenAIApi(Protocol):
    """One of the APIs."""

    @property
    def paths(self) -> Mapping[str, str]:
        """Setting → its place in the body of a request."""

    def message(self, message: Mapping[str, Any], detail: str | None) -> dict[str, Any]:
        """Return a chat message in the API's form."""

    def json_format(self, schema: Mapping[str, Any] | None) -> dict[str, Any]:
        """Return the value that asks for JSON, of a schema if there is one."""

    async def call(
        self, client: Any, model: str, chat: list[dict[str, Any]], **extra: Mapping[str, Any]
    ) -> Any:
        """Make a call; return the SDK's raw response.

        Args:
            client: Of the SDK.
            model: The server's id of the model.
            chat: Messages in the API's form.
            **extra: What the SDK adds to the request: `extra_body` and `extra_headers`.
        """

    def read(self, response: Any) -> Answer:
        """Read an HTTP response with status 200.

        Raises:
            Fault: It holds no reply.
        """


class ChatCompletions:
    """What OpenAI and most other servers speak."""

    paths: ClassVar[Mapping[str, str]] = {
        "temperature": "temperature",
        "top_p": "top_p",
        "top_k": "top_k",
        "presence_penalty": "presence_penalty",
        "max_tokens": "max_tokens",
        "seed": "seed",
        "reasoning_effort": "reasoning_effort",
        "chat_template_kwargs": "chat_template_kwargs",
        "json_mode": "response_format",
        "json_schema": "response_format",
    }

    def message(self, message: Mapping[str, Any], detail: str | None) -> dict[str, Any]:
        """Return a chat message in the API's form."""
        more = {"detail": detail} if detail else {}
        return _write_message(
            message,
            "text",
            lambda url: {"type": "image_url", "image_url": {"url": url, **more}},
        )

    def json_format(self, schema: Mapping[str, Any] | None) -> dict[str, Any]:
        """Return the value that asks for JSON, of a schema if there is one."""
        if schema is None:
            return {"type": "json_object"}
        form = {"name": "reply", "strict": True, "schema": dict(schema)}
        return {"type": "json_schema", "json_schema": form}

    async def call(
        self, client: Any, model: str, chat: list[dict[str, Any]], **extra: Mapping[str, Any]
    ) -> Any:
        """Make a call; return the SDK's raw response."""
        create = client.chat.completions.with_raw_response.create
        return await create(model=model, messages=chat, **extra)

    def read(self, response: Any) -> Answer:
        """Read a chat completion."""
        body = read_json(response.text, "chat completion")
        choices = body.get("choices")
        choice = choices[0] if isinstance(choices, list) and choices else None
        usage = body.get("usage")
        usd = reported_usd(usage)
        message = choice.get("message") if isinstance(choice, Mapping) else None
        if (
            not isinstance(choice, Mapping)
            or not isinstance(message, Mapping)
            or choice.get("error")
        ):
            missing_part = "no choice" if isinstance(choices, list) else "no chat completion"
            fault = read_error(
                200, choice or body, response.headers, f"{missing_part} in the answer"
            )
            fault.usd = usd
            raise fault
        content = sort_parts(message.get("content"))
        apart = [message.get(name) for name in ("reasoning_content", "reasoning", "thinking")]
        apart += [message.get("reasoning_details")]
        reasoning = next((text for value in apart if (text := plain_text(value))), "")
        usage = usage if isinstance(usage, Mapping) else {}
        return Answer(
            text=content.text,
            reasoning="\n".join(filter(None, [reasoning, content.reasoning])),
            finish_reason=str(choice.get("finish_reason") or ""),
            refusal=plain_text(message.get("refusal")) or content.refusal,
            prompt_tokens=count_tokens(usage.get("prompt_tokens")),
            completion_tokens=count_tokens(usage.get("completion_tokens")),
            usd=usd,
            provider_id=str(body.get("id") or ""),
        )


class Responses:
    """For models that chat completions don't have."""

    paths: ClassVar[Mapping[str, str]] = {
        "temperature": "temperature",
        "top_p": "top_p",
        "max_tokens": "max_output_tokens",
        "reasoning_effort": "reasoning.effort",
        "json_mode": "text.format",
        "json_schema": "text.format",
    }

    def message(self, message: Mapping[str, Any], detail: str | None) -> dict[str, Any]:
        """Return a chat message in the API's form."""
        return _write_message(
            message,
            "input_text",
            lambda url: {"type": "input_image", "image_url": url, "detail": detail or "auto"},
        )

    def json_format(self, schema: Mapping[str, Any] | None) -> dict[str, Any]:
        """Return the value that asks for JSON, of a schema if there is one."""
        if schema is None:
            return {"type": "json_object"}
        return {"type": "json_schema", "name": "reply", "strict": True, "schema": dict(schema)}

    async def call(
        self, client: Any, model: str, chat: list[dict[str, Any]], **extra: Mapping[str, Any]
    ) -> Any:
        """Make a call; return the SDK's raw response."""
        create = client.responses.with_raw_response.create
        return await create(model=model, input=chat, stream=False, **extra)

    def read(self, response: Any) -> Answer:
        """Read a response object."""
        body = read_json(response.text, "response")
        output = body.get("output")
        usage = body.get("usage")
        usd = reported_usd(usage)
        if not isinstance(output, list) or body.get("error"):
            fault = read_error(200, body, response.headers, "no response in the answer")
            fault.usd = usd
            raise fault
        items = [item for item in output if isinstance(item, Mapping)]
        contents = [
            sort_parts(item.get("content")) for item in items if item.get("type") == "message"
        ]
        thoughts = [
            plain_text(part)
            for item in items
            if item.get("type") == "reasoning"
            for part in (*_list(item.get("summary")), *_list(item.get("content")))
        ]
        incomplete = body.get("incomplete_details")
        reason = incomplete.get("reason") if isinstance(incomplete, Mapping) else None
        usage = usage if isinstance(usage, Mapping) else {}
        return Answer(
            text="".join(content.text for content in contents),
            reasoning="\n".join(filter(None, thoughts)),
            finish_reason=str(reason or body.get("status") or ""),
            refusal="\n".join(content.refusal for content in contents if content.refusal),
            prompt_tokens=count_tokens(usage.get("input_tokens")),
            completion_tokens=count_tokens(usage.get("output_tokens")),
            usd=usd,
            provider_id=str(body.get("id") or ""),
        )


APIS: dict[str, OpenAIApi] = {CHAT: ChatCompletions(), RESPONSES: Responses()}


def _write_message(
    message: Mapping[str, Any], text_type: str, write_image: Callable[[str], dict[str, Any]]
) -> dict[str, Any]:
    """Return a message with its pictures as data URIs, of which `write_image` makes parts."""
    role, content = message["role"], message["content"]
    if role == "system":
        return {"role": role, "content": "".join(part["text"] for part in content)}
    if role == "assistant":
        return {"role": role, "content": "".join(part["text"] for part in content) or NO_REPLY}
    parts = [
        {"type": text_type, "text": part["text"]}
        if part["type"] == "text"
        else write_image(f"data:image/png;base64,{base64.b64encode(png(part['image'])).decode()}")
        for part in content
    ]
    return {"role": role, "content": parts}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
