"""Load a vision-language checkpoint, or say in one line why it can't be loaded."""

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
"""Words in the names of the modules between a picture and the language model."""


@dataclass(frozen=True)
class Loaded:
    """A model with its processor."""

    model: Any
    """A model of AutoModelForImageTextToText, or a PeftModel around one."""
    processor: Any
    base: str
    """The checkpoint under the adapter; the checkpoint itself where there is no adapter."""


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
    """Load a checkpoint or a LoRA adapter, from a folder or the Hub; weights are safetensors only.

    Args:
        checkpoint: Folder, or `hf:<id>`.
        base: The adapter's base, instead of the one that it names.
        device: Where to; by default the best one available.
        dtype: Of the weights; by default float32 on a CPU, bfloat16 elsewhere.
        trainable: Whether an adapter's weights will be trained.
        lora_dropout: Of an adapter's input; by default what it was trained with before.
        trust_remote_code: Run code that the checkpoint brings.

    Raises:
        ValueError: It can't be loaded; says why in one line.
    """
    device = device or default_device()
    dtype = dtype or default_dtype(device)
    name = _locate(checkpoint)
    adapter = Path(name, "adapter_config.json")
    if not adapter.is_file():
        if base:
            raise ValueError(f"{checkpoint} is no adapter, so it takes no base")
        model, processor = _load_full(name, dtype, trust_remote_code)
        return Loaded(model.to(device), processor, checkpoint)
    base = base or str(json.loads(adapter.read_text("utf-8")).get("base_model_name_or_path") or "")
    if not base:
        raise ValueError(f"{checkpoint} is an adapter that names no base; give one (base=PATH)")
    model, processor = _load_full(_locate(base), dtype, trust_remote_code)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # peft asks by an old name
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
    """Load a checkpoint to train: its own adapter if it is one, otherwise what the options say.

    Raises:
        ValueError: It can't be loaded, or an option is wrong or isn't that of its adapter.
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
                f"{checkpoint} is an adapter of rank {own.r} and alpha {own.lora_alpha}, which is "
                f"trained on as it is: wanted --lora-rank {own.r} --lora-alpha {own.lora_alpha}, "
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
    quiet = logging.getLogger("transformers")
    level = quiet.level
    quiet.setLevel(logging.ERROR)
    transformers.utils.logging.disable_progress_bar()
    try:
        config = AutoConfig.from_pretrained(name, trust_remote_code=remote_code)
        kind = config.model_type
        if kind not in MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES and not remote_code:
            raise ValueError(
                f'its architecture "{kind}" takes no picture with a text; '
                "wanted an image-text-to-text model such as llava"
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
        raise ValueError(f"{name}: its weights are damaged: {_first_line(error)}") from error
    except (OSError, ValueError, RuntimeError, KeyError, ImportError) as error:
        raise ValueError(f"{name} can't be loaded: {_first_line(error)}") from error
    finally:
        quiet.setLevel(level)
    if getattr(processor, "chat_template", None) is None:
        raise ValueError(f"{name} has no chat template, so its prompts can't be written")
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
        raise ValueError(f'train_vision is "none", "projector" or "all", got "{choice}"')


def train_parts(model: Any, vision: str) -> None:
    """Set which weights of a full model are trained.

    Args:
        model: A model without adapter.
        vision: "all" trains everything, "projector" freezes the tower alone, "none" everything that
            belongs to the picture.

    Raises:
        ValueError: No such choice.
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
    """Put a LoRA adapter on every linear layer but the output head.

    Args:
        model: A model without adapter.
        rank: Rank r.
        alpha: The adapter's output is scaled by alpha / r.
        dropout: Of the adapter's input.
        vision: "none" adapts the language model alone, "projector" and "all" more; see
            `train_parts`.
    """
    train_parts(model, vision)
    head = model.get_output_embeddings()
    targets = [
        name
        for name, module in model.named_modules()
        if isinstance(module, nn.Linear) and module is not head and module.weight.requires_grad
    ]
    settings = LoraConfig(
        r=rank, lora_alpha=alpha, lora_dropout=dropout, target_modules=targets, bias="none"
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # peft asks by an old name
        return get_peft_model(model, settings)
