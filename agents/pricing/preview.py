"""What a call of `evaluate` would play and cost, without playing: its option `--estimate`."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from agents import shards
from agents.agent import Agent
from agents.evaluate_options import Config
from agents.pricing.estimate import Estimate, calls_text, estimate, spread
from agents.rollout import Job, unfinished
from agents.selection import Play, select_rows
from agents.sweep.plan import VIEWS
from vlbench.preamble import read_prompt
from vlbench.prompts import own_prompt
from vlbench.records.run_spec import RunSpec
from vlbench.run_folder import HEADER, RunFolder


def preview(config: Config, plays: Iterable[tuple[Agent, Play]]) -> list[str]:
    """Return a line for each suite, and one for all; what a run has played already isn't counted.

    Money and time are estimated of an agent that asks a provider.

    Args:
        config: The call.
        plays: The suites that it would play, each with who would play it.

    Raises:
        ValueError: The call is wrong, or its folder holds something else.
    """
    plays = list(plays)
    parts = []
    for agent, play in plays:
        own = config.out
        if own is not None and len(plays) > 1:
            own = own / (play.place or play.suite)
        parts.append(_Part(play.place or play.suite, agent, *_estimate(agent, config, play, own)))
    calls = _sum(part.expected.calls for part in parts)
    total = f"in all: {calls_text(calls)}"
    remote = [part for part in parts if part.agent.remote]
    prices = [config.price or part.agent.list_price for part in remote]
    priced = [(part, price) for part, price in zip(remote, prices, strict=True) if price]
    if remote and len(priced) == len(remote):
        usd = _sum(part.expected.usd(price) for part, price in priced)
        total += f", {spread(usd, 2)} USD"
    if remote:
        minutes = _sum(part.expected.minutes(part.slots, config.rpm) for part in remote)
        total += f", {spread([end / 60 for end in minutes], 1)} h"
        if config.max_usd is not None:
            total += f"; the run stops, resumably, at {config.max_usd:g} USD (--max-usd)"
    return [*(part.line(config) for part in parts), total]


@dataclass(frozen=True, slots=True)
class _Part:
    """A suite of the call."""

    name: str
    agent: Agent
    expected: Estimate
    slots: int
    """Calls at once."""

    def line(self, config: Config) -> str:
        """Return it as a line."""
        if not self.agent.remote:
            return f"{self.name}: {self.expected.work()}"
        price = config.price or self.agent.list_price
        return f"{self.name}: {self.expected.line(price, self.slots, config.rpm)}"


def _sum(ranges: Iterable[tuple[float, float]]) -> tuple[float, float]:
    """Return the sums of least and most."""
    pairs = list(ranges)
    return sum(low for low, _ in pairs), sum(high for _, high in pairs)


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
    jobs: Sequence[Job] = shards.part(
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
