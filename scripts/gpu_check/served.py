"""A vLLM server beside the trainer, on the same GPU, with the same random weights."""

import contextlib
import json
import os
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from safetensors.torch import load_file, save_file

FLAGS = (
    *("--enable-lora", "--max-loras", "2", "--max-lora-rank", "128"),
    *("--logprobs-mode", "processed_logprobs", "--limit-mm-per-prompt", '{"image": 1}'),
    *("--max-model-len", "2048", "--gpu-memory-utilization", "0.35"),
)
"""The flags that served rollouts need; the trainer has the rest of the memory."""
TOWER = "vision_tower."
"""Before the names of LLaVA's tower."""


def save_base(model: Any, processor: Any, folder: Path) -> None:
    """Save a model under the names that the Hub has and vLLM reads, not those of transformers 5."""
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    for path in folder.glob("*.safetensors"):
        weights = {_hub_name(name): weight for name, weight in load_file(path).items()}
        save_file(weights, path, {"format": "pt"})
    index = folder / "model.safetensors.index.json"
    if index.is_file():
        data = json.loads(index.read_text("utf-8"))
        places = {_hub_name(name): place for name, place in data["weight_map"].items()}
        index.write_text(json.dumps({**data, "weight_map": places}), "utf-8")


def _hub_name(name: str) -> str:
    return name.replace(TOWER, f"{TOWER}vision_model.", 1)


@contextlib.contextmanager
def vllm_serve(program: str, base: Path) -> Iterator[str]:
    """Serve a model; yield the address, once it answers.

    Args:
        program: The command `vllm`.
        base: The model's folder, which also gets the server's log.

    Raises:
        OSError: The server ended.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    url, log = f"http://127.0.0.1:{port}", base / "vllm.log"
    command = [program, "serve", str(base), "--host", "127.0.0.1", "--port", str(port), *FLAGS]
    environment = {**os.environ, "VLLM_ALLOW_RUNTIME_LORA_UPDATING": "True"}
    with log.open("w") as file:
        server = subprocess.Popen(command, stdout=file, stderr=subprocess.STDOUT, env=environment)
    try:
        while not _answers(url):
            if server.poll() is not None:
                last = log.read_text("utf-8", "replace").strip().splitlines()[-1:]
                raise OSError(f"vLLM ended with exit code {server.returncode}: {''.join(last)}")
            time.sleep(1)
        yield url
    finally:
        server.terminate()
        server.wait()


def _answers(url: str) -> bool:
    with contextlib.suppress(OSError), urllib.request.urlopen(f"{url}/health", timeout=2):
        return True
    return False
