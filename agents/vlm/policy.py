"""The policy: a vision-language model with a value head, which writes and scores replies."""

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor, nn
from transformers import GenerationConfig, LogitsProcessorList

from agents.vlm.capabilities import (
    base_model,
    join_features,
    picture_sizes,
    probe_capabilities,
    split_features,
)
from agents.vlm.checkpoint_files import is_adapter, name_hub_base
from agents.vlm.encoding import (
    EncodedPicture,
    EncodedPrompt,
    Encoder,
    pictures_of,
    pixels,
    special_ids,
)
from agents.vlm.loading import vision_modules
from agents.vlm.plain_lora import plain_lora
from agents.vlm.sampling import Generation, SamplerLogitsProcessor, Sampling, TokenSampler
from agents.vlm.scoring import Scores, TokenScorer, skipped_head

COMPACT_BELOW = 0.75
"""Finished rows leave the cache once a smaller share of its rows than this is unfinished."""
FEATURE_BATCH = 32
"""Pictures per call of the vision tower."""


def _end_ids(model: Any, encoder: Encoder) -> list[int]:
    """Return every token that the checkpoint names as an end of a reply.

    They come from its chat template, tokenizer, configuration and generation configuration. Ids of
    the latter two that are no special tokens are left out: they are often defaults of a
    configuration class, made for another tokenizer.
    """
    config = base_model(model).config
    stated: list[int] = []
    for owner in (model.generation_config, config, config.get_text_config()):
        ends = getattr(owner, "eos_token_id", None)
        stated += [] if ends is None else [ends] if isinstance(ends, int) else ends
    own = {encoder.end_id} | ({encoder.tokenizer.eos_token_id} - {None})
    return sorted(own | (special_ids(encoder.tokenizer) & set(stated)))


class Policy(nn.Module):
    """Samples replies and scores them.

    Args:
        model: A model of AutoModelForImageTextToText, or a PeftModel around one.
        processor: The checkpoint's processor.
        sampling: How replies are sampled; scores are under the same distribution.
        value_head: Hidden states (B, width) → values (B,), for reinforcement learning; without one,
            values are 0.
        template_variables: Variables of the chat template, e.g. {"enable_thinking": False}.
        autocast: Precision of products, below that of the weights; None for the weights' own.
    """

    end_ids: Tensor
    forbidden: Tensor

    def __init__(
        self,
        model: Any,
        processor: Any,
        sampling: Sampling,
        value_head: nn.Module | None = None,
        template_variables: Mapping[str, Any] = MappingProxyType({}),
        autocast: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        self.model = model
        self.value_head = value_head
        self.sampling = sampling
        self.encoder = Encoder(processor, template_variables)
        self.tokenizer = processor.tokenizer
        self.capabilities = probe_capabilities(model, self.encoder)
        self.autocast = autocast
        self._features_agree: bool | None = None
        self._head_is_last: bool | None = None
        end_ids = _end_ids(model, self.encoder)
        head = model.get_output_embeddings()
        device, forbidden = head.weight.device, self._forbidden(head.weight.shape[0], end_ids)
        self.register_buffer("end_ids", torch.tensor(end_ids, device=device), persistent=False)
        self.register_buffer("forbidden", forbidden.to(device), persistent=False)
        self._hidden: Tensor | None = None
        head.register_forward_pre_hook(self._remember)

    @property
    def device(self) -> torch.device:
        """The model's device."""
        return self.end_ids.device

    def save(self, folder: Path) -> None:
        """Write the model, or its adapter, and the processor.

        Raises:
            OSError: The folder can't be written.
        """
        # A second adapter may be the start that the first one is compared with.
        only = {"selected_adapters": ["default"]} if hasattr(self.model, "peft_config") else {}
        self.model.save_pretrained(folder, **only)
        if is_adapter(folder):
            name_hub_base(folder)
        self.encoder.processor.save_pretrained(folder)

    @cached_property
    def picture_is_frozen(self) -> bool:
        """Whether all weights between a picture and its features are frozen; looked up once."""
        return not any(
            parameter.requires_grad
            for module in vision_modules(self.model).values()
            for parameter in module.parameters()
        )

    def decode(self, ids: Sequence[int]) -> str:
        """Return the text of tokens; special tokens are skipped."""
        text = self.tokenizer.decode(
            ids, skip_special_tokens=True, clean_up_tokenization_spaces=False
        )
        return str(text)

    @torch.no_grad()
    def generate(
        self, prompts: Sequence[EncodedPrompt], generator: torch.Generator | None = None
    ) -> list[Generation]:
        """Write a reply to each prompt, in one batch.

        Args:
            prompts: B prompts.
            generator: Source of the draws, owned by the caller. None and temperature 0 are greedy;
                log-probabilities are then those of temperature 1.
        """
        sampler = TokenSampler(self.sampling, len(prompts), self.end_ids, self.forbidden, generator)
        stepwise = self.capabilities.stepwise_decoding
        with self._evaluating(), plain_lora(self.model), self._casting():
            batch = self._batch(prompts, None)
            values = (self._write_stepwise if stepwise else self._write)(batch, sampler)
        return sampler.replies(values, self.decode)

    def _write_stepwise(self, batch: dict[str, Any], sampler: TokenSampler) -> Tensor:
        """Decode token by token, dropping finished rows; return the values."""
        mask = batch["attention_mask"]
        logits, hidden, cache = self._run(batch, keep=1)
        values = self._values(hidden[:, -1])
        while True:
            token = sampler.token(logits[:, -1])
            going = sampler.unfinished
            if not len(going) or sampler.full:
                return values
            if len(going) < COMPACT_BELOW * len(sampler.rows):
                cache.batch_select_indices(going)
                sampler.rows, token, mask = sampler.rows[going], token[going], mask[going]
            mask = torch.cat([mask, mask.new_ones(len(mask), 1)], dim=1)
            step = {"input_ids": token[:, None], "attention_mask": mask, "past_key_values": cache}
            logits, _, cache = self._run(step, keep=1)

    def _write(self, batch: dict[str, Any], sampler: TokenSampler) -> Tensor:
        """Decode with the model's own `generate`; return the values."""
        inner = base_model(self.model)
        pad = self.tokenizer.pad_token_id
        own = inner.generation_config
        # Drop the checkpoint's own sampling options (penalties, forced tokens).
        inner.generation_config = GenerationConfig(
            eos_token_id=self.end_ids.tolist(), pad_token_id=pad
        )
        self._hidden = None
        try:
            inner.generate(
                **batch,
                max_new_tokens=self.sampling.max_new_tokens,
                do_sample=False,
                logits_processor=LogitsProcessorList([SamplerLogitsProcessor(sampler)]),
            )
        finally:
            inner.generation_config = own
        assert self._hidden is not None
        hidden, self._hidden = self._hidden, None
        return self._values(hidden[:, -1])

    @torch.no_grad()
    def values(self, prompts: Sequence[EncodedPrompt]) -> list[float]:
        """Return the value of each observation."""
        with plain_lora(self.model):
            return self.critic(prompts).tolist()

    def critic(self, prompts: Sequence[EncodedPrompt]) -> Tensor:
        """Return the values of observations (B,), with gradient of the value head alone."""
        with self._evaluating(), torch.no_grad(), self._casting():
            _, hidden, _ = self._run(self._batch(prompts, None), keep=1)
        return self._values(hidden[:, -1])

    def forward(
        self,
        prompts: Sequence[EncodedPrompt],
        replies: Sequence[Tensor],
        entropy_gradient: bool = False,
    ) -> Scores:
        """Score replies, with gradient.

        Args:
            prompts: B prompts.
            replies: Tokens of each reply, (n_i,) int64, n_i ≥ 1.
            entropy_gradient: Whether the entropy is differentiated, too.
        """
        lengths = torch.tensor([len(reply) for reply in replies], device=self.device)
        longest = int(lengths.max())
        mask = torch.arange(longest, device=self.device) >= longest - lengths[:, None]
        scorer = TokenScorer(self.sampling, self.forbidden, entropy_gradient)
        skips = self._skips_head(prompts)
        head = self.model.get_output_embeddings()
        with self._casting():
            batch = self._batch(prompts, replies)
            with skipped_head(head) if skips else contextlib.nullcontext():
                logits, hidden, _ = self._run(batch, keep=longest + 1)
            tokens = batch["input_ids"][:, -longest:][mask]
            if skips:
                scores = scorer.score(head, hidden[:, :-1][mask], tokens)
            else:
                scores = scorer.score_logits(logits[:, :-1][mask], tokens)
        prompt_ends = hidden[torch.arange(len(prompts), device=self.device), longest - lengths]
        blank = torch.zeros(mask.shape, device=self.device)
        return Scores(
            blank.masked_scatter(mask, scores.log_probs),
            blank.masked_scatter(mask, scores.whole_log_probs),
            blank.masked_scatter(mask, scores.entropy),
            mask.masked_scatter(mask, scores.is_likeliest),
            mask,
            self._values(prompt_ends),
        )

    def _skips_head(self, prompts: Sequence[EncodedPrompt]) -> bool:
        """Return whether the output head's product is the logits, so that it can run in parts.

        Some models scale or bound the product.
        """
        if self._head_is_last is None:
            with torch.no_grad(), self._evaluating():
                logits, hidden, _ = self._run(self._batch(prompts[:1], None), keep=1)
                product = self.model.get_output_embeddings()(hidden)
            tolerance = torch.finfo(product.dtype).eps ** 0.5 * product.float().abs().max()
            difference = (logits.float() - product.float()).abs().max()
            self._head_is_last = bool(difference <= tolerance)
        return self._head_is_last

    def _batch(
        self, prompts: Sequence[EncodedPrompt], replies: Sequence[Tensor] | None
    ) -> dict[str, Any]:
        """Return the model's inputs, with pictures or their cached features."""
        if pictures_of(prompts) and self._uses_features(prompts):
            return self._with_features(prompts, replies)
        return self._to_device(self.encoder.collate(prompts, replies))

    def _with_features(
        self, prompts: Sequence[EncodedPrompt], replies: Sequence[Tensor] | None
    ) -> dict[str, Any]:
        pictures = pictures_of(prompts)
        self._compute_features(pictures)
        batch = self.encoder.tokens(prompts, replies) | picture_sizes(pictures)
        features = join_features([picture.features for picture in pictures])
        return self._to_device(batch) | {"mm_encoder_outputs": {"image": features}}

    def _to_device(self, batch: dict[str, Tensor]) -> dict[str, Any]:
        """Return a batch on the model's device, pictures in its precision."""
        dtype = self.model.dtype
        return {
            name: tensor.to(self.device, dtype if tensor.is_floating_point() else tensor.dtype)
            for name, tensor in batch.items()
        }

    def _uses_features(self, prompts: Sequence[EncodedPrompt]) -> bool:
        """Return whether to feed features: the model accepts them and gives the same logits."""
        if not self.capabilities.accepts_image_features or not self.picture_is_frozen:
            return False
        if self._features_agree is None:
            self._features_agree = self._compare_features([p for p in prompts if p.pictures][:2])
        return self._features_agree

    @torch.no_grad()
    def _compare_features(self, prompts: Sequence[EncodedPrompt]) -> bool:
        """Check whether features give the same logits as pictures."""
        if not self._compute_features(pictures_of(prompts)):
            return False
        with self._evaluating():
            by_picture = self._run(self._to_device(self.encoder.collate(prompts)), keep=1)[0]
            by_features = self._run(self._with_features(prompts, None), keep=1)[0]
        tolerance = torch.finfo(self.autocast or self.model.dtype).eps ** 0.5
        difference = (by_picture.float() - by_features.float()).abs().max()
        return bool(difference <= tolerance * by_picture.float().abs().max())

    @torch.no_grad()
    def _compute_features(self, pictures: Sequence[EncodedPicture]) -> bool:
        """Compute missing features; return whether every picture has its own."""
        new = list({id(p): p for p in pictures if p.features is None}.values())
        for start in range(0, len(new), FEATURE_BATCH):
            part = new[start : start + FEATURE_BATCH]
            output = self.model.get_image_features(**self._to_device(pixels(part)))
            features = split_features(output, len(part))
            if features is None:
                return False
            for picture, own in zip(part, features, strict=True):
                picture.features = own
        return True

    def _run(self, batch: dict[str, Any], keep: int) -> tuple[Tensor, Tensor, Any]:
        """Run the model.

        Returns:
            Logits (B, keep, V) and last hidden states (B, keep, width) of the last positions, and
            the cache.
        """
        inputs = dict(batch)
        if not self.capabilities.computes_positions:
            positions = (batch["attention_mask"].cumsum(-1) - 1).clamp_min(0)
            inputs["position_ids"] = positions[:, -batch["input_ids"].shape[1] :]
        if self.capabilities.logits_to_keep:
            inputs["logits_to_keep"] = keep
        self._hidden = None
        output = self.model(**inputs, use_cache=not torch.is_grad_enabled(), return_dict=True)
        hidden, self._hidden = self._hidden, None
        assert hidden is not None, "the output head isn't called"
        return output.logits[:, -keep:], hidden[:, -keep:], output.past_key_values

    def _remember(self, _: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        """Store the output head's first input, which the value head reads too."""
        if self._hidden is None:
            self._hidden = inputs[0]

    def _values(self, hidden: Tensor) -> Tensor:
        if self.value_head is None:
            return torch.zeros(len(hidden), device=hidden.device)
        with torch.autocast(hidden.device.type, enabled=False):
            values: Tensor = self.value_head(hidden)
        return values

    def _casting(self) -> contextlib.AbstractContextManager[Any]:
        """Compute products in the policy's precision; casts of weights are kept inside."""
        if self.autocast is None:
            return contextlib.nullcontext()
        return torch.autocast(self.device.type, self.autocast)

    def _forbidden(self, size: int, end_ids: Sequence[int]) -> Tensor:
        """Return (V,) bool, tokens never to sample: special tokens, and ids without a token.

        An image token in a reply would refer to a picture that doesn't exist.
        """
        special = set(special_ids(self.tokenizer))
        config = self.model.config
        special |= {
            getattr(config, name)
            for name in vars(config)
            if name.endswith("_token_id") and isinstance(getattr(config, name), int)
        }
        forbidden = torch.zeros(size, dtype=torch.bool)
        forbidden[len(self.tokenizer) :] = True
        forbidden[[index for index in special if 0 <= index < size]] = True
        forbidden[list(end_ids)] = False
        return forbidden

    @contextlib.contextmanager
    def _evaluating(self) -> Iterator[None]:
        """Switch to evaluation mode, without dropout, and back."""
        training = self.training
        self.eval()
        try:
            yield
        finally:
            self.train(training)
