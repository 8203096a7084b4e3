"""The two SDKs that speak to Gemini, behind one call: contents and options in, plain data out."""

import asyncio
import contextlib
import importlib
import json
import re
import threading
import warnings
from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

from agents.providers.answers import Fault, read_error
from agents.providers.connection import Connection
from agents.providers.network import check_proxies, fault_without_answer

SYSTEM = "system_instruction"
"""Name of the system prompt in the options of both SDKs."""

TIMEOUT = 300.0
"""Seconds after which the older SDK gives a call up, which nobody can cancel."""


class GenAI:
    """google-genai."""

    lacks: tuple[str, ...] = ()

    def __init__(self, model: str, connection: Connection, has_extra_body: bool) -> None:
        self._sdk = _import("google.genai", "api")
        transports = [module for name in ("httpx", "httpx2") if (module := _import(name))]
        self._errors: tuple[type[Exception], ...] = (
            ValueError,  # what can't be sent
            OSError,
            *(module.HTTPError for module in transports),
        )
        self._http_class = transports[0].AsyncClient
        check_proxies("socksio", self._http_class)
        self._model = model
        self._connection = connection
        self._client: Any = None
        self._http: Any = None
        self._loop: asyncio.AbstractEventLoop | None = None

    async def ask(self, contents: list[dict[str, Any]], options: dict[str, Any]) -> dict[str, Any]:
        """Return an answer's body.

        Raises:
            Fault: No answer came.
        """
        types = self._sdk.types
        options = dict(options)
        extra_body = options.pop("extra_body", None)
        try:
            config = types.GenerateContentConfig(
                should_return_http_response=True,
                http_options=types.HttpOptions(extra_body=extra_body) if extra_body else None,
                **options,
            )
            answer = await self._connected().aio.models.generate_content(
                model=self._model, contents=contents, config=config
            )
        except self._sdk.errors.APIError as error:
            headers = getattr(error.response, "headers", None)
            raise read_error(error.code, error.details, headers, str(error)) from error
        except self._errors as error:
            raise fault_without_answer(error) from error
        return _body(answer.sdk_http_response)

    def _connected(self) -> Any:
        """Return the client; its connections belong to one event loop."""
        loop = asyncio.get_running_loop()
        if self._client is None or self._loop is not loop:
            types = self._sdk.types
            endpoint, headers = self._connection.endpoint, self._connection.headers
            query = f"?{urlencode(endpoint.query)}" if endpoint.query else ""
            # Over aiohttp, which the SDK prefers where it is, the text of an error is lost.
            self._http = self._http_class(follow_redirects=True, timeout=None)
            options = types.HttpOptions(
                httpx_async_client=self._http,
                base_url=f"{endpoint.url}{query}" if endpoint.url else None,
                api_version="v1beta",  # the one that gateways have
                headers={name.lower(): value for name, value in headers.items()} or None,
                retry_options=types.HttpRetryOptions(attempts=1),
            )
            self._loop = loop
            key = self._connection.key or "none"
            self._client = self._sdk.Client(api_key=key, vertexai=False, http_options=options)
        return self._client

    async def close(self) -> None:
        """Close the connections."""
        client, self._client = self._client, None
        if client is not None:
            await client.aio.aclose()
            await self._http.aclose()
            client.close()
            await asyncio.sleep(0)  # transports close in the loop's next round


class GenerativeAI:
    """google-generativeai; its endpoint is a global setting, so one agent of it at a time."""

    lacks = ("seed", "thinking_budget", "json_schema")

    def __init__(self, model: str, connection: Connection, has_extra_body: bool) -> None:
        endpoint = connection.endpoint
        headers = {name.lower(): value for name, value in connection.headers.items()}
        if has_extra_body or endpoint.query:
            what = "an extra body" if has_extra_body else "the query of a base URL"
            raise ValueError(f"google-generativeai can't send {what}; use --sdk google-genai")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it says at length that its support has ended
            self._sdk = _import("google.generativeai", "gemini-legacy")
            core = _import("google.api_core.exceptions", "gemini-legacy")
            protobuf = _import("google.protobuf.json_format", "gemini-legacy")
        self._api_error = core.GoogleAPIError
        self._errors = (protobuf.Error, ValueError, OSError)
        check_proxies("socks", object)  # `requests` reads the variables with each call
        self._sdk.configure(
            api_key=headers.pop("x-goog-api-key", connection.key) or "none",
            transport="rest",
            client_options={"api_endpoint": endpoint.url} if endpoint.url else None,
            default_metadata=list(headers.items()),
        )
        self._model = self._sdk.GenerativeModel(model)

    async def ask(self, contents: list[dict[str, Any]], options: dict[str, Any]) -> dict[str, Any]:
        """Return an answer's body.

        Raises:
            Fault: No answer came.
        """
        settings = {name: value for name, value in options.items() if name != SYSTEM}
        model = self._model
        if SYSTEM in options:  # it belongs to the model, in this SDK
            model = self._sdk.GenerativeModel(model.model_name, system_instruction=options[SYSTEM])

        def call() -> Any:
            return model.generate_content(
                contents,
                generation_config=settings,
                request_options={"timeout": TIMEOUT, "retry": None},
            )

        try:
            answer = (await _in_thread(call)).to_dict()
        except self._api_error as error:
            raise _legacy_fault(error) from error
        except AttributeError as error:  # its parser of errors knows one form of them
            message = "the server's error can't be read by this SDK; --sdk google-genai tells it"
            raise Fault(message) from error
        except self._errors as error:
            raise fault_without_answer(error) from error
        reasons = self._sdk.protos.Candidate.FinishReason.__members__
        names = {int(number): name for name, number in reasons.items()}
        for candidate in answer.get("candidates", ()):
            number = candidate.get("finish_reason")
            candidate["finish_reason"] = names.get(number, f"OTHER_{number}")
        return dict(answer)

    async def close(self) -> None:
        """Do nothing: connections are closed with each call."""


TRANSPORTS: dict[str, Any] = {"google-genai": GenAI, "google-generativeai": GenerativeAI}


def _body(response: Any) -> dict[str, Any]:
    """Return an answer's body with its names in snake case.

    Raises:
        Fault: It is no JSON object, or an error all the same.
    """
    try:
        body = json.loads(response.body or "null")
    except (ValueError, RecursionError) as error:
        raise Fault("the answer is no JSON", status=200) from error
    if not isinstance(body, dict) or "error" in body:
        raise read_error(200, body, response.headers, "no candidate in the answer")
    snake: dict[str, Any] = _in_snake_case(body)
    return snake


def _in_snake_case(data: Any) -> Any:
    if isinstance(data, dict):
        return {
            re.sub("(?<=[a-z])([A-Z])", r"_\1", name).lower(): _in_snake_case(value)
            for name, value in data.items()
        }
    return [_in_snake_case(item) for item in data] if isinstance(data, list) else data


def _legacy_fault(error: Any) -> Fault:
    """Return the fault for an error of google.api_core."""
    response = getattr(error, "response", None)
    status = int(getattr(error, "code", None) or 0)
    if response is None or not status:
        return fault_without_answer(error)
    try:
        body = response.json()
    except ValueError:
        body = response.text
    return read_error(status, body, response.headers, str(error))


async def _in_thread(call: Callable[[], Any]) -> Any:
    """Await a blocking call in a thread that doesn't keep the process from ending."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[Any] = loop.create_future()

    def settle(result: Any, error: BaseException | None) -> None:
        if future.done():
            return  # nobody waits any more
        if error is None:
            future.set_result(result)
        else:
            future.set_exception(error)

    def run() -> None:
        result, failed = None, None
        try:
            result = call()
        except BaseException as error:  # not handled here: raised where the call is awaited
            failed = error
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
            loop.call_soon_threadsafe(settle, result, failed)

    threading.Thread(target=run, daemon=True).start()
    return await future


def _import(name: str, extra: str = "") -> Any:
    """Import a module; None where it is missing and no extra brings it."""
    try:
        return importlib.import_module(name)
    except ImportError as error:
        if not extra:
            return None
        raise ValueError(f'{name} is missing: pip install "vlbench[{extra}]" ({error})') from error
