"""The leaderboard as static pages: `python -m leaderboard.site --out site/`.

Every entry is verified first; only replayed entries are shown. The pages need no server and no
network, and the same entries give the same bytes. Whatever an entry says is shown as text.
"""

import json
import re
import shutil
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from importlib.resources import files
from itertools import combinations
from pathlib import Path
from typing import Any

import jinja2

import vlbench
from leaderboard import ranking
from leaderboard.cells import open_calls
from leaderboard.outside import known_ids
from leaderboard.pages.entries import FAILURES, SHARED, EntryRenderer, RenderedEntry
from leaderboard.pages.tables import (
    TRACKS,
    Section,
    filled,
    ladder_rows,
    other_suites,
    overall_rows,
    results,
    task_rows,
)
from leaderboard.pages.tasks import Task, beside_test, describe
from leaderboard.pages.training import training_pairs
from leaderboard.published import KINDS, reported_ids, reported_rows
from leaderboard.verify import Evidence, Verified, existing_entry, find_entries, verify_all
from vlbench.cli import (
    option,
    parse_options,
    required,
    run_main,
    writable_folder,
)
from vlbench.cli.steps import Steps
from vlbench.display.episode_view import page_part
from vlbench.display.formatting import (
    counted,
    number,
    number_range,
    percent,
    percent_range,
    points,
    usd,
)
from vlbench.registry import short_name
from vlbench.suites import ordered_suites

MARKER = ".vlbench-site"
"""Marks a folder as a generated site, which may be replaced."""

TITLES: dict[Section, str] = {
    "general": "General models",
    "specialists": "Trained on the tasks",
    "reference": "Reference players",
}
"""Titles of the tables of a page, in the order shown."""


def slug(entry: Verified) -> str:
    """Return an entry's name in addresses; the whole digest keeps names apart."""
    manifest = entry.manifest
    plain = re.sub(r"[^a-z0-9]+", "-", manifest.card.name.casefold()).strip("-")[:40]
    return f"{plain or 'entry'}-{manifest.digest}"


def build(
    entries: Sequence[Verified],
    out: Path,
    env_ids: Sequence[str] = vlbench.ENV_IDS,
    tell: Callable[[str], None] = lambda step: None,
) -> None:
    """Write the site of verified entries; an entry that is there twice is shown once.

    Args:
        entries: The entries.
        out: The site's folder; an older site there is replaced.
        env_ids: The tasks that have pages; see `leaderboard.outside`.
        tell: Called with what is being done, in a few words.

    Raises:
        ValueError: `out` is a folder of something else.
        OSError: A file can't be written.
    """
    entries = list({entry.manifest.digest: entry for entry in entries}.values())
    if out.exists() and not (out / MARKER).exists() and (not out.is_dir() or any(out.iterdir())):
        raise ValueError(f"{out} is there and isn't a site of ours; choose another folder")
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".site-", dir=out.parent) as folder:
        site = Path(folder) / "site"
        site.mkdir()
        ordered = sorted(entries, key=lambda e: (e.manifest.card.name, e.manifest.digest))
        _write(ordered, site, env_ids, tell)
        if out.exists():
            shutil.rmtree(out)
        site.rename(out)


def _write(
    entries: Sequence[Verified], out: Path, env_ids: Sequence[str], tell: Callable[[str], None]
) -> None:
    _write_parts(out)
    renderer = EntryRenderer()
    tasks = [describe(env_id, renderer) for env_id in env_ids]
    pages = _Pages(entries, tasks)
    reported = reported_rows()
    table = next(
        (t for t in vlbench.HEADLINES if any(ranking.headline(e, "test", t) for e in entries)),
        "cards",
    )
    pages.write(
        out / "index.html",
        "index.html",
        ".",
        rows_of={section: overall_rows(entries, section, tasks, table) for section in TRACKS},
        pairs=training_pairs(entries, tasks),
        calls=open_calls(entries),
        reported=reported,
        reported_ids=reported_ids(reported),
        kinds=KINDS,
    )
    pages.write(out / "compare.html", "compare.html", ".")
    for task in tasks:
        tell(f"writing the page of {task.name}")
        rows = {section: task_rows(entries, section, task.env_id) for section in TRACKS}
        path = out / "tasks" / f"{task.slug}.html"
        pages.write(
            path,
            "task.html",
            "..",
            task=task,
            rows_of=rows,
            other_suites=other_suites(task.env_id),
            ladder_rows=ladder_rows(entries, task.env_id),
        )
    frames = {name for task in tasks for name in task.frames.values()}
    for entry in entries:
        tell(f"drawing the episodes of {entry.manifest.card.name}")
        view = renderer.entry(entry)
        frames |= view.frames
        _script(out / "data" / f"{slug(entry)}.js", slug(entry), _viewer_data(entry, view))
        pages.write(
            out / "entries" / f"{slug(entry)}.html",
            "entry.html",
            "..",
            entry=entry,
            results=results(entry, tasks),
            shared=SHARED,
            failures=FAILURES,
            left_out=view.left_out,
        )
    tell("comparing the entries in pairs")
    _script(out / "data" / "pairs.js", "pairs", _pairs(entries, env_ids))
    for name in sorted(frames):
        (out / "frames" / f"{name}.png").write_bytes(renderer.frames[name])


def _write_parts(out: Path) -> None:
    """Write what pages share, and the folders that they fill."""
    for name in ("entries", "tasks", "data", "frames"):
        (out / name).mkdir()
    (out / MARKER).write_text("", "utf-8")
    for name in ("site.css", "site.js", "entries.js"):
        text = files("leaderboard").joinpath("templates", name).read_text("utf-8")
        (out / name).write_text(text, "utf-8")
    for name in ("page.css", "viewer.js"):
        (out / name).write_text(page_part(name), "utf-8")


class _Pages:
    """Renders templates with the context that all pages share."""

    def __init__(self, entries: Sequence[Verified], tasks: Sequence[Task]) -> None:
        self._jinja = jinja2.Environment(
            loader=jinja2.PackageLoader("leaderboard"),
            autoescape=True,
            undefined=jinja2.StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._jinja.filters |= _filters()
        self._jinja.globals |= {
            "entries": entries,
            "tasks": tasks,
            "sections": TITLES.items(),
            "beside_test": beside_test(),
            "filled": filled,
            "all_cards": set(vlbench.CARD_IDS) == {task.env_id for task in tasks},
            "slug": slug,
            "version": vlbench.__version__,
        }

    def write(self, path: Path, template: str, root: str, **values: Any) -> None:
        """Render a page; `root` is the way from it to the site's folder."""
        text = self._jinja.get_template(template).render(root=root, **values)
        path.write_text(text, "utf-8")


def _filters() -> dict[str, Callable[..., str]]:
    """Return the templates' filters: numbers as in terminals, but set for a page."""

    def typeset(text: Callable[..., str]) -> Callable[..., str]:
        return lambda *values: text(*values).replace("-", "−").replace(" ", "\N{NO-BREAK SPACE}")

    texts: tuple[Callable[..., str], ...] = (
        *(counted, number, number_range, percent, percent_range),
        *(points, usd),
    )
    return {text.__name__: typeset(text) for text in texts} | {"short": short_name}


def _viewer_data(entry: Verified, view: RenderedEntry) -> dict[str, Any]:
    name = entry.manifest.card.name
    return {"name": name, "prompts": view.prompts, "episodes": view.episodes}


def _pairs(entries: Sequence[Verified], env_ids: Sequence[str]) -> dict[str, Any]:
    """Return the paired differences of every two entries, second less first."""
    pairs: dict[str, Any] = {}
    for first, second in combinations(entries, 2):
        pairs[f"{slug(first)} {slug(second)}"] = [
            {
                "suite": suite,
                "env": env_id,
                "rows": difference.rows,
                **asdict(difference.success),
                "first": difference.only_first,
                "second": difference.only_second,
            }
            for suite in ordered_suites([*first.scores, *second.scores])
            for env_id in env_ids
            if ranking.scorecard(first, suite, env_id) and ranking.scorecard(second, suite, env_id)
            for difference in [ranking.task_difference(first, second, suite, env_id)]
        ]
    return pairs


def _script(path: Path, name: str, data: Any) -> None:
    """Write data as a script, so that pages opened from disk can load it."""
    text = json.dumps(data, sort_keys=True, separators=(",", ":")).replace("<", "\\u003c")
    path.write_text(f"vlbench.add({json.dumps(name)},{text});\n", "utf-8")


@dataclass(frozen=True, kw_only=True)
class Config(Evidence):
    """Options of `site`."""

    entries: tuple[Path, ...] = option(
        (),
        "entries to show, and their challenges; those of the repository by default",
        positional=True,
        metavar="ENTRY.tar.gz",
        check=existing_entry,
    )
    out: Path = required("the folder to write", check=writable_folder)


def main(argv: Sequence[str] | None = None) -> int:
    """Build the site; exit 0 when done, 1 if an entry is refused, 2 on a wrong call."""
    return run_main("site", lambda: _site(argv))


def _site(argv: Sequence[str] | None) -> int:
    config = parse_options(Config, argv, prog="python -m leaderboard.site", description=__doc__)
    stored = Path(str(files("leaderboard").joinpath("entries")))
    paths, reports = find_entries(config.entries), config.rerun
    if not paths:
        paths = tuple(sorted(stored.glob("*.tar.gz")))
        reports += tuple(sorted(stored.glob("*.rerun.json")))
    env_ids, steps = known_ids(config.env), Steps()
    verification = verify_all(paths, reports, config.nonces, env_ids, steps.say)
    steps.clear()
    code = verification.print_refused()
    build(verification.entries, config.out, env_ids, steps.say)
    steps.clear()
    entries = counted(len(verification.entries), "entry", "entries")
    refused = len(verification.refused)
    print(f"{config.out / 'index.html'}: {entries} shown, {refused} refused")
    return code


if __name__ == "__main__":
    sys.exit(main())
