"""The study of thoughts: its statistics, its choice of rates, its page, and a run in small."""

import dataclasses
import json

import pytest

from agents.train.cot import __main__ as cot
from agents.train.cot import plan as cot_plan
from agents.train.cot.contrasts import contrast, holm, student_tail, verdict
from agents.train.cot.page import contrasts, table
from agents.train.cot.plan import ARMS, PILOTS, RATES, REFERENCE, Arm, CotTask, make_plan
from agents.train.gains.lessons import Lesson, Transcripts
from agents.train.gains.plan import Exam, Plan
from agents.train.gains.tasks import PLAN


@pytest.mark.parametrize(
    ("t", "freedom", "tail"),
    [(12.7062, 1, 0.025), (2.228139, 10, 0.025), (1.812461, 10, 0.05), (0.0, 5, 0.5)],
)
def test_tails_of_students_distribution_are_those_of_tables(t, freedom, tail):
    assert student_tail(t, freedom) == pytest.approx(tail, abs=1e-6)
    assert student_tail(-t, freedom) == pytest.approx(1 - tail, abs=1e-6)


def test_holm_multiplies_the_smallest_p_by_the_number_of_tests():
    """Of 0.01, 0.04 and 0.03: 3 · 0.01; 2 · 0.03; and 0.04, raised to the one before it."""
    assert holm({"a": 0.01, "b": 0.04, "c": 0.03}) == pytest.approx(
        {"a": 0.03, "b": 0.06, "c": 0.06}
    )
    assert holm({"a": 0.9, "b": 0.8}) == {"a": 1.0, "b": 1.0}


def test_a_contrast_is_better_equivalent_or_undecided():
    """Eight seeds on 400 rows: 12.5 points more; one row more; half of the seeds win all rows."""
    half = "01" * 200
    better = contrast([half] * 8, ["1" * 100 + "01" * 150] * 8, 0.05)
    assert better.difference.value == pytest.approx(0.125)
    assert verdict(better, better.p) == "better"
    same = contrast([half] * 8, ["11" + "01" * 199] * 8, 0.05)
    assert verdict(same, same.p) == "equivalent" and same.p_equivalent < 1e-6
    wide = contrast([half] * 8, ["1" * 400, "0" * 400] * 4, 0.05)
    assert verdict(wide, wide.p) == "undecided" and wide.p == pytest.approx(1)


def line(arm, seed, **fields):
    return {"task": "EZPoints", "arm": arm, "rate": RATES[0], "seed": seed, "plan": "", **fields}


def test_pilots_choose_the_rate_and_a_tie_goes_to_the_smaller():
    def pilots(*successes):
        return [
            line("lambda-0", seed, unit="ppo", val={"success": success}) | {"rate": rate}
            for seed in PILOTS
            for rate, success in zip(RATES, successes, strict=True)
        ]

    assert cot.choose_rate(pilots(0.5, 0.6), "EZPoints", "lambda-0").rate == RATES[1]
    assert cot.choose_rate(pilots(0.5, 0.5), "EZPoints", "lambda-0").rate == RATES[0]


def test_arms_are_compared_over_the_seeds_that_both_have():
    lines = []
    for arm, won in ((REFERENCE, "0011"), ("lambda-0", "0111")):
        lines.append(line(arm, 0, unit="test", of="start", won="0001", success=0.25))
        for seed in range(3 if arm == REFERENCE else 2):
            lines.append(
                line(arm, seed, unit="test", of="ppo", won=won, success=won.count("1") / 4)
            )
    results = contrasts(lines)
    assert list(results) == ["lambda-0"] and results["lambda-0"].difference.value == pytest.approx(
        0.25
    )
    rows = table(lines)
    assert rows[2].startswith("| lambda-0 | 0.0001 | 2 | 25.0 % | 75.0 % | +50.0 (")
    assert rows[3].startswith(f"| {REFERENCE} | 0.0001 | 3 |") and len(rows) == 4


def test_arms_differ_in_what_they_name_alone():
    """All continue one start; an arm's plan has its weight, its prompt and its rate."""
    configs = {
        name: make_plan("EZPoints", Arm(name, RATES[0])).tasks["EZPoints"].ppo_config()
        for name in ARMS
    }
    reference = dataclasses.asdict(configs[REFERENCE])
    for name, config in configs.items():
        changed = {
            key for key, value in dataclasses.asdict(config).items() if value != reference[key]
        }
        assert changed <= {"thought_weight", "prompt"}, name
    prompts = {config.prompt for config in configs.values()}
    assert prompts == {"cot", "action_only"}


@pytest.mark.slow
def test_arms_run_resume_and_are_compared(tmp_path, monkeypatch):
    steps = {"steps": 2, "eval_every": 0, "lr": 1e-3}
    ppo = {"iterations": 1, "num_envs": 8, "num_steps": 2, "max_new_tokens": 8, "epochs": 1}
    turns = Transcripts(16, {"env": "EZPoints", "episodes": 8})
    task = dataclasses.replace(
        PLAN.tasks["EZPoints"],
        base="",
        lessons=(Lesson("turns", (turns,), steps),),
        ppo={**PLAN.tasks["EZPoints"].ppo, **ppo},
        val_episodes=4,
        exam=Exam("seeds", {"target": 12}, 4),
    )
    tiny = {"env": "EZPoints", "width": 16, "vision_layers": 1, "text_layers": 1}
    reading = Lesson("reading", (turns,), steps)
    monkeypatch.setattr(cot_plan, "PLAN", Plan(tiny, (reading,), {"EZPoints": task}))
    own = CotTask(turns, 2, {"eval_every": 1})
    monkeypatch.setattr(cot_plan, "TASKS", {"EZPoints": own})
    for arm in ("lambda-0", "lambda-0.2", "lambda-1"):
        monkeypatch.delitem(ARMS, arm)
    monkeypatch.setattr(cot, "SEEDS", 2)
    monkeypatch.setattr(cot, "PILOTS", PILOTS[:1])
    results = tmp_path / "cot.jsonl"
    config = cot.Config(task="EZPoints", out=tmp_path / "runs", results=results)
    for _ in range(2):
        page = cot.run(config)
        lines = [json.loads(text) for text in results.read_text("utf-8").splitlines()]
        ppo_runs = [(row["seed"], row["arm"]) for row in lines if row["unit"] == "ppo"]
        assert ppo_runs == [(seed, arm) for seed in (0, 1) for arm in ARMS]
        pilots = (tmp_path / "cot-pilots.jsonl").read_text("utf-8").splitlines()
        units = [json.loads(text)["unit"] for text in pilots]
        assert units.count("ppo") == len(ARMS) * len(RATES)
    assert all(point[0] > 0 for row in lines if row["unit"] == "ppo" for point in row["curve"][1:])
    text = page.read_text("utf-8")
    assert "| action-only |" in text and (tmp_path / "cot-EZPoints.png").is_file()
