"""Load a vision-language checkpoint; errors are one line.

A checkpoint may come from anybody. Its files are checked (`agents.vlm.checkpoint_files`), reading
it is tried out in bounded time and memory (`agents.vlm.trial`), and a prompt goes through it once.
"""

import os
import sys
import warnings
from collections.abc import Iterable
from dataclasses import replace
from functools import cache
from typing import Any

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from torch import nn

from agents.vlm.adapter_processor import gathered_processor, own_parts
from agents.vlm.capabilities import base_model
from agents.vlm.checkpoint_files import is_adapter
from agents.vlm.reading import Loaded, check_forward, read, rehearse
from agents.vlm.sources import find, find_folder
from agents.vlm.trainable import TrainableWeights
from agents.vlm.trial import LIMITS, one_line, reason_to_refuse

VISION_NAMES = ("vision", "visual", "image", "projector", "connector", "merger", "patch_embed")
"""Parts of the names of modules between a picture and the language model."""

SMALL = 20_000_000
"""Weights of a model below which a second thread costs more than it brings."""
THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS")
"""Variables with which a user or a launcher chooses the number of threads."""


def default_device() -> torch.device:
    """Return the best device available."""
    if torch.cuda.is_available():
        return torch.device("cuda")
    return torch.device("mps" if torch.backends.mps.is_available() else "cpu")


def default_dtype(device: torch.device) -> torch.dtype:
    """Return float32 on a CPU, where bfloat16 is several times slower; else bfloat16."""
    return torch.float32 if device.type == "cpu" else torch.bfloat16


def limit_threads(model: nn.Module) -> None:
    """Let torch compute a small model on a CPU in one thread, unless a variable says otherwise.

    Its products are so short that threads mostly wait for each other, and for a processor where
    others use the machine too. The number depends on the model alone, because sums depend on it.
    """
    weights = list(model.parameters())
    on_cpu = all(weight.device.type == "cpu" for weight in weights)
    small = sum(weight.numel() for weight in weights) < SMALL
    if on_cpu and small and not any(os.environ.get(name) for name in THREAD_VARIABLES):
        torch.set_num_threads(1)


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

    torch then computes a small model on a CPU in one thread (`limit_threads`).

    Args:
        checkpoint: Folder, `hf:<id>` or `hf:<id>@<revision>`.
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
    source = find(checkpoint, base, trust_remote_code)
    problem = f"{checkpoint} can't be loaded"
    if source.adapter:
        problem = f"the adapter {checkpoint} doesn't fit the base {source.base_name}"
    limits = replace(LIMITS, memory=LIMITS.memory + 2 * source.weights_size)
    with gathered_processor(source) as source:
        if reason := reason_to_refuse(lambda: rehearse(source, dtype), limits):
            raise ValueError(f"{problem}: {reason}")
        try:
            loaded = read(source, dtype, trainable=trainable, lora_dropout=lora_dropout)
            loaded = replace(loaded, model=loaded.model.to(device))
            limit_threads(loaded.model)
            check_forward(loaded)
        # The boundary to transformers and peft, which raise anything for a wrong checkpoint.
        except Exception as error:
            raise ValueError(f"{problem}: {one_line(error)}") from error
    if own := own_parts(source):
        _announce(f"the adapter {checkpoint} brings its own {' and '.join(own)}, used here")
    return loaded


@cache
def _announce(line: str) -> None:
    """Print a line on stderr, once in a process."""
    print(line, file=sys.stderr)


def trainable_dtype(device: torch.device, adapter: bool) -> torch.dtype:
    """Return the dtype of the weights of a model to train.

    A step of Adam is smaller than bfloat16 resolves: at a learning rate of 1e-5 most weights would
    never change. So weights that are trained are float32, as an adapter's are in any case.
    """
    return default_dtype(device) if adapter else torch.float32


def autocast_dtype(device: torch.device, weights: torch.dtype) -> torch.dtype | None:
    """Return the precision of products with weights in training; None for the weights' own."""
    usual = default_dtype(device)
    return None if usual == weights else usual


def allow_tensor_cores(device: torch.device) -> None:
    """Let CUDA round float32 products, those of adapters, to TF32; they take 1/6 of the time."""
    if device.type == "cuda":
        torch.backends.cuda.matmul.allow_tf32 = True


def load_trainable(
    checkpoint: str, options: TrainableWeights, device: torch.device | None = None
) -> Loaded:
    """Load a checkpoint for training: an adapter as it is, a model as the options say.

    Raises:
        ValueError: The checkpoint can't be loaded, or an option is wrong or contradicts it.
    """
    _check_vision(options.vision)
    device = device or default_device()
    allow_tensor_cores(device)
    adapter = options.lora or is_adapter(find_folder(checkpoint))
    loaded = load(
        checkpoint,
        device=device,
        dtype=trainable_dtype(device, adapter),
        trainable=True,
        lora_dropout=options.lora_dropout,
        trust_remote_code=options.trust_remote_code,
    )
    if options.gradient_checkpointing:
        checkpoint_layers(loaded.model)
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
        train_parts(loaded.model, options.vision)
        return loaded
    model = add_lora(
        loaded.model,
        rank=options.lora_rank,
        alpha=options.lora_alpha,
        dropout=options.lora_dropout,
        vision=options.vision,
    )
    return replace(loaded, model=model)


def checkpoint_layers(model: Any) -> None:
    """Compute the layers again in backward passes.

    Raises:
        ValueError: The model can't.
    """
    inner = base_model(model)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # transformers 5 renames it
            inner.gradient_checkpointing_enable({"use_reentrant": False})
    except ValueError as error:
        raise ValueError(f"--gradient-checkpointing: {one_line(error)}") from error


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


def adapter_summary(model: Any) -> str:
    """Return a line on which layers of a model have an adapter, and which weights have none.

    The line is "" for a model without adapter. Vectors, embeddings, the output head and parts
    between a picture and the language model aren't named. In a mixture of experts, the experts are
    stacked in tensors that aren't linear layers, so they and their router have no adapter.
    """
    if not isinstance(model, PeftModel):
        return ""
    base = model.get_base_model()
    named = dict(base.named_parameters())
    adapted = {name.partition(".lora_")[0] for name in named if ".lora_" in name}
    left_out = (base.get_input_embeddings(), base.get_output_embeddings())
    others = {id(weight) for module in left_out for weight in module.parameters()} | {
        id(weight) for module in vision_modules(base).values() for weight in module.parameters()
    }
    without = {
        name.removesuffix(".weight"): weight.numel()
        for name, weight in named.items()
        if weight.dim() > 1 and id(weight) not in others and ".lora_" not in name
        if ".base_layer." not in name
    }
    line = f"LoRA on {len(adapted)} linear layers: {_kinds(adapted, 1)}"
    if without:
        line += f"; none on {sum(without.values()):,} weights: {_kinds(without, 2)}"
    return line


def _kinds(names: Iterable[str], parts: int) -> str:
    """Return the distinct ends of dotted names, without the numbers of layers."""
    ends = (".".join(part for part in name.split(".") if not part.isdigit()) for name in names)
    return ", ".join(sorted({".".join(end.split(".")[-parts:]) for end in ends}))
