"""Ask a model again: `python -m agents.rerun ENTRY.tar.gz --model CHECKPOINT -k 100`.

Draws turns of a leaderboard entry by its digest, shows them to the model with the entry's sampling
settings, and writes a report that `python -m leaderboard.verify ENTRY.tar.gz --rerun REPORT` reads.
Greedy decoding should give the same texts. Under sampling each turn is asked twice: the two answers
show how often the same action can be expected. Verify the entry first.
"""

import asyncio
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agents.agent import Agent, ProviderError
from agents.agent_options import AGENT_HELP
from agents.evaluate_options import REMOTE
from agents.registry import load_agent
from agents.rerun.asking import ask, observations_of, read_actions
from agents.rerun.entry import EntryRuns, read_runs
from agents.retry import RetryPolicy
from vlbench.cli import (
    Options,
    existing_file,
    option,
    parse_options,
    required,
    run_main,
    writable_file,
)
from vlbench.cli.options import setting
from vlbench.display import formatting
from vlbench.recorder import sha256
from vlbench.records import Preamble, to_json
from vlbench.registry import ENV_HELP, import_environments
from vlbench.replay import TurnPlace, draw_turns

SAMPLING = (
    *("temperature", "top_p", "max_tokens", "batch_size", "seed"),
    *("json_mode", "reasoning_effort", "thinking_budget", "detail"),
)
"""Settings that are taken from the entry. No other: an entry may not say what is loaded, or from
where."""

FORMAT = 1
"""Version of the report."""


@dataclass(frozen=True, kw_only=True)
class Config(Options):
    """Options of `rerun`."""

    entry: Path = required(
        "the entry", positional=True, metavar="ENTRY.tar.gz", check=existing_file
    )
    model: str | None = option(None, "the checkpoint: a folder, hf:ID, or the server's id")
    agent: str = option("llava", AGENT_HELP)
    base_url: str | None = option(
        None, "server of the model, as in http://127.0.0.1:8000/v1", metavar="URL"
    )
    api_key_env: str | None = option(
        None, "environment variable that holds the key", metavar="NAME"
    )
    set: tuple[tuple[str, Any], ...] = option(
        (), "another setting of the agent; may be given again", parse=setting, metavar="NAME=VALUE"
    )
    turns: int = option(100, "number of turns to ask", ge=1, alias="-k", metavar="K")
    seed: int = option(0, "number of the draw, beside the entry's digest", ge=0)
    concurrency: int = option(32, "turns asked at once", ge=1)
    env: tuple[str, ...] = option((), ENV_HELP, metavar="MODULE:ID")
    out: Path | None = option(
        None, "the report; NAME.rerun.json beside NAME.tar.gz by default", check=writable_file
    )

    @property
    def report_path(self) -> Path:
        """The report's file."""
        name = self.entry.name.removesuffix(".tar.gz")
        return self.out or self.entry.with_name(f"{name}.rerun.json")

    def preflight(self) -> None:
        """Check that the report is a new file."""
        super().preflight()
        if self.report_path.exists():
            raise ValueError(f"{self.report_path} is there already; choose another --out")

    def agent_settings(self) -> dict[str, Any]:
        """Return the settings that this call gives."""
        named = {"model": self.model, "base_url": self.base_url, "api_key_env": self.api_key_env}
        return {name: value for name, value in named.items() if value is not None} | dict(self.set)


def rerun(
    agent: Agent, entry: EntryRuns, count: int, seed: int, concurrency: int
) -> dict[str, Any]:
    """Ask an agent some turns of an entry again.

    Args:
        agent: Who is asked; not a privileged one.
        entry: The entry.
        count: Number of turns.
        seed: Number of the draw.
        concurrency: Turns that are asked at once.

    Returns:
        The report, as plain data.

    Raises:
        ValueError: The agent is privileged, or the entry can't be asked again.
        ProviderError: The agent's provider gave no reply.
    """
    if agent.privileged or entry.header.privileged:
        raise ValueError("a privileged player has no weights to ask again")
    if entry.header.preamble != Preamble():
        raise ValueError("the entry's conversations have a preamble, which can't be shown again")
    if entry.header.prompt_text:
        raise ValueError("the entry's prompt is its own, which can't be shown again")
    places = draw_turns(entry.episodes, entry.digest, seed, count)
    observations = observations_of(places, entry.header.history)
    greedy = entry.header.settings.get("temperature") == 0
    patience = REMOTE if agent.remote else RetryPolicy()
    answers: list[list[dict[str, str]]] = [[] for _ in places]
    for _ in range(1 if greedy else 2):
        replies = asyncio.run(ask(agent, observations, patience, concurrency))
        texts = [reply.text for reply in replies]
        for answer, text, action in zip(answers, texts, read_actions(places, texts), strict=True):
            answer.append({"reply_hash": sha256(text.encode()), "action": action})
    return {
        "format": FORMAT,
        "digest": entry.digest,
        "seed": seed,
        "agent": agent.name,
        "settings": agent.settings,
        "models": {env_id: to_json(model) for env_id, model in agent.models.items()},
        "greedy": greedy,
        "turns": [_turn(place, answer) for place, answer in zip(places, answers, strict=True)],
    }


def _turn(place: TurnPlace, answers: Sequence[dict[str, str]]) -> dict[str, Any]:
    return {
        "suite": place.suite,
        "episode": place.episode.key,
        "turn": place.number,
        "reply_hash": place.turn.reply_hash,
        "action": place.turn.action,
        "answers": answers,
    }


def main(argv: Sequence[str] | None = None) -> int:
    """Ask again; exit 0 when done, 2 on a wrong call, 3 if the provider can't be used."""
    return run_main("rerun", lambda: _rerun(argv))


def _rerun(argv: Sequence[str] | None) -> int:
    config = parse_options(Config, argv, prog="python -m agents.rerun", description=__doc__)
    import_environments(config.env, ())
    entry = read_runs(config.entry)
    recorded = entry.header.settings
    sampling = {name: recorded[name] for name in SAMPLING if name in recorded}
    agent = load_agent(config.agent, **(sampling | config.agent_settings()))
    try:
        report = rerun(agent, entry, config.turns, config.seed, config.concurrency)
    except ProviderError as error:
        print(f"rerun: {error}", file=sys.stderr)
        return 3
    text = json.dumps(report, indent=1, sort_keys=True, allow_nan=False)
    config.report_path.write_text(text + "\n", "utf-8")
    turns = report["turns"]
    same = [
        sum(turn[name] == turn["answers"][0][name] for turn in turns) / max(len(turns), 1)
        for name in ("reply_hash", "action")
    ]
    texts, actions = map(formatting.percent, same)
    print(f"{config.report_path}: {len(turns)} turns, {texts} same texts, {actions} same actions")
    return 0


if __name__ == "__main__":
    sys.exit(main())
