"""The comparison of baselines: one line for each arm and seed, resumed, never of another recipe."""

import dataclasses
import json

import pytest

from agents.train.credit import learning

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("default")]

FAST = {"iterations": 2, "num_envs": 4, "group": 2, "max_new_tokens": 40}
PLAN = dataclasses.replace(
    learning.PLAN,
    options={**learning.PLAN.options, **FAST},
    arms={name: learning.PLAN.arms[name] for name in ("value", "exact")},
    seeds=1,
)


def test_every_arm_has_a_line_and_a_second_call_trains_what_is_missing(tmp_path, capsys):
    config = learning.Config(out=tmp_path)
    page = learning.compare(PLAN, config)
    results = tmp_path / "baselines.jsonl"
    value, exact = map(json.loads, results.read_text("utf-8").splitlines())
    assert (value["arm"], exact["arm"]) == ("value", "exact")
    assert len(value["regret"]) == len(value["explained"]) == 2 and "explained" not in exact
    assert exact["oracle"] and not value["oracle"]
    assert "| exact regret (an oracle) | 1 |" in page.read_text("utf-8")
    before = results.read_bytes()
    results.write_bytes(before.splitlines(keepends=True)[0])
    capsys.readouterr()
    learning.compare(PLAN, config)  # the run is there; its line is written again
    again = json.loads(results.read_text("utf-8").splitlines()[1])
    assert {**again, "cpu_seconds": 0} == {**exact, "cpu_seconds": 0}
    assert "learning: seed 0: value" not in capsys.readouterr().err


def test_a_recipe_holds_the_whole_configuration_and_a_version():
    recipes = {name: learning.PLAN.recipe(name) for name in learning.PLAN.arms}
    assert len(set(recipes.values())) == len(recipes)
    newer = dataclasses.replace(learning.PLAN, version=learning.PLAN.version + 1)
    other = dataclasses.replace(learning.PLAN, options={**learning.PLAN.options, "clip": 0.1})
    for plan in (newer, other):
        assert not set(recipes.values()) & {plan.recipe(name) for name in plan.arms}


def test_lines_of_another_recipe_are_refused_in_one_line(tmp_path, capsys):
    (tmp_path / "baselines.jsonl").write_text('{"arm": "value", "plan": "old"}\n', "utf-8")
    assert learning.main(["--out", str(tmp_path)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "baselines.jsonl:1 is a result of another plan" in line
