"""Learning curves of a run as a picture, from its `metrics.jsonl`."""

import importlib.util
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FILE = "curves.png"
COLUMNS = 3

WIDTH, STEP = 1.4, 1.0
"""Width of a panel's last line, and how much wider each line under it is, in points. Every second
one has dashes too, so that lines with the same values are both seen."""

MARKED = 25
"""Most points of a line that are marked; more would fill the gaps of its dashes."""

Row = Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Panel:
    """A plot of metrics over the run's steps."""

    title: str
    metrics: Mapping[str, str]
    """Metric → its name in the legend; those that a run doesn't have are left out."""


PANELS = (
    Panel(
        "greedy play on rows of val",
        {"eval/success": "success", "eval/optimal": "optimal", "eval/parse_rate": "parsed"},
    ),
    Panel("return of an episode", {"rollout/return": "rollouts", "eval/return": "greedy"}),
    Panel(
        "shares in a rollout",
        {
            "rollout/success": "episodes won",
            "rollout/optimal": "optimal",
            "rollout/parse_rate": "parsed",
            "rollout/perceived": "true statements",
        },
    ),
    Panel("loss of a step", {"loss": "learned", "heldout/loss": "held out"}),
    Panel("accuracy of tokens", {"heldout/token_accuracy": "held out"}),
    Panel("KL", {"losses/approx_kl": "old to new", "losses/kl_to_start": "to the start"}),
    Panel("entropy of a token, nats", {"losses/entropy": "entropy"}),
    Panel("value loss", {"losses/value_loss": "value loss"}),
    Panel("explained variance", {"losses/explained_variance": "of the returns"}),
    Panel("norm of the gradients", {"grad_norm": "norm", "losses/grad_norm": "norm"}),
)


def write_curves(run: Path) -> Path | None:
    """Draw a run's learning curves into its `curves.png`.

    Args:
        run: The run's folder, with `metrics.jsonl`.

    Returns:
        The picture; None if there is nothing to draw (a curve needs two points), or matplotlib
        isn't installed.

    Raises:
        OSError: The picture can't be written.
    """
    lines = (run / "metrics.jsonl").read_text("utf-8").splitlines()
    rows = [json.loads(line) for line in lines]
    panels = [panel for panel in PANELS if any(len(_points(rows, m)) > 1 for m in panel.metrics)]
    if not panels or importlib.util.find_spec("matplotlib") is None:
        return None
    figure = draw_curves(panels, rows, run.name)
    figure.savefig(run / FILE, dpi=110)
    return run / FILE


def _points(rows: Sequence[Row], metric: str) -> list[tuple[float, float]]:
    return [(row["step"], row[metric]) for row in rows if metric in row]


def draw_curves(panels: Sequence[Panel], rows: Sequence[Row], name: str) -> Any:
    """Return a figure with panels of a run's rows of metrics; `name` is its title."""
    from matplotlib.figure import Figure

    height = -(-len(panels) // COLUMNS)
    figure = Figure(figsize=(4.2 * min(COLUMNS, len(panels)), 3.2 * height + 0.4))
    figure.set_layout_engine("constrained")
    figure.suptitle(name)
    for number, panel in enumerate(panels, start=1):
        axes = figure.add_subplot(height, min(COLUMNS, len(panels)), number)
        lines = [(_points(rows, metric), label) for metric, label in panel.metrics.items()]
        lines = [line for line in lines if line[0]]
        for place, (points, label) in enumerate(lines, start=1):
            axes.plot(
                *zip(*points, strict=True),
                "-" if place % 2 else "--",
                label=label,
                linewidth=WIDTH + STEP * (len(lines) - place),
                marker="." if len(points) <= MARKED else "",
            )
        axes.set_title(panel.title, fontsize=10)
        axes.set_xlabel("step")
        axes.grid(alpha=0.3)
        axes.legend(
            fontsize=8, frameon=False, ncols=2, loc="upper center", bbox_to_anchor=(0.5, -0.22)
        )
    return figure
