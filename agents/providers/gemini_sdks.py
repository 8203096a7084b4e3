"""The two SDKs that speak to Gemini, behind one call: contents and options in, plain data out."""

import asyncio
import contextlib
import importlib
import threading
import warnings
from collections.abc import Callable
from typing import Any

TIMEOUT = 300.0
"""Seconds after which the older SDK gives a call up, which nobody can cancel."""


class GenAI:
    """google-genai."""

    lacks: tuple[str, ...] = ()

    def __init__(self, model: str, key: str, url: str, headers: dict[str, str]) -> None:
        self._sdk = _import("google.genai", "api")
        transports = [_import(name) for name in ("httpx2", "httpx", "aiohttp")]
        # A body that is no JSON, or that isn't of the wanted form, is a ValueError.
        self.errors: tuple[type[Exception], ...] = (
            self._sdk.errors.APIError,
            ValueError,
            OSError,
            *(
                error
                for module in transports
                if (error := getattr(module, "HTTPError", getattr(module, "ClientError", None)))
            ),
        )
        self._model, self._key, self._url, self._headers = model, key, url, headers
        self._client: Any = None
        self._loop: asyncio.AbstractEventLoop | None = None

    async def ask(self, contents: list[dict[str, Any]], options: dict[str, Any]) -> dict[str, Any]:
        """Return an answer; raises what `errors` lists."""
        types = self._sdk.types
        options = dict(options)
        if (budget := options.pop("thinking_budget", None)) is not None:
            options["thinking_config"] = types.ThinkingConfig(thinking_budget=budget)
        answer = await self._connected().aio.models.generate_content(
            model=self._model, contents=contents, config=types.GenerateContentConfig(**options)
        )
        return dict(answer.model_dump(mode="json", exclude_none=True))

    def _connected(self) -> Any:
        """Return the client; its connections belong to one event loop."""
        loop = asyncio.get_running_loop()
        if self._client is None or self._loop is not loop:
            types = self._sdk.types
            options = types.HttpOptions(
                base_url=self._url or None,
                api_version="v1beta",  # the one that gateways have
                headers=self._headers or None,
                retry_options=types.HttpRetryOptions(attempts=1),
            )
            self._loop = loop
            self._client = self._sdk.Client(api_key=self._key, vertexai=False, http_options=options)
        return self._client

    async def close(self) -> None:
        """Close the connections."""
        client, self._client = self._client, None
        if client is not None:
            await client.aio.aclose()
            client.close()
            await asyncio.sleep(0)  # transports close in the loop's next round


class GenerativeAI:
    """google-generativeai; its endpoint is a global setting, so one agent of it at a time."""

    lacks = ("seed", "thinking_budget")

    def __init__(self, model: str, key: str, url: str, headers: dict[str, str]) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it says at length that its support has ended
            self._sdk = _import("google.generativeai", "gemini-legacy")
            core = _import("google.api_core.exceptions", "gemini-legacy")
            protobuf = _import("google.protobuf.json_format", "gemini-legacy")
        self.errors = (core.GoogleAPIError, protobuf.Error, ValueError, OSError)
        self._sdk.configure(
            api_key=key,
            transport="rest",
            client_options={"api_endpoint": url} if url else None,
            default_metadata=[(name.lower(), value) for name, value in headers.items()],
        )
        self._model = self._sdk.GenerativeModel(model)

    async def ask(self, contents: list[dict[str, Any]], options: dict[str, Any]) -> dict[str, Any]:
        """Return an answer; raises what `errors` lists."""

        def call() -> Any:
            return self._model.generate_content(
                contents,
                generation_config=options,
                request_options={"timeout": TIMEOUT, "retry": None},
            )

        answer = (await _in_thread(call)).to_dict()
        reasons = self._sdk.protos.Candidate.FinishReason.__members__
        names = {int(number): name for name, number in reasons.items()}
        for candidate in answer.get("candidates", ()):
            candidate["finish_reason"] = names.get(candidate.get("finish_reason"), "OTHER")
        return dict(answer)

    async def close(self) -> None:
        """Do nothing: connections are closed with each call."""


TRANSPORTS: dict[str, Any] = {"google-genai": GenAI, "google-generativeai": GenerativeAI}


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
