"""Learning curves are drawn of what a run has logged, and of nothing else."""

import io
import json

import pytest

from agents.train.log.curves import FILE, PANELS, draw_curves, write_curves
from agents.train.log.run_log import RunLog

pytestmark = pytest.mark.extra


def write(run, *rows):
    lines = [json.dumps({"step": step, "seconds": 1.0, **row}) for step, row in enumerate(rows)]
    (run / "metrics.jsonl").write_text("\n".join(lines))


def test_a_curve_needs_two_points(tmp_path):
    pytest.importorskip("matplotlib", reason="needs matplotlib")
    write(tmp_path, {"loss": 2.0})
    assert write_curves(tmp_path) is None
    write(tmp_path, {"loss": 2.0}, {"loss": 1.0})
    assert write_curves(tmp_path) == tmp_path / FILE
    assert (tmp_path / FILE).read_bytes().startswith(b"\x89PNG")


def test_lines_with_the_same_values_are_both_seen_and_the_legend_covers_none():
    pytest.importorskip("matplotlib", reason="needs matplotlib")
    names = ("rollout/success", "rollout/optimal", "rollout/parse_rate", "rollout/perceived")
    rows = [{"step": step, **dict.fromkeys(names, 0.5)} for step in range(100)]
    panels = [panel for panel in PANELS if panel.title == "shares in a rollout"]
    figure = draw_curves(panels, rows, "run")
    (axes,) = figure.axes
    widths = [line.get_linewidth() for line in axes.lines]
    assert widths == [4.4, 3.4, 2.4, 1.4], "each is wider than the next, which lies on it"
    assert [line.get_linestyle() for line in axes.lines] == ["-", "--", "-", "--"]
    assert {line.get_marker() for line in axes.lines} == {""}, "marks would fill the gaps"
    figure.draw_without_rendering()
    legend = axes.get_legend().get_window_extent()
    assert 0 <= legend.y0 < legend.y1 < axes.xaxis.label.get_window_extent().y0


@pytest.mark.parametrize("metric", ["grad_norm", "losses/grad_norm", "heldout/token_accuracy"])
def test_the_metrics_of_both_trainers_are_drawn(metric):
    pytest.importorskip("matplotlib", reason="needs matplotlib")
    rows = [{"step": step, metric: float(step)} for step in range(3)]
    panels = [panel for panel in PANELS if metric in panel.metrics]
    (axes,) = draw_curves(panels, rows, "run").axes
    assert [list(line.get_ydata()) for line in axes.lines] == [[0.0, 1.0, 2.0]]


def test_metrics_that_no_panel_names_are_left_out(tmp_path):
    write(tmp_path, {"charts/SPS": 1.0}, {"charts/SPS": 2.0})
    assert write_curves(tmp_path) is None


def test_a_run_ends_with_its_curves_and_says_where_they_are(tmp_path):
    pytest.importorskip("matplotlib", reason="needs matplotlib")
    stream = io.StringIO()
    log = RunLog(tmp_path, ("json",), step=0, stream=stream)
    for step in (1, 2):
        log.write(step, {"rollout/return": float(step)})
    log.close()
    assert (tmp_path / FILE).is_file()
    assert stream.getvalue() == f"learning curves: {tmp_path / FILE}\n"


def test_no_metric_stands_in_two_panels():
    names = [name for panel in PANELS for name in panel.metrics]
    assert len(names) == len(set(names))
