"""Write and confirm the games of the frozen sets: `python -m vlbench.tasks.alfworld.confirm`.

This writes `games.jsonl`: the sha256 of each game in the sets and the expert's plan, which reaches
its goal. Then it asks ALFWorld's own planner about one game after the other, which takes hours. A
plan of the planner that is shorter than the expert's is an error. Interrupted, the command goes on
where it was.
"""

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from vlbench.cli import Options, option, parse_options, run_main
from vlbench.freeze import interleave_groups
from vlbench.tasks.alfworld import suites
from vlbench.tasks.alfworld.engine.client import EngineClient, EngineError
from vlbench.tasks.alfworld.game import AlfworldGame
from vlbench.tasks.alfworld.games.generator import GameData, generate
from vlbench.tasks.alfworld.games.options import USUAL, GameOptions, options_of
from vlbench.tasks.alfworld.planner import distances
from vlbench.tasks.alfworld.simulation import admissible, start_of

GAMES = Path(__file__).with_name("games.jsonl")

Record = dict[str, Any]
"""A row of `games.jsonl`."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A game of the sets."""

    instance: str
    options: GameOptions

    @property
    def changes(self) -> dict[str, Any]:
        """The options that aren't the usual ones."""
        usual = asdict(USUAL)
        return {name: v for name, v in asdict(self.options).items() if v != usual[name]}

    @property
    def key(self) -> str:
        """Text that identifies the game in `games.jsonl`."""
        return f"{self.instance} {json.dumps(self.changes)}"

    def data(self) -> GameData:
        """Generate the game."""
        _, kind, name = self.instance.split("/")
        scene, _, number = name.partition("-")
        return generate(kind, int(scene), int(number), self.options)

    def record(self) -> Record:
        """Return the game's record, with the expert's plan."""
        plan, sha256 = shortest_plan(self), self.data().sha256
        names = {"instance": self.instance, "options": self.changes}
        return names | {"sha256": sha256, "planner": "", "plan": plan}


def entries() -> list[Entry]:
    """Return the games of all sets, each once; those of `test` first."""
    specs = [row for suite in suites.NAMES for row in interleave_groups(suites.rows(suite))]
    return list(dict.fromkeys(Entry(row.instance, options_of(row.kwargs)) for row in specs))


def shortest_plan(entry: Entry) -> list[str]:
    """Return the expert's plan.

    Raises:
        ValueError: The game can't be solved in the turns of an episode.
    """
    start = start_of(entry.instance, entry.options)
    room, world, plan = start.room, start.world, list[str]()
    while (turns := distances(room, world)[-1]) and len(plan) < AlfworldGame.max_turns:
        after = {command: room.successor(world, command) for command in admissible(room, world)}
        command = next(c for c, then in after.items() if distances(room, then)[-1] == turns - 1)
        plan.append(command)
        world = after[command]
    if room.conditions_met(world) < room.conditions:
        raise ValueError(f"{entry.instance} can't be solved in {AlfworldGame.max_turns} turns")
    return plan


def ask(entry: Entry, record: Record, planner: EngineClient) -> Record:
    """Return a game's record with the planner's plan as "equal", "longer" or "silent".

    Raises:
        ValueError: The planner's plan is shorter than the expert's.
    """
    try:
        plan = planner.plan(entry.data())
    except EngineError:  # no plan in time
        plan = ()
    if plan and len(plan) < len(record["plan"]):
        raise ValueError(f"{entry.key}: the planner's plan is {plan}, not {record['plan']}")
    verdict = "longer" if len(plan) > len(record["plan"]) else "equal"
    return record | {"planner": verdict if plan else "silent"}


def write_records(path: Path, records: Iterable[Record]) -> None:
    """Write records."""
    path.write_text("".join(f"{json.dumps(record)}\n" for record in records), "utf-8")


def known_records(path: Path) -> Mapping[str, Record]:
    """Return the records in a file by the key of their game."""
    lines = path.read_text("utf-8").splitlines() if path.exists() else []
    records = [json.loads(line) for line in lines]
    return {f"{record['instance']} {json.dumps(record['options'])}": record for record in records}


@dataclass(frozen=True, kw_only=True)
class Config(Options):
    """Options of `confirm`."""

    patience: float = option(20.0, "seconds that the planner may take for a game", gt=0)
    games: int = option(10**6, "how many games to ask the planner about", ge=0)


def main(argv: Sequence[str] | None = None) -> int:
    """Confirm; exit 0 when done, 2 on a wrong call."""
    return run_main("confirm", lambda: _confirm(argv))


def _confirm(argv: Sequence[str] | None) -> None:
    prog = "python -m vlbench.tasks.alfworld.confirm"
    config = parse_options(Config, argv, prog=prog, description=__doc__)
    print("choosing the rooms of the sets and planning …", file=sys.stderr)
    known, records = known_records(GAMES), dict[str, Record]()
    games = {entry.key: entry for entry in entries()}
    for key, entry in games.items():
        fresh, before = entry.record(), known.get(key, {})
        records[key] = before if before.get("sha256") == fresh["sha256"] else fresh
    write_records(GAMES, records.values())
    print(f"{GAMES.name}: {len(records)} games", file=sys.stderr)
    planner = EngineClient(answer=config.patience)
    # The planner doesn't read the wording.
    open_questions = [
        key
        for key, record in records.items()
        if not record["planner"] and games[key].options.wording == USUAL.wording
    ]
    # Two objects among many take the planner longest.
    open_questions.sort(key=lambda key: "pick_two" in key)
    for number, key in enumerate(open_questions[: config.games], 1):
        records[key] = ask(games[key], records[key], planner)
        write_records(GAMES, records.values())
        print(f"{number}/{len(open_questions)} {key}: {records[key]['planner']}", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
