"""Load a vision-language checkpoint; errors are one line."""

import json
import logging
import warnings
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
import transformers
from peft import LoraConfig, PeftConfig, PeftModel, get_peft_model
from safetensors import SafetensorError
from torch import nn
from transformers import AutoConfig, AutoModelForImageTextToText, AutoProcessor
from transformers.models.auto.modeling_auto import MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES

from agents.vlm.trainable import TrainableWeights

HUB = "hf:"
"""Prefix of a checkpoint on the Hugging Face Hub."""

VISION_NAMES = ("vision", "visual", "image", "projector", "connector", "merger", "patch_embed")
"""Parts of the names of modules between a picture and the language model."""


@dataclass(frozen=True)
class Loaded:
    """A model with its processor."""

    model: Any
    """A model of AutoModelForImageTextToText, or a PeftModel around one."""
    processor: Any
    base: str
    """The adapter's base; the checkpoint itself if it isn't an adapter."""


def default_device() -> torch.device:
    """Return the best device available."""
    if torch.cuda.is_available():
        return torch.device("cuda")
    return torch.device("mps" if torch.backends.mps.is_available() else "cpu")


def default_dtype(device: torch.device) -> torch.dtype:
    """Return float32 on a CPU, where bfloat16 is several times slower; else bfloat16."""
    return torch.float32 if device.type == "cpu" else torch.bfloat16


def load(
    checkpoint: str,
    *,
    base: str = "",
    device: torch.device | None = None,
    dtype: torch.dtype | None = None,
    trainable: bool = False,
    lora_dropout: float | None = None,
    trust_remote_code: bool = False,
) -> Loaded:
    """Load a checkpoint or a LoRA adapter from a folder or the Hub; weights are safetensors only.

    Args:
        checkpoint: Folder, or `hf:<id>`.
        base: The adapter's base, instead of the one in its config.
        device: By default the best one available.
        dtype: Dtype of the weights; by default float32 on a CPU, bfloat16 elsewhere.
        trainable: Whether an adapter's weights will be trained.
        lora_dropout: Dropout of an adapter's input; by default the one in its config.
        trust_remote_code: Run Python code shipped with the checkpoint.

    Raises:
        ValueError: The checkpoint can't be loaded; one line gives the reason.
    """
    device = device or default_device()
    dtype = dtype or default_dtype(device)
    name = _locate(checkpoint)
    adapter = Path(name, "adapter_config.json")
    if not adapter.is_file():
        if base:
            raise ValueError(f"{checkpoint} isn't an adapter, so it takes no base")
        model, processor = _load_full(name, dtype, trust_remote_code)
        return Loaded(model.to(device), processor, checkpoint)
    base = base or str(json.loads(adapter.read_text("utf-8")).get("base_model_name_or_path") or "")
    if not base:
        raise ValueError(f"{checkpoint} is an adapter whose config names no base; pass base=PATH")
    model, processor = _load_full(_locate(base), dtype, trust_remote_code)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # peft uses a deprecated name
            settings = PeftConfig.from_pretrained(name)
            if lora_dropout is not None:
                settings.lora_dropout = lora_dropout
            model = PeftModel.from_pretrained(model, name, is_trainable=trainable, config=settings)
    except (RuntimeError, ValueError, TypeError, KeyError, OSError, SafetensorError) as error:
        raise ValueError(
            f"the adapter {checkpoint} doesn't fit the base {base}: {_first_line(error)}"
        ) from error
    return Loaded(model.to(device), processor, base)


def load_trainable(
    checkpoint: str, options: TrainableWeights, device: torch.device | None = None
) -> Loaded:
    """Load a checkpoint for training: an adapter as it is, a model as the options say.

    Raises:
        ValueError: The checkpoint can't be loaded, or an option is wrong or contradicts it.
    """
    _check_vision(options.train_vision)
    loaded = load(
        checkpoint,
        device=device,
        trainable=True,
        lora_dropout=options.lora_dropout,
        trust_remote_code=options.trust_remote_code,
    )
    if isinstance(loaded.model, PeftModel):
        own = loaded.model.peft_config["default"]
        if options.lora and (own.r, own.lora_alpha) != (options.lora_rank, options.lora_alpha):
            raise ValueError(
                f"{checkpoint} is an adapter of rank {own.r} and alpha {own.lora_alpha}, which "
                f"can't change: expected --lora-rank {own.r} --lora-alpha {own.lora_alpha}, "
                f"got {options.lora_rank} and {options.lora_alpha}"
            )
        return loaded
    if not options.lora:
        train_parts(loaded.model, options.train_vision)
        return loaded
    model = add_lora(
        loaded.model,
        rank=options.lora_rank,
        alpha=options.lora_alpha,
        dropout=options.lora_dropout,
        vision=options.train_vision,
    )
    return replace(loaded, model=model)


def _locate(checkpoint: str) -> str:
    """Return a folder's path or a Hub id.

    Raises:
        ValueError: There is no such folder.
    """
    if checkpoint.startswith(HUB):
        return checkpoint.removeprefix(HUB)
    if not Path(checkpoint).is_dir():
        raise ValueError(f"no checkpoint folder {checkpoint} (for the Hub, write {HUB}<id>)")
    return checkpoint


def _load_full(name: str, dtype: torch.dtype, remote_code: bool) -> tuple[Any, Any]:
    logger = logging.getLogger("transformers")
    level = logger.level
    logger.setLevel(logging.ERROR)
    transformers.utils.logging.disable_progress_bar()
    try:
        config = AutoConfig.from_pretrained(name, trust_remote_code=remote_code)
        model_type = config.model_type
        if model_type not in MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES and not remote_code:
            raise ValueError(
                f'architecture "{model_type}" takes no picture; '
                "expected an image-text-to-text model such as llava"
            )
        model, info = AutoModelForImageTextToText.from_pretrained(
            name,
            config=config,
            dtype=dtype,
            use_safetensors=True,
            trust_remote_code=remote_code,
            output_loading_info=True,
        )
        if info["missing_keys"]:
            missing = sorted(info["missing_keys"])
            raise ValueError(f"{len(missing)} weights are missing, the first: {missing[0]}")
        processor = AutoProcessor.from_pretrained(name, trust_remote_code=remote_code)
    except SafetensorError as error:
        raise ValueError(f"{name}: the weights are damaged: {_first_line(error)}") from error
    except (OSError, ValueError, RuntimeError, KeyError, ImportError) as error:
        raise ValueError(f"{name} can't be loaded: {_first_line(error)}") from error
    finally:
        logger.setLevel(level)
    if getattr(processor, "chat_template", None) is None:
        raise ValueError(f"{name} has no chat template, so prompts can't be rendered")
    return model, processor


def _first_line(error: BaseException) -> str:
    text = str(error).strip()
    return text.splitlines()[0][:300] if text else type(error).__name__


def vision_modules(model: nn.Module) -> dict[str, nn.Module]:
    """Return the outermost modules between a picture and the language model, by name."""
    modules: dict[str, nn.Module] = {}
    for name, module in model.named_modules():
        own = name.rpartition(".")[2]
        if any(word in own for word in VISION_NAMES) and not any(
            name.startswith(f"{outer}.") for outer in modules
        ):
            modules[name] = module
    return modules


def _check_vision(choice: str) -> None:
    if choice not in ("none", "projector", "all"):
        raise ValueError(f'train_vision must be "none", "projector" or "all", got "{choice}"')


def train_parts(model: Any, vision: str) -> None:
    """Choose the weights of a full model to train.

    Args:
        model: A model without adapter.
        vision: "all" trains everything, "projector" freezes the vision tower, "none" freezes tower
            and projector.

    Raises:
        ValueError: `vision` has another value.
    """
    _check_vision(vision)
    model.requires_grad_(True)
    if vision == "all":
        return
    for name, module in vision_modules(model).items():
        own = name.rpartition(".")[2]
        if vision == "none" or not any(w in own for w in ("projector", "connector", "merger")):
            module.requires_grad_(False)


def add_lora(model: Any, *, rank: int, alpha: int, dropout: float, vision: str) -> PeftModel:
    """Add a LoRA adapter to every linear layer except the output head.

    Args:
        model: A model without adapter.
        rank: Rank r.
        alpha: Scales the adapter's output by alpha / r.
        dropout: Dropout of the adapter's input.
        vision: "none" adapts only the language model; see `train_parts` for "projector" and
            "all".
    """
    train_parts(model, vision)
    head = model.get_output_embeddings()
    targets = [
        name
        for name, module in model.named_modules()
        # A subclass may return more than a product, as a router of experts does.
        if type(module) is nn.Linear and module is not head and module.weight.requires_grad
    ]
    settings = LoraConfig(
        r=rank, lora_alpha=alpha, lora_dropout=dropout, target_modules=targets, bias="none"
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # peft uses a deprecated name
        return get_peft_model(model, settings)
