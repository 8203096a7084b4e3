"""Learning curves are drawn of what a run has logged, and of nothing else."""

import io
import json

import pytest

from agents.train.log.curves import FILE, PANELS, write_curves
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
