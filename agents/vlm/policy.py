"""The policy: a vision-language model that writes replies, and a value head beside it."""

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from transformers import GenerationConfig, LogitsProcessorList

from agents.vlm import capabilities
from agents.vlm.encoding import EncodedPicture, EncodedPrompt, Encoder, pictures_of, pixels
from agents.vlm.loading import vision_modules
from agents.vlm.sampling import (
    Generation,
    SamplerLogitsProcessor,
    Sampling,
    TokenSampler,
    log_distribution,
    nucleus,
)

COMPACT_BELOW = 0.75
"""Share of a batch's rows that still write, below which the others are dropped from the cache."""
FEATURE_BATCH = 32
LEAST_LOG = -1e4
"""Stands for log 0 where it is multiplied with 0."""


@dataclass(frozen=True, slots=True, eq=False)
class Scores:
    """What the policy thinks of given replies. R is the longest; replies end at column R − 1."""

    log_probs: Tensor
    """(B, R) float32, 0 outside the replies."""
    entropy: Tensor
    """(B, R) float32, of the distribution of each token; 0 outside."""
    mask: Tensor
    """(B, R) bool, where the replies are."""
    values: Tensor
    """(B,) float32."""
    distributions: Tensor
    """(B, R, V) float32, log-probabilities before the nucleus is cut, which makes KL finite."""


class ValueHead(nn.Module):
    """A multilayer perceptron in float32 from a hidden state to a value.

    Args:
        width: Width of the model.
        hidden: Widths of the hidden layers.
        detach: Keep the value's gradient out of the model.
    """

    def __init__(self, width: int, hidden: Sequence[int], detach: bool) -> None:
        super().__init__()
        self.detach = detach
        sizes = [width, *hidden, 1]
        layers: list[nn.Module] = []
        for i, o in zip(sizes, sizes[1:], strict=False):
            layers += [nn.Linear(i, o), nn.ReLU()]
        self.layers = nn.Sequential(*layers[:-1])
        last = layers[-2]
        assert isinstance(last, nn.Linear)
        nn.init.zeros_(last.weight)  # the first advantages are the returns, not noise
        nn.init.zeros_(last.bias)

    def forward(self, hidden: Tensor) -> Tensor:
        """Return values (B,) float32 of hidden states (B, width)."""
        hidden = hidden.float()
        values: Tensor = self.layers(hidden.detach() if self.detach else hidden)
        return values.squeeze(-1)


class Policy(nn.Module):
    """Draws replies and scores them.

    Args:
        model: A model of AutoModelForImageTextToText, or a PeftModel around one.
        processor: The checkpoint's processor.
        sampling: How replies are drawn; scores are of the same distribution.
        value_head: For reinforcement learning.
    """

    end_ids: Tensor
    forbidden: Tensor

    def __init__(
        self,
        model: Any,
        processor: Any,
        sampling: Sampling,
        value_head: ValueHead | None = None,
    ) -> None:
        super().__init__()
        self.model = model
        self.value_head = value_head
        self.sampling = sampling
        self.encoder = Encoder(processor)
        self.tokenizer = processor.tokenizer
        self.family = capabilities.family_of(model, self.encoder)
        self._features_agree: bool | None = None
        ends = model.generation_config.eos_token_id
        if ends is None:
            ends = self.tokenizer.eos_token_id
        end_ids = [ends] if isinstance(ends, int) else list(ends)
        head = model.get_output_embeddings()
        self.register_buffer("end_ids", torch.tensor(end_ids), persistent=False)
        self.register_buffer(
            "forbidden", self._forbidden(head.weight.shape[0], end_ids), persistent=False
        )
        self._hidden: Tensor | None = None
        head.register_forward_pre_hook(self._remember)

    @property
    def device(self) -> torch.device:
        """Where the model is."""
        return self.end_ids.device

    def save(self, folder: Path) -> None:
        """Write the model, or its adapter, and the processor.

        Raises:
            OSError: The folder can't be written.
        """
        self.model.save_pretrained(folder)
        self.encoder.processor.save_pretrained(folder)

    def picture_is_frozen(self) -> bool:
        """Whether nothing that is trained stands between a picture and its features."""
        return not any(
            parameter.requires_grad
            for module in vision_modules(self.model).values()
            for parameter in module.parameters()
        )

    def decode(self, ids: Sequence[int]) -> str:
        """Return the text of tokens, without special ones."""
        text = self.tokenizer.decode(
            ids, skip_special_tokens=True, clean_up_tokenization_spaces=False
        )
        return str(text)

    @torch.no_grad()
    def generate(
        self, prompts: Sequence[EncodedPrompt], generator: torch.Generator | None = None
    ) -> list[Generation]:
        """Write a reply to each prompt, all at once.

        Args:
            prompts: B prompts.
            generator: Source of the draws; None is greedy (and so is temperature 0), the
                log-probabilities being those of temperature 1 then.
        """
        draw = TokenSampler(self.sampling, len(prompts), self.end_ids, self.forbidden, generator)
        with self._evaluating():
            batch = self._batch(prompts, None)
            values = self._step(batch, draw) if self.family.steps else self._write(batch, draw)
        return draw.drawn(values, self.decode)

    def _step(self, batch: dict[str, Any], draw: TokenSampler) -> Tensor:
        """Write replies token by token, without the rows that have ended; return the values."""
        mask = batch["attention_mask"]
        logits, hidden, cache = self._run(batch, keep=1)
        values = self._values(hidden[:, -1])
        while True:
            token = draw.token(logits[:, -1])
            left = draw.unfinished
            if not len(left) or draw.full:
                return values
            if len(left) < COMPACT_BELOW * len(draw.rows):
                cache.batch_select_indices(left)
                draw.rows, token, mask = draw.rows[left], token[left], mask[left]
            mask = torch.cat([mask, mask.new_ones(len(mask), 1)], dim=1)
            one = {"input_ids": token[:, None], "attention_mask": mask, "past_key_values": cache}
            logits, _, cache = self._run(one, keep=1)

    def _write(self, batch: dict[str, Any], draw: TokenSampler) -> Tensor:
        """Write replies with the model's own `generate`; return the values."""
        inner = capabilities.plain(self.model)
        pad = self.tokenizer.pad_token_id
        own = inner.generation_config
        # What the checkpoint says of sampling (penalties, forced tokens) isn't the policy's.
        inner.generation_config = GenerationConfig(
            eos_token_id=self.end_ids.tolist(), pad_token_id=pad
        )
        self._hidden = None
        try:
            inner.generate(
                **batch,
                max_new_tokens=self.sampling.max_new_tokens,
                do_sample=False,
                logits_processor=LogitsProcessorList([SamplerLogitsProcessor(draw)]),
            )
        finally:
            inner.generation_config = own
        assert self._hidden is not None
        hidden, self._hidden = self._hidden, None
        return self._values(hidden[:, -1])

    @torch.no_grad()
    def values(self, prompts: Sequence[EncodedPrompt]) -> list[float]:
        """Return the value of each observation."""
        with self._evaluating():
            _, hidden, _ = self._run(self._batch(prompts, None), keep=1)
            return [float(value) for value in self._values(hidden[:, -1])]

    def forward(self, prompts: Sequence[EncodedPrompt], replies: Sequence[Tensor]) -> Scores:
        """Score replies, with gradient.

        Args:
            prompts: B prompts.
            replies: The tokens that were drawn, (n_i,) int64 each, n_i ≥ 1.
        """
        batch = self._batch(prompts, replies)
        lengths = torch.tensor([len(reply) for reply in replies], device=self.device)
        longest = int(lengths.max())
        logits, hidden, _ = self._run(batch, keep=longest + 1)
        taken = batch["input_ids"][:, -longest:]
        columns = torch.arange(longest, device=self.device)
        mask = columns >= longest - lengths[:, None]
        taken = taken.masked_fill(~mask, int(self.end_ids[0]))  # what stands there may be forbidden
        temperature = self.sampling.temperature or 1.0
        distributions = log_distribution(logits[:, :-1], temperature, self.forbidden)
        drawn_from = nucleus(distributions, self.sampling.top_p, taken)
        log_probs = drawn_from.gather(-1, taken[..., None])[..., 0].masked_fill(~mask, 0.0)
        entropy = -(drawn_from.exp() * drawn_from.clamp_min(LEAST_LOG)).sum(-1)
        asked = hidden[torch.arange(len(prompts), device=self.device), longest - lengths]
        return Scores(
            log_probs, entropy.masked_fill(~mask, 0.0), mask, self._values(asked), distributions
        )

    def _batch(
        self, prompts: Sequence[EncodedPrompt], replies: Sequence[Tensor] | None
    ) -> dict[str, Any]:
        """Return what the model is fed: pictures, or the features of pictures once seen."""
        if pictures_of(prompts) and self._sees_once(prompts):
            return self._with_features(prompts, replies)
        return self._sent(self.encoder.collate(prompts, replies))

    def _with_features(
        self, prompts: Sequence[EncodedPrompt], replies: Sequence[Tensor] | None
    ) -> dict[str, Any]:
        pictures = pictures_of(prompts)
        self._see(pictures)
        told = self.encoder.tokens(prompts, replies) | capabilities.beside_features(pictures)
        features = capabilities.join_features([picture.features for picture in pictures])
        return self._sent(told) | {"mm_encoder_outputs": {"image": features}}

    def _sent(self, batch: dict[str, Tensor]) -> dict[str, Any]:
        """Return a batch where the model is, pictures in its precision."""
        dtype = self.model.dtype
        return {
            name: tensor.to(self.device, dtype if tensor.is_floating_point() else tensor.dtype)
            for name, tensor in batch.items()
        }

    def _sees_once(self, prompts: Sequence[EncodedPrompt]) -> bool:
        """Whether the model is handed features: it can, and they do as well as the pictures."""
        if not self.family.takes_features or not self.picture_is_frozen():
            return False
        if self._features_agree is None:
            self._features_agree = self._compared([p for p in prompts if p.pictures][:2])
        return self._features_agree

    @torch.no_grad()
    def _compared(self, prompts: Sequence[EncodedPrompt]) -> bool:
        """Find out whether logits are the same with features as with pictures."""
        if not self._see(pictures_of(prompts)):
            return False
        with self._evaluating():
            shown = self._run(self._sent(self.encoder.collate(prompts)), keep=1)[0].float()
            handed = self._run(self._with_features(prompts, None), keep=1)[0].float()
        error = torch.finfo(self.model.dtype).eps ** 0.5
        return bool((shown - handed).abs().max() <= error * shown.abs().max())

    @torch.no_grad()
    def _see(self, pictures: Sequence[EncodedPicture]) -> bool:
        """Compute the features of pictures that have none; return whether each has its own."""
        new = list({id(p): p for p in pictures if p.features is None}.values())
        for start in range(0, len(new), FEATURE_BATCH):
            some = new[start : start + FEATURE_BATCH]
            made = self.model.get_image_features(**self._sent(pixels(some)))
            features = capabilities.split_features(made, len(some))
            if features is None:
                return False
            for picture, own in zip(some, features, strict=True):
                picture.features = own
        return True

    def _run(self, batch: dict[str, Any], keep: int) -> tuple[Tensor, Tensor, Any]:
        """Run the model.

        Returns:
            Logits (B, keep, V) and last hidden states (B, keep, width) of the last positions, and
            the cache.
        """
        given = dict(batch)
        if not self.family.places_tokens:
            positions = (batch["attention_mask"].cumsum(-1) - 1).clamp_min(0)
            given["position_ids"] = positions[:, -batch["input_ids"].shape[1] :]
        if self.family.keeps_some:
            given["logits_to_keep"] = keep
        self._hidden = None
        out = self.model(**given, use_cache=not torch.is_grad_enabled(), return_dict=True)
        hidden, self._hidden = self._hidden, None
        assert hidden is not None, "the output head isn't called"
        return out.logits[:, -keep:], hidden[:, -keep:], out.past_key_values

    def _remember(self, _: nn.Module, given: tuple[Tensor, ...]) -> None:
        """Keep what the output head reads first: the value head reads the same."""
        if self._hidden is None:
            self._hidden = given[0]

    def _values(self, hidden: Tensor) -> Tensor:
        if self.value_head is None:
            return torch.zeros(len(hidden), device=hidden.device)
        values: Tensor = self.value_head(hidden)
        return values

    def _forbidden(self, size: int, end_ids: Sequence[int]) -> Tensor:
        """Return which tokens are never drawn: the special ones, and those without a text.

        A drawn image token would ask for a picture that isn't there.
        """
        special = set(self.tokenizer.all_special_ids)
        config = self.model.config
        special |= {
            getattr(config, name)
            for name in vars(config)
            if name.endswith("_token_id") and isinstance(getattr(config, name), int)
        }
        special |= {
            index for index, token in self.tokenizer.added_tokens_decoder.items() if token.special
        }
        forbidden = torch.zeros(size, dtype=torch.bool)
        forbidden[len(self.tokenizer) :] = True
        forbidden[[index for index in special if 0 <= index < size]] = True
        forbidden[list(end_ids)] = False
        return forbidden

    @contextlib.contextmanager
    def _evaluating(self) -> Iterator[None]:
        """Switch dropout off."""
        training = self.training
        self.eval()
        try:
            yield
        finally:
            self.train(training)
