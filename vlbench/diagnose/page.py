"""A diagnosis as one page with plots. The page needs no network; the plots are inline SVG.

What stands in rollouts is never trusted: every text is escaped.
"""

import html
from collections.abc import Sequence

from vlbench.diagnose.credit import Credit, Shares
from vlbench.diagnose.replayed import ReplayedTurn
from vlbench.diagnose.report import Diagnosis, TaskReport
from vlbench.diagnose.text import task_lines
from vlbench.display.episode_view import page_part
from vlbench.display.formatting import number, percent

WIDTH, HEIGHT, MARGIN = 420, 240, 44
"""Size of a plot, and the room for its axes, in pixels."""

MOST_POINTS = 2000
"""Most points of a scatter plot; of more turns, every k-th is drawn."""

LISTED_ACTIONS = 12
"""Most actions in the plot of actions."""

STYLE = """
body { max-width: 76rem; padding: 1.2rem; }
.plots { display: flex; flex-wrap: wrap; gap: .8rem; margin: .8rem 0 2rem; }
figure { margin: 0; } figcaption { color: var(--soft); font-size: .85rem; max-width: 26rem; }
svg { max-width: 100%; height: auto; }
svg text { fill: var(--soft); font: 11px system-ui, sans-serif; }
svg .axis { stroke: var(--line); } svg .mark { fill: var(--main); }
.turn { fill: #d97706; } .instance { fill: #7c6ee6; } .action { fill: #1a7d43; }
.rest { fill: #8b93a3; } .none { fill: #1a7d43; }
"""


def page(diagnosis: Diagnosis) -> str:
    """Return the page."""
    report = diagnosis.report
    parts = [_task(task, diagnosis.turns[task.env]) for task in report.tasks]
    notes = "".join(f"<p class=hint>{_text(note)}</p>" for note in report.notes)
    return (
        "<!doctype html>\n<html lang=en><meta charset=utf-8>"
        "<meta name=viewport content='width=device-width'>"
        f"<title>Diagnosis of {_text(report.source)}</title>"
        f"<style>{page_part('page.css')}{STYLE}</style>"
        f"<h1>Diagnosis of {_text(report.source)}</h1>{notes}{''.join(parts)}</html>\n"
    )


def _task(task: TaskReport, turns: Sequence[ReplayedTurn]) -> str:
    rows = "".join(
        f"<dt>{_text(label)}</dt><dd>{_text(text)}</dd>" for label, text in task_lines(task)
    )
    plots = [_regret_plot(task), _error_plot(task), _action_plot(task)]
    if task.credit is not None:
        plots = [_credit_plot(turns), _share_plot(task.credit), *plots]
    size = f"{task.turns} turns of {task.episodes} episodes, {task.instances} instances"
    return (
        f"<h3>{_text(task.env)}</h3><p class=hint>{size}</p><dl class=facts>{rows}</dl>"
        f"<div class=plots>{''.join(plots)}</div>"
    )


def _credit_plot(turns: Sequence[ReplayedTurn]) -> str:
    """Plot the engine's advantages over the exact ones."""
    points = [
        (turn.exact, turn.record.advantage)
        for turn in turns
        if turn.exact is not None and turn.record.advantage is not None
    ]
    xs, ys = zip(*points, strict=True)
    across = _Axis(xs, MARGIN, WIDTH - 10)
    up = _Axis((*ys, 0.0), HEIGHT - MARGIN, 10)
    step = -(-len(points) // MOST_POINTS)
    marks = "".join(
        f'<circle class=mark r=2.5 fill-opacity=.4 cx="{across.place(x):.1f}" '
        f'cy="{up.place(y):.1f}"/>'
        for x, y in points[::step]
    )
    zero = up.place(0)
    line = f'<path class=axis d="M{MARGIN} {zero:.1f}H{WIDTH - 10}"/>'
    content = f"{line}{marks}{across.labels(HEIGHT - MARGIN + 14)}{up.labels_left()}"
    return _figure(content, "advantage of the engine (up) over the exact one, Q* − V* (across)")


def _share_plot(credit: Credit) -> str:
    """Plot the parts of both variances as stacked bars."""
    bars = [("engine", credit.shares), ("exact", credit.exact_shares)]
    content = "".join(
        f'<text x=0 y="{50 + 60 * row}">{name}</text>{_stack(shares, 30 + 60 * row)}'
        for row, (name, shares) in enumerate(bars)
    )
    names = ("turn", "instance", "action", "rest")
    legend = "".join(
        f'<rect class={name} x="{60 + 90 * place}" y=160 width=10 height=10 />'
        f'<text x="{75 + 90 * place}" y=169>{name}</text>'
        for place, name in enumerate(names)
    )
    return _figure(content + legend, "parts of the variance of the advantages")


def _stack(shares: Shares | None, top: int) -> str:
    if shares is None:
        return f'<text x=60 y="{top + 20}">constant</text>'
    parts = {
        "turn": shares.turn,
        "instance": shares.instance,
        "action": shares.action,
        "rest": shares.rest,
    }
    place, width, bars = 60.0, WIDTH - 70, []
    for name, share in parts.items():
        size = width * (share or 0)
        bars.append(
            f'<rect class={name} x="{place:.1f}" y="{top}" width="{size:.1f}" height=34>'
            f"<title>{name} {percent(share)}</title></rect>"
        )
        place += size
    return "".join(bars)


def _regret_plot(task: TaskReport) -> str:
    """Plot the mean regret of each turn number, with its standard error."""
    if not task.regret_by_turn:
        return ""
    tops = [r.mean + (r.standard_error or 0) for r in task.regret_by_turn]
    up = _Axis((*tops, 0.0), HEIGHT - MARGIN, 10)
    last = task.regret_by_turn[-1].turn
    slot = (WIDTH - MARGIN - 10) / (last + 1)
    bars = []
    for regret in task.regret_by_turn:
        middle, top = MARGIN + slot * (regret.turn + 0.5), up.place(regret.mean)
        error = regret.standard_error or 0.0
        bars.append(
            f'<rect class=mark x="{middle - 0.4 * slot:.1f}" y="{top:.1f}" '
            f'width="{0.8 * slot:.1f}" height="{up.place(0) - top:.1f}"><title>turn {regret.turn}: '
            f"{number(regret.mean)}, {regret.turns} episodes</title></rect>"
            f'<path stroke=currentColor d="M{middle:.1f} {up.place(regret.mean - error):.1f}'
            f'V{up.place(regret.mean + error):.1f}"/>'
        )
    ends = f'<text x="{MARGIN}" y="{HEIGHT - MARGIN + 14}">0</text>'
    ends += (
        f'<text x="{WIDTH - 10}" y="{HEIGHT - MARGIN + 14}" text-anchor=end>{last}</text>'
        if last
        else ""
    )
    content = f"{''.join(bars)}{up.labels_left()}{ends}"
    return _figure(content, "mean regret by number of the turn, ± its standard error")


def _error_plot(task: TaskReport) -> str:
    return _bars(task.first_errors, "cause of each episode's first error, in episodes", True)


def _action_plot(task: TaskReport) -> str:
    actions = list(task.variety.actions.items())[:LISTED_ACTIONS]
    named = {action or "(none)": count for action, count in actions}
    return _bars(named, "actions, in turns", False)


def _bars(counts: dict[str, int], caption: str, is_colored: bool) -> str:
    """Plot counts as horizontal bars."""
    slot = min(30.0, (HEIGHT - 10) / len(counts))
    most = max(1, *counts.values())
    bars = []
    for row, (name, count) in enumerate(counts.items()):
        top, width = 5 + slot * row, (WIDTH - 170) * count / most
        bars.append(
            f'<text x=0 y="{top + 0.65 * slot:.1f}">{_text(f"{name:.18}")}</text>'
            f'<rect class="{name if is_colored else "mark"}" x=120 y="{top:.1f}" '
            f'width="{width:.1f}" height="{0.8 * slot:.1f}"/>'
            f'<text x="{126 + width:.1f}" y="{top + 0.65 * slot:.1f}">{count}</text>'
        )
    return _figure("".join(bars), caption)


class _Axis:
    """A linear axis.

    Args:
        values: What it must cover.
        start: Pixel of the least value.
        end: Pixel of the greatest.
    """

    def __init__(self, values: Sequence[float], start: float, end: float) -> None:
        self.least, self.greatest = min(values), max(values)
        self._start, self._end = start, end

    def place(self, value: float) -> float:
        """Return the pixel of a value."""
        span = self.greatest - self.least
        share = (value - self.least) / span if span else 0.5
        return self._start + share * (self._end - self._start)

    def labels(self, y: float) -> str:
        """Return the labels of both ends, below the plot."""
        return (
            f'<text x="{self._start}" y="{y}">{self.least:.3g}</text>'
            f'<text x="{self._end}" y="{y}" text-anchor=end>{self.greatest:.3g}</text>'
        )

    def labels_left(self) -> str:
        """Return the labels of both ends, to the left of the plot."""
        return (
            f'<text x=0 y="{self._start}">{self.least:.3g}</text>'
            f'<text x=0 y="{self._end + 8}">{self.greatest:.3g}</text>'
        )


def _figure(content: str, caption: str) -> str:
    return (
        f'<figure class=panel><svg viewBox="0 0 {WIDTH} {HEIGHT}" width={WIDTH} '
        f'height={HEIGHT} role=img aria-label="{_text(caption)}">{content}</svg>'
        f"<figcaption>{_text(caption)}</figcaption></figure>"
    )


def _text(text: str) -> str:
    return html.escape(text)
