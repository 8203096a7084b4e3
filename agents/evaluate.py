"""Evaluate an agent: `python -m agents.evaluate --agent expert`, or `evaluate(agent)` in Python.

Plays the rows of frozen sets, records every reply, and scores. A run is a folder; the same call
with the same folder goes on where it stopped.
"""

import argparse
import itertools
import json
import re
import shlex
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from agents.agent import Agent, as_agent
from agents.agent_options import add_agent_options, agent_settings, max_usd, price
from agents.cost import Budget, Price, estimate
from agents.progress import Progress
from agents.providers.redaction import redacted
from agents.registry import load_agent
from agents.retry import RetryPolicy
from agents.rollout import Job, play, run_coroutine, unfinished
from agents.selection import Selection, Skipped, select_rows
from agents.tables import headline_line, scorecard_table
from vlbench.cli import Parser, folder_name, refuse
from vlbench.records import Episode, to_json
from vlbench.run_folder import RunFolder, RunHeader, git_commit, versions
from vlbench.scoring import Headline, Scorecard, headlines, score
from vlbench.suites import frozen_hash

REMOTE = RetryPolicy(timeout=120.0)
"""How an agent is asked that asks a provider."""

MAX_USD = 5.0
"""What a run may cost unless the user says otherwise."""


@dataclass(frozen=True, slots=True)
class Run:
    """What an evaluation gave."""

    folder: Path
    header: RunHeader
    episodes: tuple[Episode, ...]
    scorecards: tuple[Scorecard, ...]
    headlines: tuple[Headline, ...]
    skipped: tuple[Skipped, ...]
    stopped: str = ""
    """Why the run stopped before its end; "" if it didn't."""


def evaluate(
    agent: Agent | Callable[..., Any] | str,
    env_ids: str | Iterable[str] = "all",
    *,
    episodes: int | None = None,
    suite: str = "test",
    prompt: str = "cot",
    theme: str | None = None,
    repeats: int = 1,
    history: int = 0,
    concurrency: int = 8,
    patience: RetryPolicy | None = None,
    price: Price | None = None,
    max_usd: float | None = MAX_USD,
    out: str | Path | None = None,
    progress: Progress | None = None,
) -> Run:
    """Play an agent and score it.

    Args:
        agent: An `agents.agent.Agent`, a function `observation -> str`, or what `--agent` takes.
        env_ids: Ids, short names, globs or "all"; see `agents.selection.select_rows`.
        episodes: Rows of each suite, from its beginning; None for all.
        suite: "test", "ood" or the name of a set that you have frozen.
        prompt: "cot", "action_only" or "cot_facts".
        theme: Theme or group of themes instead of the suite's own.
        repeats: How often each row is played.
        history: How many past turns the agent is shown.
        concurrency: How many episodes run at once.
        patience: Timeout, retries and pace of calls; by default REMOTE for an agent that asks a
            provider, and no timeout for others.
        price: Price of tokens; by default the agent's list price, if it knows one.
        max_usd: What the run may cost, earlier parts included; None for any sum.
        out: The run's folder; a run that is there goes on. By default a new one under `runs/`.
        progress: Where to tell what happens; by default nobody is told.

    Raises:
        ValueError: An argument is wrong; the message says what was wanted.
    """
    _at_least(1, episodes=episodes, repeats=repeats, concurrency=concurrency)
    _at_least(0, history=history)
    agent = load_agent(agent) if isinstance(agent, str) else as_agent(agent)
    progress = progress or Progress(None)
    remote = bool(getattr(agent, "remote", False))
    patience = patience or (REMOTE if remote else RetryPolicy())
    price = price or getattr(agent, "list_price", None)
    if getattr(agent, "paid", False) and price is None and max_usd is not None:
        raise ValueError(
            f"{agent.name}: no known price, so that max-usd {max_usd:g} couldn't be kept; pass "
            "--price IN,OUT (USD per million tokens), or --max-usd none for any sum"
        )
    if out is not None and not str(out):
        raise ValueError("out must name a folder, got nothing")
    plan = select_rows(env_ids, agent, suite=suite, episodes=episodes, prompt=prompt, theme=theme)
    header = _header(agent, plan, episodes, prompt, theme, repeats, history, price)
    folder = RunFolder.start(Path(out) if out else new_folder(agent.name), header)
    try:
        jobs = [
            Job(row, number, repeat)
            for rows in plan.rows.values()
            for number, row in enumerate(rows)
            for repeat in range(repeats)
        ]
        waiting = unfinished(jobs, folder)
        for skip in plan.skipped:
            progress.say(f"skipped {skip.env}: {skip.reason}")
        for env_id, rows in plan.rows.items():
            if episodes is not None and len(rows) < episodes:
                progress.say(f"{env_id}: suite {plan.suite} has {len(rows)} rows, not {episodes}")
        for line in folder.damaged:
            progress.say(f"damaged line left out: {line}")
        if note := getattr(agent, "note", ""):
            progress.say(note)
        budget = Budget(price, max_usd)
        if remote and waiting:
            expected = estimate(
                [job.row for job in waiting], sum(len(job.journaled) for job in waiting), history
            )
            slots = min(concurrency, len(waiting))
            progress.say(expected.line(price, slots, patience.rpm))
            budget = Budget(price, max_usd, expected.call_usd(price) if price else 0.0)
        budget.include(reply for replies in folder.replies().values() for reply in replies)
        progress.start(len(jobs), len(jobs) - len(waiting))
        stopped = run_coroutine(
            play(
                agent,
                waiting,
                folder,
                history=history,
                concurrency=concurrency,
                patience=patience,
                budget=budget,
                finished=progress.count,
                replied=progress.reply,
            )
        )
    finally:
        progress.end()
        folder.close()
    played = folder.episodes()
    return Run(
        folder.path,
        folder.header,
        tuple(played),
        tuple(score(header, played)),
        tuple(headlines(played, plan.suite)),
        plan.skipped,
        stopped,
    )


def _at_least(least: int, **counts: int | None) -> None:
    for name, value in counts.items():
        if value is not None and value < least:
            raise ValueError(f"{name} must be at least {least}, got {value}")


def new_folder(agent: str) -> Path:
    """Return a folder under `runs/` that doesn't exist, named after an agent and the time."""
    name = re.sub(r"[^\w.-]+", "-", f"{agent}-{datetime.now(UTC):%Y%m%d-%H%M%S}")
    names = (f"{name}-{number}" if number > 1 else name for number in itertools.count(1))
    return next(path for path in map(Path("runs").joinpath, names) if not path.exists())


def _header(
    agent: Agent,
    plan: Selection,
    episodes: int | None,
    prompt: str,
    theme: str | None,
    repeats: int,
    history: int,
    price: Price | None,
) -> RunHeader:
    try:
        settings = json.loads(json.dumps(agent.settings))  # as it will be read on a resume
    except TypeError as error:
        raise ValueError(
            f"the settings of agent {agent.name} aren't plain data: {error}"
        ) from error
    return RunHeader(
        agent=agent.name,
        settings=settings,
        privileged=agent.privileged,
        env_ids=list(plan.rows),
        suite=plan.suite,
        prompt=prompt,
        theme=theme or "",
        episodes=episodes,
        repeats=repeats,
        history=history,
        prompt_hashes=plan.prompt_hashes,
        dropped=list(getattr(agent, "dropped", ())),
        price=None if price is None else [price.prompt, price.completion],
        frozen_hashes={env_id: frozen_hash(env_id, plan.suite) for env_id in plan.rows},
        versions=versions(),
        commit=git_commit(),
        started=f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}",
    )


def _arguments() -> Parser:
    parser = Parser(prog="python -m agents.evaluate", description=__doc__)
    add = parser.add_argument
    add_agent_options(parser)
    add(
        "--env",
        default="all",
        help="id, short name (Points24), glob, several with commas, or "
        "module:namespace/Name-v0 (default: %(default)s)",
    )
    add("--episodes", type=int, help="rows of each suite, from its beginning (default: all)")
    add("--suite", default="test", help="test, ood, or a set of your own (default: %(default)s)")
    add("--prompt", default="cot", help="cot, action_only or cot_facts (default: %(default)s)")
    add("--theme", help="theme or group of themes instead of the suite's own")
    add("--repeats", type=int, default=1, help="times each row is played (default: %(default)s)")
    add(
        "--history",
        type=int,
        default=0,
        metavar="K",
        help="past turns that the agent is shown (default: %(default)s)",
    )
    add("--concurrency", type=int, default=8, help="episodes at once (default: %(default)s)")
    add(
        "--timeout",
        type=float,
        metavar="SECONDS",
        help=f"time for a call to a provider (default: {REMOTE.timeout:g})",
    )
    add(
        "--retries",
        type=int,
        default=REMOTE.retries,
        help="times a call is made again after a transient fault (default: %(default)s)",
    )
    add("--rpm", type=float, help="calls a minute, retries included (default: as many as come)")
    add(
        "--price",
        type=price,
        metavar="IN,OUT",
        help="USD per million prompt and completion tokens (default: the list price, if known)",
    )
    add(
        "--max-usd",
        type=max_usd,
        default=MAX_USD,
        metavar="USD",
        help="stop, resumably, before "
        "the run has cost more; none for any sum (default: %(default)s)",
    )
    add(
        "--out",
        type=folder_name,
        help="the run's folder; one that is there goes on (default: a new one under runs/)",
    )
    add("--json", action="store_true", help="print one JSON object instead of the table")
    add("--html", type=Path, metavar="REPORT", help="also write a page with the episodes")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Evaluate.

    Returns:
        0 when done, 1 if every episode errored, 2 on a wrong call, 3 if the run stopped at its
        budget or because the provider can't be used, 130 on Ctrl-C.
    """
    argv = sys.argv[1:] if argv is None else list(argv)
    resume = ""
    try:
        arguments = _arguments().parse_args(argv)
        if arguments.html:
            _check_page(arguments.html)
        agent = load_agent(arguments.agent, **agent_settings(arguments))
        folder = arguments.out or new_folder(agent.name)
        place = [] if arguments.out else ["--out", str(folder)]
        resume = redacted(shlex.join(["python", "-m", "agents.evaluate", *argv, *place]))
        run = evaluate(
            agent,
            arguments.env,
            episodes=arguments.episodes,
            suite=arguments.suite,
            prompt=arguments.prompt,
            theme=arguments.theme,
            repeats=arguments.repeats,
            history=arguments.history,
            concurrency=arguments.concurrency,
            patience=_patience(arguments, agent),
            price=arguments.price,
            max_usd=arguments.max_usd,
            out=folder,
            progress=Progress(sys.stderr, f"run folder {folder}; to go on if stopped: {resume}"),
        )
        print(_as_json(run) if arguments.json else _as_text(run))
        if arguments.html:
            from agents.report import write_report  # only who wants a report pays for it

            write_report(run.folder, arguments.html)
    except (ValueError, OSError) as error:
        return refuse("evaluate", error)
    except KeyboardInterrupt:
        print(f"evaluate: stopped; to go on: {resume}", file=sys.stderr)
        return 130
    if run.stopped:
        print(f"evaluate: {run.stopped}; to go on: {resume}", file=sys.stderr)
        return 3
    return _errors(run, resume)


def _check_page(path: Path) -> None:
    """Refuse a page that can't be written before anything is played."""
    if not path.resolve().parent.is_dir():
        raise ValueError(f"no folder {path.parent} for the report")
    if path.is_dir():
        raise ValueError(f"the report must be a file, got the folder {path}")


def _patience(arguments: argparse.Namespace, agent: Agent) -> RetryPolicy:
    usual = REMOTE.timeout if getattr(agent, "remote", False) else None
    timeout = usual if arguments.timeout is None else arguments.timeout
    return RetryPolicy(timeout, arguments.retries, arguments.rpm)


def _as_text(run: Run) -> str:
    header = run.header
    told = " (privileged: it is handed the environment)" if header.privileged else ""
    model = str(header.settings.get("model", ""))
    named = header.agent if model in header.agent else f"{header.agent} ({model})"
    title = f"{named}{told}, suite {header.suite}, prompt {header.prompt}"
    lines = [title, scorecard_table(run.scorecards), *map(headline_line, run.headlines)]
    if tokens := sum(card.tokens or 0 for card in run.scorecards):
        known = [card.usd for card in run.scorecards if card.usd is not None]
        money = f"{sum(known):.2f} USD" if len(known) == len(run.scorecards) else "money unknown"
        lines.append(f"{tokens:,} tokens, {money}")
    return "\n".join(lines)


def _as_json(run: Run) -> str:
    return json.dumps(
        {
            "run": {"folder": str(run.folder), "stopped": run.stopped, **to_json(run.header)},
            "scorecards": [to_json(card) for card in run.scorecards],
            "headlines": [to_json(headline) for headline in run.headlines],
            "skipped": [to_json(skip) for skip in run.skipped],
        },
        indent=2,
    )


def _errors(run: Run, resume: str) -> int:
    """Tell of errored episodes on stderr; return the exit code."""
    errored = [episode for episode in run.episodes if episode.end == "errored"]
    if not errored:
        return 0
    number = f"{len(errored)} of {len(run.episodes)} episodes errored"
    first = f"the first: {errored[0].key}: {errored[0].error}"
    print(f"evaluate: {number}; {first}; to try them again: {resume}", file=sys.stderr)
    return 1 if len(errored) == len(run.episodes) else 0


if __name__ == "__main__":
    sys.exit(main())
