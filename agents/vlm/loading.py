"""Load a vision-language checkpoint; errors are one line.

A checkpoint may come from anybody. Its files are checked (`agents.vlm.checkpoint_files`), reading
it is tried out in bounded time and memory (`agents.vlm.trial`), and a prompt goes through it once.
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
from huggingface_hub import snapshot_download
from peft import LoraConfig, PeftConfig, PeftModel, get_peft_model
from safetensors import SafetensorError
from torch import nn
from transformers import AutoConfig, AutoModelForImageTextToText, AutoProcessor
from transformers.models.auto.modeling_auto import MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES

import vlbench
from agents.vlm import checkpoint_files
from agents.vlm.capabilities import probe_capabilities
from agents.vlm.encoding import Encoder
from agents.vlm.trainable import TrainableWeights
from agents.vlm.trial import LIMITS, one_line, reason_to_refuse
from vlbench.prompts import Exchange
from vlbench.records import ModelInfo

HUB = "hf:"
"""Prefix of a checkpoint on the Hugging Face Hub."""

VISION_NAMES = ("vision", "visual", "image", "projector", "connector", "merger", "patch_embed")
"""Parts of the names of modules between a picture and the language model."""

MAX_PROMPT = 1 << 16
"""Longest prompt of a turn, in tokens."""


@dataclass(frozen=True)
class Loaded:
    """A model with its processor."""

    model: Any
    """A model of AutoModelForImageTextToText, or a PeftModel around one."""
    processor: Any
    base: str
    """The adapter's base; the checkpoint itself if it isn't an adapter."""
    source: "Source"

    def identify(self) -> ModelInfo:
        """Return the resolved checkpoint, its step, and the hash of its files, which are read."""
        base = self.source.base if self.source.adapter else None
        info = checkpoint_files.identify(self.source.adapter or self.source.base, base)
        return replace(info, checkpoint=self.source.name or info.checkpoint)


@dataclass(frozen=True)
class Source:
    """The folders of a checkpoint, with links resolved."""

    base: Path
    """The full model."""
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
    source, base = _find(checkpoint, base, trust_remote_code)
    limits = replace(LIMITS, memory=LIMITS.memory + 2 * source.weights_size)
    if reason := reason_to_refuse(lambda: _rehearse(source, dtype), limits):
        raise ValueError(_refusal(checkpoint, base, source, reason))
    try:
        model, processor = _read(source, dtype, trainable=trainable, lora_dropout=lora_dropout)
        model = model.to(device)
        _check_forward(model, Encoder(processor))
    # The boundary to transformers and peft, which raise anything for a checkpoint that is wrong.
    except Exception as error:
        raise ValueError(_refusal(checkpoint, base, source, one_line(error))) from error
    return Loaded(model, processor, base, source)


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


def _find(checkpoint: str, base: str, trust_remote_code: bool) -> tuple[Source, str]:
    """Return the folders of a checkpoint, whose files have been checked, and its base.

    Raises:
        ValueError: There is no such folder, or it can't be loaded.
    """
    folder = _folder_of(checkpoint)
    name = f"{checkpoint}@{folder.name}" if checkpoint.startswith(HUB) else ""
    if not checkpoint_files.is_adapter(folder):
        if base:
            raise ValueError(f"{checkpoint} isn't an adapter, so it takes no base")
        checkpoint_files.check_model(folder)
        return Source(folder, None, name, trust_remote_code), checkpoint
    base = base or checkpoint_files.check_adapter(folder).get("base_model_name_or_path") or ""
    if not base:
        raise ValueError(f"{checkpoint} is an adapter whose config names no base; pass base=PATH")
    base_folder = _folder_of(base)
    if checkpoint_files.is_adapter(base_folder):
        raise ValueError(f"the base {base} of the adapter {checkpoint} is an adapter itself")
    checkpoint_files.check_model(base_folder)
    return Source(base_folder, folder, name, trust_remote_code), base


def _folder_of(checkpoint: str) -> Path:
    """Return a checkpoint's folder, with links resolved; one on the Hub is downloaded.

    Raises:
        ValueError: There is none.
    """
    if not checkpoint.startswith(HUB):
        return checkpoint_files.resolve(checkpoint)
    try:
        folder = snapshot_download(
            checkpoint.removeprefix(HUB),
            allow_patterns=[f"*{s}" for s in (*checkpoint_files.SUFFIXES, checkpoint_files.CODE)],
            ignore_patterns=["*/*.safetensors", "consolidated*.safetensors"],
        )
        return Path(folder)
    # The boundary to the Hub: no network, no such id, a wrong id, no access.
    except Exception as error:
        raise ValueError(f"{checkpoint} can't be downloaded: {one_line(error)}") from error


def _refusal(checkpoint: str, base: str, source: Source, reason: str) -> str:
    if source.adapter:
        return f"the adapter {checkpoint} doesn't fit the base {base}: {reason}"
    return f"{checkpoint} can't be loaded: {reason}"


def _rehearse(source: Source, dtype: torch.dtype) -> None:
    """Do all that loading does except to read weights: they are on the meta device."""
    model, processor = _read(source, dtype, meta=True)
    encoder = Encoder(processor)
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
def _check_forward(model: Any, encoder: Encoder) -> None:
    """Let a prompt go through a model, to see that it and its processor agree."""
    batch = encoder.collate([encoder.encode(_observation(vlbench.CARD_IDS[0]))])
    inputs: dict[str, Any] = {
        name: tensor.to(model.device, model.dtype if tensor.is_floating_point() else None)
        for name, tensor in batch.items()
    }
    if probe_capabilities(model, encoder).logits_to_keep:
        inputs["logits_to_keep"] = 1
    training = model.training
    model.eval()(**inputs)
    model.train(training)


def _read(
    source: Source,
    dtype: torch.dtype,
    *,
    meta: bool = False,
    trainable: bool = False,
    lora_dropout: float | None = None,
) -> tuple[Any, Any]:
    """Return the model, on the CPU or the meta device, and its processor."""
    with _quiet():
        model, processor = _read_base(source, dtype, meta)
        if source.adapter is None:
            return model, processor
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
    return model, processor


def _read_base(source: Source, dtype: torch.dtype, meta: bool) -> tuple[Any, Any]:
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
    try:
        processor = AutoProcessor.from_pretrained(folder, trust_remote_code=remote_code)
    except Exception as error:  # the boundary to readers of processors and tokenizers
        raise ValueError(f"its processor can't be read: {one_line(error)}") from error
    if getattr(processor, "chat_template", None) is None:
        raise ValueError("it has no chat template, so prompts can't be rendered")
    return model, processor


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
        if isinstance(module, nn.Linear) and module is not head and module.weight.requires_grad
    ]
    settings = LoraConfig(
        r=rank, lora_alpha=alpha, lora_dropout=dropout, target_modules=targets, bias="none"
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # peft uses a deprecated name
        return get_peft_model(model, settings)
