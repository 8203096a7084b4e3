"""A loopback server that speaks the wire formats of four APIs and injects faults at set rates.

Chat completions, OpenAI's responses, Anthropic's messages, and Gemini's generated content.

`python tests/support/fault_server.py '{"faults": {"500": 0.1}, "delay": 1}'` prints its URL and
serves until it is killed; `FaultServer(...)` does the same from a test. GET /log lists each request
and its answer; `prepare` says which of FAULTS or of `support.wire_faults` the next answers are.
"""

import asyncio
import base64
import hashlib
import json
import random
import socket
import struct
import subprocess
import sys
import urllib.parse
import urllib.request
from importlib import import_module

wire_faults = import_module("support.wire_faults" if __package__ else "wire_faults")

FAULTS = (
    "429",
    "429-retry-after",
    "500",
    "503",
    "529",
    "hang",
    "reset",
    "half-body",
    "invalid-json",
    "empty-choice",
    "refusal",
    "content-type",
    "trickle",
)
FORMS = {
    "openai": lambda message, code: {"error": {"message": message, "param": None, "code": code}},
    "anthropic": lambda message, code: {
        "type": "error",
        "error": {"type": "invalid_request_error", "message": message},
    },
    "error": lambda message, code: {"error": message},
    "detail": lambda message, code: {"detail": message},
    "message": lambda message, code: {"message": message},
    "list": lambda message, code: [{"error": {"message": message, "code": 400}}],
    "json-string": lambda message, code: message,
    "text": lambda message, code: message.encode(),
}
"""Forms of an error's body that servers and gateways have."""

STATUS = {"429": 429, "429-retry-after": 429, "500": 500, "503": 503, "529": 529}
PICTURE_TOKENS = 85


class FaultServer:
    """The server in a process of its own, so that it takes no time from the client's.

    Args:
        faults: Rate of each of FAULTS.
        delay: Seconds that a good answer, or a refusal of a parameter, takes.
        refuse: Parameters that get a 400, and what the message says of them. A parameter within an
            object is named with a dot.
        form: How an error's body is made; one of FORMS.
        status: HTTP status and code of an error that every call gets.
        reply: The text of all replies; by default an action that follows from the picture.
        stop: Why replies end, in the provider's words.
        seed: Of the faults.
        usd: Cost of each answer, as OpenRouter reports it.
        most_pictures: More in a request are refused.
        drops_pictures: Whether only the last `most_pictures` are shown to the model instead.
        thinks: Whether the whole reply goes into the reasoning, as a wrong parser puts it.
    """

    def __init__(self, **config):
        self._config = config

    def __enter__(self):
        command = [sys.executable, __file__, json.dumps(self._config)]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        self.url = self._process.stdout.readline().strip()
        return self

    def __exit__(self, *error):
        self._process.kill()
        self._process.wait()
        self._process.stdout.close()

    @property
    def v1(self):
        return f"{self.url}/v1"

    def prepare(self, *kinds):
        """Choose the next answers; after them come good ones."""
        data = json.dumps(kinds).encode()
        with urllib.request.urlopen(f"{self.url}/queue", data):
            pass

    def log(self):
        with urllib.request.urlopen(f"{self.url}/log") as answer:
            return json.load(answer)


class Server:
    def __init__(
        self,
        *,
        faults=(),
        delay=0.0,
        refuse=(),
        status=None,
        reply="",
        stop="",
        seed=0,
        form="openai",
        usd=None,
        most_pictures=100,
        drops_pictures=False,
        thinks=False,
    ):
        self.rng = random.Random(seed)
        self.faults = dict(faults)
        self.delay = delay
        self.refuse = dict(refuse)
        self.form = form
        self.status = status
        self.text = reply
        self.stop = stop
        self.usd = usd
        self.most_pictures = most_pictures
        self.drops_pictures = drops_pictures
        self.thinks = thinks
        self.queue = []
        self.log = []

    async def serve(self):
        server = await asyncio.start_server(self.connected, "127.0.0.1", 0, limit=1 << 24)
        print(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", flush=True)
        await server.serve_forever()

    async def connected(self, reader, writer):
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
                first, *lines = head.strip().split("\r\n")
                fields = [line.split(": ", 1) for line in lines]
                headers = {name.lower(): value for name, value in fields}
                body = await reader.readexactly(int(headers.get("content-length", 0)))
                if not await self.answer(first.split()[1], headers, body, writer):
                    break
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    async def answer(self, path, headers, body, writer):
        """Answer a request; return whether the connection stays."""
        if path == "/log":
            return await self.send(writer, 200, self.log)
        if path == "/queue":
            self.queue = json.loads(body)
            return await self.send(writer, 200, {})
        asked = self.read(path, json.loads(body))
        auth = headers.get("authorization", "")
        entry = asked | {"auth": auth, "headers": headers, "fault": "", "id": ""}
        self.log.append(entry)
        if self.status:
            status, code = self.status
            told = {"message": f"key {headers.get('authorization', '')} is bad", "code": code}
            return await self.send(writer, status, {"error": told | {"status": code}})
        for name in self.refuse:
            place = asked["options"]
            for part in name.split("."):
                place = place.get(part) if isinstance(place, dict) else None
            if place is not None:
                await asyncio.sleep(self.delay)
                return await self.send(writer, 400, FORMS[self.form](self.refuse[name], None))
        if len(asked["pictures"]) > self.most_pictures:
            if not self.drops_pictures:
                return await self.send(writer, 400, FORMS[self.form](self.too_many(), None))
            asked["pictures"] = asked["pictures"][: self.most_pictures]
        kinds = [*self.faults, ""]
        kind = self.rng.choices(kinds, [*self.faults.values(), 1 - sum(self.faults.values())])[0]
        is_prepared = bool(self.queue)
        if is_prepared:
            kind = self.queue.pop(0)
        entry["fault"] = kind
        if kind in STATUS:
            extra = "Retry-After: 0.2\r\n" if kind == "429-retry-after" else ""
            return await self.send(writer, STATUS[kind], {"error": {"message": kind}}, extra)
        if kind == "hang":
            await asyncio.sleep(3600)
        if kind == "reset":
            linger = struct.pack("ii", 1, 0)
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            writer.transport.abort()
            return False
        if kind == "invalid-json":
            return await self.send(writer, 200, b'{"id": "x", "choices": [{]')
        if kind == "content-type":
            return await self.send(writer, 200, b"<html>busy</html>", kind="text/html")
        entry["id"] = f"reply-{len(self.log)}"
        await asyncio.sleep(self.delay)
        method = path.partition("?")[0].rpartition("/")[2]
        formats = {"responses": self.responses, "messages": self.messages}
        write = self.gemini if "generateContent" in path else formats.get(method, self.openai)
        answer = write(asked, kind, entry["id"])
        api = wire_faults.api_of(path)
        case = (wire_faults.CASES[api] | wire_faults.LEAKS).get(kind) if is_prepared else None
        if case is None:
            return await self.send(writer, 200, answer, fault=kind)
        lines = "".join(f"{name}: {value}\r\n" for name, value in case.headers.items())
        made = case.make(answer)
        is_page = isinstance(made, str) and made[:1] in ("", "<")
        page = echo(made if is_page else json.dumps(made), auth)
        return await self.send(writer, case.status, page.encode(), lines)

    def read(self, path, body):
        """Return what the wire formats have in common."""
        texts, pictures = [], []
        for message in body.get("messages") or body.get("contents") or body.get("input") or ():
            parts = message.get("parts") or message["content"]
            for part in parts if isinstance(parts, list) else [{"text": parts}]:
                inline = part.get("inlineData") or part.get("inline_data") or part.get("source")
                url = part.get("image_url", "")
                url = (url if isinstance(url, str) else url["url"]).partition("base64,")[2]
                data = (inline or {}).get("data", url).replace("-", "+").replace("_", "/")
                if data:
                    pictures.append(hashlib.sha256(base64.b64decode(data)).hexdigest())
                else:
                    texts.append(part["text"])
        known = ("messages", "contents", "input", "model")
        options = {k: v for k, v in body.items() if k not in known}
        options |= options.pop("generationConfig", {})
        return {
            "path": path,
            "model": body.get("model", ""),
            "texts": texts,
            "pictures": pictures,
            "options": options,
        }

    def too_many(self):
        """Return vLLM's words."""
        if self.most_pictures:
            return f"At most {self.most_pictures} image(s) may be provided in one prompt."
        return "Expected 1 prompt update for 1 image item, but found 0 in the chat template"

    def reply(self, asked):
        seen = "".join(asked["pictures"])
        digest = hashlib.sha256((seen + "".join(asked["texts"])).encode()).hexdigest()
        action = "+-"[int(digest, 16) % 2]
        return self.text or f'{{"thoughts": "{digest[:12]}", "action": "{action}"}}'

    def tokens(self, asked):
        return sum(map(len, asked["texts"])) // 4 + PICTURE_TOKENS * len(asked["pictures"])

    def openai(self, asked, kind, number):
        message = {"role": "assistant", "content": self.reply(asked), "refusal": None}
        if kind == "refusal":
            message |= {"content": None, "refusal": "I won't"}
        if self.thinks:
            message |= {"content": "", "reasoning_content": message["content"]}
        choice = {"index": 0, "finish_reason": self.stop or "stop", "message": message}
        usage = {"prompt_tokens": self.tokens(asked), "completion_tokens": 20}
        usage |= {} if self.usd is None else {"cost": self.usd}
        return {
            "id": number,
            "object": "chat.completion",
            "created": 1,
            "model": asked["model"],
            "choices": [] if kind == "empty-choice" else [choice],
            "usage": usage | {"total_tokens": 0},
        }

    def responses(self, asked, kind, number):
        part = {"type": "output_text", "text": self.reply(asked), "annotations": []}
        if kind == "refusal":
            part = {"type": "refusal", "refusal": "I won't"}
        thought = {"type": "summary_text", "text": "hm"}
        message = {"id": "msg", "type": "message", "role": "assistant", "content": [part]}
        output = [{"id": "rs", "type": "reasoning", "summary": [thought]}, message]
        incomplete = {"reason": self.stop} if self.stop else None
        return {
            "id": number,
            "object": "response",
            "created_at": 1,
            "model": asked["model"],
            "status": "incomplete" if self.stop else "completed",
            "incomplete_details": incomplete,
            "error": None,
            "output": None if kind == "empty-choice" else output,
            "usage": {"input_tokens": self.tokens(asked), "output_tokens": 20},
        }

    def messages(self, asked, kind, number):
        thought = {"type": "thinking", "thinking": "hm", "signature": "s"}
        refused = kind == "refusal"
        return {
            "id": number,
            "type": "message",
            "role": "assistant",
            "model": asked["model"],
            "content": None
            if kind == "empty-choice"
            else [thought] + [{"type": "text", "text": self.reply(asked)}] * (not refused),
            "stop_reason": "refusal" if refused else self.stop or "end_turn",
            "stop_details": {"type": "refusal", "explanation": "I won't"} if refused else None,
            "usage": {"input_tokens": self.tokens(asked), "output_tokens": 20},
        }

    def gemini(self, asked, kind, number):
        usage = {"promptTokenCount": self.tokens(asked), "candidatesTokenCount": 20}
        answer = {"responseId": number, "modelVersion": "m", "usageMetadata": usage}
        if kind == "refusal":
            return answer | {"promptFeedback": {"blockReason": "SAFETY"}}
        content = {"role": "model", "parts": [{"text": self.reply(asked)}]}
        candidate = {"index": 0, "finishReason": self.stop or "STOP", "content": content}
        if self.stop == "SAFETY":
            del candidate["content"]
        return answer | {"candidates": [] if kind == "empty-choice" else [candidate]}

    async def send(self, writer, status, data, extra="", kind="application/json", fault=""):
        body = data if isinstance(data, bytes) else json.dumps(data).encode()
        head = f"HTTP/1.1 {status} X\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n"
        writer.write(f"{head}{extra}\r\n".encode())
        if fault == "half-body":
            writer.write(body[: len(body) // 2])
            await writer.drain()
            return False
        if fault == "trickle":
            for byte in body:
                writer.write(bytes([byte]))
                await writer.drain()
                await asyncio.sleep(0.1)
            return True
        writer.write(body)
        await writer.drain()
        return True


def echo(text, auth):
    """Fill in the key of a request, in the forms in which SDKs and servers show it."""
    key = auth.removeprefix("Bearer ")
    basic = base64.b64encode(f"user:{key}".encode()).decode()
    forms = {"key": key, "repr": repr(auth.encode()), "percent": urllib.parse.quote(key, safe="")}
    for name, form in {**forms, "basic": f"Basic {basic}"}.items():
        text = text.replace(f"<{name}>", json.dumps(form)[1:-1])
    return text


if __name__ == "__main__":
    asyncio.run(Server(**json.loads(sys.argv[1])).serve())
