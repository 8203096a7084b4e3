"""The options of `agents.train.ppo`, and named sets of them: `--preset NAME`."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from agents.vlm.trainable import TrainableWeights


@dataclass(frozen=True, kw_only=True)
class Config(TrainableWeights):
    """Options of `ppo`."""

    model: str
    """checkpoint to start from: a folder, or hf:<id>"""
    out: Path = Path("runs/ppo")
    """the run's folder; one that is there goes on"""
    env: str = "NumberLine"
    """environment, by id or short name"""
    env_kwargs: dict[str, Any] = field(default_factory=dict)
    """further keyword arguments of the environment"""
    prompt: str = "cot"
    """variant of the prompt"""
    split: str = "train"
    """instances that are dealt in training"""
    theme: str = "train"
    """theme, or group of themes"""
    jitter: int = 0
    """largest shift of an element of the picture, in pixels, 0..5"""

    iterations: int = 20
    """rollouts, each followed by an update"""
    num_envs: int = 32
    """environments N, whose replies are written in one batch"""
    num_steps: int = 8
    """turns T of each environment in a rollout"""
    epochs: int = 2
    """passes over a rollout"""
    minibatch: int = 64
    """turns in an optimizer step"""
    micro_batch: int = 64
    """turns in one forward pass; gradients are added up to a minibatch"""

    thought_weight: float = 0.5
    """λ, the weight of the tokens before the action in log π"""
    gamma: float = 0.9
    """discount"""
    gae_lambda: float = 0.95
    """λ of generalised advantage estimation"""
    clip: float = 0.2
    """ε of the clipped ratio"""
    value_clip: float = 0.0
    """how far a value may move in an update before it is clipped; 0 for no clipping"""
    value_coef: float = 0.5
    """weight of the value loss"""
    entropy_coef: float = 0.0
    """weight of the entropy bonus: of the mean entropy of a reply's tokens, in nats"""
    kl_coef: float = 0.0
    """weight of KL(policy ‖ start), the mean over a reply's tokens; the start is frozen"""
    target_kl: float = 0.0
    """an update ends when approx_kl (old against new) exceeds this; 0 for never"""
    normalise_advantages: bool = True
    """shift and scale the advantages over the whole rollout"""
    critic_iterations: int = 1
    """first iterations that train the value head alone"""

    lr: float = 1e-4
    """learning rate of the model at the start"""
    end_lr: float = 1e-4
    """learning rate at the end; a cosine between"""
    value_lr: float = 1e-3
    """learning rate of the value head"""
    adam_eps: float = 1e-7
    """ε of Adam"""
    max_grad_norm: float = 0.5
    """gradients are scaled down to this norm"""
    value_width: int = 0
    """width of the value head's hidden layer; 0 is the model's own"""
    value_detach: bool = True
    """keep the value's gradient out of the model"""

    temperature: float = 1.0
    """of sampling, and of the distribution that is optimised"""
    top_p: float = 1.0
    """nucleus of sampling"""
    max_new_tokens: int = 64
    """longest reply"""

    lora_dropout: float = 0.0
    """dropout of the adapter's input, in updates"""

    eval_every: int = 5
    """iterations between greedy plays of held-out rows; 0 for none"""
    eval_episodes: int = 90
    """rows of the frozen test set that are played"""
    save_every: int = 10
    """iterations between checkpoints; there is always one at the end"""
    log: str = "json,tensorboard"
    """where metrics go, with commas between: json (always), tensorboard, wandb"""
    seed: int = 0
    """seed of environments, sampling, shuffling and new weights"""
    estimate_memory: str = ""
    """print parameters and memory of a model (llava-1.6-mistral-7b, qwen2.5-vl-7b, or a
    checkpoint's folder) without its weights, and train nothing"""
    plan: str = ""
    """the old name of --estimate-memory, for this version"""


Preset = dict[str, Any]

_TINY: Preset = {
    "iterations": 12,
    "num_envs": 32,
    "num_steps": 8,
    "epochs": 2,
    "minibatch": 64,
    "micro_batch": 64,
    "max_new_tokens": 48,
    "lr": 2e-4,
    "end_lr": 2e-5,
    "gae_lambda": 0.5,
    "top_p": 0.95,
}

# A formula is paid at its end, so credit has to reach further back than NumberLine's.
_TINY_CARDS: Preset = {
    **_TINY,
    "iterations": 24,
    "max_new_tokens": 64,
    "end_lr": 1e-5,
    "gae_lambda": 0.95,
    "target_kl": 0.1,
    "kl_coef": 0.1,
    "lr": 1e-4,
}

# One of ALFWorld's six types; episodes are long, and paid at their end.
_TINY_ALFWORLD: Preset = {
    **_TINY_CARDS,
    "env": "ALFWorld",
    "env_kwargs": {"group": "pick_and_place_simple"},
    "thought_weight": 0.2,
    "num_envs": 16,
    "num_steps": 16,
    "eval_episodes": 20,
}

# Constants of the original's published scripts (Zhai et al. 2024). They ran one environment on each
# of two processes, with 128 turns in a step of each; here a rollout has as many turns in all, from
# more environments, so that replies are written in batches.
_RL4VLM: Preset = {
    "thought_weight": 0.5,
    "gamma": 0.9,
    "gae_lambda": 0.95,
    "clip": 0.1,
    "value_clip": 0.1,
    "value_coef": 0.5,
    "entropy_coef": 0.0,
    "epochs": 4,
    "micro_batch": 1,
    "minibatch": 256,
    "lr": 1e-5,
    "end_lr": 1e-9,
    "value_lr": 1e-5,
    "adam_eps": 1e-7,
    "max_grad_norm": 0.01,
    "temperature": 0.2,
    "top_p": 1.0,
    "max_new_tokens": 256,
    "lora": True,
    "lora_rank": 128,
    "lora_alpha": 256,
    "lora_dropout": 0.05,
    "train_vision": "none",
    "critic_iterations": 0,
    "value_width": 1024,
    "value_detach": False,
    "num_envs": 32,
    "theme": "classic",
    "model": "hf:llava-hf/llava-v1.6-mistral-7b-hf",
}

PRESETS: dict[str, Preset] = {
    "tiny-numberline": {**_TINY, "env": "NumberLine"},
    "tiny-ezpoints": {**_TINY_CARDS, "env": "EZPoints"},
    "tiny-points24": {**_TINY_CARDS, "env": "Points24", "num_steps": 16, "max_new_tokens": 80},
    "tiny-blackjack": {
        **_TINY,
        "env": "Blackjack",
        "iterations": 30,
        "gae_lambda": 0.95,
        "target_kl": 0.1,
    },
    "tiny-alfworld": _TINY_ALFWORLD,
    "rl4vlm-numberline": {**_RL4VLM, "env": "NumberLine", "num_steps": 32, "iterations": 29},
    "rl4vlm-ezpoints": {**_RL4VLM, "env": "EZPoints", "num_steps": 64, "iterations": 14},
    "rl4vlm-points24": {**_RL4VLM, "env": "Points24", "num_steps": 64, "iterations": 14},
    "rl4vlm-blackjack": {**_RL4VLM, "env": "Blackjack", "num_steps": 32, "iterations": 29},
    "rl4vlm-alfworld": {
        **_RL4VLM,
        "env": "ALFWorld",
        "thought_weight": 0.2,
        "num_steps": 32,
        "iterations": 11,
    },
}
