"""A vLLM server over HTTP: its replies with their tokens, and its LoRA adapters."""

import http.client
import json
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agents.providers.connection import read_key
from vlbench.bridges.engines import VLLM
from vlbench.records.redaction import redact

TIMEOUT = 600
"""Seconds to wait for an answer."""
TRIES = 3
"""How often a request is made if no answer comes or the server is overloaded."""
PAUSE = 2.0
"""Seconds before the second try; each further pause is twice as long."""
TRANSIENT = (408, 429, 500, 502, 503, 504)
"""HTTP statuses after which a request is made again."""
MISSING_FLAG = "--enable-lora"
"""vLLM answers 500 with this advice if it was started without adapters."""
KEY = "VLLM_API_KEY"
"""Environment variable with the server's key, if it wants one."""


class ServerFault(OSError):
    """A server that can't be reached, or whose answer is of no use."""


class Refusal(ValueError):
    """An answer that says what is wrong with the request."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True, slots=True)
class WrittenReply:
    """A reply with its tokens."""

    prompt_ids: list[int]
    """The tokens of the prompt, as the server read it."""
    ids: list[int]
    """The tokens of the reply, at least one, its end included if it was written."""
    log_probs: list[float]
    """Log-probability of each token of the reply."""


@dataclass(frozen=True, slots=True)
class ServedModel:
    """The base model that a server holds."""

    name: str
    longest: int
    """Most tokens of prompt and reply together; 0 if unknown."""


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A redirect is an error: the key is for the named server alone."""

    def redirect_request(self, *args: Any, **kwargs: Any) -> None:
        """Follow nothing."""


class VllmServer:
    """One server.

    Args:
        url: Its address, with or without "/v1".

    Raises:
        ValueError: The key can't be sent.
    """

    def __init__(self, url: str) -> None:
        self.url = url.rstrip("/").removesuffix("/v1")
        self._key = read_key(KEY)
        # A proxy has no business between a trainer and its servers.
        no_proxy = urllib.request.ProxyHandler({})
        self._opener = urllib.request.build_opener(no_proxy, _NoRedirect())

    def version(self) -> str:
        """Return vLLM's version.

        Raises:
            ValueError: No server answers, or it is another program or of an unknown version.
        """
        try:
            version = str(self._ask("/version", tries=1)["version"])
        except (Refusal, KeyError, TypeError) as error:
            raise ValueError(f"the server at {self.url} is not vLLM's") from error
        except ServerFault as error:
            raise ValueError(f"{error}; start vLLM there: see docs/training.md") from error
        if refusal := VLLM.refusal(version):
            raise ValueError(f"the server at {self.url}: {refusal}")
        return version

    def model(self) -> ServedModel:
        """Return the base model.

        Raises:
            ValueError: The server names none.
        """
        answer = self._ask("/v1/models")
        try:
            bases = [item for item in answer["data"] if not item.get("parent")]
            return ServedModel(str(bases[0]["id"]), int(bases[0].get("max_model_len") or 0))
        except (KeyError, IndexError, TypeError, ValueError) as error:
            raise ValueError(f"the server at {self.url} names no model") from error

    def load_adapter(self, name: str, folder: Path, rank: int) -> None:
        """Load a LoRA adapter, which is then a model of that name.

        Args:
            name: A new name, so that nothing cached under an older one is used.
            folder: Where it is, for this process and for the server.
            rank: Its rank.

        Raises:
            ValueError: The server refuses; the line names the missing flag.
        """
        try:
            body = {"lora_name": name, "lora_path": str(folder.resolve())}
            self._ask("/v1/load_lora_adapter", body)
        except Refusal as refusal:
            if refusal.status in (404, 405) and "lora" not in str(refusal).lower():
                reason = (
                    "takes no adapters; start it with VLLM_ALLOW_RUNTIME_LORA_UPDATING=True in its "
                    "environment, and with --enable-lora"
                )
            elif "rank" in str(refusal):
                reason = f"refuses the adapter ({refusal}); start it with --max-lora-rank {rank}"
            else:
                reason = f"refuses the adapter: {refusal}; is it started with --enable-lora, and "
                reason += f"can it read {folder}?"
            raise ValueError(f"the server at {self.url} {reason}") from refusal

    def unload_adapter(self, name: str) -> None:
        """Forget an adapter."""
        self._ask("/v1/unload_lora_adapter", {"lora_name": name})

    def write(self, body: Mapping[str, Any]) -> WrittenReply:
        """Return the reply to a chat.

        Args:
            body: A request for a chat completion, with `logprobs` and `return_token_ids`.

        Raises:
            ServerFault: No answer came, or it lacks tokens or log-probabilities.
            Refusal: The server refused the request.
        """
        answer = self._ask("/v1/chat/completions", body)
        try:
            choice = answer["choices"][0]
            ids, prompt = choice.get("token_ids"), answer.get("prompt_token_ids")
            content = (choice.get("logprobs") or {}).get("content")
            if not isinstance(ids, list) or not isinstance(prompt, list):
                raise ServerFault(
                    f"the server at {self.url} returns no token ids; it needs vLLM 0.10.2 or newer"
                )
            if not isinstance(content, list) or len(content) != len(ids) or not ids:
                raise ServerFault(
                    f"the server at {self.url} returned {len(ids)} tokens with "
                    f"{len(content or ())} log-probabilities"
                )
            log_probs = [float(token["logprob"]) for token in content]
            return WrittenReply([int(i) for i in prompt], [int(i) for i in ids], log_probs)
        except (KeyError, IndexError, TypeError, ValueError, AttributeError) as error:
            raise ServerFault(f"the server at {self.url} answered in another form") from error

    def _ask(self, path: str, body: Mapping[str, Any] | None = None, tries: int = TRIES) -> Any:
        """Return the JSON that the server answers; None for other text."""
        headers = {"Content-Type": "application/json"}
        if self._key:
            headers["Authorization"] = f"Bearer {self._key}"
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data, headers)
        for number in range(tries):
            if number:
                time.sleep(PAUSE * 2 ** (number - 1))
            try:
                with self._opener.open(request, timeout=TIMEOUT) as answer:
                    return _json(answer.read())
            except urllib.error.HTTPError as error:
                message = _message(error)
                if error.code not in TRANSIENT or MISSING_FLAG in message:
                    raise Refusal(error.code, message) from error
                reason = f"answers {error.code}: {message}"
            except (OSError, http.client.HTTPException) as error:
                reason = f"doesn't answer: {getattr(error, 'reason', error)}"
        raise ServerFault(f"the server at {self.url} {reason}")


def _json(data: bytes) -> Any:
    try:
        return json.loads(data)
    except ValueError:
        return None


def _message(error: urllib.error.HTTPError) -> str:
    """Return the reason in an error's body, in one line."""
    text = error.read(10_000).decode("utf-8", "replace")
    data = _json(text.encode())
    if isinstance(data, dict):
        inner = data.get("error")
        reason = inner.get("message") if isinstance(inner, dict) else data.get("message")
        text = str(reason or data.get("detail") or text)
    return redact(" ".join(text.split()))[:300]
