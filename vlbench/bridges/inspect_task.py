"""Inspect AI: the tasks of the benchmark as an Inspect task, and its logs as run folders.

    inspect eval vlbench/vlbench -T env=Points24 --model anthropic/claude-sonnet-4-5
    python -m vlbench.bridges.inspect_task logs/….eval --out runs/x

The task plays frozen rows with any of Inspect's providers. The log holds each episode as the
harness would record it, so that the run folder replays, and can be packed and verified.
"""

import sys

from vlbench.bridges.engines import INSPECT, EnginePlayer

if INSPECT.problem:
    INSPECT.refuse(__name__, "inspect_task")

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from inspect_ai import Task, task
from inspect_ai.dataset import MemoryDataset, Sample
from inspect_ai.model import (
    ChatMessage,
    ChatMessageAssistant,
    ChatMessageUser,
    ContentImage,
    ContentReasoning,
    ContentText,
    ModelOutput,
)
from inspect_ai.scorer import Metric, Score, Scorer, Target, mean, scorer, stderr
from inspect_ai.solver import Generate, Solver, TaskState, solver

import vlbench
from vlbench.bridges.conversation import Conversation
from vlbench.bridges.inspect_log import EPISODE, HEADER_KEY, ROW, convert
from vlbench.cli import (
    EVALUATION,
    Options,
    existing_file,
    output_folder,
    parse_options,
    required,
    run_main,
)
from vlbench.observation import data_url
from vlbench.recorder import OracleEnv
from vlbench.records import (
    Episode,
    Failure,
    Reply,
    from_json,
    to_json,
)
from vlbench.records.run_spec import RunSpec
from vlbench.registry import registered_id, resolve_env_id
from vlbench.run_folder import run_header
from vlbench.suites import (
    Row,
)

STOP_REASONS = {"max_tokens": "length", "model_length": "length", "content_filter": "refused"}
"""Inspect's stop reason → ours; "stop" otherwise."""


@task(name="vlbench")
def tasks(
    env: str,
    suite: str = "test",
    prompt: str = "cot",
    theme: str = "",
    episodes: int | None = None,
    history: int = 0,
) -> Task:
    """Play frozen rows.

    Args:
        env: Ids or short names of environments, comma-separated.
        suite: Name of a frozen set, or "seeds".
        prompt: Variant of the prompt: "cot", "action_only" or "cot_facts".
        theme: Theme or group of themes; "" for the suite's own.
        episodes: Number of rows of each environment, from the first; all by default.
        history: Number of past turns that the model sees; 0 as in the paper.

    Raises:
        ValueError: A value is wrong.
    """
    env_ids = [registered_id(resolve_env_id(name.strip())) for name in env.split(",")]
    spec = RunSpec(suite=suite, prompt=prompt, theme=theme, episodes=episodes, history=history)
    samples = []
    for env_id in env_ids:
        for number, row in enumerate(spec.rows(env_id)[:episodes]):
            place = {"number": number, "row": to_json(row)}
            samples.append(
                Sample(
                    id=f"{env_id}#{number}",
                    input=f"{row.env_id} {row.instance} {row.presentation}",
                    metadata={ROW: place, "instance": f"{env_id} {row.instance or row.seed}"},
                )
            )
    header = run_header(EnginePlayer("inspect"), spec, env_ids)
    return Task(
        dataset=MemoryDataset(samples, name=f"vlbench {suite}"),
        solver=play(history),
        scorer=outcome(),
        version=vlbench.__version__,
        metadata={HEADER_KEY: to_json(header)},
    )


@solver
def play(history: int = 0) -> Solver:
    """Play an episode: each turn is one call of the model."""

    async def solve(state: TaskState, generate: Generate) -> TaskState:
        place = state.metadata[ROW]
        conversation = Conversation(
            from_json(Row, place["row"]), place["number"], state.epoch - 1, history=history
        )
        transcript: list[ChatMessage] = []
        failed = True
        try:
            while not conversation.is_over:
                state.messages = [_message(m) for m in conversation.messages(_picture)]
                transcript.append(state.messages[-1])
                state = await generate(state)
                transcript.append(state.output.message)
                turn = conversation.play(read_reply(state.output))
                state.metadata["regret"] = state.metadata.get("regret", 0.0) + (turn.regret or 0.0)
            failed = False
        finally:
            error = "the provider or Inspect ended the episode" if failed else ""
            failure = Failure("provider") if failed else None
            state.metadata[EPISODE] = to_json(conversation.episode(error, failure))
            state.metadata["has_regret"] = isinstance(conversation.env.unwrapped, OracleEnv)
            state.messages = transcript
            conversation.close()
        return state

    return solve


METRICS: dict[str, list[Metric]] = {"*": [mean(), stderr(cluster="instance")]}


@scorer(metrics=METRICS)
def outcome() -> Scorer:
    """Score an episode by success, return, exact regret, and the share of readable replies.

    Standard errors are clustered by instance, because rows may repeat one.
    """

    async def score(state: TaskState, target: Target) -> Score:
        episode = from_json(Episode, state.metadata[EPISODE])
        turns = episode.turns
        value: dict[str, str | int | float | bool | None] = {
            "success": float(episode.is_success),
            "total": episode.total,
            "readable": sum(turn.status == "ok" for turn in turns) / max(len(turns), 1),
        }
        if state.metadata["has_regret"]:
            value["regret"] = sum(turn.regret or 0.0 for turn in turns)
        return Score(value=value, answer=turns[-1].action if turns else "")

    return score


def read_reply(output: ModelOutput) -> Reply:
    """Return a model's output as a reply.

    Reasoning that comes apart from the text is kept apart, and never parsed.
    """
    choice = output.choices[0] if output.choices else None
    content = choice.message.content if choice else ""
    parts = [] if isinstance(content, str) else content
    usage = output.usage
    prompt_tokens = None
    if usage is not None:
        cached = (usage.input_tokens_cache_read or 0) + (usage.input_tokens_cache_write or 0)
        prompt_tokens = usage.input_tokens + cached
    return Reply(
        text=choice.message.text if choice else "",
        stop_reason=STOP_REASONS.get(choice.stop_reason, "stop") if choice else "refused",
        finish_reason=str(choice.stop_reason) if choice else "",
        provider_message=output.error or "",
        reasoning="\n".join(p.reasoning for p in parts if isinstance(p, ContentReasoning)),
        prompt_tokens=prompt_tokens,
        completion_tokens=usage.output_tokens if usage else None,
        usd=usage.total_cost if usage else None,
        usd_source="provider" if usage and usage.total_cost is not None else "",
        seconds=output.time or 0.0,
        provider_id=output.response_id or "",
    ).bounded()


def _picture(image: Any) -> dict[str, Any]:
    return {"type": "image", "url": data_url(image)}


def _message(message: dict[str, Any]) -> ChatMessage:
    """Return a message in Inspect's form."""
    content = [
        ContentImage(image=part["url"])
        if part["type"] == "image"
        else ContentText(text=part["text"])
        for part in message["content"]
    ]
    if message["role"] == "assistant":
        return ChatMessageAssistant(content=list(content))
    return ChatMessageUser(content=list(content))


@dataclass(frozen=True, kw_only=True)
class Config(Options):
    """Options of `inspect_task`."""

    log: Path = required("log of `inspect eval`", positional=True, check=existing_file)
    out: Path = required("folder of the run", check=output_folder(EVALUATION))


def main(argv: Sequence[str] | None = None) -> int:
    """Convert a log; exit 0 when done, 2 on a wrong call."""

    def run() -> None:
        config = parse_options(
            Config, argv, prog="python -m vlbench.bridges.inspect_task", description=__doc__
        )
        folder = convert(config.log, config.out)
        print(f"{config.out}: {len(folder.episodes())} episodes of {folder.header.agent}")

    return run_main("inspect_task", run)


if __name__ == "__main__":
    sys.exit(main())
