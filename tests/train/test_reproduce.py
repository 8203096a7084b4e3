"""The study: starts chosen by rule, lines it goes on from, and a page that keeps its prose."""

import dataclasses
import json
from pathlib import Path

import pytest

from agents.train import TRAINER, ppo_config
from agents.train.evaluation import EvalResult
from agents.train.reproduce import __main__ as reproduce
from agents.train.reproduce import report
from agents.train.reproduce import study as study_module
from agents.train.reproduce.study import (
    STUDIES,
    Comparison,
    Condition,
    InitialCheckpoint,
    Stage,
    Study,
)
from vlbench.intervals import Interval

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("default")]

TINY = {
    "width": 32,
    "vision_layers": 1,
    "text_layers": 1,
    "heads": 2,
    "image_size": 48,
    "env": "NumberLine",
}
DATA = {"env": "NumberLine", "episodes": 12, "theme": "classic"}
FAST = {
    "num_envs": 4,
    "num_steps": 2,
    "minibatch": 8,
    "micro_batch": 8,
    "max_new_tokens": 8,
    "eval_every": 1,
    "eval_episodes": 2,
    "log": "json",
    "iterations": 1,
    "theme": "classic",
}
STUDY = Study(
    starts={
        "plain": InitialCheckpoint(
            TINY,
            (
                Stage({**DATA, "perception_only": True}, {"steps": 2, "eval_every": 0}),
                Stage(DATA, {"steps": 4, "eval_every": 0}),
            ),
        ),
        "equal": InitialCheckpoint(
            TINY,
            (
                Stage(
                    {**DATA, "prompt": "action_only"},
                    {"steps": 4, "eval_every": 0, "save_every": 2, "keep": 9},
                ),
            ),
            equal_to="plain",
        ),
    },
    arms={
        "one": Condition("one arm", "plain", "tiny-numberline", FAST),
        "two": Condition("another", "equal", "tiny-numberline", {**FAST, "prompt": "action_only"}),
    },
    comparisons=(Comparison("one", "two", "which?"),),
    seeds=1,
)


def lines_of(path):
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def test_every_arm_has_one_line_and_a_second_call_trains_only_what_is_missing(tmp_path, capsys):
    config = reproduce.Config(out=tmp_path / "run", results=tmp_path / "docs" / "small.jsonl")
    page = reproduce.reproduce(STUDY, dataclasses.replace(config, arms="one"))
    assert [line["arm"] for line in lines_of(config.results)] == ["one"]
    template = config.results.with_suffix(".md.in")
    template.write_text("# Title\n\nProse.\n\n{{tables}}\n\nMore.\n", "utf-8")
    capsys.readouterr()
    reproduce.reproduce(STUDY, config)
    progress = capsys.readouterr().err
    assert "arm one" not in progress and "start plain" not in progress and "arm two" in progress
    one, two = lines_of(config.results)
    assert (two["arm"], two["seed"], two["turns"]) == ("two", 0, 8)
    assert [point["turns"] for point in one["curve"]] == [0, 8]
    assert len(one["end"]["won"]) == len(one["start"]["won"]) == 7 == one["end"]["episodes"]
    assert set(two["start"]["tried"]) == {"2", "4"}
    text = page.read_text("utf-8")
    assert text.startswith("# Title\n\nProse.") and text.endswith("More.\n")
    assert "| one arm | 1 |" in text and text.count("![Learning curves]") == 1
    assert (tmp_path / "docs" / "small.png").stat().st_size > 5000
    before = config.results.read_bytes()
    reproduce.reproduce(STUDY, dataclasses.replace(config, only_page=True, seeds=3))
    assert config.results.read_bytes() == before


def test_results_of_another_recipe_are_refused(tmp_path, capsys):
    results = tmp_path / "r.jsonl"
    old = {"arm": "lambda-0", "seed": 0, "recipe": "old", "trainer": TRAINER}
    results.write_text(json.dumps(old) + "\n", "utf-8")
    argv = ["--out", str(tmp_path), "--results", str(results), "--only-page"]
    assert reproduce.main(argv) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "r.jsonl:1 is a result of another recipe" in line
    shipped = Path(reproduce.__file__).parents[3] / "docs" / "results" / "miniature.jsonl"
    assert reproduce.main([*argv[:2], "--results", str(shipped), "--only-page"]) == 2
    assert "is a result of version 1 of the trainer, not of 2" in capsys.readouterr().err
    results.write_text("{}\n", "utf-8")
    assert reproduce.main(argv) == 2
    assert "r.jsonl:1 isn't a result of an arm" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["--preset", "miniatur"], 'did you mean "miniature"'),
        (["--arms", "lambda-2"], 'did you mean "lambda-'),
        (["--seeds", "-1"], "--seeds must be at least 0, got -1"),
    ],
)
def test_a_wrong_call_is_refused_in_one_line(argv, message, tmp_path, capsys):
    assert reproduce.main([*argv, "--out", str(tmp_path)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert message in line


def result(success, optimal):
    return EvalResult(30, Interval(success, 0, 1), 0.0, optimal, 0.0, 1.0, 0.0, (True,))


def test_a_start_equals_another_in_success_first_and_in_optimal_actions_second(monkeypatch):
    results = {
        8: result(0.2, 0.6),
        16: result(0.47, 0.2),
        24: result(0.54, 0.58),
        32: result(0.8, 0.6),
    }
    monkeypatch.setattr(
        reproduce, "evaluate_checkpoint", lambda path, rows, seed: results[int(path.name[5:])]
    )
    checkpoints = [Path(f"step-{step:06d}") for step in results]
    data = {"env": "NumberLine", "theme": "classic"}
    target = reproduce.Target(0.5, 0.6)
    assert reproduce.choose_checkpoint(data, checkpoints, target).step == 24
    assert reproduce.choose_checkpoint(data, checkpoints, target).missed_by == 0
    target = reproduce.Target(0.9, 0.6)
    assert reproduce.choose_checkpoint(data, checkpoints, target).step == 32
    assert reproduce.choose_checkpoint(data, checkpoints, target).missed_by == pytest.approx(0.05)
    assert reproduce.choose_checkpoint(data, checkpoints, reproduce.Target(0.49)).step == 16
    assert reproduce.choose_checkpoint(data, checkpoints, reproduce.Target()).step == 32


def line(arm, seed, start, end):
    return {
        "arm": arm,
        "seed": seed,
        "env": "vlbench/NumberLine-v0",
        "rules": {"theme": "classic"},
        "instances": [f"number_line/0-{number}" for number in range(1, 31)],
        "start": {"won": [start] * 30},
        "end": {"won": [end] * 30, "success": end},
        "curve": [{"turns": 0, "success": 0.0}, {"turns": 8, "success": end}],
        "rollouts": [end],
        "sampled_end": {"success": end},
    }


def test_a_difference_is_clear_only_if_its_interval_over_seeds_leaves_out_zero():
    ends = {"one": (0.9, 0.8, 1.0), "two": (0.5, 0.5, 0.5)}
    lines = [line(arm, seed, 0, end) for arm, s in ends.items() for seed, end in enumerate(s)]
    measure = report.MEASURES[0]
    # Differences 0.4, 0.3, 0.5: mean 0.4, standard deviation 0.1, 4.3027 · 0.1/√3 = 0.248.
    cells = report._comparison_cells(STUDY, STUDY.comparisons[0], lines, measure)
    assert cells[3:] == ["3", "+40.0 (+15.2 to +64.8)", "yes"]
    assert report._comparison_cells(STUDY, STUDY.comparisons[0], lines[:3], measure) is None
    ends["two"] = (0.9, 0.9, 0.5)
    lines = [line(arm, seed, 0, end) for arm, s in ends.items() for seed, end in enumerate(s)]
    assert report._comparison_cells(STUDY, STUDY.comparisons[0], lines, measure)[-1] == "no"


def test_the_gain_over_rows_is_the_mean_over_seeds_of_won_after_less_won_before():
    lines = [line("one", 0, 0, 1), line("one", 1, 1, 1)]
    gain = report.gain_over_rows(lines)
    assert (gain.value, gain.low, gain.high) == (0.5, 0.5, 0.5)


def test_a_recipe_changes_with_every_option_s_value_and_with_the_trainer(monkeypatch):
    arm = STUDY.arms["one"]
    usual = STUDY.recipe("one")
    spelled_out = dataclasses.replace(arm, ppo={**arm.ppo, "clip": 0.2, "gamma": 0.9})
    same = dataclasses.replace(STUDY, arms={"one": spelled_out})
    assert same.recipe("one") == usual, "a default that is written out is the same recipe"
    for change in ({"clip": 0.3}, {"dual_clip": 0.0}, {"lora_dropout": 0.1}):
        other = dataclasses.replace(arm, ppo={**arm.ppo, **change})
        assert dataclasses.replace(STUDY, arms={"one": other}).recipe("one") != usual
    stage = Stage(DATA, {"steps": 4, "eval_every": 0, "weight_decay": 0.1})
    start = dataclasses.replace(STUDY.starts["plain"], stages=(stage,))
    assert dataclasses.replace(STUDY, starts={"plain": start}).recipe("one") != usual
    monkeypatch.setattr(study_module, "TRAINER", 3)
    assert STUDY.recipe("one") != usual


def test_every_study_can_be_run_as_it_stands_and_every_option_has_help():
    for study in STUDIES.values():
        for name, arm in study.arms.items():
            ppo_config.Config(**{"model": "x", **ppo_config.PRESETS[arm.preset], **arm.ppo})
            for stage in study.starts[arm.start].stages:
                reproduce.sft.Config(model="x", data=Path(), out=Path(), **stage.sft)
                reproduce.sft_data.Config(out=Path(), **stage.data)
            reproduce.tiny.Config(out=Path(), **study.starts[arm.start].tiny)
            assert len(study.recipe(name)) == 12
        for comparison in study.comparisons:
            assert {comparison.first, comparison.second} <= study.arms.keys()
