"""A local vision-language model as an agent: any Hugging Face image-text-to-text checkpoint.

    python -m agents.evaluate --agent llava --model PATH      (or --model hf:<id>)

A checkpoint is a folder with safetensors, or a LoRA adapter's folder that names its base.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import gymnasium

from agents.agent import Observation
from agents.batching import Batcher
from vlbench.cli import MAX_SEED, Options, option
from vlbench.records import Reply

MISSING = (
    'the llava agent needs torch, transformers and peft: pip install "vlbench[llava]" ({error})'
)


@dataclass(frozen=True, kw_only=True)
class Settings(Options):
    """How a checkpoint plays."""

    temperature: float = option(0.0, "of sampling; 0 is greedy", ge=0)
    top_p: float = option(1.0, "nucleus of sampling", gt=0, le=1)
    max_tokens: int = option(256, "longest reply, in tokens", ge=1)
    batch_size: int = option(32, "most observations that are answered at once", ge=1)
    seed: int = option(0, "of sampling", ge=0, le=MAX_SEED)
    dtype: str | None = option(None, "of the weights", choices=("float32", "bfloat16", "float16"))


class Llava:
    """Plays a checkpoint; observations that wait together are answered in one batch.

    Args:
        model: Folder, or `hf:<id>`.
        base: The base of an adapter, instead of the one that it names.
        temperature: 0 is greedy.
        top_p: Nucleus of sampling.
        max_tokens: Longest reply, in tokens.
        batch_size: Most observations that are answered at once.
        seed: Of sampling. Under sampling, replies depend on what else is waiting.
        device: "cuda", "mps" or "cpu"; by default the best that is there.
        dtype: "float32", "bfloat16" or "float16"; by default float32 on a CPU, else bfloat16.
        trust_remote_code: Run code that the checkpoint brings.

    Raises:
        ValueError: The checkpoint can't be loaded, or a setting is wrong.
    """

    privileged = False

    def __init__(
        self,
        model: str,
        *,
        base: str = "",
        temperature: float = 0.0,
        top_p: float = 1.0,
        max_tokens: int = 256,
        batch_size: int = 32,
        seed: int = 0,
        device: str = "",
        dtype: str = "",
        trust_remote_code: bool = False,
    ) -> None:
        self.settings: dict[str, Any] = {
            "model": model,
            "base": base,
            "temperature": temperature,
            "top_p": top_p,
            "max_tokens": max_tokens,
            "batch_size": batch_size,
            "seed": seed,
        }
        Settings(
            temperature=temperature,
            top_p=top_p,
            max_tokens=max_tokens,
            batch_size=batch_size,
            seed=seed,
            dtype=dtype or None,
        )
        try:
            import torch

            from agents.vlm.loading import load
            from agents.vlm.policy import Policy
            from agents.vlm.sampling import Sampling
        except ImportError as error:
            raise ValueError(MISSING.format(error=error)) from error
        try:
            where = torch.device(device) if device else None
        except RuntimeError as error:
            raise ValueError(f'device must be cuda, mps or cpu, got "{device}"') from error
        loaded = load(
            str(model),
            base=base,
            device=where,
            dtype=getattr(torch, dtype) if dtype else None,
            trust_remote_code=trust_remote_code,
        )
        self.name = getattr(loaded.model.config, "shown_as", "") or f"llava {model}"
        self._policy = Policy(
            loaded.model, loaded.processor, Sampling(temperature, top_p, max_tokens)
        ).eval()
        self._generator = None
        if temperature > 0:
            self._generator = torch.Generator(self._policy.device).manual_seed(seed)
        self._batcher = Batcher(self._write, batch_size)

    async def act(
        self, observation: Observation, env: gymnasium.Env[Any, str] | None = None
    ) -> Reply:
        """Answer an observation, together with those that wait when the model is free."""
        return await self._batcher.ask(observation)

    def _write(self, observations: Sequence[Observation]) -> list[Reply]:
        begun = time.perf_counter()
        prompts = [self._policy.encoder.encode(shown) for shown in observations]
        written = self._policy.generate(prompts, self._generator)
        seconds = time.perf_counter() - begun
        return [
            Reply(
                reply.text,
                stop_reason="stop" if reply.finished else "length",
                prompt_tokens=len(prompt),
                completion_tokens=len(reply.ids),
                usd=0.0,
                seconds=seconds,
            )
            for prompt, reply in zip(prompts, written, strict=True)
        ]
