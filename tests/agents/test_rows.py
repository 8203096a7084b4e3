"""Frozen rows and bounds are played and scored only under the rules for which they were frozen."""

import json
from contextlib import contextmanager

import gymnasium
import pytest
from support.cli_process import OUTSIDE

from agents.evaluate import evaluate, main
from vlbench.replay import divergences, header_differences, row_differences
from vlbench.replay import main as replay
from vlbench.run_folder import EPISODES, RunFolder
from vlbench.suites import bounds, frozen_rows, rules_difference, shipped_suites, suites
from vlbench.task import split_in
from vlbench.tasks.blackjack import odds
from vlbench.tasks.blackjack.game import BlackjackGame
from vlbench.tasks.blackjack.rules import Rules
from vlbench.tasks.number_line import NumberLine
from vlbench.tasks.number_line.game import NumberLineGame, NumberLineState
from vlbench.tasks.number_line.suites import random_success
from vlbench.tasks.points24.game import Points24Game

NUMBER_LINE, POINTS24 = "vlbench/NumberLine-v0", "vlbench/Points24-v0"
SETS = shipped_suites(NUMBER_LINE)
ENTRY_POINT = "vlbench.tasks.number_line:NumberLine"


@pytest.fixture
def run(tmp_path, capsys):
    """Evaluate in this process; return the exit code, stdout and stderr."""

    def run(*arguments, out="run"):
        code = main([*map(str, arguments), "--out", str(tmp_path / out)])
        return code, *capsys.readouterr()

    return run


@contextmanager
def registered(env_id, entry_point, **options):
    earlier = gymnasium.registry.pop(env_id, None)
    gymnasium.register(env_id, entry_point, **options)
    try:
        yield
    finally:
        del gymnasium.registry[env_id]
        if earlier:
            gymnasium.registry[env_id] = earlier


class Generous(NumberLine):
    """A subclass with another `step`."""

    def step(self, reply):
        observation, reward, terminated, truncated, info = super().step(reply)
        return observation, reward + 1, terminated, truncated, info


OTHER_RULES = {
    "another parameter": (NUMBER_LINE, ENTRY_POINT, {"kwargs": {"max_position": 200}}, "200"),
    "another id": ("my/Far-v0", ENTRY_POINT, {"kwargs": {"max_position": 200}}, "id my/Far-v0"),
    "another id with the same rules": ("my/Same-v0", ENTRY_POINT, {}, "id my/Same-v0"),
    "another version": ("vlbench/NumberLine-v1", ENTRY_POINT, {}, "id vlbench/NumberLine-v1"),
    "a turn limit": (NUMBER_LINE, ENTRY_POINT, {"max_episode_steps": 3}, "max_episode_steps=3"),
    "a wrapper": (
        NUMBER_LINE,
        ENTRY_POINT,
        {
            "additional_wrappers": (
                gymnasium.wrappers.TransformReward.wrapper_spec(func=lambda reward: reward + 1),
            )
        },
        "additional_wrappers",
    ),
}


@pytest.mark.parametrize("case", OTHER_RULES)
def test_an_id_with_other_rules_has_neither_the_shipped_rows_nor_their_bounds(case):
    env_id, entry_point, options, part = OTHER_RULES[case]
    with registered(env_id, entry_point, **options):
        assert suites(env_id) == () and bounds(env_id, "test") is None
        assert part in rules_difference(env_id)
        with pytest.raises(ValueError, match="are for other rules: "):
            frozen_rows(env_id, "test")
    assert suites(NUMBER_LINE) == SETS and rules_difference(NUMBER_LINE) == ""


def test_a_look_is_no_rule():
    looks = {"theme": "comic", "jitter": 3, "prompt": "action_only", "render_mode": "rgb_array"}
    assert suites(NUMBER_LINE, {**looks, "split": "train", "max_position": 5}) == SETS
    with registered(NUMBER_LINE, ENTRY_POINT, kwargs={"theme": "comic", "jitter": 1}):
        assert suites(NUMBER_LINE) == SETS


def test_another_class_in_the_place_of_a_task_s_class_is_another_game(monkeypatch):
    monkeypatch.setattr("vlbench.tasks.number_line.NumberLine", Generous)
    assert "Generous instead of vlbench.tasks.number_line:NumberLine" in rules_difference(
        NUMBER_LINE
    )


def test_a_registered_id_with_other_rules_plays_rows_of_its_own_without_a_normalized_score(run):
    with registered(NUMBER_LINE, ENTRY_POINT, kwargs={"max_position": 200}):
        code, out, err = run("--agent", "expert", "--env", NUMBER_LINE, "--episodes", 12, "--json")
    data = json.loads(out)
    (card,) = data["scorecards"]
    assert code == 0 and data["run"]["suite"] == card["suite"] == "seeds"
    assert (card["normalized"], card["floor"], card["ceiling"]) == (None, None, None)
    assert data["headlines"] == [] and card["episodes"] == 12
    line = f"{NUMBER_LINE}: plays 12 dealt rows of the test split, whose floor and"
    assert line in err and "(max_position=200 instead of 5)" in err
    assert data["run"]["warnings"] and data["run"]["warnings"][0].startswith(line)


def test_keyword_arguments_that_change_the_rules_deal_rows_of_the_test_split(run, tmp_path):
    arguments = ("--agent", "expert", "--env", "Points24", "--episodes", 15, "--json")
    code, out, err = run(*arguments, "--env-kwargs", "target=36", "--env-kwargs", '{"faces": 11}')
    data = json.loads(out)
    (card,) = data["scorecards"]
    assert code == 0 and card["normalized"] is None and card["suite"] == "seeds"
    assert data["run"]["env_kwargs"] == {"target": 36, "faces": 11}
    assert "target=36 instead of 24, faces=11 instead of 10" in err
    episodes = RunFolder.open(tmp_path / "run").episodes()
    assert {split_in(Points24Game(), e.instance) for e in episodes} == {"test"}
    kwargs = {"target": 36, "faces": 11, "split": "test"}
    assert len(episodes) == 15 and all(episode.kwargs == kwargs for episode in episodes)


def test_a_run_with_keyword_arguments_is_shown_replayed_and_resumed(run, tmp_path, capsys):
    arguments = ("--agent", "expert", "--env", "NumberLine", "--episodes", 3, "--env-kwargs")
    code, out, _ = run(*arguments, "max_position=30")
    assert code == 0 and "suite seeds, prompt cot, max_position=30\n" in out
    folder = RunFolder.open(tmp_path / "run")
    episodes = folder.episodes()
    assert divergences(episodes) == header_differences(folder.header) == []
    assert row_differences(folder.header, episodes) == []
    assert replay([str(tmp_path / "run")]) == 0
    lines = (tmp_path / "run" / EPISODES).read_text()
    (tmp_path / "run" / EPISODES).write_text(lines.replace('"split":"test"', '"split":"train"', 1))
    capsys.readouterr()
    assert replay([str(tmp_path / "run")]) == 1
    assert (
        "/0: seed is ('a seed', {'max_position': 30, 'split': 'train'})" in capsys.readouterr().out
    )
    code, _, err = run(*arguments, "max_position=31")
    assert code == 2 and "max_position is 30 there, 31 here" in err


def test_a_look_or_a_default_plays_the_frozen_rows(run):
    for argument in ("jitter=2", "max_position=5"):
        code, out, err = run(
            *("--agent", "expert", "--env", "NumberLine", "--episodes", 2, "--json"),
            *("--env-kwargs", argument, "--suite", "paper"),
            out=argument,
        )
        (card,) = json.loads(out)["scorecards"]
        assert code == 0 and card["suite"] == "paper" and card["normalized"] == 1.0
        assert "dealt" not in err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("NumberLine max_pos=3", 'unknown keyword argument "max_pos"; did you mean "max_'),
        ("NumberLine max_pos=3", "(known: max_position, "),
        ("NumberLine max_position=0", "max_position must be an integer of at least 1, got 0"),
        ("NumberLine max_position=[1]", "max_position must be an integer of at least 1, got [1]"),
        ("Blackjack dealer_hits_soft_17=no", "dealer_hits_soft_17 must be a bool, got 'no'"),
        ("NumberLine max_position", '--env-kwargs must be NAME=VALUE, got "max_position"'),
        ("NumberLine {max_position:3}", "--env-kwargs must be NAME=VALUE or a JSON object, got"),
        ("NumberLine theme=comic", "env_kwargs can't set theme: use --theme"),
        ("NumberLine prompt=cot", "env_kwargs can't set prompt: use --prompt"),
        ("NumberLine split=train", "env_kwargs can't set split: evaluation plays"),
        ("NumberLine render_mode=human", "env_kwargs can't set render_mode: "),
        ("Points24 target=36 --env-kwargs target=20", "--env-kwargs gives target twice"),
        (
            "Points24 target=36 --suite ood-rules",
            "no suite ood-rules, because its frozen sets a",
        ),
        (
            "EZPoints target=12 --suite ood-rules",
            "the suite ood-rules of vlbench/EZPoints-v0 s",
        ),
        ("*Points* target=24", "vlbench/EZPoints-v0: no frozen sets there, only seeds"),
        (f"{OUTSIDE.name} colour=red", 'unknown keyword argument "colour" (known: '),
    ],
)
def test_wrong_keyword_arguments_are_one_line(run, tmp_path, monkeypatch, arguments, message):
    monkeypatch.syspath_prepend(OUTSIDE)
    env, *rest = arguments.replace(OUTSIDE.name, "toy_task:toy/Lamps-v0").split()
    code, out, err = run("--agent", "expert", "--env", env, "--env-kwargs", *rest)
    assert code == 2 and out == "" and err.count("\n") == 1 and message in err, err
    assert list(tmp_path.iterdir()) == []


def test_all_passes_by_the_environments_that_lack_a_parameter(run):
    code, out, err = run(
        "--agent", "expert", "--env-kwargs", "max_position=7", "--episodes", 2, "--json"
    )
    data = json.loads(out)
    assert code == 0 and [card["env"] for card in data["scorecards"]] == [NUMBER_LINE]
    assert 'skipped vlbench/Points24-v0: unknown keyword argument "max_position"' in err


def test_bounds_are_computed_for_the_dealt_rows_when_asked(run, tmp_path):
    arguments = ("--env", "NumberLine", "--env-kwargs", "max_position=9", "--bounds", "--json")
    code, out, _ = run("--agent", "random", "--episodes", 4, *arguments)
    data = json.loads(out)
    (card,) = data["scorecards"]
    starts = [episode.instance for episode in RunFolder.open(tmp_path / "run").episodes()]
    floor = sum(random_success(NumberLineGame(9), start) for start in starts) / 4
    assert code == 0 and card["floor"] == pytest.approx(floor) and card["ceiling"] == 1.0
    assert card["normalized"] == pytest.approx((card["success"] - floor) / (1 - floor))
    assert data["run"]["bounds"] == {NUMBER_LINE: {"floor": card["floor"], "ceiling": 1.0}}
    more = json.loads(run("--agent", "random", "--episodes", 8, *arguments)[1])
    assert more["scorecards"][0]["floor"] != card["floor"], "they are of all rows that are counted"


def test_the_bounds_of_blackjack_under_another_rule_are_exact(tmp_path):
    options = {"env_kwargs": {"dealer_draws_to": 21}, "bounds": True, "out": tmp_path}
    run = evaluate("random", "Blackjack", episodes=4, **options)
    game = BlackjackGame(Rules(dealer_draws_to=21))
    starts = [episode.instance for episode in RunFolder.open(tmp_path).episodes()]
    shown = [game.situation(game.start(start)) for start in starts]
    ceiling = sum(odds.best_worth(start, odds.WIN_RATE) for start in shown) / 4
    (limits,) = run.header.bounds.values()
    assert limits.ceiling == pytest.approx(ceiling) and 0 < limits.floor < ceiling


def test_bounds_that_cannot_be_computed_are_one_line(run, tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(OUTSIDE)
    arguments = ("--agent", "expert", "--episodes", 1, "--bounds", "--env")
    code, _, err = run(*arguments, "toy_task:toy/Lamps-v0")
    assert code == 2 and "toy/Lamps-v0 has no module `suites`" in err and err.count("\n") == 1
    with registered(NUMBER_LINE, ENTRY_POINT, max_episode_steps=3):
        code, _, err = run(*arguments, NUMBER_LINE)
    assert code == 2 and "limits or wraps its environments" in err
    monkeypatch.setattr("vlbench.tasks.number_line.NumberLine", Generous)
    code, _, err = run(*arguments, NUMBER_LINE)
    assert code == 2 and "Generous, and its task's is vlbench.tasks.number_line:NumberLine" in err
    assert list(tmp_path.iterdir()) == []


def test_bounds_of_a_frozen_set_are_the_shipped_ones(tmp_path):
    run = evaluate("expert", "NumberLine", episodes=1, bounds=True, out=tmp_path)
    assert run.header.bounds == {} and run.scorecards[0].floor == bounds(NUMBER_LINE, "test").floor


def test_a_suite_that_a_task_lacks_is_an_error_and_not_replaced(run, monkeypatch):
    monkeypatch.syspath_prepend(OUTSIDE)
    env = "toy_task:toy/Lamps-v0"
    code, _, err = run("--agent", "expert", "--env", env, "--suite", "ood-looks")
    reason = "can't be played: no suite ood-looks, because it has no frozen sets"
    assert code == 2 and f"{env} {reason}" in err
    code, out, err = run("--agent", "expert", "--env", env, "--episodes", 2)
    assert code == 0 and "suite seeds" in out
    assert f"{env}: plays 2 dealt rows of the test split" in err
    code, _, err = run("--agent", "expert", "--env", env, "--episodes", 1)
    assert code == 0 and f"{env}: plays 1 dealt row of the test split, without floor" in err


def test_seeds_is_a_suite_of_any_length(run, tmp_path):
    code, out, err = run(
        "--agent", "expert", "--env", "NumberLine", "--suite", "seeds", "--episodes", 130, "--json"
    )
    (card,) = json.loads(out)["scorecards"]
    assert code == 0 and card["episodes"] == 130 and card["normalized"] is None
    assert json.loads(out)["run"]["warnings"] == []


def test_a_run_that_holds_more_episodes_than_asked_says_so(run):
    arguments = ("--agent", "expert", "--env", "NumberLine,Points24", "--episodes")
    assert "the run holds" not in run(*arguments, 5)[2]
    code, out, err = run(*arguments, 2)
    assert code == 0 and out.count(" 5  ") >= 2
    for env_id in (NUMBER_LINE, POINTS24):
        assert f"{env_id}: the run holds 5 episodes, not 2; all are counted\n" in err


def more_for_a_wall(step):
    return lambda game, state, action: (
        move := step(game, state, action),
        move._replace(reward=max(move.reward, 0.0)),
    )[1]


def more_for_the_target(step):
    return lambda game, state, action: (
        move := step(game, state, action),
        move._replace(reward=5 * move.reward),
    )[1]


def a_hole_in_the_line(step):
    def step_with_hole(game, state, action):
        move = step(game, state, action)
        if move.state.current == 3 and not move.terminated:
            return move._replace(state=NumberLineState(2, state.target))
        return move

    return step_with_hole


@pytest.mark.parametrize(
    ("change", "part"),
    [
        (more_for_a_wall, ") earned -1, now 0"),
        (more_for_the_target, "earned 1, now 5"),
        (a_hole_in_the_line, " earned "),
    ],
)
def test_a_changed_step_is_told_when_a_run_begins(run, tmp_path, monkeypatch, change, part):
    monkeypatch.setattr(NumberLineGame, "step", change(NumberLineGame.step))
    code, out, err = run("--agent", "expert", "--env", "NumberLine", "--suite", "paper")
    assert code == 2 and out == "" and err.count("\n") == 1
    assert "its set paper was frozen under other rules: from number_line/" in err and part in err
    assert list(tmp_path.iterdir()) == []


def test_a_changed_step_of_the_environment_is_told_too(run, monkeypatch):
    step = NumberLine.step

    def forgiving(self, reply):
        observation, reward, terminated, truncated, info = step(self, reply)
        return observation, 0.0 if info["status"] != "ok" else reward, terminated, truncated, info

    monkeypatch.setattr(NumberLine, "step", forgiving)
    code, _, err = run("--agent", "expert", "--env", "NumberLine", "--episodes", 1)
    assert code == 2 and "turn 1 (an unreadable reply) earned -1, now 0" in err


def test_a_changed_turn_limit_is_told_too(run, monkeypatch):
    start = NumberLineGame.__init__

    def longer(self, *rules):
        start(self, *rules)
        self.max_turns += 1

    monkeypatch.setattr(NumberLineGame, "__init__", longer)
    code, _, err = run("--agent", "expert", "--env", "NumberLine", "--suite", "paper")
    assert code == 2 and "end after 10 turns was 'truncated', now ''" in err
