"""Turn observations into a model's inputs, with the checkpoint's own processor.

If encoding items one by one equals encoding the batch (checked once at start), each distinct prompt
and picture is processed once, and batches are composed from the results. Otherwise every batch is
processed as a whole. Rows are left-padded to the longest. Tokens are those of the processor's own
`apply_chat_template(tokenize=True)`, on which the checkpoint was trained: a check at start.
"""

import hashlib
import re
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Generic, TypeVar

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from agents.vlm.encoding.encoded import (
    EncodedPicture,
    EncodedPrompt,
    picture_size,
    pictures_of,
    pixels,
    split_by_row,
)
from agents.vlm.trial import one_line
from vlbench.prompts import messages
from vlbench.task import SIZE

PICTURE_BYTES = 2**31
"""Size of the picture cache, in bytes of the processor's tensors. Cached features aren't counted;
they can be several times as large."""
MAX_TEXTS = 4096
"""Size of the prompt cache, in prompts."""
MAX_TEXT = 1 << 20
"""Longest text of a prompt, in characters."""


K = TypeVar("K")
V = TypeVar("V")


@dataclass(slots=True)
class _Cache(Generic[K, V]):
    """A least-recently-used cache."""

    size: int
    values: OrderedDict[K, V] = field(default_factory=OrderedDict)

    def get(self, key: K, make: Callable[[], V]) -> V:
        """Return the value of a key; call `make` if it isn't in the cache."""
        if key in self.values:
            self.values.move_to_end(key)
            return self.values[key]
        value = self.values[key] = make()
        if len(self.values) > self.size:
            self.values.popitem(last=False)
        return value


class Encoder:
    """Encodes observations with a checkpoint's processor.

    Args:
        processor: A processor of `AutoProcessor`, with a chat template.
        template_variables: Variables of the chat template, e.g. {"enable_thinking": False}.

    Raises:
        ValueError: The chat template doesn't use one of the variables, shows no picture or ends no
            reply; or the processor's tokens differ from those of its own `apply_chat_template`.
    """

    def __init__(
        self, processor: Any, template_variables: Mapping[str, Any] = MappingProxyType({})
    ) -> None:
        self.processor = processor
        self._template_variables = template_variables
        template = str(processor.chat_template)
        for name in template_variables:
            if not re.search(rf"\b{re.escape(name)}\b", template):
                raise ValueError(f'the chat template has no variable "{name}"')
        prompts = [self._render([_user_turn("?", pictures)], True) for pictures in (0, 1)]
        if prompts[0] == prompts[1]:
            raise ValueError("the chat template has no slot for a picture, so none is shown")
        self.tokenizer = processor.tokenizer
        self._reads_pictures_alone: bool | None = None
        black = np.zeros((SIZE, SIZE, 3), np.uint8)
        inputs = self._process([prompts[1]], [[black]])
        self._reply_types = {"token_type_ids": 1} if "labels" in inputs else {}
        """Values of per-token inputs in replies. A processor that returns labels serves a model
        like PaliGemma, which attends a prompt (type 0) both ways and a reply (type 1) causally."""
        blank = self._pixels(black)
        self.picture_size = picture_size(blank, processor)
        """Height×width to which the processor resizes a picture of SIZE, or each of its tiles, e.g.
        "336x336"; "" if its tensors don't show it."""
        each = sum(tensor.nbytes for tensor in blank.values())
        self._pictures: _Cache[bytes, EncodedPicture] = _Cache(max(64, PICTURE_BYTES // each))
        self._texts: _Cache[Any, dict[str, Tensor]] = _Cache(MAX_TEXTS)
        self._rendered: _Cache[Any, str] = _Cache(MAX_TEXTS)
        self._reply_prefix = self._find_reply_prefix()
        self.end_id = self._find_end()
        """The token that ends a reply in the chat template; else the tokenizer's end token."""
        self._check_tokens()
        self.composes = self._probe()
        """Whether batches are composed of prompts and pictures that were processed one by one."""
        self.per_token = frozenset(self._sequences(prompts[1], [(SIZE, SIZE)]))
        """Names of the processor's per-token inputs."""

    def encode(self, observation: Mapping[str, Any]) -> EncodedPrompt:
        """Encode an observation and its history, if any."""
        chat = messages(observation)
        images = [
            part["image"]
            for message in chat
            for part in message["content"]
            if part["type"] == "image"
        ]
        # Templates are slow; most turns have a text that was rendered before.
        key = tuple(
            (message["role"], *(part.get("text", part["type"]) for part in message["content"]))
            for message in chat
        )
        text = self._rendered.get(key, lambda: self._render(chat, add_generation_prompt=True))
        return self._encode(text, images, self.composes)

    def render(self, observation: Mapping[str, Any]) -> str:
        """Return the text of an observation and its history, as the chat template writes it."""
        return self._render(messages(observation), add_generation_prompt=True)

    def encode_reply(self, reply: str) -> Tensor:
        """Return a reply's tokens as the template writes it, end token included, (n,) int64."""
        ids = self.tokenizer(self._reply_prefix + reply, add_special_tokens=False)["input_ids"]
        return torch.tensor([*ids, self.end_id])

    def collate(
        self, prompts: Sequence[EncodedPrompt], replies: Sequence[Tensor] | None = None
    ) -> dict[str, Tensor]:
        """Return a batch of inputs.

        Args:
            prompts: B prompts.
            replies: Tokens to append to each prompt, (n_i,) int64.

        Returns:
            `input_ids` and `attention_mask` (B, longest row) int64, the processor's other per-token
            inputs, and the pictures' tensors.
        """
        if self.composes:
            return self.tokens(prompts, replies) | pixels(pictures_of(prompts))
        rows, rest = self._process_whole(prompts)
        return self._pad(rows, replies) | rest

    def tokens(
        self, prompts: Sequence[EncodedPrompt], replies: Sequence[Tensor] | None = None
    ) -> dict[str, Tensor]:
        """Return a batch without its pictures; requires `composes`."""
        return self._pad([prompt.sequences for prompt in prompts], replies)

    def _pad(
        self, rows: Sequence[Mapping[str, Tensor]], replies: Sequence[Tensor] | None
    ) -> dict[str, Tensor]:
        """Return prompts followed by replies, left-padded.

        For a reply's tokens, inputs other than `input_ids` repeat those of the prompt's last token,
        unless the model tells replies from prompts.
        """
        tails = replies or [torch.empty(0, dtype=torch.int64)] * len(rows)
        sizes = [len(row["input_ids"]) for row in rows]
        longest = max(size + len(tail) for size, tail in zip(sizes, tails, strict=True))
        batch = {"attention_mask": torch.zeros(len(rows), longest, dtype=torch.int64)}
        for name, first in rows[0].items():
            padding = self.tokenizer.pad_token_id if name == "input_ids" else 0
            shape = (len(rows), longest, *first.shape[1:])
            batch[name] = torch.full(shape, padding, dtype=first.dtype)
        for i, (row, size, tail) in enumerate(zip(rows, sizes, tails, strict=True)):
            end = longest - len(tail)
            batch["attention_mask"][i, end - size :] = 1
            for name, values in row.items():
                batch[name][i, end - size : end] = values
                rest = self._reply_types.get(name, values[-1])
                batch[name][i, end:] = tail if name == "input_ids" else rest
        return batch

    def _render(self, chat: Sequence[Mapping[str, Any]], add_generation_prompt: bool) -> str:
        try:
            text = self.processor.apply_chat_template(
                chat,
                tokenize=False,
                add_generation_prompt=add_generation_prompt,
                **self._template_variables,
            )
        # The boundary to a checkpoint's template, which may raise anything.
        except Exception as error:
            raise ValueError(f"its chat template fails: {one_line(error)}") from error
        if len(text) > MAX_TEXT:
            raise ValueError(f"its chat template writes more than {MAX_TEXT} characters")
        return str(text)

    def _find_reply_prefix(self) -> str:
        """Return the text that the template puts between the generation prompt and the reply."""
        prompt = self._render([_user_turn("?", 0)], add_generation_prompt=True)
        before = self._around_reply()[0]
        return before.removeprefix(prompt) if before.startswith(prompt) else ""

    def _around_reply(self) -> tuple[str, str]:
        """Return what the template writes before and after a reply."""
        marker = "\x02"
        chat = [_user_turn("?", 0), _reply_turn(marker)]
        before, _, after = self._render(chat, add_generation_prompt=False).partition(marker)
        return before, after

    def _find_end(self) -> int:
        """Return the first special token after a reply, or the tokenizer's end token."""
        tokenizer = self.tokenizer
        after = tokenizer(self._around_reply()[1], add_special_tokens=False)["input_ids"]
        ends = [token for token in after if token in special_ids(tokenizer)]
        end = ends[0] if ends else tokenizer.eos_token_id
        if end is None:
            raise ValueError("nothing ends a reply: the tokenizer has no end token")
        return int(end)

    def _check_tokens(self) -> None:
        """Compare with `apply_chat_template`, on two turns with a picture each, or on one."""
        reply = _reply_turn("!")
        for turns in ([_user_turn("?", 1), reply, _user_turn("??", 1)], [_user_turn("?", 1)]):
            text = self._render(turns, add_generation_prompt=True)
            sizes = [(SIZE, SIZE)] * ((len(turns) + 1) // 2)
            try:
                expected = self.processor.apply_chat_template(
                    _with_pictures(turns),
                    tokenize=True,
                    add_generation_prompt=True,
                    return_dict=True,
                    return_tensors="pt",
                    **self._template_variables,
                )["input_ids"][0]
                ids = self._sequences(text, sizes)["input_ids"]
            except (ValueError, RuntimeError):  # the model takes one picture
                continue
            if not torch.equal(ids, expected):
                raise ValueError(
                    f"the processor reads a rendered chat as {len(ids)} tokens and its own "
                    f"apply_chat_template as {len(expected)}, on which the model was trained"
                )
            return

    def _encode(self, text: str, images: Sequence[Any], alone: bool) -> EncodedPrompt:
        sizes = tuple(image.shape[:2] for image in images)
        sequences = self._texts.get((text, sizes), lambda: self._sequences(text, sizes))
        make = self._picture if alone else lambda image: EncodedPicture({}, image.copy())
        return EncodedPrompt(text, sequences, tuple(map(make, images)))

    def _process(self, texts: Sequence[str], images: Sequence[Sequence[Any]]) -> dict[str, Tensor]:
        """Process texts, each with its pictures; rows are left-padded."""
        pictures = [[Image.fromarray(image) for image in row] for row in images]
        start = self.tokenizer.bos_token
        inputs = self.processor(
            text=list(texts),
            images=pictures if any(pictures) else None,
            padding=True,
            padding_side="left",
            # Where the template writes the start token, the tokenizer must not add another.
            add_special_tokens=start is None or not texts[0].startswith(start),
            return_tensors="pt",
        )
        return dict(inputs)

    def _sequences(self, text: str, sizes: Sequence[tuple[int, int]]) -> dict[str, Tensor]:
        """Tokenize a prompt that has pictures of these sizes."""
        blank = [np.zeros((*size, 3), np.uint8) for size in sizes]
        rows, _ = split_by_row(self._process([text], [blank]))
        return rows[0]

    def _picture(self, image: Any) -> EncodedPicture:
        key = hashlib.sha256(np.ascontiguousarray(image).data).digest()
        return self._pictures.get(key, lambda: EncodedPicture(self._pixels(image)))

    def _pixels(self, image: Any) -> dict[str, Tensor]:
        """Return the tensors of a picture, from its own processor if that gives the same."""
        if self._reads_pictures_alone is None:
            noise = np.random.default_rng(1).integers(256, size=image.shape, dtype=np.uint8)
            self._reads_pictures_alone = self._compare_readers(noise)
        if self._reads_pictures_alone:
            return self._pixels_alone(image)
        return self._pixels_in_a_chat(image)

    def _pixels_in_a_chat(self, image: Any) -> dict[str, Tensor]:
        text = self._render([_user_turn("", 1)], add_generation_prompt=False)
        return split_by_row(self._process([text], [[image]]))[1]

    def _pixels_alone(self, image: Any) -> dict[str, Tensor]:
        reader = self.processor.image_processor
        return dict(reader(images=[Image.fromarray(image)], return_tensors="pt"))

    def _compare_readers(self, image: Any) -> bool:
        """Return whether the processor of pictures gives what the whole processor does."""
        expected = self._pixels_in_a_chat(image)
        try:
            pixels = self._pixels_alone(image)
        # The boundary to a checkpoint's own code, which may want other arguments.
        except Exception:
            return False
        return pixels.keys() == expected.keys() and all(
            isinstance(tensor, Tensor) and torch.equal(tensor, expected[name])
            for name, tensor in pixels.items()
        )

    def _process_whole(
        self, prompts: Sequence[EncodedPrompt]
    ) -> tuple[list[dict[str, Tensor]], dict[str, Tensor]]:
        """Process a batch as a whole; return its rows and the inputs that aren't per token."""
        images = [[picture.image for picture in prompt.pictures] for prompt in prompts]
        return split_by_row(self._process([prompt.text for prompt in prompts], images))

    def _probe(self) -> bool:
        """Check whether encoding items one by one equals encoding the batch."""
        noise = np.random.default_rng(0).integers(256, size=(3, SIZE, SIZE, 3), dtype=np.uint8)
        samples: list[tuple[str, list[Any]]] = []
        for text, images in (("?", [*noise[:1]]), ("? " * 9, [*noise[1:]])):
            turn = _user_turn(text, len(images))
            samples.append((self._render([turn], add_generation_prompt=True), images))
        try:
            prompts = [self._encode(text, images, True) for text, images in samples]
            composed = self.tokens(prompts) | pixels(pictures_of(prompts))
            rows, rest = self._process_whole([self._encode(*sample, False) for sample in samples])
        except (ValueError, RuntimeError):  # at most one picture, or sizes differ
            return False
        whole = self._pad(rows, None) | rest
        return composed.keys() == whole.keys() and all(
            composed[name].dtype == tensor.dtype and torch.equal(composed[name], tensor)
            for name, tensor in whole.items()
        )


def _user_turn(text: str, pictures: int) -> dict[str, Any]:
    images: list[dict[str, Any]] = [{"type": "image"}] * pictures
    return {"role": "user", "content": [*images, {"type": "text", "text": text}]}


def _reply_turn(text: str) -> dict[str, Any]:
    return {"role": "assistant", "content": [{"type": "text", "text": text}]}


def _with_pictures(turns: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return turns with a black picture in each place of one."""
    black = Image.new("RGB", (SIZE, SIZE))
    return [
        {
            "role": turn["role"],
            "content": [
                {"type": "image", "image": black} if part["type"] == "image" else part
                for part in turn["content"]
            ],
        }
        for turn in turns
    ]


def special_ids(tokenizer: Any) -> frozenset[int]:
    """Return a tokenizer's special tokens: named, additional, and added ones marked so."""
    added = tokenizer.added_tokens_decoder.items()
    marked = {index for index, token in added if token.special}
    return frozenset(marked | set(tokenizer.all_special_ids))
