"""Cells of the leaderboard that only others can fill: `python -m leaderboard.cells [CELL]`.

They need a key or a GPU. `scripts/founding.sh CELL` fills one; the site shows what is still open.
With a cell, prints the agent that fills it and its stages, which that script reads.
"""

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from importlib.resources import files
from typing import Annotated

from pydantic import Field

import vlbench
from leaderboard.ranking import scorecard
from leaderboard.schema import Record, Track
from leaderboard.verify import Verified
from vlbench.cli import Options, option, parse_options, run_main
from vlbench.errors import unknown_name
from vlbench.registry import short_name
from vlbench.suites import TEST


class Cell(Record):
    """A model that should play."""

    name: str
    """The argument of `scripts/founding.sh`; of a model with a GPU, also that of
    `ppo --estimate-memory`."""
    title: str
    """Shown on the site."""
    agent: str
    """As `evaluate --agent` takes it, with the model."""
    models: Annotated[tuple[str, ...], Field(strict=False)]
    """Patterns of the models, in lower case, whose entries fill the cell."""
    needs: str
    """What it takes."""
    stages: Annotated[tuple[Track, ...], Field(strict=False)]
    """Tracks of its entries, in the order in which they are made."""

    @property
    def command(self) -> str:
        """The command that fills it."""
        return f"bash scripts/founding.sh {self.name}"

    def holds(self, model: str) -> bool:
        """Return whether a card's model is this one; a provider's name before it doesn't count."""
        name = model.rpartition("/")[2].casefold()
        return any(fnmatchcase(name, pattern) for pattern in self.models)


@dataclass(frozen=True, slots=True)
class Stage:
    """An open stage of a cell."""

    track: Track
    tasks: tuple[str, ...]
    """Short names of the tasks that no entry has played; empty if none has been played."""


@dataclass(frozen=True, slots=True)
class Call:
    """A cell that isn't filled."""

    cell: Cell
    stages: tuple[Stage, ...]
    """Its open stages."""


def read_cells() -> tuple[Cell, ...]:
    """Return the cells of `cells.json`."""
    data = json.loads(files("leaderboard").joinpath("cells.json").read_text("utf-8"))
    return tuple(Cell.model_validate(row) for row in data["cells"])


def open_calls(entries: Sequence[Verified]) -> list[Call]:
    """Return the cells that entries leave open.

    A stage is filled when entries of its model and track have played `test` of every card task.
    """
    calls = []
    for cell in read_cells():
        stages = [_stage(cell, track, entries) for track in cell.stages]
        if missing := tuple(stage for stage in stages if stage):
            calls.append(Call(cell, missing))
    return calls


def _stage(cell: Cell, track: Track, entries: Sequence[Verified]) -> Stage | None:
    """Return what is open of a stage; None if nothing is."""
    cards = [(entry, entry.manifest.card) for entry in entries]
    own = [entry for entry, card in cards if card.track == track and cell.holds(card.model)]
    missing = [
        env_id
        for env_id in vlbench.CARD_IDS
        if not any(scorecard(entry, TEST, env_id) for entry in own)
    ]
    if not missing:
        return None
    return Stage(
        track, () if len(missing) == len(vlbench.CARD_IDS) else tuple(map(short_name, missing))
    )


@dataclass(frozen=True, kw_only=True)
class Config(Options):
    """Options of `cells`."""

    cell: tuple[str, ...] = option((), "a cell; all by default", positional=True, metavar="CELL")


def main(argv: Sequence[str] | None = None) -> int:
    """List the cells, or print one for the script; exit 0, or 2 on a wrong call."""
    return run_main("cells", lambda: _print(argv))


def _print(argv: Sequence[str] | None) -> None:
    config = parse_options(Config, argv, prog="python -m leaderboard.cells", description=__doc__)
    cells = {cell.name: cell for cell in read_cells()}
    for name in config.cell:
        if name not in cells:
            raise ValueError(unknown_name("cell", name, cells))
        print(cells[name].agent, *cells[name].stages)
    if not config.cell:
        for cell in cells.values():
            print(f"{cell.command:<43} {', '.join(cell.stages)}; needs {cell.needs}")


if __name__ == "__main__":
    sys.exit(main())
