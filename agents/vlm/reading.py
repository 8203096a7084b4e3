"""Read the files of a checkpoint: the configuration, the weights, the processor, the adapter.

`rehearse` is the same without weights, for a trial (`agents.vlm.trial`). transformers and peft
raise anything for a checkpoint that is wrong; so do these functions.
"""

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import gymnasium
import torch
import transformers
from peft import PeftConfig, PeftModel
from safetensors import SafetensorError
from transformers import AutoConfig, AutoModelForImageTextToText, AutoProcessor
from transformers.models.auto.modeling_auto import MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES

import vlbench
from agents.vlm import checkpoint_files
from agents.vlm.capabilities import probe_capabilities
from agents.vlm.encoding import Encoder
from agents.vlm.trial import one_line
from vlbench.prompts import Exchange
from vlbench.records import ModelInfo

MAX_PROMPT = 1 << 16
"""Longest prompt of a turn, in tokens."""


@dataclass(frozen=True)
class Source:
    """The folders of a checkpoint, with links resolved."""

    base: Path
    """The full model."""
    base_name: str
    """The full model as the user, or the adapter's config, names it."""
    adapter: Path | None = None
    """The adapter on it, if any."""
    name: str = ""
    """Id and revision, if the checkpoint is on the Hub."""
    trust_remote_code: bool = False
    """Whether Python code in the folders is run."""

    @property
    def weights_size(self) -> int:
        """Size of all weights, in bytes."""
        folders = [self.base, *([self.adapter] if self.adapter else [])]
        files = (path for folder in folders for path in folder.glob("*.safetensors"))
        return sum(path.stat().st_size for path in files)


@dataclass(frozen=True)
class Loaded:
    """A model with its processor."""

    model: Any
    """A model of AutoModelForImageTextToText, or a PeftModel around one."""
    processor: Any
    source: Source

    @property
    def base(self) -> str:
        """The adapter's base; the checkpoint itself if it isn't an adapter."""
        return self.source.base_name

    def identify(self) -> ModelInfo:
        """Return the resolved checkpoint, its step, and the hash of its files, which are read."""
        base = self.source.base if self.source.adapter else None
        info = checkpoint_files.identify(self.source.adapter or self.source.base, base)
        return replace(info, checkpoint=self.source.name or info.checkpoint)


def rehearse(source: Source, dtype: torch.dtype) -> None:
    """Do all that loading does except to read weights: they are on the meta device.

    Raises:
        ValueError, or any other error: The checkpoint can't be loaded.
    """
    loaded = read(source, dtype, meta=True)
    model, encoder = loaded.model, Encoder(loaded.processor)
    for env_id in vlbench.CARD_IDS:
        observation = _observation(env_id)
        past = Exchange(observation, vlbench.reply(""))
        for history in ((), (past,), (past, past)):
            encoder.render({**observation, "history": history})
    ids = encoder.encode(observation).sequences["input_ids"]
    if len(ids) > MAX_PROMPT:
        raise ValueError(f"a prompt has {len(ids)} tokens, more than {MAX_PROMPT}")
    size = model.get_input_embeddings().weight.shape[0]
    ends = model.generation_config.eos_token_id
    ends = [encoder.tokenizer.eos_token_id] if ends is None else ends
    ends = ends if isinstance(ends, list) else [ends]
    for token in (int(ids.max()), encoder.tokenizer.pad_token_id, *ends):
        if not isinstance(token, int) or not 0 <= token < size:
            raise ValueError(f"a token of its tokenizer must be from 0 to {size - 1}, got {token}")


def _observation(env_id: str) -> dict[str, Any]:
    """Return what a task shows first."""
    env: gymnasium.Env[dict[str, Any], str] = gymnasium.make(env_id)
    return env.reset(seed=0)[0]


@torch.no_grad()
def check_forward(loaded: Loaded) -> None:
    """Let a prompt go through a model, to see that it and its processor agree."""
    model, encoder = loaded.model, Encoder(loaded.processor)
    batch = encoder.collate([encoder.encode(_observation(vlbench.CARD_IDS[0]))])
    inputs: dict[str, Any] = {
        name: tensor.to(model.device, model.dtype if tensor.is_floating_point() else None)
        for name, tensor in batch.items()
    }
    if probe_capabilities(model, encoder).logits_to_keep:
        inputs["logits_to_keep"] = 1
    training = model.training
    with warnings.catch_warnings(action="ignore"):
        model.eval()(**inputs)
    model.train(training)


def read(
    source: Source,
    dtype: torch.dtype,
    *,
    meta: bool = False,
    trainable: bool = False,
    lora_dropout: float | None = None,
) -> Loaded:
    """Return the model, on the CPU or the meta device, and its processor."""
    with _quiet():
        model, processor = _read_model(source, dtype, meta), _read_processor(source)
        if source.adapter is None:
            return Loaded(model, processor, source)
        folder = str(source.adapter)
        settings = PeftConfig.from_pretrained(folder)
        if lora_dropout is not None:
            settings.lora_dropout = lora_dropout
        model = PeftModel.from_pretrained(
            model,
            folder,
            is_trainable=trainable,
            config=settings,
            low_cpu_mem_usage=meta,
            torch_device="cpu",
        )
    return Loaded(model, processor, source)


def _read_model(source: Source, dtype: torch.dtype, meta: bool) -> Any:
    folder, remote_code = str(source.base), source.trust_remote_code
    config = AutoConfig.from_pretrained(folder, trust_remote_code=remote_code)
    model_type = config.model_type
    if model_type not in MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES and not remote_code:
        raise ValueError(
            f'architecture "{model_type}" takes no picture; '
            "expected an image-text-to-text model such as llava"
        )
    try:
        model, info = AutoModelForImageTextToText.from_pretrained(
            folder,
            config=config,
            dtype=dtype,
            use_safetensors=True,
            trust_remote_code=remote_code,
            output_loading_info=True,
            ignore_mismatched_sizes=True,  # they are refused below, with their names
            **({"device_map": "meta"} if meta else {}),
        )
    except SafetensorError as error:
        raise ValueError(f"the weights are damaged: {one_line(error)}") from error
    if other := sorted(info["mismatched_keys"]):
        raise ValueError(f"{len(other)} weights have other shapes, the first: {other[0][0]}")
    if missing := sorted(info["missing_keys"]):
        raise ValueError(f"{len(missing)} weights are missing, the first: {missing[0]}")
    return model


def _read_processor(source: Source) -> Any:
    try:
        processor = AutoProcessor.from_pretrained(
            str(source.base), trust_remote_code=source.trust_remote_code
        )
    except Exception as error:  # the boundary to readers of processors and tokenizers
        raise ValueError(f"its processor can't be read: {one_line(error)}") from error
    if getattr(processor, "chat_template", None) is None:
        raise ValueError("it has no chat template, so prompts can't be rendered")
    return processor


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep transformers and peft from printing; weights that an adapter lacks are an error."""
    logger = logging.getLogger("transformers")
    level = logger.level
    logger.setLevel(logging.ERROR)
    transformers.utils.logging.disable_progress_bar()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # peft uses a deprecated name
            warnings.filterwarnings("error", message="Found missing adapter keys")
            yield
    finally:
        logger.setLevel(level)
