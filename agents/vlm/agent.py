"""A local vision-language model as an agent: any Hugging Face image-text-to-text checkpoint.

    python -m agents.evaluate --agent llava --model PATH      (or --model hf:<id>)

A checkpoint is a folder with safetensors weights, or a LoRA adapter's folder whose config names
the base.
"""

import dataclasses
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from typing import Any

import gymnasium

from agents.agent import Agent, Observation
from agents.batching import Batcher
from vlbench.cli import MAX_SEED, check_values, option
from vlbench.records import Reply
from vlbench.records.provenance import package_versions

MISSING = (
    'the llava agent needs torch, transformers and peft: pip install "vlbench[llava]" ({error})'
)


@dataclass(kw_only=True, eq=False)
class LocalSettings:
    """Settings of agents that run a vision-language model in this process.

    Raises:
        ValueError: A setting is wrong.
    """

    temperature: float = option(0.0, "sampling temperature; 0 is greedy", ge=0, limit=100)
    top_p: float = option(1.0, "probability mass of the nucleus to sample from", gt=0, le=1)
    top_k: int = option(0, "number of likeliest tokens to sample from; 0 for all", ge=0)
    chat_template_kwargs: dict[str, Any] = option({}, "variables of the chat template")
    max_tokens: int = option(256, "maximum length of a reply, in tokens", ge=1, limit=65_536)
    batch_size: int = option(32, "maximum number of observations in a batch", ge=1, limit=65_536)
    seed: int = option(
        0,
        "seed of sampling; the replies also depend on which observations share a batch",
        ge=0,
        le=MAX_SEED,
    )
    device: str = option("", "cuda, mps or cpu; the best available by default")
    dtype: str | None = option(
        None,
        "dtype of the weights; by default float32 on a CPU, bfloat16 elsewhere",
        choices=("float32", "bfloat16", "float16"),
    )

    def __post_init__(self) -> None:
        """Check the settings."""
        check_values(self, LocalSettings)

    def local_settings(self) -> dict[str, Any]:
        """Return these settings by name."""
        return {setting.name: getattr(self, setting.name) for setting in fields(LocalSettings)}


@dataclass(kw_only=True, eq=False)
class Llava(LocalSettings, Agent):
    """Plays a checkpoint; answers concurrent observations in one batch.

    Raises:
        ValueError: The checkpoint can't be loaded, a setting is wrong, or a package isn't
            installed.
    """

    model: str = field(kw_only=False)
    """checkpoint: a folder, or hf:<id>"""
    base: str = ""
    """base of an adapter, instead of the one in its config"""
    trust_remote_code: bool = False
    """run Python code shipped with the checkpoint"""

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
        try:
            device = torch.device(self.device) if self.device else None
        except RuntimeError as error:
            raise ValueError(f'device must be cuda, mps or cpu, got "{self.device}"') from error
        self.settings: dict[str, Any] = {"model": self.model, "base": self.base}
        self.settings |= self.local_settings()
        del self.settings["device"], self.settings["dtype"]  # recorded as they turned out
        self.settings["trust_remote_code"] = self.trust_remote_code
        loaded = load(
            str(self.model),
            base=self.base,
            device=device,
            dtype=getattr(torch, self.dtype) if self.dtype else None,
            trust_remote_code=self.trust_remote_code,
        )
        self.name = getattr(loaded.model.config, "shown_as", "") or f"llava {self.model}"
        sampling = Sampling(self.temperature, self.top_p, self.max_tokens, self.top_k)
        self._policy = Policy(
            loaded.model,
            loaded.processor,
            sampling,
            template_variables=self.chat_template_kwargs,
        ).eval()
        info = dataclasses.replace(
            loaded.identify(),
            dtype=str(loaded.model.dtype).removeprefix("torch."),
            device=self._policy.device.type,
            picture_size=self._policy.encoder.picture_size,
            versions=package_versions(("torch", "transformers", "peft")),
        )
        self.models = {"": info}
        """Metadata of the loaded model; see `vlbench.records.RunHeader`."""
        self._generator = None
        if self.temperature > 0:
            self._generator = torch.Generator(self._policy.device).manual_seed(self.seed)
        self._batcher = Batcher(self._reply, self.batch_size)

    async def act(
        self, observation: Observation, env: gymnasium.Env[Any, str] | None = None
    ) -> Reply:
        """Answer an observation, in one batch with others that are waiting."""
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
                provider_id=self.models[""].mark,
            )
            for prompt, generation in zip(prompts, generations, strict=True)
        ]
