"""The options of `sft` and `ppo` that say which weights of a checkpoint are trained."""

from dataclasses import dataclass

from vlbench.cli import Options, option


@dataclass(frozen=True, kw_only=True)
class TrainableWeights(Options):
    """Which weights are trained.

    `agents.vlm.loading.load_trainable` applies them.
    """

    lora: bool = option(
        False,
        "train a LoRA adapter instead of the weights themselves; a checkpoint that is an "
        "adapter is trained on as one in any case",
    )
    lora_rank: int = option(128, "rank of the adapter", ge=1)
    lora_alpha: int = option(256, "the adapter's output is scaled by alpha / rank", ge=1)
    lora_dropout: float = option(0.05, "dropout of the adapter's input", ge=0, lt=1)
    train_vision: str = option(
        "all",
        "what of the picture's way is trained; with none the features "
        "of a picture are computed once",
        choices=("none", "projector", "all"),
    )
    trust_remote_code: bool = option(False, "run code that the checkpoint brings")
