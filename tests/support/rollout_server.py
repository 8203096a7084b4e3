"""A server with vLLM's routes whose replies our own model writes, adapters and all.

Its flags leave out what a vLLM server started without them leaves out.
"""

import base64
import contextlib
import io
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from agents.vlm.loading import load
from agents.vlm.policy import Policy
from agents.vlm.sampling import Sampling


class RolloutServer:
    """Serves a checkpoint and the adapters that it is given.

    Args:
        checkpoint: The base model's folder.
        processed: Whether log-probabilities are those after temperature and top-p.
        adapters: Whether adapters can be loaded.
        token_ids: Whether tokens are returned on request.
        longest: Most tokens of prompt and reply.
        rank: Highest rank of an adapter.
        version: vLLM's version that it tells.
        stale: Whether it goes on with the adapter that it loaded first.
    """

    def __init__(
        self,
        checkpoint,
        *,
        processed=True,
        adapters=True,
        lora=True,
        token_ids=True,
        longest=4096,
        rank=128,
        version="0.32.0",
        stale=False,
    ):
        self.checkpoint, self.processed, self.adapters = checkpoint, processed, adapters
        self.lora = lora
        self.token_ids, self.longest, self.rank, self.stale = token_ids, longest, rank, stale
        self.version = version
        self.models = {}
        self.names = []
        self.bodies = []
        self._lock = threading.Lock()

    def answer(self, path, body):
        """Return (status, data)."""
        with self._lock:
            if path == "/version":
                return 200, {"version": self.version}
            if path == "/v1/models":
                base = {"id": str(self.checkpoint), "parent": None}
                return 200, {"data": [base | {"max_model_len": self.longest}]}
            if path == "/v1/chat/completions":
                return self._write(body)
            if path == "/v1/load_lora_adapter" and self.adapters:
                return self._load(body["lora_name"], Path(body["lora_path"]))
            if path == "/v1/unload_lora_adapter" and self.adapters:
                del self.models[body["lora_name"]]
                return 200, None
            return 404, {"detail": "Not Found"}

    def _load(self, name, folder):
        rank = json.loads((folder / "adapter_config.json").read_text("utf-8"))["r"]
        if not self.lora:
            advice = "LoRA is not enabled. Use --enable-lora to enable LoRA."
            return 500, {"error": {"message": f"Call to add_lora method failed: {advice}"}}
        if rank > self.rank:
            message = f"LoRA rank {rank} is greater than max_lora_rank {self.rank}."
            return 400, {"error": {"message": message}}
        if name in self.names:
            return 400, {"error": {"message": f"The lora adapter '{name}' is already loaded."}}
        self.names.append(name)
        first = next(iter(self.models.values()), None)
        made = first if self.stale and first else load(str(folder), base=str(self.checkpoint))
        self.models[name] = made
        return 200, None

    def _write(self, body):
        self.bodies.append(body)
        if body["model"] not in self.models:
            return 404, {"error": {"message": f"The model `{body['model']}` does not exist."}}
        loaded = self.models[body["model"]]
        sampling = Sampling(body["temperature"], body["top_p"], body["max_tokens"])
        policy = Policy(loaded.model, loaded.processor, sampling)
        policy.forbidden.zero_()
        policy.forbidden[[int(index) for index in body["logit_bias"]]] = True
        prompt = policy.encoder.encode(observation(body["messages"]))
        generator = torch.Generator().manual_seed(body["seed"])
        (reply,) = policy.generate([prompt], generator)
        log_probs = reply.log_probs
        if not self.processed:
            policy.sampling = Sampling()
            policy.forbidden.zero_()
            with torch.no_grad():
                log_probs = policy([prompt], [reply.ids]).log_probs[0]
        content = [{"token": "", "logprob": float(value)} for value in log_probs]
        choice = {
            "index": 0,
            "message": {"role": "assistant", "content": reply.text},
            "finish_reason": "stop" if reply.finished else "length",
            "logprobs": {"content": content} if body.get("logprobs") else None,
            "token_ids": reply.ids.tolist() if self.token_ids else None,
        }
        ids = prompt.sequences["input_ids"].tolist()
        return 200, {"choices": [choice], "prompt_token_ids": ids if self.token_ids else None}


def observation(messages):
    """Return what a chat of one turn shows."""
    (message,) = messages
    picture, text = message["content"]
    data = base64.b64decode(picture["image_url"]["url"].removeprefix("data:image/png;base64,"))
    return {"image": np.asarray(Image.open(io.BytesIO(data))), "text": text["text"]}


@contextlib.contextmanager
def serving(server):
    """Run a server on loopback during the block; give its address."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):  # noqa: N802
            self.reply(None)

        def do_POST(self):  # noqa: N802
            self.reply(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))

        def reply(self, body):
            status, data = server.answer(self.path, body)
            text = b"Success" if data is None else json.dumps(data).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, *_):
            pass

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=http.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{http.server_address[1]}"
    finally:
        http.shutdown()
        http.server_close()
        thread.join()
