"""A task's page: its docstring, frozen sets, bounds and first pictures."""

import inspect
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from leaderboard.outside import LABEL, is_outside
from leaderboard.pages.entries import EntryRenderer
from vlbench.registry import env_class, short_name
from vlbench.scoring import notes
from vlbench.suites import (
    TEST,
    SuiteFacts,
    benchmark_suites,
    frozen_rows,
    label,
    shipped_suites,
    suite_facts,
)

BESIDE_TEST = ("ood-looks", "ood-rules", "ood-both")
"""Suites that change one factor of `test`, and both."""

_OMITTED = ("Args", "Version history")
"""Sections of an environment's docstring that a page doesn't show."""


def beside_test() -> tuple[str, ...]:
    """Return the suites that tables show beside `test`: other looks, other rules, and both."""
    return tuple(suite for suite in benchmark_suites() if suite in BESIDE_TEST)


@dataclass(frozen=True, slots=True)
class Task:
    """An environment's page."""

    env_id: str
    name: str
    slug: str
    summary: str
    rules: tuple[tuple[str, str], ...]
    """Sections of the docstring: label and text."""
    prompt: str
    """The text that the first row of `test` shows; "" where what draws it isn't installed."""
    sets: Mapping[str, SuiteFacts]
    """Suite → floor, ceiling, instances, and what the reference players earn."""
    rows: Mapping[str, int]
    """Suite → rows."""
    notes: Mapping[str, Sequence[str]]
    """Suite → caveats."""
    frames: Mapping[str, str]
    """Suite → picture of its first row, for `test` and the suites beside it; {} where what draws it
    isn't installed."""
    label: str
    """Notes shown beside its numbers."""


def describe(env_id: str, renderer: EntryRenderer) -> Task:
    """Return a task's page, from its docstring and frozen sets."""
    summary, _, rest = (inspect.getdoc(env_class(env_id)) or "").partition("\n\n")
    sets = {suite: frozen_rows(env_id, suite) for suite in shipped_suites(env_id)}
    facts = {suite: suite_facts(env_id, suite) for suite in sets}
    name, caveat = short_name(env_id), label(env_id)
    if is_outside(env_id):
        caveat = "; ".join(filter(None, (LABEL, caveat)))
    try:
        shown = [suite for suite in sets if suite in (TEST, *beside_test())]
        firsts = {suite: renderer.first(sets[suite][0]) for suite in shown}
        prompt = renderer.prompts[firsts["test"][1]]
        frames = {suite: frame for suite, (frame, _) in firsts.items()}
    except ImportError:
        prompt, frames = "", {}
    return Task(
        env_id=env_id,
        name=name,
        slug=slug_of(env_id),
        summary=summary,
        rules=tuple(_sections(rest)),
        prompt=prompt,
        sets={suite: known for suite, known in facts.items() if known is not None},
        rows={suite: len(rows) for suite, rows in sets.items()},
        notes={suite: notes(env_id, suite)[bool(label(env_id)) :] for suite in sets},
        frames=frames,
        label=caveat,
    )


def slug_of(env_id: str) -> str:
    """Return a task's name in addresses; the whole id for one that isn't of the benchmark."""
    if not is_outside(env_id):
        return short_name(env_id).casefold()
    return re.sub(r"[^a-z0-9]+", "-", env_id.casefold()).strip("-")


def _sections(text: str) -> list[tuple[str, str]]:
    sections: list[tuple[str, list[str]]] = []
    for line in text.splitlines():
        if line.endswith(":") and not line.startswith(" "):
            sections.append((line[:-1], []))
        elif sections and line.strip():
            sections[-1][1].append(line.strip())
    return [(title, " ".join(lines)) for title, lines in sections if title not in _OMITTED]
