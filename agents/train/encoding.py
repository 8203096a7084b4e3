"""Observations → what a model is fed.

A prompt's tokens and a picture's tensors are what the checkpoint's own processor makes of them.
Each distinct prompt and each distinct picture goes through the processor once; a batch is put
together from the results, padded on the left to its own longest row.
"""

import hashlib
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

import torch
from PIL import Image
from torch import Tensor

from vlbench.picture import SIZE
from vlbench.prompting import messages

MAX_PICTURES = 4096
MAX_TEXTS = 4096


@dataclass(slots=True, eq=False)
class EncodedPicture:
    """A picture as the processor made it."""

    tensors: dict[str, Tensor]
    """The processor's tensors for this picture alone, e.g. `pixel_values`; pictures of one batch
    are concatenated along the first dimension."""
    features: Any = None
    """What the frozen tower made of it, kept by the policy."""


@dataclass(frozen=True, slots=True, eq=False)
class EncodedPrompt:
    """A prompt as the processor made it."""

    sequences: dict[str, Tensor]
    """`input_ids` (L,) int64, and whatever else the processor gives for each token."""
    pictures: tuple[EncodedPicture, ...]

    def __len__(self) -> int:
        """Return the number of tokens."""
        return len(self.sequences["input_ids"])


K = TypeVar("K")
V = TypeVar("V")


@dataclass(slots=True)
class _Recent(Generic[K, V]):
    """The values that were asked for last."""

    size: int
    kept: OrderedDict[K, V] = field(default_factory=OrderedDict)

    def get(self, key: K, make: Callable[[], V]) -> V:
        """Return a value, made where it isn't kept."""
        if key in self.kept:
            self.kept.move_to_end(key)
            return self.kept[key]
        value = self.kept[key] = make()
        if len(self.kept) > self.size:
            self.kept.popitem(last=False)
        return value


class Encoder:
    """Encodes observations with a checkpoint's processor.

    Args:
        processor: What `AutoProcessor` gives, with a chat template.
    """

    def __init__(self, processor: Any) -> None:
        self.processor = processor
        self.tokenizer = processor.tokenizer
        blank = Image.new("RGB", (SIZE, SIZE))
        self._blank = blank
        self._pictures: _Recent[bytes, EncodedPicture] = _Recent(MAX_PICTURES)
        self._texts: _Recent[str, dict[str, Tensor]] = _Recent(MAX_TEXTS)
        self._around = self._around_reply()

    def encode(self, observation: Mapping[str, Any]) -> EncodedPrompt:
        """Encode an observation, with its history where it has one."""
        chat = messages(observation)
        images = [
            part["image"]
            for message in chat
            for part in message["content"]
            if part["type"] == "image"
        ]
        text = self._rendered(chat, add_generation_prompt=True)
        sequences = self._texts.get(text, lambda: self._sequences(text, len(images)))
        return EncodedPrompt(sequences, tuple(map(self._picture, images)))

    def encode_reply(self, reply: str) -> Tensor:
        """Return the tokens (n,) int64 of a reply that ends its turn, as the template writes it."""
        ids = self.tokenizer(self._around + reply, add_special_tokens=False)["input_ids"]
        return torch.tensor([*ids, self.tokenizer.eos_token_id])

    def collate(
        self, prompts: Sequence[EncodedPrompt], replies: Sequence[Tensor] | None = None
    ) -> dict[str, Tensor]:
        """Return a batch, padded on the left.

        Args:
            prompts: B prompts.
            replies: Tokens that follow each prompt, (n_i,) int64.

        Returns:
            `input_ids` and `attention_mask` (B, longest row) int64, and likewise what else the
            processor gives for each token. Pictures aren't in it; see `pixels`.
        """
        tails = replies or [torch.empty(0, dtype=torch.int64)] * len(prompts)
        longest = max(len(p) + len(t) for p, t in zip(prompts, tails, strict=True))
        shape = (len(prompts), longest)
        batch = {"attention_mask": torch.zeros(shape, dtype=torch.int64)}
        for name in prompts[0].sequences:
            filling = self.tokenizer.pad_token_id if name == "input_ids" else 0
            batch[name] = torch.full(shape, filling, dtype=torch.int64)
        for i, (prompt, tail) in enumerate(zip(prompts, tails, strict=True)):
            start = longest - len(prompt) - len(tail)
            end = longest - len(tail)
            batch["attention_mask"][i, start:] = 1
            for name, values in prompt.sequences.items():
                batch[name][i, start:end] = values
            batch["input_ids"][i, end:] = tail
        return batch

    def _rendered(self, chat: Sequence[Mapping[str, Any]], add_generation_prompt: bool) -> str:
        text = self.processor.apply_chat_template(
            chat, tokenize=False, add_generation_prompt=add_generation_prompt
        )
        return str(text)

    def _around_reply(self) -> str:
        """Return what the template writes between a generation prompt and the reply."""
        said = "\x02"
        turn = [{"role": "user", "content": [{"type": "text", "text": "?"}]}]
        reply = [{"role": "assistant", "content": [{"type": "text", "text": said}]}]
        asked = self._rendered(turn, add_generation_prompt=True)
        answered = self._rendered(turn + reply, add_generation_prompt=False)
        before = answered.partition(said)[0]
        return before.removeprefix(asked) if before.startswith(asked) else ""

    def _sequences(self, text: str, pictures: int) -> dict[str, Tensor]:
        """Tokenize a prompt, with as many image tokens as pictures of our size have."""
        blanks = [self._blank] * pictures or None
        made = self.processor(text=[text], images=blanks, return_tensors="pt")
        shape = made["input_ids"].shape
        return {
            name: tensor[0]
            for name, tensor in made.items()
            if name != "attention_mask" and tensor.shape == shape
        }

    def _picture(self, image: Any) -> EncodedPicture:
        key = hashlib.blake2b(image.tobytes(), digest_size=16).digest()
        return self._pictures.get(key, lambda: EncodedPicture(self._pixels(image)))

    def _pixels(self, image: Any) -> dict[str, Tensor]:
        turn = [{"role": "user", "content": [{"type": "image"}]}]
        text = self._rendered(turn, add_generation_prompt=False)
        made = self.processor(text=[text], images=[Image.fromarray(image)], return_tensors="pt")
        shape = made["input_ids"].shape
        return {name: tensor for name, tensor in made.items() if tensor.shape != shape}


def pixels(prompts: Sequence[EncodedPrompt]) -> dict[str, Tensor]:
    """Return the pictures of a batch: the processor's tensors, one picture after the other."""
    pictures = [picture for prompt in prompts for picture in prompt.pictures]
    if not pictures:
        return {}
    return {
        name: torch.cat([picture.tensors[name] for picture in pictures])
        for name in pictures[0].tensors
    }
