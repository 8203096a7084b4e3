"""A run as one page to look at: scorecards, and episodes with pictures, replies and causes.

`python -m agents.report RUN REPORT.html`. The page needs no network. Pictures are drawn anew by
replay, since records hold none. What models wrote is never trusted: it is put into the page as
JSON and shown as text.
"""

import base64
import html
import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from string import Template
from typing import Any

from agents.tables import gain_points, headline_line
from vlbench.cli import (
    Options,
    option,
    output_file,
    parse_options,
    required,
    run_main,
)
from vlbench.comparison import check_blind, with_visual_gain
from vlbench.display.episode_view import EpisodeRenderer, page_part
from vlbench.display.formatting import number, number_range, percent, percent_range
from vlbench.records import Preamble, RunHeader, Tally
from vlbench.records.redaction import redact, redact_data
from vlbench.registry import ENV_HELP, import_environments
from vlbench.run_folder import RunFolder
from vlbench.scoring import Scorecard, headlines, score

EPISODES_PER_ENV = 20
"""Episodes of each environment that the page shows."""

OUTCOMES = ("failure", "errored", "success")
"""In the order in which episodes are shown."""


def write_report(
    run: Path, page: Path, env_ids: Iterable[str] = (), blind: Path | None = None
) -> None:
    """Write a run's page.

    Args:
        run: The run's folder.
        page: The HTML file.
        env_ids: Environments of the run whose modules may be imported.
        blind: Folder of the same run with a blank picture, for the visual gain; None for none.

    Raises:
        ValueError: There is no run in the folder, or `blind` isn't of the same agent and rows.
        OSError: The page can't be written.
    """
    folder = RunFolder.open(run)
    import_environments(env_ids, folder.header.env_ids)
    tallies, header = folder.tallies(), folder.header
    cards = score(header, tallies)
    if blind is not None:
        blind_run = RunFolder.open(blind)
        check_blind(header, blind_run.header)
        cards = with_visual_gain(cards, tallies, blind_run.tallies())
    lines = [headline_line(headline) for headline in headlines(tallies, header.suite)]
    template = Template(files(__package__).joinpath("report.html").read_text("utf-8"))
    views = redact_data(_episodes(folder, tallies), except_field="frames")
    data = json.dumps(views).replace("<", "\\u003c")
    page.parent.mkdir(parents=True, exist_ok=True)
    page.write_text(
        template.substitute(
            title=_text(f"{header.agent} on vlbench"),
            agent=_text(header.agent),
            about=_text(redact(_about(header))),
            headlines="".join(f"<p class=headline>{_text(line)}</p>" for line in lines),
            cards="".join(_card(card) for card in cards),
            texts="".join(_texts(header)),
            capped=_text(_capped(header.env_ids, tallies)),
            style=page_part("page.css"),
            viewer=page_part("viewer.js"),
            data=data,
        ),
        "utf-8",
    )


def _about(header: RunHeader) -> str:
    parts = [f"suite {header.suite}", f"prompt {header.prompt}"]
    parts += [f"theme {header.theme}"] if header.theme else []
    parts += [] if header.preamble == Preamble() else [str(header.preamble)]
    parts += [] if header.picture == "true" else [f"picture {header.picture}"]
    parts += [f"{name}={json.dumps(value)}" for name, value in header.env_kwargs.items()]
    parts += [f"history {header.history}"] if header.history else []
    parts += [f"{name} {value}" for name, value in header.settings.items() if value != ""]
    parts += ["privileged: it is handed the environment"] if header.privileged else []
    return " · ".join([*parts, f"vlbench {header.versions.get('vlbench', '?')}", header.started])


def _texts(header: RunHeader) -> Iterator[str]:
    """Yield the user's own texts as HTML."""
    shots = [f"{row.env_id} {row.instance}" for row in header.preamble.shots]
    texts = {
        "System prompt": header.preamble.system_prompt,
        "Prompt file": header.prompt_text,
        "Examples": "\n".join(shots),
    }
    for name, text in texts.items():
        if text:
            yield f"<details><summary>{name}</summary><pre>{_text(redact(text))}</pre></details>"


def _capped(env_ids: Iterable[str], episodes: Sequence[Tally]) -> str:
    counts = {env_id: sum(e.env_id == env_id for e in episodes) for env_id in env_ids}
    parts = [
        f"{EPISODES_PER_ENV} of {count} of {env_id}"
        for env_id, count in counts.items()
        if count > EPISODES_PER_ENV
    ]
    return f"Shown: {', '.join(parts)}; failures first." if parts else "All episodes are shown."


def _card(card: Scorecard) -> str:
    """Return a scorecard as HTML."""
    low, high, value = (
        f"{100 * x:.2f}%" for x in (card.success_low, card.success_high, card.success)
    )
    marks = [("floor", card.floor), ("ceiling", card.ceiling)]
    ticks = "".join(
        f'<i class=tick style="left:{100 * limit:.2f}%" title="{name} {percent(limit)}"></i>'
        for name, limit in marks
        if limit is not None
    )
    numbers = [
        ("episodes", f"{card.episodes} ({card.distinct} distinct)"),
        ("normalized", number(card.normalized)),
        ("visual gain, points", gain_points(card.visual_gain)),
        ("return", number(card.mean_return)),
        ("return above 0", percent(card.paper_success)),
        ("regret a turn", _regret(card)),
        ("illegal", percent(card.illegal_rate)),
        ("unknown", percent(card.unknown_rate)),
        ("malformed", percent(card.malformed_rate)),
        ("truncated", percent(card.truncated_rate)),
        ("refused", percent(card.refused_rate)),
        ("recovered", percent(card.recovered_rate)),
        ("strict differs", percent(card.strict_rate)),
        ("strict success", percent_range(*card.strict_success) if card.strict_success else "–"),
        ("errored", str(card.errored)),
    ]
    numbers += [
        (name, f"{percent(group.success)} of {group.episodes}")
        for name, group in card.groups.items()
    ]
    cells = "".join(f"<dt>{_text(name)}</dt><dd>{_text(text)}</dd>" for name, text in numbers)
    notes = "".join(f"<p class=note>{_text(note)}</p>" for note in card.notes)
    return (
        f"<article class=panel><h3>{_text(card.env)}</h3><p class=rate>{percent(card.success)} "
        f"<small>95 %: {percent_range(card.success_low, card.success_high)}</small></p>"
        f'<div class=bar><b style="width:{value}"></b>'
        f'<i class=interval style="left:{low};right:calc(100% - {high})"></i>{ticks}</div>'
        f"<dl class=facts>{cells}</dl>{_attribution(card)}{notes}</article>"
    )


def _regret(card: Scorecard) -> str:
    if card.regret_low is None or card.regret_high is None:
        return number(card.regret)
    return f"{number(card.regret)} ({number_range(card.regret_low, card.regret_high)})"


def _attribution(card: Scorecard) -> str:
    """Return the attribution of suboptimal turns as a bar and a legend."""
    causes = {name: cause for name, cause in card.attribution.items() if cause.turns}
    if not causes:
        return "<p class=causes>No turn was worse than the best one.</p>"
    parts = "".join(
        f'<i class="{name}" style="flex:{cause.turns}"></i>' for name, cause in causes.items()
    )
    legend = "".join(
        f'<span><i class="{name}"></i>{name} {cause.turns}</span>' for name, cause in causes.items()
    )
    worse = sum(cause.turns for cause in causes.values())
    return (
        f"<div class=causes><p>{worse} of {card.turns} turns were worse than the best one</p>"
        f"<div class=stack>{parts}</div><p class=legend>{legend}</p></div>"
    )


def _episodes(folder: RunFolder, tallies: Sequence[Tally]) -> dict[str, Any]:
    """Return the data of the page's viewer, as plain data."""
    header = folder.header
    keys: list[str] = []
    for env_id in header.env_ids:
        of_env = [item for item in tallies if item.env_id == env_id]
        of_env.sort(key=lambda item: OUTCOMES.index(item.outcome))
        keys += [item.key for item in of_env[:EPISODES_PER_ENV]]
    by_key = {episode.key: episode for episode in folder.episodes(set(keys))}
    renderer = EpisodeRenderer()
    views = [renderer.episode(by_key[key]) | {"suite": header.suite} for key in keys]
    frames = {
        name: f"data:image/png;base64,{base64.b64encode(file).decode()}"
        for name, file in renderer.frames.items()
    }
    return {
        "name": header.agent,
        "frames": frames,
        "prompts": renderer.prompts,
        "episodes": views,
    }


def _text(text: str) -> str:
    return html.escape(text)


@dataclass(frozen=True, kw_only=True)
class Config(Options):
    """Options of `report`."""

    run: Path = required("a run's folder", positional=True)
    page: Path = required(
        "the HTML file to write",
        positional=True,
        check=output_file("an HTML page", b"<!doctype html"),
    )
    env: tuple[str, ...] = option((), ENV_HELP, metavar="MODULE:ID")
    blind: Path | None = option(
        None, "folder of the same run with --picture blank, to show the visual gain", metavar="RUN"
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Write a run's page; exit 0 when done, 2 on a wrong call."""
    return run_main("report", lambda: _report(argv))


def _report(argv: Sequence[str] | None) -> None:
    config = parse_options(Config, argv, prog="python -m agents.report", description=__doc__)
    write_report(config.run, config.page, config.env, config.blind)


if __name__ == "__main__":
    sys.exit(main())
