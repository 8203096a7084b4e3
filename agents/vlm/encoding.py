"""Observations → what a model is fed.

A prompt's tokens and a picture's tensors are what the checkpoint's own processor makes of them.
Where a batch is no more than its prompts and pictures (a probe finds that out), each distinct one
of them goes through the processor once, and batches are put together from the results. Of any other
processor, every batch is what it makes of the whole batch. Rows are padded on the left, to the
longest.
"""

import hashlib
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from vlbench.prompts import messages
from vlbench.task import SIZE

PICTURE_BYTES = 2**31
"""How much of the processor's tensors is kept, of pictures that nobody holds; their features, which
are up to a few times as large, are kept with them."""
MAX_TEXTS = 4096


@dataclass(slots=True, eq=False)
class EncodedPicture:
    """A picture as the processor made it."""

    tensors: dict[str, Tensor]
    """The processor's tensors for this picture alone, e.g. `pixel_values`; pictures of one batch
    are concatenated along the first dimension. Empty where batches are processed as a whole."""
    image: Any = None
    """The picture itself, (H, W, 3) uint8, where batches are processed as a whole."""
    features: Any = None
    """What the frozen tower made of it, kept by the policy."""


@dataclass(frozen=True, slots=True, eq=False)
class EncodedPrompt:
    """A prompt as the processor made it."""

    text: str
    """As the chat template writes it."""
    sequences: dict[str, Tensor]
    """`input_ids` (L,) int64, and whatever else the processor gives for each token, (L, …)."""
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
        blank = self._pixels(np.zeros((SIZE, SIZE, 3), np.uint8))
        each = sum(tensor.nbytes for tensor in blank.values())
        self._pictures: _Recent[bytes, EncodedPicture] = _Recent(max(64, PICTURE_BYTES // each))
        self._texts: _Recent[Any, dict[str, Tensor]] = _Recent(MAX_TEXTS)
        self._around = self._around_reply()
        self.composes = self._probe()
        """Whether batches are put together from prompts and pictures processed alone."""
        said = self._rendered([_turn("?", 1)], add_generation_prompt=True)
        self.per_token = frozenset(self._sequences(said, [(SIZE, SIZE)]))
        """Names of what the processor gives for each token."""

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
        return self._encoded(text, images, self.composes)

    def encode_reply(self, reply: str) -> Tensor:
        """Return the tokens (n,) int64 of a reply that ends its turn, as the template writes it."""
        ids = self.tokenizer(self._around + reply, add_special_tokens=False)["input_ids"]
        return torch.tensor([*ids, self.tokenizer.eos_token_id])

    def collate(
        self, prompts: Sequence[EncodedPrompt], replies: Sequence[Tensor] | None = None
    ) -> dict[str, Tensor]:
        """Return a batch, all that the model is fed.

        Args:
            prompts: B prompts.
            replies: Tokens that follow each prompt, (n_i,) int64.

        Returns:
            `input_ids` and `attention_mask` (B, longest row) int64, what else the processor gives
            for each token, and the pictures' tensors.
        """
        if self.composes:
            return self.tokens(prompts, replies) | pixels(pictures_of(prompts))
        rows, rest = self._processed(prompts)
        return self._aligned(rows, replies) | rest

    def tokens(
        self, prompts: Sequence[EncodedPrompt], replies: Sequence[Tensor] | None = None
    ) -> dict[str, Tensor]:
        """Return a batch without its pictures; only where batches are put together."""
        return self._aligned([prompt.sequences for prompt in prompts], replies)

    def _aligned(
        self, rows: Sequence[Mapping[str, Tensor]], replies: Sequence[Tensor] | None
    ) -> dict[str, Tensor]:
        """Return rows and the replies after them, padded on the left.

        What isn't the token itself is, for a reply's tokens, what it is for the prompt's last one.
        """
        tails = replies or [torch.empty(0, dtype=torch.int64)] * len(rows)
        sizes = [len(row["input_ids"]) for row in rows]
        longest = max(size + len(tail) for size, tail in zip(sizes, tails, strict=True))
        batch = {"attention_mask": torch.zeros(len(rows), longest, dtype=torch.int64)}
        for name, first in rows[0].items():
            filling = self.tokenizer.pad_token_id if name == "input_ids" else 0
            shape = (len(rows), longest, *first.shape[1:])
            batch[name] = torch.full(shape, filling, dtype=first.dtype)
        for i, (row, size, tail) in enumerate(zip(rows, sizes, tails, strict=True)):
            end = longest - len(tail)
            batch["attention_mask"][i, end - size :] = 1
            for name, values in row.items():
                batch[name][i, end - size : end] = values
                batch[name][i, end:] = tail if name == "input_ids" else values[-1]
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

    def _encoded(self, text: str, images: Sequence[Any], alone: bool) -> EncodedPrompt:
        sizes = tuple(image.shape[:2] for image in images)
        sequences = self._texts.get((text, sizes), lambda: self._sequences(text, sizes))
        make = self._picture if alone else lambda image: EncodedPicture({}, image.copy())
        return EncodedPrompt(text, sequences, tuple(map(make, images)))

    def _process(self, texts: Sequence[str], images: Sequence[Sequence[Any]]) -> dict[str, Tensor]:
        """Return what the processor makes of texts and the pictures of each, padded on the left."""
        shown = [[Image.fromarray(image) for image in row] for row in images]
        made = self.processor(
            text=list(texts),
            images=shown if any(shown) else None,
            padding=True,
            padding_side="left",
            return_tensors="pt",
        )
        return dict(made)

    def _sequences(self, text: str, sizes: Sequence[tuple[int, int]]) -> dict[str, Tensor]:
        """Tokenize a prompt, with as many image tokens as pictures of these sizes have."""
        blank = [np.zeros((*size, 3), np.uint8) for size in sizes]
        rows, _ = _split(self._process([text], [blank]))
        return rows[0]

    def _picture(self, image: Any) -> EncodedPicture:
        key = hashlib.blake2b(image.tobytes(), digest_size=16).digest()
        return self._pictures.get(key, lambda: EncodedPicture(self._pixels(image)))

    def _pixels(self, image: Any) -> dict[str, Tensor]:
        text = self._rendered([_turn("", 1)], add_generation_prompt=False)
        return _split(self._process([text], [[image]]))[1]

    def _processed(
        self, prompts: Sequence[EncodedPrompt]
    ) -> tuple[list[dict[str, Tensor]], dict[str, Tensor]]:
        """Return the rows of a batch that was processed as a whole, and the rest of it."""
        images = [[picture.image for picture in prompt.pictures] for prompt in prompts]
        return _split(self._process([prompt.text for prompt in prompts], images))

    def _probe(self) -> bool:
        """Find out whether a batch is no more than its prompts and pictures."""
        noise = np.random.default_rng(0).integers(256, size=(3, SIZE, SIZE, 3), dtype=np.uint8)
        shown = []
        for said, images in (("?", noise[:1]), ("? " * 9, noise[1:])):
            turn = _turn(said, len(images))
            shown.append((self._rendered([turn], add_generation_prompt=True), images))
        try:
            alone = [self._encoded(text, images, True) for text, images in shown]
            mine = self.tokens(alone) | pixels(pictures_of(alone))
            rows, rest = self._processed([self._encoded(*prompt, False) for prompt in shown])
        except (ValueError, RuntimeError):  # it takes one picture at most, or they aren't alike
            return False
        theirs = self._aligned(rows, None) | rest
        return mine.keys() == theirs.keys() and all(
            mine[name].dtype == made.dtype and torch.equal(mine[name], made)
            for name, made in theirs.items()
        )


def _turn(said: str, pictures: int) -> dict[str, Any]:
    shown: list[dict[str, Any]] = [{"type": "image"}] * pictures
    return {"role": "user", "content": [*shown, {"type": "text", "text": said}]}


def _split(made: Mapping[str, Tensor]) -> tuple[list[dict[str, Tensor]], dict[str, Tensor]]:
    """Return what a processor made for each token, by rows without padding, and the rest."""
    mask = made["attention_mask"].bool()
    rows: list[dict[str, Tensor]] = [{} for _ in mask]
    rest: dict[str, Tensor] = {}
    for name, tensor in made.items():
        if tensor.shape[:2] != mask.shape:
            rest[name] = tensor
        elif name != "attention_mask":
            for row, values, seen in zip(rows, tensor, mask, strict=True):
                row[name] = values[seen]
    return rows, rest


def pixels(pictures: Sequence[EncodedPicture]) -> dict[str, Tensor]:
    """Return the processor's tensors of pictures, one after the other."""
    return {
        name: torch.cat([picture.tensors[name] for picture in pictures])
        for name in (pictures[0].tensors if pictures else ())
    }


def pictures_of(prompts: Sequence[EncodedPrompt]) -> list[EncodedPicture]:
    """Return the pictures of a batch, in order."""
    return [picture for prompt in prompts for picture in prompt.pictures]
