"""The result of an evaluation, as an object to print, to look at and to take numbers from."""

import html
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agents.results.rows import LEVELS, Cell, episode_rows, scorecard_rows, turn_rows
from agents.selection import Skipped
from agents.tables import headline_line, scorecard_cells, scorecard_table
from vlbench.errors import unknown_name
from vlbench.observation import PICTURES
from vlbench.records import Episode, Preamble, RunHeader
from vlbench.run_folder import RunFolder
from vlbench.scoring import Headline, Scorecard, headlines, score

if TYPE_CHECKING:
    import pandas

NO_PANDAS = 'a data frame needs pandas; install it with: pip install "vlbench[paper]"'


@dataclass(frozen=True, slots=True, repr=False)
class Run:
    """The result of an evaluation; `print(run)` shows its table."""

    folder: Path
    header: RunHeader
    episodes: tuple[Episode, ...]
    scorecards: tuple[Scorecard, ...]
    headlines: tuple[Headline, ...]
    skipped: tuple[Skipped, ...] = ()
    stopped: str = ""
    """Why the run stopped before its end; "" if it didn't."""
    warnings: tuple[str, ...] = ()
    """What was played or counted otherwise than asked, one line each."""

    @classmethod
    def open(cls, folder: str | Path) -> "Run":
        """Return a run that lies in a folder, with its scores.

        Raises:
            ValueError: There is no run.
        """
        run = RunFolder.open(folder)
        episodes = run.episodes()
        cards = score(run.header, episodes)
        heads = headlines(episodes, run.header.suite)
        return cls(run.path, run.header, tuple(episodes), tuple(cards), tuple(heads))

    def rows(self, level: str = "scorecards") -> list[dict[str, Cell]]:
        """Return the run as rows of plain cells.

        Args:
            level: "scorecards" (a row for each task), "episodes" or "turns".

        Raises:
            ValueError: There is no such level.
        """
        if level not in LEVELS:
            raise ValueError(unknown_name("level", level, LEVELS))
        if level == "scorecards":
            return scorecard_rows(self.header, self.scorecards)
        return episode_rows(self.episodes) if level == "episodes" else turn_rows(self.episodes)

    def to_dataframe(self, level: str = "scorecards") -> "pandas.DataFrame":
        """Return the run as a data frame (extra `paper`).

        Args:
            level: As in `rows`.

        Raises:
            ValueError: There is no such level, or pandas isn't installed.
        """
        rows = self.rows(level)
        try:
            import pandas
        except ImportError as error:
            raise ValueError(NO_PANDAS) from error
        return pandas.DataFrame(rows)

    def data(self) -> dict[str, Any]:
        """Return the run, without its episodes, as `evaluate --json` prints it."""
        return {
            "run": {
                "folder": str(self.folder),
                "stopped": self.stopped,
                "warnings": self.warnings,
                **asdict(self.header),
            },
            "scorecards": [asdict(card) for card in self.scorecards],
            "headlines": [asdict(headline) for headline in self.headlines],
            "skipped": [asdict(skip) for skip in self.skipped],
        }

    def __repr__(self) -> str:
        """Return one line: the folder, who played, and what."""
        return (
            f"Run({str(self.folder)!r}, agent={self.header.agent!r}, suite={self.header.suite!r}, "
            f"episodes={len(self.episodes)})"
        )

    def __str__(self) -> str:
        """Return the table that `evaluate` prints."""
        lines = [title(self.header), scorecard_table(self.scorecards)]
        lines += map(headline_line, self.headlines)
        if self.stopped:
            lines.append(f"{self.stopped}; {len(self.episodes)} episodes are counted")
        if tokens := sum(card.tokens or 0 for card in self.scorecards):
            known = [card.usd for card in self.scorecards if card.usd is not None]
            is_known = len(known) == len(self.scorecards)
            lines.append(f"{tokens:,} tokens, " + (f"{sum(known):.2f} USD" if is_known else NO_USD))
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        """Return the table as HTML, for a notebook."""
        head, rows = scorecard_cells(self.scorecards)
        notes = dict.fromkeys(note for card in self.scorecards for note in card.notes)
        lines = [headline_line(headline) for headline in self.headlines]
        lines += [*notes, *([self.stopped] if self.stopped else []), f"folder: {self.folder}"]
        cells = _html_row("th", head) + "".join(_html_row("td", row) for row in rows)
        below = "".join(f"<div>{html.escape(line)}</div>" for line in lines)
        return f"<p><b>{html.escape(title(self.header))}</b></p><table>{cells}</table>{below}"


def open_runs(folders: Iterable[Path]) -> list[Run]:
    """Return the runs in folders, each a run's own or one that holds runs.

    Raises:
        ValueError: A folder holds neither.
    """
    runs: list[Run] = []
    for folder in folders:
        inner = sorted(path.parent for path in folder.glob("*/run.json"))
        if (folder / "run.json").is_file() or not inner:
            runs.append(Run.open(folder))
        else:
            runs += map(Run.open, inner)
    return runs


NO_USD = "money unknown"


def _html_row(tag: str, cells: tuple[str, ...]) -> str:
    inner = "".join(f"<{tag}>{html.escape(cell)}</{tag}>" for cell in cells)
    return f"<tr>{inner}</tr>"


def title(header: RunHeader) -> str:
    """Return a line that says who played what, as it stands above a table."""
    model = str(header.settings.get("model", ""))
    agent = header.agent if model in header.agent else f"{header.agent} ({model})"
    privilege = " (privileged: it is handed the environment)" if header.privileged else ""
    rows = "challenge" if header.challenge else f"suite {header.suite}"
    text = f"{agent}{privilege}, {rows}, prompt {header.prompt}"
    text += "" if header.preamble == Preamble() else f", {header.preamble}"
    text += "" if header.picture == PICTURES[0] else f", picture {header.picture}"
    return text + rules_text(header.env_kwargs)


def rules_text(env_kwargs: Mapping[str, Any]) -> str:
    """Return keyword arguments as ", name=value" each; "" for none."""
    return "".join(f", {name}={json.dumps(value)}" for name, value in env_kwargs.items())
