"""The page of the study of thoughts: a template, whose tables and figures come from the lines."""

from collections.abc import Sequence
from pathlib import Path

from agents.results.study_lines import Line, markdown_table
from agents.results.study_page import write_page
from agents.train.cot.contrasts import Contrast, contrast, holm, verdict
from agents.train.cot.plan import ARMS, MARGIN, REFERENCE, TASKS
from agents.train.gains.page import Results, gain
from agents.train.gains.plan import FIRST_PILOT
from vlbench.intervals import Interval


def make_page(lines: Sequence[Line], results: Path) -> Path:
    """Render the template beside the lines, and draw the curves; return the page."""
    values = {"tables": ""}
    for task in TASKS:
        own = [line for line in lines if line["task"] == task]
        values[f"{task}.table"] = "\n".join(table(own))
        if not own:
            continue
        draw(own, results.with_name(f"{results.stem}-{task}.png"))
        values["tables"] += f"## {task}\n\n{values[f'{task}.table']}\n\n"
        values["tables"] += f"![Success on `val`]({results.stem}-{task}.png)\n\n"
    return write_page(results, values)


def exams(lines: Sequence[Line], arm: str, unit: str) -> list[Line]:
    """Return an arm's examinations of the start or of its seeds, in order of seeds."""
    return Results("", tuple(lines)).of(unit="test", arm=arm, of=unit)


def contrasts(lines: Sequence[Line]) -> dict[str, Contrast]:
    """Return the arms against the reference, over the seeds that both have; at least two."""
    results = {}
    reference = {line["seed"]: line["won"] for line in exams(lines, REFERENCE, "ppo")}
    for arm in ARMS:
        other = {line["seed"]: line["won"] for line in exams(lines, arm, "ppo")}
        seeds = sorted(reference.keys() & other.keys())
        if arm != REFERENCE and len(seeds) > 1:
            pairs = [reference[seed] for seed in seeds], [other[seed] for seed in seeds]
            results[arm] = contrast(*pairs, MARGIN)
    return results


def table(lines: Sequence[Line]) -> list[str]:
    """Return the arms as a Markdown table."""
    head = ["arm", "learning rate", "seeds", "start", "after PPO", "gain, points (95 %)"]
    head += [f"against {REFERENCE}, points (95 %)", "p (Holm)", "verdict", "swapped thoughts"]
    differences = contrasts(lines)
    corrected = holm({arm: result.p for arm, result in differences.items()})
    rows = []
    for arm in ARMS:
        own = exams(lines, arm, "ppo")
        starts = exams(lines, arm, "start")
        if not own or not starts:
            continue
        success = sum(line["success"] for line in own) / len(own)
        row = [arm, f"{own[0]['rate']:g}", str(len(own))]
        row += [f"{100 * starts[0]['success']:.1f} %", f"{100 * success:.1f} %"]
        gains = gain(starts[0]["won"], [line["won"] for line in own]) if len(own) > 1 else None
        row.append(_points(gains) if gains else "")
        result = differences.get(arm)
        if result:
            row += [_points(result.difference), f"{corrected[arm]:.3f}"]
        row += [verdict(result, corrected[arm])] if result else ["", "", ""]
        rows.append([*row, _swapped(lines, arm)])
    return markdown_table(head, rows)


def _points(value: Interval) -> str:
    return f"{100 * value.value:+.1f} ({100 * value.low:+.1f} to {100 * value.high:+.1f})"


def _swapped(lines: Sequence[Line], arm: str) -> str:
    """Return how often another turn's thoughts change the action, after PPO with seed 0."""
    for line in lines:
        is_own = (line["unit"], line["arm"], line.get("of")) == ("thoughts", arm, "ppo")
        if is_own and "swapped" in line["effects"]:
            changed = line["effects"]["swapped"]["changed"]
            return f"{100 * changed['value']:.0f} % change the action"
    return ""


def draw(lines: Sequence[Line], path: Path) -> None:
    """Draw each arm's mean success on `val`, over turns and over the distance from the start."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 3.8))
    figure.set_layout_engine("constrained")
    panels = figure.subplots(1, 2, sharey=True)
    for arm in ARMS:
        runs = [line for line in lines if (line["unit"], line["arm"]) == ("ppo", arm)]
        curves = [line["curve"] for line in runs if line["seed"] < FIRST_PILOT]
        if not curves:
            continue
        means = [
            [sum(values) / len(curves) for values in zip(*points, strict=True)]
            for points in zip(*curves, strict=True)
        ]
        for panel, column in zip(panels, (0, 1), strict=True):
            places = [mean[column] for mean in means]
            panel.plot(places, [100 * mean[2] for mean in means], "o-", label=arm, markersize=3)
    panels[0].set_xlabel("turns")
    panels[1].set_xlabel("KL to the start, nats a token")
    panels[0].set_ylabel("success on `val`, %")
    panels[0].legend(frameon=False)
    figure.savefig(path, dpi=110)
