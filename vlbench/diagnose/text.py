"""A diagnosis as text for a terminal."""

from collections.abc import Iterator

from vlbench.diagnose.behaviour import Thoughts, TurnRegret, Variety
from vlbench.diagnose.credit import Credit, Shares
from vlbench.diagnose.report import Leaks, Report, TaskReport
from vlbench.display.formatting import MISSING, number, number_range, percent, percent_interval
from vlbench.intervals import Interval

LABEL = 13
"""Width of the labels."""

LISTED_TURNS = 12
"""Turn numbers whose regret is printed; the page shows all."""


def report_text(report: Report) -> str:
    """Return a report as text, with a block for each task."""
    blocks = ["\n".join([_title(task), *_lines(task)]) for task in report.tasks]
    return "\n\n".join([*blocks, *(["\n".join(report.notes)] if report.notes else [])])


def _title(task: TaskReport) -> str:
    return f"{task.env}: {task.turns} turns, {task.episodes} episodes, {task.instances} instances"


def _lines(task: TaskReport) -> Iterator[str]:
    for label, text in task_lines(task):
        yield f"  {label.ljust(LABEL)}{text}"


def task_lines(task: TaskReport) -> Iterator[tuple[str, str]]:
    """Yield the lines of a task, each with its label; "" continues the label above."""
    if task.credit is None:
        reason = "no advantages recorded" if not task.advantages else "no exact values"
        yield "credit", MISSING + f" ({reason})"
    else:
        yield from credit_lines(task.credit)
    if task.value_pearson is not None:
        yield "critic", f"pearson with the optimal return {interval_text(task.value_pearson)}"
    if task.regret is not None:
        regret, optimal = interval_text(task.regret), percent(task.optimal)
        yield "regret", f"{regret} a turn; optimal replies {optimal}"
        yield "", f"by turn: {_by_turn(task.regret_by_turn)}"
    errors = ", ".join(f"{name} {count}" for name, count in task.first_errors.items())
    yield "first error", errors
    yield "thoughts", thoughts_text(task.thoughts)
    yield "variety", variety_text(task.variety)
    for sign in task.variety.signs:
        yield "", f"sign of a collapse: {sign}"
    yield "test rows", leaks_text(task.leaks)
    if task.differences:
        yield "replay", f"{task.differences} turns differ; {task.first_difference}"
    for note in task.notes:
        yield "note", note


def credit_lines(credit: Credit) -> Iterator[tuple[str, str]]:
    """Yield the lines about advantages."""
    yield "credit", f"pearson {interval_text(credit.pearson)}"
    yield "", f"spearman {interval_text(credit.spearman)}"
    if credit.same_state is not None:
        yield "", f"pearson within states {interval_text(credit.same_state)}"
    sign = credit.sign_agreement
    agreement = percent_interval(sign.value, sign.low, sign.high)
    optimal, others = percent(credit.optimal_agreement), percent(credit.other_agreement)
    yield "", f"sign agreement {agreement}: {optimal} of optimal replies, {others} of others"
    yield "variance", shares_text(credit.shares)
    yield "", f"exact: {shares_text(credit.exact_shares)}"


def interval_text(interval: Interval | None) -> str:
    """Return an estimate with its interval; an en dash for none."""
    if interval is None:
        return f"{MISSING} (constant)"
    return f"{number(interval.value)} ({number_range(interval.low, interval.high)})"


def shares_text(shares: Shares | None) -> str:
    """Return the parts of a variance."""
    if shares is None:
        return f"{MISSING} (constant)"
    return (
        f"turn {percent(shares.turn)}, instance {percent(shares.instance)}, "
        f"action {percent(shares.action)}, rest {percent(shares.rest)}"
    )


def _by_turn(regrets: tuple[TurnRegret, ...]) -> str:
    items = [f"{regret.turn}: {number(regret.mean)}" for regret in regrets[:LISTED_TURNS]]
    return ", ".join(items) + (", …" if len(regrets) > LISTED_TURNS else "")


def thoughts_text(thoughts: Thoughts) -> str:
    """Return how true thoughts are and whether actions follow them."""
    parts = []
    if thoughts.statements:
        true = percent(thoughts.true_statements / thoughts.statements)
        parts.append(f"true in {true} of {thoughts.statements} turns that state what is shown")
        parts.append(
            f"optimal {percent(thoughts.optimal_if_true)} if true, "
            f"{percent(thoughts.optimal_if_false)} if false"
        )
    if thoughts.plans:
        consistent = percent(thoughts.consistent / thoughts.plans)
        parts.append(f"the action is the plan's in {consistent} of {thoughts.plans} turns")
    return "; ".join(parts) or f"{MISSING} (no statement that can be checked)"


def variety_text(variety: Variety) -> str:
    """Return how different the replies are."""
    log_prob = "" if variety.log_prob is None else f"; log p {number(variety.log_prob, 2)} a reply"
    return (
        f"distinct replies {percent(variety.distinct_replies)}, "
        f"thoughts {percent(variety.distinct_thoughts)}; "
        f"commonest thoughts {percent(variety.commonest_thoughts)}; "
        f"entropy of actions {number(variety.action_entropy, 2)} bits; "
        f"length {number(variety.length, 0)}, at most {variety.longest} characters{log_prob}"
    )


def leaks_text(leaks: Leaks) -> str:
    """Return how many test instances and frozen rows the rollouts play."""
    if leaks.test_instances is None:
        parts = ["instances not held out"]
    else:
        parts = [
            f"{leaks.test_instances} instances of the test split",
            f"{leaks.val_instances} of val",
        ]
    parts += [f"{rows} rows of {suite}" for suite, rows in leaks.frozen.items()]
    return ", ".join(parts)
