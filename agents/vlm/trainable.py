"""The options of `sft` and `ppo` that choose the weights to train."""

from dataclasses import dataclass
from pathlib import Path

from vlbench.cli import Options, option
from vlbench.cli.folders import SETTINGS

VISION_PARTS = ("none", "projector", "all")
"""Parts of what is between a picture and the language model."""


def check_model(model: str) -> None:
    """Check the name of a checkpoint to start from, as far as that is possible without loading it.

    A folder may be missing: a run that is resumed doesn't need it.

    Raises:
        ValueError: It is a file, or a run's folder instead of a checkpoint's.
    """
    path = Path(model)
    if not model.strip() or path.is_file():
        raise ValueError(f'wanted a checkpoint: a folder, or hf:<id>; got "{model}"')
    if (path / SETTINGS).is_file():
        raise ValueError(f"{model} is a run, not a checkpoint; try {path / 'latest'}")


@dataclass(frozen=True, kw_only=True)
class TrainableWeights(Options):
    """Which weights are trained.

    `agents.vlm.loading.load_trainable` applies them.
    """

    lora: bool = option(
        False,
        "train a LoRA adapter instead of the full model; a checkpoint that is an adapter is "
        "always trained as one",
    )
    lora_rank: int = option(128, "rank of the adapter", ge=1, limit=65_536)
    lora_alpha: int = option(256, "the adapter's output is scaled by alpha / rank", ge=1)
    lora_dropout: float = option(0.05, "dropout of the adapter's input", ge=0, lt=1)
    train_vision: str = option(
        "auto",
        "part of vision tower and projector to train; with none, a picture's features are "
        "computed once; auto: none with --lora, because vLLM serves adapters of the language "
        "model only, and all without",
        choices=("auto", *VISION_PARTS),
    )
    gradient_checkpointing: bool = option(
        False,
        "keep only each layer's input for the backward pass and compute the rest again: less "
        "memory, a third more time",
    )
    trust_remote_code: bool = option(False, "run Python code shipped with the checkpoint")

    @property
    def vision(self) -> str:
        """Part of vision tower and projector that is trained: "none", "projector" or "all"."""
        if self.train_vision != "auto":
            return self.train_vision
        return "none" if self.lora else "all"
