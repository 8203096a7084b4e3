"""The notebook runs from its first cell to its last, as a reader would run it."""

import json
from pathlib import Path

import pytest

NOTEBOOK = Path(__file__).parents[2] / "docs" / "first-steps.ipynb"


@pytest.mark.slow
@pytest.mark.skipif(not NOTEBOOK.exists(), reason="the notebook isn't in the wheel")
def test_every_cell_of_the_notebook_runs(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    cells = json.loads(NOTEBOOK.read_text("utf-8"))["cells"]
    codes = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
    assert len(codes) >= 8 and not any(cell.get("outputs") for cell in cells)
    names: dict[str, object] = {}
    for number, code in enumerate(codes):
        exec(compile(code, f"cell {number}", "exec"), names)
    printed = capsys.readouterr().out
    assert "second less first: heuristic less random" in printed
    assert "\n[]\n" in printed, "replay finds no difference"
    assert (tmp_path / "runs/sweep/curve/curve.png").is_file()
