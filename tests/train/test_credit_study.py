"""The study of credit: the trainer's estimators on recorded rollouts, with planted ones."""

import dataclasses
import json

import pytest
import torch

from agents.train.credit import __main__ as credit
from agents.train.credit.critics import fit_critic, judged
from agents.train.credit.plan import PLAN, Game
from agents.train.credit.ratios import credit_per_token
from agents.train.credit.sample import config_of, keys_of, play_sample
from agents.vlm.bundled import CHECKPOINTS
from agents.vlm.checkpoint_files import weights_hash
from vlbench.diagnose.report import diagnose

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("default")]

GAME = Game("vlbench/EZPoints-v0", "llava-sft/ez_points", episodes=8, max_new_tokens=64)
SMALL = dataclasses.replace(PLAN, games={"EZPoints": GAME}, group=4, update_turns=16)
CONFIG = config_of(SMALL, GAME, CHECKPOINTS / GAME.model)


@pytest.fixture(scope="module")
def out(tmp_path_factory):
    return tmp_path_factory.mktemp("credit")


@pytest.fixture(scope="module")
def lines(out):
    credit.study(SMALL, credit.Config(out=out))
    texts = (out / "credit.jsonl").read_text("utf-8").splitlines()
    return {(line["kind"], line["name"]): line for line in map(json.loads, texts)}


def sample_of(out, number):
    digest = SMALL.sample_digest("EZPoints", weights_hash(CHECKPOINTS / GAME.model))
    folder = out / f"EZPoints-{digest}" / str(number)
    return play_sample(CONFIG, number, folder, print), folder


def test_planted_estimators_get_what_they_deserve(lines):
    exact, number = lines["estimator", "exact"], lines["estimator", "number"]
    assert exact["pearson"]["value"] == exact["sign_agreement"]["value"] == 1
    assert number["shares"]["turn"] == 1 and number["shares"]["action"] == 0
    assert number["sign_agreement"]["value"] == pytest.approx(
        lines["game", ""]["optimal"], abs=1e-4
    )  # it is never below 0
    assert {line["plan"] for line in lines.values()} == {SMALL.digest}


def test_before_an_update_every_ratio_keeps_the_advantage(lines, out):
    sample, _ = sample_of(out, 2)
    worth = torch.linspace(-1, 1, len(sample.ids))
    sums = sample.weights.sum(-1)
    for kind, scale in (("turn", 1.0), ("length", sums), ("token", sums)):
        left = credit_per_token(kind, sample.log_probs, sample, worth, CONFIG)
        assert torch.allclose(left * scale, worth, atol=1e-5)


def test_the_recorded_turns_can_be_diagnosed_and_have_whole_episodes_in_groups(lines, out):
    sample, folder = sample_of(out, 2)
    (task,) = diagnose(folder).report.tasks
    line = lines["game", ""]
    assert (task.turns, task.episodes, task.differences) == (line["turns"], 8, 0)
    assert task.regret.value == pytest.approx(line["regret"]) and line["starts"] == 2
    played = sample.facts.played
    assert len(keys_of(folder)) == int(played.sum()) == len(sample.ids)
    assert sample.facts.ended.any(0).all() and played[0].all()
    assert sample.hidden[played].abs().sum(-1).gt(0).all()


def test_a_critics_values_stand_before_and_after_each_turn(lines, out):
    sample, _ = sample_of(out, 1)
    head = fit_critic(PLAN.critics["standardised"], sample, CONFIG)
    facts = judged(head, sample)
    inside = facts.played & ~facts.ended
    assert torch.equal(facts.next_values[inside], facts.values[1:][inside[:-1]])
    assert not facts.next_values[facts.terminated].any()
    assert torch.equal(judged(None, sample).values, torch.zeros_like(facts.values))


def test_a_second_call_measures_nothing_and_keeps_the_prose(lines, out, capsys):
    (out / "credit.md.in").write_text("# Title\n\nProse.\n{{tables}}\n", "utf-8")
    before = (out / "credit.jsonl").read_bytes()
    credit.study(SMALL, credit.Config(out=out))
    assert capsys.readouterr().err == "" and (out / "credit.jsonl").read_bytes() == before
    again = (out / "credit.md").read_text("utf-8")
    assert again.startswith("# Title\n\nProse.\n### The rollouts\n")
    assert "| planted: exact (oracle) |  | 1.00 (1.00 to 1.00) |" in again


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('{"plan": "old", "game": "EZPoints"}\n', "is a result of another plan"),
        ("{}\n", "credit.jsonl:1 isn't a result"),
    ],
)
def test_lines_of_another_plan_are_refused_in_one_line(content, message, tmp_path, capsys):
    (tmp_path / "credit.jsonl").write_text(content, "utf-8")
    assert credit.main(["--out", str(tmp_path)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert message in line
    assert credit.main(["--out", str(tmp_path / "new"), "--games", "Points42"]) == 2
    assert 'did you mean "Points24"' in capsys.readouterr().err
    assert credit.main(["--out", str(tmp_path / "new"), "--games", "ALFWorld"]) == 2
    assert "no bundled checkpoint plays ALFWorld" in capsys.readouterr().err
