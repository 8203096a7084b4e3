"""What a call of `evaluate` would play and cost, without playing: its option `--estimate`."""

from collections.abc import Sequence
from pathlib import Path

from agents.agent import Agent
from agents.estimate import Estimate, estimate
from agents.evaluate_options import Config
from agents.rollout import Job, unfinished
from agents.selection import Play, select_rows
from agents.shards import part
from agents.sweep.plan import VIEWS
from vlbench.preamble import read_prompt
from vlbench.prompts import own_prompt
from vlbench.records.run_spec import RunSpec
from vlbench.run_folder import HEADER, RunFolder


def preview(agent: Agent, config: Config, plays: Sequence[Play]) -> list[str]:
    """Return a line for each suite, and one for all; what a run has played already isn't counted.

    Args:
        agent: Who would play. Money and time are estimated of one that asks a provider.
        config: The call.
        plays: The suites that it would play.

    Raises:
        ValueError: The call is wrong, or its folder holds something else.
    """
    price = config.price or agent.list_price
    lines, estimates = [], []
    for play in plays:
        own = config.out
        if own is not None and len(plays) > 1:
            own = own / (play.place or play.suite)
        expected, slots = _estimate(agent, config, play, own)
        told = expected.line(price, slots, config.rpm) if agent.remote else expected.work()
        lines.append(f"{play.place or play.suite}: {told}")
        estimates.append((expected, slots))
    calls = [sum(expected.calls[end] for expected, _ in estimates) for end in (0, 1)]
    total = f"in all: {calls[0]} to {calls[1]} calls"
    if agent.remote and price is not None:
        usd = [sum(expected.usd(price)[end] for expected, _ in estimates) for end in (0, 1)]
        total += f", {usd[0]:.2f} to {usd[1]:.2f} USD"
    if agent.remote:
        hours = [
            sum(expected.minutes(slots, config.rpm)[end] for expected, slots in estimates) / 60
            for end in (0, 1)
        ]
        total += f", {hours[0]:.1f} to {hours[1]:.1f} h"
    if agent.remote and config.max_usd is not None:
        total += f"; the run stops, resumably, at {config.max_usd:g} USD (--max-usd)"
    return [*lines, total]


def _estimate(
    agent: Agent, config: Config, play: Play, folder: Path | None
) -> tuple[Estimate, int]:
    """Return the estimate of what is left of a suite, and how many episodes run at once."""
    view = {name: getattr(config, name) for name in VIEWS} | dict(play.changes)
    rules = config.all_env_kwargs() | view.pop("env_kwargs", {})
    prompt = view["prompt"]
    if config.prompt_file:
        prompt = own_prompt(read_prompt(config.prompt_file), prompt)
    rows = play.suite, prompt, view["theme"] or "", config.episodes, config.repeats
    spec = RunSpec(*rows, view["history"], rules, config.challenge_source(), config.picture)
    selection = select_rows(play.env_ids, agent, spec)
    jobs: Sequence[Job] = part(
        [
            Job(row, number, repeat)
            for of_env in selection.rows.values()
            for number, row in enumerate(of_env)
            for repeat in range(config.repeats)
        ],
        config.shard,
    )
    if folder is not None and (folder / HEADER).is_file():
        jobs = unfinished(jobs, RunFolder.open(folder))
    if not jobs:
        return Estimate((0, 0), 0, 0), 1
    journaled = sum(len(job.journaled) for job in jobs)
    turns = view["history"] + config.shots
    expected = estimate([job.row for job in jobs], journaled, turns)
    return expected, min(config.concurrency, len(jobs))
