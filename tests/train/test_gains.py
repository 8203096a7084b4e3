"""The study of gains: its costs, its intervals, its page, and all of its methods in small."""

import dataclasses
import json
from pathlib import Path

import pytest

from agents.results.study_page import render
from agents.train.gains import __main__ as gains
from agents.train.gains.lessons import START_SHARE, Exercises, Lesson, Transcripts
from agents.train.gains.levels import COINS
from agents.train.gains.page import gain, values
from agents.train.gains.plan import GAIN_SHARE, METHODS, Exam, Plan
from agents.train.gains.tasks import PLAN
from agents.train.sizes import __main__ as sizes
from agents.train.sizes import page as sizes_page
from agents.train.sizes.plan import SIZES
from agents.vlm.checkpoint_files import weights_hash

RESULTS = Path(__file__).parents[2] / "docs" / "results" / "gains.jsonl"


def test_the_interval_of_a_gain_counts_seeds_and_rows():
    """Two seeds, four rows: the gains by seed are 0.5 and 0.25, by row 1, 0.5, 0 and 0."""
    interval = gain("0011", ["1111", "1011"])
    assert interval.value == pytest.approx(0.375)
    by_seed = 2 * 0.125**2 / 1 / 2
    by_row = (0.625**2 + 0.125**2 + 2 * 0.375**2) / 3 / 4
    assert interval.high - interval.value == pytest.approx(
        12.7062 * (by_seed + by_row) ** 0.5, 1e-4
    )


def test_every_method_costs_what_ppo_costs():
    """100 turns, written, scored again and scored by the start, then learned from twice."""
    ppo = {"iterations": 5, "num_envs": 4, "num_steps": 5, "kl_coef": 0.1, "epochs": 2}
    task = dataclasses.replace(COINS, ppo=ppo)
    assert task.budget() == pytest.approx(100 * (3 / 3 + 2))


def test_a_template_shows_values_by_name_and_no_others():
    """A figure's digits come through a placeholder only."""
    exam = {"task": "NumberLine", "unit": "test", "suite": "test", "success": 0.5, "regret": 0.25}
    lines = [
        {**exam, "of": "start", "seed": 0, "won": "0011"},
        {**exam, "of": "ppo", "seed": 0, "won": "1111", "success": 1.0},
        {**exam, "of": "ppo", "seed": 1, "won": "1011", "success": 0.75},
    ]
    numbers = values(PLAN, lines)
    assert (
        render("{{NumberLine.test.ppo.success}} of rows", numbers, Path("gains.jsonl"))
        == "87.5 % of rows"
    )
    assert numbers["NumberLine.test.ppo.gain"].startswith("+37.5 (")
    with pytest.raises(ValueError, match=r"no value is called .NumberLine\.test\.ppo\.speed"):
        render("{{NumberLine.test.ppo.speed}}", numbers, Path("gains.jsonl"))


def test_lessons_deal_one_half_of_the_instances_and_the_methods_the_other():
    assert START_SHARE != GAIN_SHARE
    for task in PLAN.tasks.values():
        for lesson in (*PLAN.reading, *task.lessons):
            parts = [part for part in lesson.data if isinstance(part, Transcripts)]
            assert {part.config().share for part in parts} <= {START_SHARE}
            texts = [part for part in lesson.data if isinstance(part, Exercises)]
            assert {part.env for part in texts} <= {
                "NumberLine",
                "EZPoints",
                "Points24",
                "ALFWorld",
            }
            shares = {part.options["share"] for part in texts if part.env != "ALFWorld"}
            assert shares <= {START_SHARE} and (parts or texts)
        assert any(isinstance(part, Transcripts) for part in task.lessons[-1].data)


def test_a_start_that_continues_another_changes_with_its_lessons_alone():
    base = dataclasses.replace(PLAN.tasks["Points24"], base="")
    task = dataclasses.replace(PLAN.tasks["EZPoints"], base="Points24")
    before = dataclasses.replace(PLAN, tasks={"EZPoints": task, "Points24": base})

    def digest(**changes):
        tasks = {**before.tasks, "Points24": dataclasses.replace(base, **changes)}
        return dataclasses.replace(before, tasks=tasks).digest("EZPoints")

    assert digest() == digest(ppo={}) != PLAN.digest("EZPoints")
    assert digest() != digest(lessons=base.lessons[:1])


def test_every_line_of_results_is_of_the_plan():
    lines = [json.loads(text) for text in RESULTS.read_text("utf-8").splitlines()]
    assert {line["task"]: line["plan"] for line in lines} == {
        task: PLAN.digest(task) for task in {line["task"] for line in lines}
    }


def test_a_cell_shows_its_start_and_the_gain_over_it():
    """Of four rows the start wins two; two seeds win four and three."""
    exam = {"size": "1M", "task": "line-5", "unit": "test"}
    lines = [
        {**exam, "of": "start", "seed": 0, "won": "0011", "success": 0.5},
        {**exam, "of": "ppo", "seed": 0, "won": "1111", "success": 1.0},
        {**exam, "of": "ppo", "seed": 1, "won": "1011", "success": 0.75},
    ]
    row = sizes_page.table(sizes_page.cells(SIZES, lines)).splitlines()[-1]
    assert row.startswith("| 1M | line-5 | 50.0 % | 87.5 % | +37.5 (")


@pytest.mark.slow
def test_cells_of_a_size_run_and_resume(tmp_path, monkeypatch):
    plan = SIZES["0.3M"]
    reading = Lesson("turns", (Transcripts(8, {"episodes": 8}),), {"steps": 2, "eval_every": 0})
    ppo = {"iterations": 1, "num_envs": 4, "num_steps": 2, "max_new_tokens": 8, "eval_every": 1}
    cell = dataclasses.replace(
        plan.tasks["line-5"], ppo=ppo, val_episodes=4, exam=Exam("seeds", {"max_position": 5}, 4)
    )
    tiny = {"env": "NumberLine", "width": 16, "vision_layers": 1, "text_layers": 1}
    small = Plan(tiny, (reading,), {"line-5": cell}, seeds=2)
    monkeypatch.setattr(sizes, "SIZES", {"0.1M": small})
    results = tmp_path / "sizes.jsonl"
    config = sizes.Config(out=tmp_path / "runs", results=results)
    for _ in range(2):
        page = sizes.run(config)
        lines = [json.loads(line) for line in results.read_text("utf-8").splitlines()]
        units = [(line["size"], line["unit"], line["seed"]) for line in lines]
        runs = [("ppo", 0), ("ppo", 1), ("test", 0), ("test", 0), ("test", 1)]
        assert units == [("0.1M", *unit) for unit in [("start", 0), *runs]]
    assert "| 0.1M | line-5 |" in page.read_text("utf-8")
    assert results.with_suffix(".png").is_file()


@pytest.mark.slow
def test_all_methods_run_resume_are_examined_and_shipped(tmp_path):
    """The whole study in small: a line for each unit, which a second call leaves as they are."""
    reading = Transcripts(8, {"episodes": 8, "perception_only": True})
    steps = {"steps": 2, "eval_every": 0}
    data = (Transcripts(16, {"episodes": 8}), Exercises(4, "Points24"))
    task = dataclasses.replace(
        COINS,
        lessons=(Lesson("turns", data, steps),),
        ppo={
            "iterations": 2,
            "num_envs": 4,
            "num_steps": 2,
            "eval_every": 1,
            "epochs": 1,
            "max_new_tokens": 8,
        },
        rules={},
        mix="max_position=5,10",
        batch=4,
        rounds=2,
        val_episodes=4,
        exam=Exam("paper", {}, 4),
    )
    tiny = {"env": "NumberLine", "width": 16, "vision_layers": 1, "text_layers": 1}
    plan = Plan(tiny, (Lesson("reading", (reading,), steps),), {"NumberLine": task}, seeds=2)
    results = tmp_path / "gains.jsonl"
    config = gains.Config(task="NumberLine", out=tmp_path / "runs", results=results)
    gains.study(plan, config)
    gains.study(plan, dataclasses.replace(config, test=True))
    lines = [json.loads(line) for line in results.read_text("utf-8").splitlines()]
    units = [(line["unit"], line["seed"]) for line in lines if line["unit"] != "test"]
    assert units == [("start", 0), *((name, seed) for seed in (0, 1) for name in METHODS)]
    exams = [(line["of"], len(line["won"])) for line in lines if line["unit"] == "test"]
    assert sorted(exams) == sorted([("start", 4), *((name, 4) for name in METHODS for _ in (0, 1))])
    gains.study(plan, dataclasses.replace(config, test=True, sampled=True))
    *_, last = results.read_text("utf-8").splitlines()
    assert json.loads(last)["suite"] == "paper-sampled"
    lines = [json.loads(line) for line in results.read_text("utf-8").splitlines()]
    page = gains.study(plan, dataclasses.replace(config, ship=True, checkpoints=tmp_path / "out"))
    for agent, unit in (("llava-sft", "start"), ("llava-rl", "ppo")):
        weights = weights_hash(tmp_path / "out" / agent / "number_line")
        assert [unit, weights] in [[line["unit"], line.get("weights")] for line in lines]
        card = (tmp_path / "out" / agent / "number_line" / "README.md").read_text("utf-8")
        assert weights in card and "| `paper` | 4 |" in card
    assert len(results.read_text("utf-8").splitlines()) == len(lines)
    assert "PPO on the environment's reward" in page.read_text("utf-8")
    chained = dataclasses.replace(task, base="NumberLine")
    both = dataclasses.replace(plan, tasks={"NumberLine": task, "EZPoints": chained})
    gains.study(both, dataclasses.replace(config, task="EZPoints", units="start"))
    *_, last = results.read_text("utf-8").splitlines()
    assert (json.loads(last)["task"], json.loads(last)["unit"]) == ("EZPoints", "start")
    assert not list((tmp_path / "runs").glob("EZPoints-*/tiny"))
    other = dataclasses.replace(plan, tasks={"NumberLine": dataclasses.replace(task, batch=8)})
    with pytest.raises(ValueError, match="is a result of another plan"):
        gains.study(other, config)
