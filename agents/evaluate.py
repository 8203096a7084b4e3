"""Evaluate an agent: `python -m agents.evaluate --agent expert`, or `evaluate(agent)` in Python.

Plays the rows of frozen sets, records every reply, and scores. A run is a folder; the same call
with the same folder resumes it.
"""

import dataclasses
import itertools
import json
import re
import shlex
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from agents.agent import Agent, as_agent
from agents.agent_options import without_header_values
from agents.evaluate_options import CHALLENGE_IS_WHOLE, REMOTE, WHOLE, Config
from agents.pricing.cost import MAX_USD, Budget, DefaultLimit, Price
from agents.pricing.estimate import estimate
from agents.pricing.preview import preview
from agents.progress import Progress
from agents.registry import load_agent
from agents.results.rows import write_csv
from agents.results.run import Run
from agents.retry import RetryPolicy
from agents.rollout import Job, play, run_coroutine, unfinished
from agents.selection import Play, Selection, plan_suites, select_rows
from agents.shards import array_note, part
from agents.sweep.curves import draw_sweep
from agents.sweep.plan import VIEWS, check_rows, plan_sweep
from agents.sweep.players import Players, setting_names
from vlbench.cli import parse_options, run_main
from vlbench.comparison import check_blind, with_visual_gain
from vlbench.errors import unknown_name
from vlbench.freeze import computed_bounds, task_suites
from vlbench.observation import PICTURES
from vlbench.preamble import make_preamble, read_prompt
from vlbench.prompts import own_prompt
from vlbench.recorder import reply_advice
from vlbench.records import Episode, Shard
from vlbench.records.redaction import redact
from vlbench.records.run_spec import Challenge, RunSpec
from vlbench.run_folder import RunFolder, run_header
from vlbench.scoring import headlines, score
from vlbench.suites import bounds as shipped_bounds


def evaluate(
    agent: Agent | Callable[..., Any] | str,
    env_ids: str | Iterable[str] = "all",
    *,
    episodes: int | None = None,
    suite: str = "test",
    prompt: str = "cot",
    prompt_file: str | Path | None = None,
    system_prompt: str = "",
    shots: int = 0,
    theme: str | None = None,
    picture: str = PICTURES[0],
    env_kwargs: Mapping[str, Any] | None = None,
    bounds: bool = False,
    repeats: int = 1,
    history: int = 0,
    concurrency: int = 8,
    patience: RetryPolicy | None = None,
    price: Price | None = None,
    max_usd: float | None = MAX_USD,
    challenge: Challenge | None = None,
    blind: str | Path | None = None,
    shard: Shard | None = None,
    out: str | Path | None = None,
    progress: Progress | None = None,
) -> Run:
    """Play an agent and score it.

    Args:
        agent: An `agents.agent.Agent`, a function `observation -> str`, or what `--agent` takes.
        env_ids: Ids, short names, globs or "all"; see `agents.selection.select_rows`.
        episodes: Rows of each suite, from its beginning; None for all.
        suite: Name of a frozen set, shipped ("test", "ood-looks", …) or your own, or "seeds" for
            rows dealt from the test split. An environment whose rules have no frozen sets is played
            from seeds.
        prompt: "cot", "action_only" or "cot_facts".
        prompt_file: Your own prompt, in the form of a task's `prompt.txt`.
        system_prompt: Text of a system message.
        shots: Examples before each prompt: turns of the expert on frozen rows of the split train.
        theme: Theme or group of themes instead of the suite's own.
        picture: "true", or the control "blank", "shuffled" or "stale"; see
            `vlbench.observation.PICTURES`.
        env_kwargs: Keyword arguments of the environments. Those that change the rules play dealt
            rows, without a normalized score.
        bounds: Whether to compute floor and ceiling for rows that have none.
        repeats: How often each row is played.
        history: How many past turns the agent is shown.
        concurrency: How many episodes run at once.
        patience: Timeout, retries and pace of calls; by default REMOTE for an agent that asks a
            provider, and no timeout for others.
        price: Price of tokens; by default the agent's list price, if it knows one.
        max_usd: What the run may cost, earlier parts included; None for any sum.
        challenge: Play the new rows of an entry's challenge instead of the suite's.
        shard: Play this part of the episodes; `agents.merge` joins the parts.
        blind: Folder of the same run with the picture "blank", for the visual gain.
        out: The run's folder; a run that is there goes on. By default a new one under `runs/`.
        progress: Reports what happens; by default nothing is reported.

    Raises:
        ValueError: An argument is wrong; the message says what was wanted.
    """
    _at_least(1, episodes=episodes, repeats=repeats, concurrency=concurrency)
    _at_least(0, history=history)
    agent = load_agent(agent) if isinstance(agent, str) else as_agent(agent)
    progress = progress or Progress(None)
    patience = patience or (REMOTE if agent.remote else RetryPolicy())
    price = price or agent.list_price
    _check_limit(agent, price, max_usd)
    if out is not None and not str(out):
        raise ValueError("out must name a folder, got nothing")
    if theme == "":
        raise ValueError('unknown theme ""; leave it out for the suite\'s own themes')
    rules = _plain(env_kwargs or {})
    if challenge and (suite, theme, picture, episodes, repeats, rules) != WHOLE:
        raise ValueError(CHALLENGE_IS_WHOLE)
    if picture not in PICTURES:
        raise ValueError(unknown_name("picture", picture, PICTURES))
    prompt_text = read_prompt(prompt_file) if prompt_file else ""
    prompt = own_prompt(prompt_text, prompt) if prompt_file else prompt
    rows = suite, prompt, theme or "", episodes, repeats, history, rules, challenge
    spec = RunSpec(*rows, picture)
    selection = select_rows(env_ids, agent, spec)
    unbounded = [e for e in selection.rows if shipped_bounds(e, selection.spec.suite) is None]
    for env_id in unbounded if bounds else ():
        task_suites(env_id)  # refuses, before anything is written, a task that can't compute them
    preamble = make_preamble(
        selection.rows, selection.spec, system_prompt=system_prompt, shots=shots
    )
    rates = None if price is None else [price.prompt, price.completion]
    header = run_header(agent, selection.spec, selection.rows, rates)
    blind_run = RunFolder.open(blind) if blind is not None else None
    if blind_run:
        check_blind(header, blind_run.header)
    apart = list(selection.not_replayable)
    header = dataclasses.replace(
        header, shard=shard, not_replayable=apart, preamble=preamble, prompt_text=prompt_text
    )
    path = Path(out) if out else new_folder(agent.name)
    folder = RunFolder.start(path, header, agent.secrets)
    try:
        if bounds:
            _compute_bounds(folder, unbounded)
        whole = [
            Job(row, number, repeat)
            for rows in selection.rows.values()
            for number, row in enumerate(rows)
            for repeat in range(repeats)
        ]
        jobs = part(whole, shard)
        waiting = unfinished(jobs, folder)
        for line in _opening_lines(selection, folder, agent):
            progress.say(line)
        budget = Budget(price, max_usd)
        if agent.remote and waiting:
            expected = estimate(
                [job.row for job in waiting],
                sum(len(job.journaled) for job in waiting),
                history + shots,
            )
            slots = min(concurrency, len(waiting))
            progress.say(expected.line(price, slots, patience.rpm))
            budget = Budget(price, max_usd, expected.call_usd(price) if price else 0.0)
        budget.include(reply for replies in folder.replies().values() for reply in replies)
        progress.start(len(jobs), len(jobs) - len(waiting), min(concurrency, len(waiting)))
        if not waiting:
            progress.say(f"nothing new is played: all {len(jobs)} episodes are in {path}")
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
                replied=lambda reply: progress.reply(reply, agent.dropped),
            )
        )
    finally:
        progress.end()
        folder.close()
    played = folder.episodes()
    differences = _count_differences(played, jobs)
    for line in differences:
        progress.say(line)
    cards = score(folder.header, played)
    return Run(
        folder.path,
        folder.header,
        tuple(played),
        tuple(with_visual_gain(cards, played, blind_run.episodes()) if blind_run else cards),
        tuple(headlines(played, folder.header.suite)),
        selection.skipped,
        stopped,
        (*selection.warnings, *differences),
    )


def _check_limit(agent: Agent, price: Price | None, max_usd: float | None) -> None:
    """Check that a limit can be kept: the price is known, or the provider reports what it charges.

    On a server that isn't known to charge, the default limit counts what that server reports.
    """
    if max_usd is None or price is not None or agent.reports_cost:
        return
    if agent.paid or (agent.remote and not isinstance(max_usd, DefaultLimit)):
        raise ValueError(
            f"{agent.name}: no known price, so that max-usd {max_usd:g} couldn't be kept; pass "
            "--price IN,OUT (USD per million tokens), or --max-usd none for any sum"
        )


def _opening_lines(selection: Selection, folder: RunFolder, agent: Agent) -> list[str]:
    """Return what the user should know before the run."""
    lines = [f"skipped {skip.env}: {skip.reason}" for skip in selection.skipped]
    lines += selection.warnings
    lines += folder.notices
    lines += [f"damaged line left out: {line}" for line in folder.damaged]
    return [*lines, *filter(None, [agent.note, array_note(folder.header.shard)])]


def _plain(env_kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """Return keyword arguments as a record holds them.

    Raises:
        ValueError: They aren't plain data.
    """
    try:
        plain: dict[str, Any] = json.loads(json.dumps(dict(env_kwargs), allow_nan=False))
    except (TypeError, ValueError) as error:
        raise ValueError(f"env_kwargs must be plain data: {error}") from error
    return plain


def _compute_bounds(folder: RunFolder, env_ids: Iterable[str]) -> None:
    """Write the bounds of all rows of a run into its header."""
    header = folder.header
    bounds = {e: computed_bounds(e, header.rows(e)[: header.episodes]) for e in env_ids}
    folder.header = dataclasses.replace(header, bounds=bounds)
    folder.write_header()


def _count_differences(played: Sequence[Episode], jobs: Sequence[Job]) -> list[str]:
    """Return a line for each environment of which more or fewer episodes are counted than asked."""
    episode_counts = Counter(episode.env_id for episode in played)
    job_counts = Counter(job.row.env_id for job in jobs)
    return [
        f"{env_id}: the run holds {episode_counts[env_id]} episodes, not {count}; "
        f"{'all' if episode_counts[env_id] > count else 'these'} are counted"
        for env_id, count in job_counts.items()
        if episode_counts[env_id] != count
    ]


def _at_least(least: int, **counts: int | None) -> None:
    for name, value in counts.items():
        if value is not None and value < least:
            raise ValueError(f"{name} must be at least {least}, got {value}")


def new_folder(agent: str) -> Path:
    """Return a folder under `runs/` that doesn't exist, named after an agent and the time."""
    name = re.sub(r"[^\w.-]+", "-", f"{agent}-{datetime.now(UTC):%Y%m%d-%H%M%S}")
    names = (f"{name}-{number}" if number > 1 else name for number in itertools.count(1))
    return next(path for path in map(Path("runs").joinpath, names) if not path.exists())


def main(argv: Sequence[str] | None = None) -> int:
    """Evaluate.

    Returns:
        0 when done, 1 if an episode errored, 2 on a wrong call, 3 if the run stopped: at its
        budget, because the provider can't be used, or because of a bug in the agent; 130 on Ctrl-C.
    """
    argv = sys.argv[1:] if argv is None else list(argv)
    return run_main("evaluate", lambda: _evaluate(argv))


def _evaluate(argv: Sequence[str]) -> int:
    prog = "python -m agents.evaluate"
    config = parse_options(Config, argv, prog=prog, description=__doc__)
    rules = config.all_env_kwargs()
    if config.sweep:
        names = setting_names(config.agent)
        plays = plan_sweep(config.sweep, config.suite, config.env, rules, names)
        players = Players(config.agent, config, plays)
        check_rows(players.first, [(play, _view(config, play)) for play in plays])
    else:
        plays = plan_suites(config.suite, config.env, rules)
        players = Players(config.agent, config, plays)
    agent = players.first
    if len(plays) > 1 and (config.html or config.blind):
        option = "html" if config.html else "blind"
        raise ValueError(f"--{option} is about one suite; leave it out, or name one with --suite")
    if config.estimate:
        lines = preview(config, ((players.of(suite), suite) for suite in plays))
        print("\n".join(lines))
        return 0
    folder = config.out or new_folder(agent.name)
    place = [] if config.out else ["--out", str(folder)]
    words = ["python", "-m", "agents.evaluate", *without_header_values(argv), *place]
    resume = redact(shlex.join(words), *agent.secrets)
    runs: list[Run] = []
    try:
        for part_played in plays:
            name = part_played.place or part_played.suite
            own, player = folder / name if len(plays) > 1 else folder, players.of(part_played)
            runs.append(_play_suite(player, config, part_played, own, resume, runs))
            if not config.json:
                print(runs[-1])
            if runs[-1].stopped:
                break
        if config.json:
            data = [run.data() for run in runs]
            print(json.dumps(data[0] if len(plays) == 1 else {"runs": data}, indent=2))
        if config.sweep and not runs[-1].stopped:
            print(f"evaluate: {draw_sweep(runs, folder, config.sweep.name)}", file=sys.stderr)
        if config.csv:
            write_csv(config.csv, [row for run in runs for row in run.rows()])
        if config.html:
            from agents.report import write_report  # only who wants a report pays for it

            write_report(runs[0].folder, config.html, blind=config.blind)
    except KeyboardInterrupt:
        print(f"evaluate: stopped; to go on: {resume}", file=sys.stderr)
        return 130
    if runs[-1].stopped:
        print(f"evaluate: {runs[-1].stopped}; to go on: {resume}", file=sys.stderr)
        return 3
    return max([_errors(run, resume) for run in runs])


def _play_suite(
    agent: Agent, config: Config, suite: Play, folder: Path, resume: str, before: Sequence[Run]
) -> Run:
    """Play a suite; what the runs before it cost counts towards the limit."""
    spent = sum(card.usd or 0.0 for run in before for card in run.scorecards)
    limit = config.max_usd
    return evaluate(
        agent,
        suite.env_ids,
        episodes=config.episodes,
        suite=suite.suite,
        prompt_file=config.prompt_file,
        system_prompt=config.system_prompt,
        shots=config.shots,
        picture=config.picture,
        bounds=config.bounds,
        repeats=config.repeats,
        concurrency=config.concurrency,
        patience=config.patience(agent.remote),
        price=config.price,
        max_usd=limit if limit is None or not spent else max(limit - spent, 0.0),
        challenge=config.challenge_source(),
        blind=config.blind,
        shard=config.shard,
        out=folder,
        **_view(config, suite),
        progress=Progress(sys.stderr, f"run folder {folder}; to go on if stopped: {resume}"),
    )


def _view(config: Config, suite: Play) -> dict[str, Any]:
    """Return the arguments of `evaluate` that a part of a sweep may set."""
    view: dict[str, Any] = {name: getattr(config, name) for name in VIEWS}
    return view | {"env_kwargs": config.all_env_kwargs()} | dict(suite.changes)


def _errors(run: Run, resume: str) -> int:
    """Report errored episodes and answers that weren't read on stderr; return the exit code."""
    replies = [turn.reply for episode in run.episodes for turn in episode.turns]
    if lost := sum(not reply.text.strip() and bool(reply.reasoning) for reply in replies):
        advice = reply_advice("empty", "stop", "reasoning")
        print(f"evaluate: {lost} of {len(replies)} replies are empty: {advice}", file=sys.stderr)
    errored = [episode for episode in run.episodes if episode.is_errored]
    if not errored:
        return 0
    number = f"{len(errored)} of {len(run.episodes)} episodes errored"
    place = f" ({errored[0].failure.place})" if errored[0].failure.place else ""
    first = f"the first: {errored[0].key}: {errored[0].error}{place}"
    print(f"evaluate: {number}; {first}; to try them again: {resume}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
