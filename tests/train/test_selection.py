"""A run keeps the model that is best on val, and says which of its numbers is which."""

import json

from agents.train.checkpoint import CHOSEN, Checkpoints
from agents.train.log.selection import Selection, read_selection, selection_of


def test_last_val_chosen_and_peak_are_kept_apart(tmp_path):
    metrics = [
        {"step": 0, "eval/success": 0.8},
        {"step": 1, "rollout/success": 0.9},
        {"step": 2, "rollout/success": 0.4, "eval/success": 0.6},
        {"step": 4, "rollout/success": 0.5, "eval/success": 0.6},
        {"step": 6, "rollout/success": 0.3, "eval/success": 0.5},
    ]
    expected = Selection(start=0.8, last=0.5, chosen=0.6, chosen_step=2, peak=0.9)
    assert selection_of(metrics) == expected
    path = tmp_path / "metrics.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in metrics))
    assert read_selection(path) == expected
    assert str(expected) == (
        "success on val: start 80.0 %, last 50.0 %, val-chosen 60.0 % (step 2), no "
        "better than the start; peak of training episodes 90.0 %, which is no yardstick"
    )


def test_a_run_without_measurements_has_none(tmp_path):
    assert read_selection(tmp_path / "metrics.jsonl") == Selection()
    assert "start –, last –, val-chosen –; peak of training episodes –" in str(Selection())


def test_the_first_best_model_is_kept(tmp_path):
    checkpoints = Checkpoints(tmp_path, keep=1)
    for step, success in ((2, 0.5), (4, 0.7), (6, 0.7), (8, 0.6)):
        checkpoints.choose(step, success, lambda folder, s=step: (folder / "w").write_text(str(s)))
    assert (tmp_path / CHOSEN / "w").read_text() == "4"
    assert json.loads((tmp_path / "chosen.json").read_text()) == {"step": 4, "success": 0.7}
    assert checkpoints.latest() is None, "it is no checkpoint to go on from"
