"""A gateway on loopback: Gemini's and Anthropic's requests become chat completions of a server."""

import contextlib
import json
import threading
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


def data_uri(data, kind):
    return {"url": f"data:{kind};base64,{data.replace('-', '+').replace('_', '/')}"}


def from_gemini(body):
    """Return chat messages and the limit of a request for generated content."""
    messages = []
    for content in body["contents"]:
        parts = []
        for part in content["parts"]:
            if inline := part.get("inlineData") or part.get("inline_data"):
                kind = inline.get("mimeType") or inline["mime_type"]  # each SDK its own
                parts.append({"type": "image_url", "image_url": data_uri(inline["data"], kind)})
            else:
                parts.append({"type": "text", "text": part["text"]})
        role = {"model": "assistant"}.get(content.get("role"), "user")
        messages.append({"role": role, "content": parts})
    return messages, body["generationConfig"]["maxOutputTokens"]


def from_anthropic(body):
    """Return chat messages and the limit of a request for a message."""
    messages = []
    for message in body["messages"]:
        parts = []
        for part in message["content"]:
            if part["type"] == "image":
                source = part["source"]
                image = data_uri(source["data"], source["media_type"])
                parts.append({"type": "image_url", "image_url": image})
            else:
                parts.append({"type": "text", "text": part["text"]})
        messages.append({"role": message["role"], "content": parts})
    return messages, body["max_tokens"]


def to_gemini(completion):
    (choice,), usage = completion["choices"], completion["usage"]
    finish = {"stop": "STOP", "length": "MAX_TOKENS"}[choice["finish_reason"]]
    content = {"role": "model", "parts": [{"text": choice["message"]["content"]}]}
    counts = {
        "promptTokenCount": usage["prompt_tokens"],
        "candidatesTokenCount": usage["completion_tokens"],
    }
    return {
        "candidates": [{"index": 0, "content": content, "finishReason": finish}],
        "usageMetadata": counts,
        "responseId": completion["id"],
    }


def to_anthropic(completion):
    (choice,), usage = completion["choices"], completion["usage"]
    counts = {"input_tokens": usage["prompt_tokens"], "output_tokens": usage["completion_tokens"]}
    return {
        "id": completion["id"],
        "type": "message",
        "role": "assistant",
        "model": completion["model"],
        "content": [{"type": "text", "text": choice["message"]["content"]}],
        "stop_reason": {"stop": "end_turn", "length": "max_tokens"}[choice["finish_reason"]],
        "usage": counts,
    }


@contextlib.contextmanager
def translator(url, model):
    """Put a gateway before a server of OpenAI's kind, which serves a model; give its URL."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            is_gemini = "generateContent" in self.path
            read, write = (from_gemini, to_gemini) if is_gemini else (from_anthropic, to_anthropic)
            messages, limit = read(body)
            request = {"model": model, "messages": messages, "max_tokens": limit}
            headers = {"Content-Type": "application/json"}
            call = urllib.request.Request(
                f"{url}/v1/chat/completions", json.dumps(request).encode(), headers
            )
            with urllib.request.urlopen(call) as answer:
                data = json.dumps(write(json.load(answer))).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *arguments):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
