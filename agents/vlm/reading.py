"""Read the files of a checkpoint: the configuration, the weights, the processor, the adapter.

`rehearse` is the same without weights, for a trial (`agents.vlm.trial`). transformers and peft
raise anything for a checkpoint that is wrong; so do these functions.
"""

import logging
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gymnasium
import torch
import transformers
from peft import PeftConfig, PeftModel, set_peft_model_state_dict
from safetensors import SafetensorError
from safetensors.torch import load_file
from transformers import (
    AutoConfig,
    AutoImageProcessor,
    AutoModelForImageTextToText,
    AutoProcessor,
)
from transformers.models.auto.modeling_auto import MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES

import vlbench
from agents.vlm import checkpoint_files
from agents.vlm.adapter_processor import own_template
from agents.vlm.capabilities import probe_capabilities
from agents.vlm.encoding import Encoder
from agents.vlm.sources import Source
from agents.vlm.trial import one_line
from vlbench.prompts import Exchange
from vlbench.records import ModelInfo

_DECISIVE = re.compile(r"(^|\.)(lm_head|lora_\w+|modules_to_save|base_layer)\.")
"""Weights of a full model that decide its replies, and may not be left over."""
MAX_PROMPT = 1 << 16
"""Longest prompt of a turn, in tokens."""


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
        return checkpoint_files.identify(self.source.adapter or self.source.base, base)


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
        settings = PeftConfig.from_pretrained(str(source.adapter))
        settings.base_model_name_or_path, settings.revision = str(source.base), None
        if lora_dropout is not None:
            settings.lora_dropout = lora_dropout
        model = _add_adapter(model, settings, source.adapter, meta)
        settings.inference_mode = not trainable
        if not trainable:
            model.requires_grad_(False).eval()
    return Loaded(model, processor, source)


def _add_adapter(model: Any, settings: PeftConfig, folder: Path, meta: bool) -> PeftModel:
    """Add a trained adapter to a model, with gradients.

    Raises:
        ValueError: One of its weights has no place in the model, or it lacks one.
    """
    settings.inference_mode = False
    model = PeftModel(model, settings, low_cpu_mem_usage=meta)
    _fill_adapter(model, folder, "default", meta)
    return model


def add_frozen_adapter(model: PeftModel, folder: Path, name: str) -> None:
    """Add a second adapter to a model, which stays inactive and has no gradients.

    Raises:
        ValueError: It isn't an adapter of this model.
    """
    checkpoint_files.check_adapter(folder)
    settings = PeftConfig.from_pretrained(str(folder))
    settings.inference_mode = False
    with _quiet():
        model.add_adapter(name, settings)
        model.set_adapter(name)
        _fill_adapter(model, folder, name, meta=False)
        model.set_adapter("default")
    for own_name, weight in model.named_parameters():
        if f".{name}." in own_name:
            weight.requires_grad_(False)


def _fill_adapter(model: PeftModel, folder: Path, adapter: str, meta: bool) -> None:
    """Load the weights of a model's active adapter.

    Raises:
        ValueError: One of its weights has no place in the model, or it lacks one.
    """
    own = {name for name, weight in model.named_parameters() if weight.requires_grad}
    weights = load_file(folder / checkpoint_files.ADAPTER_WEIGHTS)
    try:
        result = set_peft_model_state_dict(
            model, weights, adapter_name=adapter, low_cpu_mem_usage=meta
        )
    except KeyError as error:  # a module that is saved whole
        raise ValueError(f"its {checkpoint_files.ADAPTER_WEIGHTS} lacks {error}") from error
    problems = [
        f"{len(names)} weights {problem}, the first: {_plain(min(names))}"
        for problem, names in (
            ("of its file have no place in the model", set(result.unexpected_keys)),
            ("that it should train aren't in its file", own.intersection(result.missing_keys)),
        )
        if names
    ]
    if problems or not own:
        raise ValueError("; ".join(problems) or "it has no weights of its own")


def _plain(name: str) -> str:
    """Return the name of an adapter's weight without peft's additions."""
    return name.removeprefix("base_model.model.").replace(".default.", ".")


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
    if unused := sorted(filter(_DECISIVE.search, info["unexpected_keys"])):
        raise ValueError(
            f"{len(unused)} weights have no place in the model, the first: {unused[0]}"
        )
    return model


def _read_processor(source: Source) -> Any:
    folder = str(source.processor or source.base)
    remote_code = source.trust_remote_code
    try:
        processor = AutoProcessor.from_pretrained(folder, trust_remote_code=remote_code)
        if hasattr(processor, "image_processor"):
            # Pixels are the same whether torchvision is installed or not, where a family allows it.
            processor.image_processor = AutoImageProcessor.from_pretrained(
                folder, trust_remote_code=remote_code, backend="pil"
            )
    except Exception as error:  # the boundary to readers of processors and tokenizers
        reason = one_line(error).replace(folder, str(source.adapter or source.base))
        raise ValueError(f"its processor can't be read: {reason}") from error
    if source.adapter and (template := own_template(source.adapter, source.base)):
        processor.chat_template = template
    if getattr(processor, "chat_template", None) is None:
        raise ValueError("it has no chat template, so prompts can't be rendered")
    return processor


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep transformers and peft from printing."""
    logger = logging.getLogger("transformers")
    level = logger.level
    logger.setLevel(logging.ERROR)
    transformers.utils.logging.disable_progress_bar()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # peft uses a deprecated name
            yield
    finally:
        logger.setLevel(level)
