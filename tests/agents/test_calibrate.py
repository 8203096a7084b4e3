"""The page on reading and deciding, and the prompts that tell what was read."""

import json
from dataclasses import asdict, replace

import gymnasium
import pytest

import vlbench
from agents.calibrate.__main__ import main
from agents.calibrate.lines import Line, Unit
from agents.calibrate.page import render
from agents.players.text.prompts import with_facts
from agents.results.line_file import append_line, read_lines
from vlbench.intervals import Interval
from vlbench.suites import frozen_hash

TEST = frozen_hash("vlbench/EZPoints-v0", "test")


def line(player, regret, rows=4, set_hash=TEST):
    unit = Unit(player, "vlbench/EZPoints-v0", "test", rows, set_hash)
    half = Interval(0.5, 0.15, 0.85)
    return Line(unit, rows, half, 0.5, regret, 9, 0.25, 0.125, 0.75, "", "abc")


@pytest.mark.parametrize("env_id", vlbench.CARD_IDS)
@pytest.mark.parametrize("seed", [1, 2])
def test_what_was_read_right_makes_the_prompt_that_states_the_truth(env_id, seed):
    kwargs = [{}] if "NumberLine" in env_id else [{}, {"from_memory": True}]
    for rules in kwargs:
        asked, told = (
            gymnasium.make(env_id, prompt=prompt, **rules).unwrapped
            for prompt in ("cot", "cot_facts")
        )
        for env in (asked, told):
            env.reset(seed=seed)
            env.step(vlbench.reply(env.vocabulary[-2]))
        assert with_facts(asked.text, env_id, told._facts) == told.text


def test_what_was_not_read_is_said_and_another_prompt_is_refused():
    env = gymnasium.make("vlbench/NumberLine-v0").unwrapped
    env.reset(seed=0)
    text = with_facts(env.text, "vlbench/NumberLine-v0", {"current": 3})
    assert "The target number is unreadable and the current number is 3." in text
    with pytest.raises(ValueError, match="wanted the prompt cot of vlbench/NumberLine-v0"):
        with_facts("Walk.", "vlbench/NumberLine-v0", {})


def test_the_costs_are_the_regrets_of_the_players_who_lose_by_one_thing_alone():
    lines = [
        line("random", Interval(2.5, 2.0, 3.0)),
        line("ocr", Interval(0.25, 0.125, 0.5)),
        line("smollm2", Interval(1.5, 1.25, 2.0)),
    ]
    text = render(lines)
    assert "| EZPoints | `test` | 0.250 (0.125 to 0.500) | 1.500 (1.250 to 2.000) | – |" in text
    assert "| ocr | the recognizer | the solver | 4 | 50.0 % (15.0–85.0 %) | 0.500 |" in text
    assert "| 25.0 % | 12.5 % | 75.0 % |" in text and "made on another one" not in text
    old = render([line("random", None, set_hash="0" * 64)])
    assert "Set `000000000000`. The set is now" in old and "cost of" in old


def test_more_rows_of_the_same_player_replace_fewer():
    few = line("ocr", Interval(0.5, 0.25, 1.0), rows=4)
    many = line("ocr", Interval(0.75, 0.25, 1.0), rows=40)
    assert render([many, few]) == render([few, many]) == render([many])


def test_players_are_played_once_and_a_broken_line_is_named(tmp_path, capsys):
    results = tmp_path / "lines.jsonl"
    results.with_suffix(".md.in").write_text("Head.\n{{tables}}\nFoot.\n")
    call = ["--results", str(results), "--runs", str(tmp_path / "runs"), "--page"]
    call += ["--env", "Blackjack", "--suite", "test,no-such", "--episodes", "3"]
    for _ in range(2):
        assert main([*call, "--players", "random", "--players", "expert"]) == 0
        random, expert = read_lines(results, Line)
    assert (random.unit.player, expert.unit.player) == ("random", "expert")
    assert 0.5 <= expert.commonest <= 1  # of two actions
    assert expert.regret.value == 0 and expert.episodes == 3 and expert.turns >= 3
    assert results.with_suffix(".md").read_text().startswith("Head.\n| task |")
    append_line(results, replace(random, episodes=7))
    assert read_lines(results, Line)[0].episodes == 7
    broken = asdict(random) | {"illegal": 2}
    results.write_text(json.dumps(broken) + "\n")
    assert main([*call, "--players", "random"]) == 2
    assert "lines.jsonl:1: " in capsys.readouterr().err
    assert main([*call, "--players", "ocrr"]) == 2
    assert 'unknown player "ocrr"; did you mean "ocr"' in capsys.readouterr().err
