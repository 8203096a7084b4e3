"""A diagnosis as one page with plots. The page needs no network.

What stands in rollouts is never trusted: every text is escaped.
"""

import html
from collections.abc import Sequence

from vlbench.diagnose.credit import Credit, Shares
from vlbench.diagnose.plots import Bar, bars, scatter, stacks, whiskers
from vlbench.diagnose.replayed import ReplayedTurn
from vlbench.diagnose.report import Diagnosis, TaskReport
from vlbench.diagnose.text import task_lines
from vlbench.display.episode_view import page_part
from vlbench.display.formatting import number

ACTIONS = 12
"""Most actions in the plot of actions."""

STYLE = """
body { max-width: 76rem; padding: 1.2rem; }
.plots { display: flex; flex-wrap: wrap; gap: .8rem; margin: .8rem 0 2rem; }
figure { margin: 0; } figcaption { color: var(--soft); font-size: .85rem; max-width: 26rem; }
svg { max-width: 100%; height: auto; }
svg text { fill: var(--soft); font: 11px system-ui, sans-serif; }
svg .axis { stroke: var(--line); } svg .mark { fill: var(--main); }
svg .whisker { stroke: var(--text); }
.turn { fill: #d97706; } .instance { fill: #7c6ee6; } .action { fill: #1a7d43; }
.rest { fill: #8b93a3; } .none { fill: #1a7d43; }
"""


def diagnosis_page(diagnosis: Diagnosis) -> str:
    """Return the page as HTML."""
    report = diagnosis.report
    tasks = "".join(_task(task, diagnosis.turns[task.env]) for task in report.tasks)
    notes = "".join(f"<p class=hint>{html.escape(note)}</p>" for note in report.notes)
    title = f"Diagnosis of {html.escape(report.source)}"
    return (
        "<!doctype html>\n<html lang=en><meta charset=utf-8>"
        '<meta name=viewport content="width=device-width">'
        f"<title>{title}</title><style>{page_part('page.css')}{STYLE}</style>"
        f"<h1>{title}</h1>{notes}{tasks}</html>\n"
    )


def _task(task: TaskReport, turns: Sequence[ReplayedTurn]) -> str:
    rows = "".join(
        f"<dt>{html.escape(label)}</dt><dd>{html.escape(text)}</dd>"
        for label, text in task_lines(task)
    )
    plots = [
        bars(
            task.first_errors,
            "cause of each episode's first error, in episodes",
            {cause: cause for cause in task.first_errors},
        ),
        bars(_actions(task), "actions, in turns"),
    ]
    if task.regret_by_turn:
        plots.insert(0, _regret_plot(task))
    if task.credit is not None:
        plots[:0] = [_credit_plot(turns), _share_plot(task.credit)]
    size = f"{task.turns} turns of {task.episodes} episodes, {task.instances} instances"
    return (
        f"<h3>{html.escape(task.env)}</h3><p class=hint>{size}</p>"
        f"<dl class=facts>{rows}</dl><div class=plots>{''.join(plots)}</div>"
    )


def _credit_plot(turns: Sequence[ReplayedTurn]) -> str:
    points = [
        (turn.exact, turn.record.advantage)
        for turn in turns
        if turn.exact is not None and turn.record.advantage is not None
    ]
    return scatter(points, "advantage of the engine (up) over the exact one, Q* − V* (across)")


def _share_plot(credit: Credit) -> str:
    rows = {"engine": _parts(credit.shares), "exact": _parts(credit.exact_shares)}
    return stacks(rows, "parts of the variance of the advantages")


def _parts(shares: Shares | None) -> dict[str, float]:
    if shares is None:
        return {}
    parts = {
        "turn": shares.turn,
        "instance": shares.instance,
        "action": shares.action,
        "rest": shares.rest,
    }
    return {name: share or 0.0 for name, share in parts.items()}


def _regret_plot(task: TaskReport) -> str:
    return whiskers(
        [
            Bar(
                regret.turn,
                regret.mean,
                regret.standard_error or 0.0,
                f"turn {regret.turn}: {number(regret.mean)}, {regret.turns} episodes",
            )
            for regret in task.regret_by_turn
        ],
        "mean regret by number of the turn, ± its standard error",
    )


def _actions(task: TaskReport) -> dict[str, int]:
    actions = list(task.variety.actions.items())[:ACTIONS]
    return {action or "(none)": count for action, count in actions}
