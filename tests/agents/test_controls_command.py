"""`python -m agents.controls` plays, resumes and renders."""

import json
from dataclasses import replace

import pytest

from agents.controls.__main__ import main
from agents.controls.lines import Line
from agents.controls.page import render
from agents.results.line_file import read_lines
from vlbench.observation import PICTURES

CALL = ["--env", "EZPoints", "--episodes", "30", "--players", "expert-by-picture"]


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    folder = tmp_path_factory.mktemp("controls")
    path = folder / "controls.jsonl"
    assert main([*CALL, "--results", str(path), "--runs", str(folder / "runs")]) == 0
    return path


def test_a_line_for_each_picture_with_paired_gains(results):
    lines = read_lines(results, Line)
    assert [line.unit.picture for line in lines] == list(PICTURES)
    true, blank, shuffled, stale = lines
    assert true.gain is None and true.success.value == 1 and true.regret.value == 0
    for line in (blank, shuffled, stale):
        assert line.gain.value == 1 - line.success.value and line.gain.low > 0
        assert line.regret_gain.value == pytest.approx(line.regret.value)
        assert line.regret_gain.low <= line.regret_gain.value <= line.regret_gain.high


def test_what_was_played_is_not_played_again(results, capsys):
    before = results.read_bytes()
    assert main([*CALL, "--results", str(results), "--runs", str(results.parent / "other")]) == 0
    assert results.read_bytes() == before and not (results.parent / "other").exists()
    assert capsys.readouterr().err == ""


def test_the_tables_are_rendered_from_the_lines(results):
    tables = render(read_lines(results, Line))
    assert "| expert-by-picture | 30 | 100.0 % (" in tables and tables.count("| yes |") == 1


def test_a_model_is_told_by_the_hash_of_its_weights(results):
    lines = [replace(line, model="c0ffee" + "0" * 58) for line in read_lines(results, Line)]
    assert "| expert-by-picture `c0ffee000000` | 30 |" in render(lines)


def test_a_gain_that_isnt_clear_of_0_and_another_set_are_said(results):
    lines = read_lines(results, Line)
    unclear = [replace(line, gain=line.gain and replace(line.gain, low=0.0)) for line in lines]
    assert "| not visual |" in render(unclear)
    other = [replace(line, unit=replace(line.unit, set_hash="0" * 64)) for line in lines]
    assert "made on another one" in render(other) and "made on another one" not in render(lines)


def test_a_damaged_line_is_named(tmp_path, capsys):
    path = tmp_path / "controls.jsonl"
    path.write_text(json.dumps({"unit": 3}) + "\n")
    assert main([*CALL, "--results", str(path)]) == 2
    assert "controls.jsonl:1: " in capsys.readouterr().err
