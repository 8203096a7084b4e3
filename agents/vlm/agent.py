"""A local vision-language model as an agent: any Hugging Face image-text-to-text checkpoint.

    python -m agents.evaluate --agent llava --model PATH      (or --model hf:<id>)

A checkpoint is a folder with safetensors, or a LoRA adapter's folder that names its base.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from typing import Any, ClassVar

import gymnasium

from agents.agent import Observation
from agents.batching import Batcher
from vlbench.records import Reply

MISSING = (
    'the llava agent needs torch, transformers and peft: pip install "vlbench[llava]" ({error})'
)


@dataclass(kw_only=True, eq=False)
class LocalSettings:
    """Settings of agents that run a vision-language model in this process.

    Raises:
        ValueError: A setting is wrong.
    """

    temperature: float = 0.0
    """0 is greedy"""
    top_p: float = 1.0
    """nucleus of sampling"""
    max_tokens: int = 256
    """longest reply, in tokens"""
    batch_size: int = 32
    """largest number of observations that are answered at once"""
    seed: int = 0
    """seed of sampling; the replies also depend on which observations share a batch"""
    device: str = ""
    """cuda, mps or cpu; by default the best one available"""
    dtype: str = ""
    """float32, bfloat16 or float16; by default float32 on a CPU, bfloat16 elsewhere"""

    def __post_init__(self) -> None:
        """Check the settings."""
        message = ""
        if self.temperature < 0:
            message = f"temperature must be at least 0, got {self.temperature}"
        elif not 0 < self.top_p <= 1:
            message = f"top_p must be above 0 and at most 1, got {self.top_p}"
        elif min(self.max_tokens, self.batch_size) < 1:
            message = "max_tokens and batch_size must be at least 1"
        elif self.dtype not in ("", "float32", "bfloat16", "float16"):
            message = f'dtype is float32, bfloat16 or float16, got "{self.dtype}"'
        if message:
            raise ValueError(message)

    def local_settings(self) -> dict[str, Any]:
        """Return these settings by name."""
        return {setting.name: getattr(self, setting.name) for setting in fields(LocalSettings)}


@dataclass(kw_only=True, eq=False)
class Llava(LocalSettings):
    """Plays a checkpoint; observations that wait at the same time are answered in one batch.

    Raises:
        ValueError: The checkpoint can't be loaded, a setting is wrong, or a package isn't
            installed.
    """

    model: str = field(kw_only=False)
    """the checkpoint: a folder, or hf:<id>"""
    base: str = ""
    """the base of an adapter, instead of the one that it names"""
    trust_remote_code: bool = False
    """run code that the checkpoint brings"""
    privileged: ClassVar[bool] = False

    def __post_init__(self) -> None:
        """Load the checkpoint."""
        super().__post_init__()
        try:
            import torch

            from agents.vlm.loading import load
            from agents.vlm.policy import Policy
            from agents.vlm.sampling import Sampling
        except ImportError as error:
            raise ValueError(MISSING.format(error=error)) from error
        self.settings: dict[str, Any] = {"model": self.model, "base": self.base}
        self.settings |= self.local_settings()
        del self.settings["device"], self.settings["dtype"]
        loaded = load(
            str(self.model),
            base=self.base,
            device=torch.device(self.device) if self.device else None,
            dtype=getattr(torch, self.dtype) if self.dtype else None,
            trust_remote_code=self.trust_remote_code,
        )
        self.name = getattr(loaded.model.config, "shown_as", "") or f"llava {self.model}"
        sampling = Sampling(self.temperature, self.top_p, self.max_tokens)
        self._policy = Policy(loaded.model, loaded.processor, sampling).eval()
        self._generator = None
        if self.temperature > 0:
            self._generator = torch.Generator(self._policy.device).manual_seed(self.seed)
        self._batcher = Batcher(self._reply, self.batch_size)

    async def act(
        self, observation: Observation, env: gymnasium.Env[Any, str] | None = None
    ) -> Reply:
        """Answer an observation, together with those that wait when the model is free."""
        return await self._batcher.ask(observation)

    def _reply(self, observations: Sequence[Observation]) -> list[Reply]:
        start = time.perf_counter()
        prompts = [self._policy.encoder.encode(observation) for observation in observations]
        generations = self._policy.generate(prompts, self._generator)
        seconds = time.perf_counter() - start
        return [
            Reply(
                generation.text,
                stop_reason="stop" if generation.finished else "length",
                prompt_tokens=len(prompt),
                completion_tokens=len(generation.ids),
                usd=0.0,
                seconds=seconds,
            )
            for prompt, generation in zip(prompts, generations, strict=True)
        ]
