"""Play players under true and control pictures: `python -m agents.controls --results FILE`.

Each player plays the first rows of each suite with the true picture, a blank one, one of another
episode and one that is a turn old. A line is appended for each; what the file has already, for the
same rows of the same set, isn't played again. `--page` writes the page beside the lines.
"""

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import vlbench
from agents.controls.lines import Line, Unit, line_of
from agents.controls.page import render
from agents.evaluate import evaluate
from agents.registry import load_agent
from agents.results.line_file import append_line, read_lines
from agents.results.run import Run
from agents.results.study_page import write_page
from vlbench.cli import Options, option, parse_options, required, run_main
from vlbench.observation import PICTURES
from vlbench.registry import resolve_env_id
from vlbench.suites import frozen_hash, suites

SCRIPTED = ("random", "heuristic-by-text", "expert-by-picture")


@dataclass(frozen=True, kw_only=True)
class Config(Options):
    """Options of `controls`."""

    results: Path = required("JSONL file that lines are appended to")
    runs: Path = option(Path("runs/controls"), "folder of the runs behind the lines")
    players: tuple[str, ...] = option(
        SCRIPTED, "agent, or NAME=AGENT; may be given again", metavar="AGENT"
    )
    env: str = option("all", "ids or short names, with commas between")
    suite: str = option("test", "suites, with commas between; those that a task lacks are left out")
    episodes: int = option(0, "rows of each task and suite, from the first; 0 for all", ge=0)
    page: bool = option(False, "write the page beside the lines, from its template")


def main(argv: Sequence[str] | None = None) -> int:
    """Play; exit 0 when done, 2 on a wrong call, 130 on Ctrl-C."""
    return run_main("controls", lambda: _controls(argv), stopped="stopped; the same call goes on")


def _controls(argv: Sequence[str] | None) -> None:
    config = parse_options(Config, argv, prog="python -m agents.controls", description=__doc__)
    env_ids = (
        list(vlbench.ENV_IDS)
        if config.env == "all"
        else [resolve_env_id(name.strip()) for name in config.env.split(",")]
    )
    known = {line.unit for line in read_lines(config.results, Line)}
    for name in config.players:
        label, _, spec = name.rpartition("=")
        for unit in _units(label or spec, spec, env_ids, config):
            if unit not in known:
                append_line(config.results, _play(unit, spec, config.runs))
    if config.page:
        write_page(config.results, {"tables": render(read_lines(config.results, Line))})


def _units(player: str, spec: str, env_ids: Sequence[str], config: Config) -> Iterator[Unit]:
    """Yield what a player plays, the true picture before the controls of the same rows."""
    agent = load_agent(spec)
    for env_id in env_ids:
        if agent.env_ids is not None and env_id not in agent.env_ids:
            continue
        for suite in map(str.strip, config.suite.split(",")):
            if suite not in suites(env_id):
                continue
            for picture in PICTURES:
                digest = frozen_hash(env_id, suite)
                yield Unit(player, env_id, suite, picture, config.episodes, digest)


def _play(unit: Unit, spec: str, runs: Path) -> Line:
    """Play a unit, or go on with it, and return its line."""
    run = _run(unit, unit.picture, spec, runs)
    true = run if unit.picture == PICTURES[0] else _run(unit, PICTURES[0], spec, runs)
    for each in (run, true):
        if each.stopped:
            raise ValueError(f"{each.folder}: {each.stopped}; the same call goes on")
    (card,) = run.scorecards
    success = f"{100 * card.success:.1f} % of {card.episodes}"
    print(f"{unit.player} {unit.env} {unit.suite} {unit.picture}: {success}", file=sys.stderr)
    models = [model.weights_hash for model in run.header.models.values()]
    return line_of(
        unit, card, run.episodes, true.episodes, next(iter(models), ""), run.header.commit
    )


def _run(unit: Unit, picture: str, spec: str, runs: Path) -> Run:
    place = (unit.player, unit.env.replace("/", "-"), unit.suite, picture, unit.set_hash[:12])
    return evaluate(
        spec,
        unit.env,
        suite=unit.suite,
        picture=picture,
        episodes=unit.rows or None,
        concurrency=32,
        out=runs / "-".join((*place, str(unit.rows or "all"))),
    )


if __name__ == "__main__":
    sys.exit(main())
