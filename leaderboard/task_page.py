"""A task's page: its docstring, frozen sets, bounds and first pictures."""

import inspect
from collections.abc import Mapping
from dataclasses import dataclass

import gymnasium
from gymnasium.envs.registration import load_env_creator

from leaderboard.site_data import EntryRenderer
from vlbench.intervals import Interval
from vlbench.registry import short_name
from vlbench.suites import Bounds, bounds, frozen_rows, held_out, label, suite_facts, suites

_OMITTED = ("Args", "Version history")
"""Sections of an environment's docstring that a page doesn't show."""


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
    limits: Mapping[str, Bounds]
    """Suite → floor and ceiling."""
    gains: Mapping[str, Interval | None]
    """Suite → what its pictures are worth to an expert that sees nothing else; None if unknown."""
    rows: Mapping[str, int]
    """Suite → rows."""
    frames: Mapping[str, str]
    """Suite → picture of its first row; {} where what draws it isn't installed."""
    held_out: bool
    label: str
    """Notes shown beside its numbers."""


def describe(env_id: str, renderer: EntryRenderer) -> Task:
    """Return a task's page, from its docstring and frozen sets."""
    entry_point = gymnasium.registry[env_id].entry_point
    assert isinstance(entry_point, str)
    env_class = load_env_creator(entry_point)
    summary, _, rest = (inspect.getdoc(env_class) or "").partition("\n\n")
    sets = {suite: frozen_rows(env_id, suite) for suite in suites(env_id)}
    limits = {suite: bounds(env_id, suite) for suite in sets}
    name = short_name(env_id)
    try:
        firsts = {suite: renderer.first(rows[0]) for suite, rows in sets.items()}
        prompt = renderer.prompts[firsts["test"][1]]
        frames = {suite: frame for suite, (frame, _) in firsts.items()}
    except ImportError:
        prompt, frames = "", {}
    return Task(
        env_id=env_id,
        name=name,
        slug=name.casefold(),
        summary=summary,
        rules=tuple(_sections(rest)),
        prompt=prompt,
        limits={suite: limit for suite, limit in limits.items() if limit is not None},
        gains={suite: facts.visual_gain for suite in sets if (facts := suite_facts(env_id, suite))},
        rows={suite: len(rows) for suite, rows in sets.items()},
        frames=frames,
        held_out=held_out(env_id),
        label=label(env_id),
    )


def _sections(text: str) -> list[tuple[str, str]]:
    sections: list[tuple[str, list[str]]] = []
    for line in text.splitlines():
        if line.endswith(":") and not line.startswith(" "):
            sections.append((line[:-1], []))
        elif sections and line.strip():
            sections[-1][1].append(line.strip())
    return [(title, " ".join(lines)) for title, lines in sections if title not in _OMITTED]
