"""TRL: the tasks as environments of `GRPOTrainer`, with a picture in every turn.

    from vlbench.bridges import trl_env
    processor = trl_env.prepare(AutoProcessor.from_pretrained("Qwen/Qwen2.5-VL-3B-Instruct"))
    trainer = GRPOTrainer(
        model="Qwen/Qwen2.5-VL-3B-Instruct",
        processing_class=processor,
        train_dataset=trl_env.dataset("vlbench/Points24-v0", episodes=1000),
        environment_factory=trl_env.environment("vlbench/Points24-v0"),
        args=GRPOConfig(
            generation_kwargs=trl_env.generation_kwargs(processor, max_new_tokens=256), …
        ),
    )

In TRL, an environment acts through tools. In *text mode*, a whole reply is one call of the tool
`step`, and a turn of the environment is the next message of the user. So the prompts, the parser
and the records are the benchmark's.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from vlbench.bridges.engines import TRL

if TRL.problem:
    TRL.refuse(__name__, "trl_env")

import datasets
from PIL import Image
from transformers import ProcessorMixin

from vlbench.bridges.conversation import Conversation
from vlbench.bridges.rollouts import RolloutRecord, rank
from vlbench.bridges.starts import deal
from vlbench.records import Reply
from vlbench.registry import registered_id, resolve_env_id
from vlbench.suites import Row

CHATML = "<|im_start|>assistant\n"
END = "<|im_end|>"

TEXT_MODE = """\
{%- set vlbench = namespace(chat=[]) -%}
{%- for message in messages -%}
{%- if message.role == 'tool' -%}
{%- set vlbench.chat = vlbench.chat + [{'role': 'user', 'content': message.content}] -%}
{%- elif message.tool_calls -%}
{%- set call = message.tool_calls[0].function -%}
{%- set text = call.arguments.reply | default('') -%}
{%- if call.name != 'step' -%}{%- set text = call.name ~ (call.arguments | tojson) -%}{%- endif -%}
{%- set parts = [{'type': 'text', 'text': text}] -%}
{%- set vlbench.chat = vlbench.chat + [{'role': 'assistant', 'content': parts}] -%}
{%- else -%}
{%- set vlbench.chat = vlbench.chat + [message] -%}
{%- endif -%}
{%- endfor -%}
{%- set messages = vlbench.chat -%}
{%- set tools = none -%}
"""
"""Beginning of a chat template that renders calls of `step` as replies, and results as prompts."""

RESPONSE_TEMPLATE = {
    "defaults": {"role": "assistant", "content": ""},
    "start_anchor": CHATML,
    "fields": {
        "tool_calls": {
            "close_pattern": r"<\|im_end\|>\s*",
            "content": "text",
            "transform": [
                {
                    "type": "function",
                    "function": {"name": "step", "arguments": {"reply": "{content}"}},
                }
            ],
        },
    },
}
"""How transformers reads a reply: the whole text is a call of `step`."""

FAMILIES = ("Qwen2_5_VLProcessor", "Qwen3VLProcessor", "Qwen3_5Processor")
"""Processors of the models that TRL trains with a picture in every turn."""

TOO_LONG = " x" * 50_000
"""A result that exceeds any budget. TRL then drops the result and ends the rollout, so that
nothing follows the last action of an episode."""


def prepare(processor: ProcessorMixin) -> ProcessorMixin:
    """Return a processor in text mode; it is changed in place.

    The prompts are what its own chat template writes. A whole reply is read as one call of `step`.

    Raises:
        ValueError: TRL can't train the model's family with a picture in every turn.
    """
    names = [kind.__name__ for kind in type(processor).__mro__]
    template = processor.chat_template or processor.tokenizer.chat_template
    if not any(name in FAMILIES for name in names) or CHATML not in str(template):
        raise ValueError(
            f"TRL can't train {names[0].removesuffix('Processor')} models with a picture in every "
            "turn; use a Qwen2.5-VL, Qwen3-VL or Qwen3.5 model, or single turns "
            "(docs/bridges/turns.md)"
        )
    if not template.startswith(TEXT_MODE):
        processor.chat_template = processor.tokenizer.chat_template = TEXT_MODE + template
    processor.tokenizer.response_template = RESPONSE_TEMPLATE
    return processor


def generation_kwargs(processor: ProcessorMixin, max_new_tokens: int) -> dict[str, Any]:
    """Return what `GRPOConfig(generation_kwargs=…)` needs.

    Args:
        processor: The model's.
        max_new_tokens: Longest reply of a turn. `max_completion_length` of TRL is the budget of a
            whole episode, prompts and pictures of later turns included.

    Returns:
        That limit, and the tokens that stand for pictures and videos as forbidden: a model that
        wrote one would promise a picture that isn't there.
    """
    tokenizer = processor.tokenizer
    names = ("image_token", "video_token", "vision_start_token", "vision_end_token")
    tokens = [getattr(tokenizer, name, None) or getattr(processor, name, None) for name in names]
    ids = sorted({tokenizer.convert_tokens_to_ids(token) for token in tokens if token})
    return {"max_new_tokens": max_new_tokens, "suppress_tokens": ids}


def dataset(env_id: str, episodes: int, *, seed: int = 0, **kwargs: Any) -> datasets.Dataset:
    """Return starts of the `train` split, one a row: all rollouts of a group share it.

    Args:
        env_id: An id or short name.
        episodes: Number of rows.
        seed: Seed of the deals.
        **kwargs: Keyword arguments of the environment; `split` is "train" by default.
    """
    rows = [
        {
            "prompt": [{"role": "user", "content": ""}],
            "instance": row.instance,
            "presentation": row.presentation,
        }
        for row in deal(env_id, episodes, seed=seed, **kwargs)
    ]
    return datasets.Dataset.from_list(rows)


class EnvironmentFactory:
    """Makes environments for `GRPOTrainer`, and records what they play.

    Args:
        env_id: A registered id.
        kwargs: Keyword arguments of the environment.
        record: Folder of the recorded rollouts, one run folder a process; None for no record.
    """

    def __init__(self, env_id: str, kwargs: Mapping[str, Any], record: Path | None) -> None:
        self.env_id = env_id
        self.kwargs = dict(kwargs)
        self.record = RolloutRecord(record, "trl", rank)

    def __call__(self) -> "TaskEnvironment":
        """Return a new environment."""
        return TaskEnvironment(self)

    def conversation(self, instance: str, presentation: int) -> Conversation:
        """Return a new episode from a start."""
        return Conversation(
            Row(self.env_id, self.kwargs, instance, presentation), self.record.next_number()
        )


class TaskEnvironment:
    """One rollout at a time. TRL resets it for the next, and calls `step` with each reply."""

    def __init__(self, factory: EnvironmentFactory) -> None:
        self._factory = factory
        self._conversation: Conversation | None = None

    def reset(self, instance: str, presentation: int, **_: object) -> list[dict[str, Any]]:
        """Start the episode of a row of `dataset`; return its first picture and prompt."""
        if self._conversation is not None:
            self._conversation.close()
        self._conversation = self._factory.conversation(instance, presentation)
        return self._blocks()

    def step(self, reply: str) -> Any:
        """Play a reply.

        Args:
            reply: The model's whole reply.

        Returns:
            The next picture and prompt; after the last turn, a text that ends the rollout.
        """
        assert self._conversation is not None
        if not self._conversation.is_over:
            self._conversation.play(Reply(reply))
        return TOO_LONG if self._conversation.is_over else self._blocks()

    def get_reward(self) -> float:
        """Return the episode's return; a turn that wasn't taken counts −1."""
        assert self._conversation is not None
        self._factory.record.add(self._conversation.episode())
        return self._conversation.total + self._conversation.forfeit

    def _blocks(self) -> list[dict[str, Any]]:
        assert self._conversation is not None
        (message,) = self._conversation.messages(_picture)
        content: list[dict[str, Any]] = message["content"]
        return content


def _picture(image: Any) -> dict[str, Any]:
    return {"type": "image", "image": Image.fromarray(image)}


def environment(
    env_id: str, *, record: Path | str | None = None, **kwargs: Any
) -> EnvironmentFactory:
    """Return what `GRPOTrainer(environment_factory=…)` takes.

    Args:
        env_id: An id or short name.
        record: Folder for the rollouts, which replay; None for no record.
        **kwargs: Keyword arguments of the environment, as in `dataset`.

    Raises:
        ValueError: There is no such environment.
    """
    return EnvironmentFactory(
        registered_id(resolve_env_id(env_id)), kwargs, None if record is None else Path(record)
    )
