"""The options of `sft` and `ppo` that say which weights of a checkpoint are trained."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class TrainableWeights:
    """Which weights are trained; see `agents.vlm.loading.load_trainable`."""

    lora: bool = False
    """train a LoRA adapter instead of the weights themselves; a checkpoint that is an adapter is
    trained on as one in any case"""
    lora_rank: int = 128
    """rank of the adapter"""
    lora_alpha: int = 256
    """the adapter's output is scaled by alpha / rank"""
    lora_dropout: float = 0.05
    """dropout of the adapter's input"""
    train_vision: str = "all"
    """what of the picture's way is trained: none, projector or all; with none the features of a
    picture are computed once"""
    trust_remote_code: bool = False
    """run code that the checkpoint brings"""
