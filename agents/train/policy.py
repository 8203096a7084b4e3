"""The policy: a vision-language model that writes replies, and a value head beside it."""

import contextlib
import inspect
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from transformers.modeling_outputs import BaseModelOutputWithPooling

from agents.train.encoding import EncodedPicture, EncodedPrompt, Encoder, pixels
from agents.train.loading import vision_modules

COMPACT_BELOW = 0.75
"""Share of a batch's rows that still write, below which the others are dropped from the cache."""
FEATURE_BATCH = 32
LEAST_LOG = -1e4
"""Stands for log 0 where it is multiplied with 0."""


@dataclass(frozen=True, slots=True)
class Sampling:
    """How replies are drawn."""

    temperature: float = 1.0
    """0 is greedy."""
    top_p: float = 1.0
    max_new_tokens: int = 256


@dataclass(frozen=True, slots=True, eq=False)
class Generation:
    """A reply as it was drawn."""

    ids: Tensor
    """(n,) int64, end token included if it was written."""
    log_probs: Tensor
    """(n,) float32, of the distribution that each token was drawn from."""
    value: float
    """Of the observation; 0 without value head."""
    text: str
    finished: bool
    """Whether the model ended the reply itself."""


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


def log_distribution(logits: Tensor, temperature: float, forbidden: Tensor) -> Tensor:
    """Return log-probabilities (…, V) float32 at a temperature.

    Args:
        logits: (…, V).
        temperature: Divides the logits.
        forbidden: (V,) bool, tokens that are never drawn: their probability is 0.
    """
    return (logits.float() / temperature).masked_fill(forbidden, -torch.inf).log_softmax(-1)


def nucleus(log_probs: Tensor, top_p: float, taken: Tensor | None = None) -> Tensor:
    """Return the distribution within the nucleus (Holtzman et al. 2020), normalised.

    Args:
        log_probs: (…, V).
        top_p: The fewest tokens with this probability in sum stay; the others get 0.
        taken: (…) int64, tokens that were drawn: they stay, though under a policy that has changed
            they may lie outside, so that their probability is never 0.
    """
    if top_p >= 1:
        return log_probs
    ordered, order = log_probs.exp().sort(dim=-1, descending=True)
    outside = ordered.cumsum(-1) - ordered >= top_p
    cut = torch.zeros_like(outside).scatter(-1, order, outside)
    if taken is not None:
        cut = cut.scatter(-1, taken.unsqueeze(-1), False)
    return log_probs.masked_fill(cut, -torch.inf).log_softmax(-1)


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
        inner = model.get_base_model() if hasattr(model, "get_base_model") else model
        accepted = inspect.signature(type(inner).forward).parameters
        self._takes_features = "mm_encoder_outputs" in accepted
        self._positions_of = (
            inner.base_model if hasattr(inner.base_model, "get_rope_index") else None
        )
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
        greedy = generator is None or self.sampling.temperature == 0
        temperature = 1.0 if greedy else self.sampling.temperature
        top_p = 1.0 if greedy else self.sampling.top_p
        size, longest = len(prompts), self.sampling.max_new_tokens
        ids = torch.zeros(size, longest, dtype=torch.int64, device=self.device)
        log_probs = torch.zeros(size, longest, device=self.device)
        lengths = torch.zeros(size, dtype=torch.int64, device=self.device)
        finished = torch.zeros(size, dtype=torch.bool, device=self.device)
        rows = torch.arange(size, device=self.device)  # those that the cache holds

        with self._evaluating():
            batch = self._batch(prompts, None)
            mask = batch["attention_mask"]
            logits, hidden, cache = self._run(batch, keep=1)
            values = self._values(hidden[:, -1])
            shift = self._shift(size)
            for step in range(longest):
                distribution = log_distribution(logits[:, -1], temperature, self.forbidden)
                distribution = nucleus(distribution, top_p)
                if greedy:
                    token = distribution.argmax(-1)
                else:
                    token = torch.multinomial(distribution.exp(), 1, generator=generator)[:, 0]
                writing = ~finished[rows]
                ids[rows, step] = token
                log_probs[rows, step] = distribution.gather(-1, token[:, None])[:, 0]
                lengths[rows] += writing
                finished[rows] |= torch.isin(token, self.end_ids)
                left = (~finished[rows]).nonzero()[:, 0]
                if not len(left) or step + 1 == longest:
                    break
                if len(left) < COMPACT_BELOW * len(rows):
                    cache.batch_select_indices(left)
                    rows, token, mask = rows[left], token[left], mask[left]
                mask = torch.cat([mask, mask.new_ones(len(rows), 1)], dim=1)
                positions = mask.sum(-1, keepdim=True) - 1 + shift[rows]
                if self._positions_of is not None:  # one for each of time, height and width
                    positions = positions.expand(3, -1, -1)
                one = {"input_ids": token[:, None], "attention_mask": mask}
                one |= {"past_key_values": cache, "position_ids": positions}
                logits, _, cache = self._run(one, keep=1)
        return [
            Generation(row[:n].cpu(), log_p[:n].cpu(), value, self.decode(row[:n].tolist()), ended)
            for row, log_p, n, value, ended in zip(
                ids, log_probs, lengths.tolist(), values.tolist(), finished.tolist(), strict=True
            )
        ]

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
        batch: dict[str, Any] = {
            name: tensor.to(self.device)
            for name, tensor in self.encoder.collate(prompts, replies).items()
        }
        if self._takes_features and self.picture_is_frozen():
            pictures = [picture for prompt in prompts for picture in prompt.pictures]
            features = self._features(pictures)
            if features:
                told = BaseModelOutputWithPooling(pooler_output=features)
                batch["mm_encoder_outputs"] = {"image": told}
            shape_names = ("image_sizes", "image_grid_thw")
            shapes = {n: t for n, t in pixels(prompts).items() if n in shape_names}
            return batch | {name: tensor.to(self.device) for name, tensor in shapes.items()}
        dtype = self.model.dtype
        for name, tensor in pixels(prompts).items():
            floating = tensor.is_floating_point()
            batch[name] = tensor.to(self.device, dtype if floating else tensor.dtype)
        return batch

    @torch.no_grad()
    def _features(self, pictures: Sequence[EncodedPicture]) -> list[Tensor]:
        """Return the features of pictures, each computed once while the tower is frozen."""
        new = list({id(p): p for p in pictures if p.features is None}.values())
        for start in range(0, len(new), FEATURE_BATCH):
            some = new[start : start + FEATURE_BATCH]
            given = pixels([EncodedPrompt({}, tuple(some))])
            given = {
                name: t.to(self.device, self.model.dtype if t.is_floating_point() else t.dtype)
                for name, t in given.items()
            }
            made = self.model.get_image_features(**given).pooler_output
            for picture, features in zip(some, made, strict=True):
                picture.features = features
        return [picture.features for picture in pictures]

    def _run(self, batch: dict[str, Any], keep: int) -> tuple[Tensor, Tensor, Any]:
        """Run the model.

        Returns:
            Logits (B, keep, V) and last hidden states (B, keep, width) of the last positions, and
            the cache.
        """
        if "position_ids" not in batch and self._positions_of is None:
            positions = (batch["attention_mask"].cumsum(-1) - 1).clamp_min(0)
            batch = {**batch, "position_ids": positions}
        out = self.model(
            **batch, use_cache=not torch.is_grad_enabled(), logits_to_keep=keep, return_dict=True
        )
        hidden, self._hidden = self._hidden, None
        assert hidden is not None
        return out.logits[:, -keep:], hidden[:, -keep:], out.past_key_values

    def _shift(self, size: int) -> Tensor:
        """Return (B, 1), what is added to a reply's positions after a prompt was read.

        Models with positions in a picture's plane find the prompt's themselves, and go on from
        less than its length.
        """
        if self._positions_of is None:
            return torch.zeros(size, 1, dtype=torch.int64, device=self.device)
        shift: Tensor = self._positions_of.rope_deltas
        return shift.to(self.device)

    def _remember(self, _: nn.Module, given: tuple[Tensor, ...]) -> None:
        """Keep what the output head reads: the value head reads the same."""
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
