"""Play untrained players on frozen rows: `python -m agents.calibrate --results FILE`.

A line is appended for each player, task and suite; what the file has already, for the same rows of
the same set, isn't played again, and a run that was stopped goes on. `--page` writes the page
beside the lines.
"""

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import vlbench
from agents.agent import Agent
from agents.calibrate.lines import PLAYERS, Line, Unit, line_of
from agents.calibrate.page import render
from agents.evaluate import evaluate
from agents.registry import load_agent
from agents.results.line_file import append_line, read_lines
from agents.results.study_page import write_page
from vlbench.cli import Options, option, parse_options, required, run_main
from vlbench.errors import unknown_name
from vlbench.registry import resolve_env_id
from vlbench.suites import frozen_hash, suites


@dataclass(frozen=True, kw_only=True)
class Config(Options):
    """Options of `calibrate`."""

    results: Path = required("JSONL file that lines are appended to")
    runs: Path = option(Path("runs/calibrate"), "folder of the runs behind the lines")
    players: tuple[str, ...] = option(
        tuple(PLAYERS), f"one of {', '.join(PLAYERS)}; may be given again", metavar="PLAYER"
    )
    env: str = option("all", "ids or short names, with commas between")
    suite: str = option("test", "suites, with commas between; those that a task lacks are left out")
    episodes: int = option(0, "rows of each task and suite, from the first; 0 for all", ge=0)
    page: bool = option(False, "write the page beside the lines, from its template")

    def check(self) -> None:
        """Check the players."""
        for name in self.players:
            if name not in PLAYERS:
                raise ValueError(unknown_name("player", name, PLAYERS))


def main(argv: list[str] | None = None) -> int:
    """Play; exit 0 when done, 2 on a wrong call, 130 on Ctrl-C."""
    return run_main("calibrate", lambda: _calibrate(argv), stopped="stopped; the same call goes on")


def _calibrate(argv: list[str] | None) -> None:
    config = parse_options(Config, argv, prog="python -m agents.calibrate", description=__doc__)
    known = {line.unit for line in read_lines(config.results, Line)}
    for name in config.players:
        units = [unit for unit in _units(name, config) if unit not in known]
        agent = load_agent(PLAYERS[name].agent, **PLAYERS[name].settings) if units else None
        for unit in units:
            if agent and (agent.env_ids is None or unit.env in agent.env_ids):
                append_line(config.results, _play(unit, agent, config.runs))
    if config.page:
        write_page(config.results, {"tables": render(read_lines(config.results, Line))})


def _units(player: str, config: Config) -> Iterator[Unit]:
    names = vlbench.ENV_IDS if config.env == "all" else config.env.split(",")
    for env_id in (resolve_env_id(name.strip()) for name in names):
        for suite in map(str.strip, config.suite.split(",")):
            if suite in suites(env_id):
                yield Unit(player, env_id, suite, config.episodes, frozen_hash(env_id, suite))


def _play(unit: Unit, agent: Agent, runs: Path) -> Line:
    """Play a unit, or go on with it, and return its line."""
    place = (unit.player, unit.env.replace("/", "-"), unit.suite, unit.set_hash[:12])
    run = evaluate(
        agent,
        unit.env,
        suite=unit.suite,
        prompt=PLAYERS[unit.player].prompt,
        episodes=unit.rows or None,
        out=runs / "-".join((*place, str(unit.rows or "all"))),
    )
    if run.stopped:
        raise ValueError(f"{run.folder}: {run.stopped}; the same call goes on")
    (card,) = run.scorecards
    success = f"{100 * card.success:.1f} % of {card.episodes}"
    print(f"{unit.player} {unit.env} {unit.suite}: {success}", file=sys.stderr)
    models = [model.weights_hash for model in run.header.models.values()]
    model = next(iter(models), "")
    return line_of(unit, card, run.episodes, model, run.header.commit)


if __name__ == "__main__":
    sys.exit(main())
