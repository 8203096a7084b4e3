"""Advantages, errors, thoughts and leaks of rollouts, worked out by hand."""

import json
import math
import re
import xml.etree.ElementTree as ElementTree

import gymnasium
import numpy as np
import pytest
from support.rollouts import NUMBER_LINE, episode, line, two_episodes, write
from support.sample_episodes import expert, header, play, random_player

import vlbench
from vlbench.diagnose import rollouts
from vlbench.diagnose.__main__ import main
from vlbench.diagnose.credit import assess_credit, correlation, ranks, variance_shares
from vlbench.diagnose.report import diagnose
from vlbench.diagnose.rollouts import RolloutTurn, read_rollouts, write_turns
from vlbench.run_folder import RunFolder
from vlbench.suites import frozen_rows


def diagnosed(path, lines):
    """Write a file of turns and return the report of its only task."""
    (task,) = diagnose(write(path / "turns.jsonl", lines)).report.tasks
    return task


EXACT = [0, 0, 0], [-1, 0, 0, 0, 0]


def test_an_estimator_that_returns_the_exact_advantage_agrees_fully(tmp_path):
    credit = diagnosed(tmp_path, two_episodes(*EXACT)).credit
    assert credit.pearson.value == pytest.approx(1) == credit.spearman.value
    assert credit.sign_agreement.value == credit.optimal_agreement == credit.other_agreement == 1
    assert credit.shares == credit.exact_shares and credit.shares.rest == pytest.approx(0, abs=1e-9)
    assert credit.turns == 8 and credit.episodes == 2


def test_a_scaled_exact_advantage_agrees_as_well(tmp_path):
    scaled = [[0.25 * a for a in advantages] for advantages in EXACT]
    assert diagnosed(tmp_path, two_episodes(*scaled)).credit.pearson.value == pytest.approx(1)


def test_an_estimator_that_returns_the_number_of_the_turn_gets_what_it_deserves(tmp_path):
    # x = 0 1 2 0 1 2 3 4 and y = 0 0 0 −1 0 0 0 0: Sxy = 1.625, Sxx = 13.875, Syy = 0.875.
    # Ranks of x are 1.5 3.5 5.5 1.5 3.5 5.5 7 8, of y 5 5 5 1 5 5 5 5: Sxy = 12, Sxx = 40.5,
    # Syy = 14. Every advantage is at least 0: right for 7 of 8 turns.
    credit = diagnosed(tmp_path, two_episodes([0, 1, 2], [0, 1, 2, 3, 4])).credit
    assert credit.pearson.value == pytest.approx(1.625 / math.sqrt(13.875 * 0.875))
    assert credit.spearman.value == pytest.approx(12 / math.sqrt(40.5 * 14))
    assert credit.sign_agreement.value == 7 / 8
    assert (credit.optimal_agreement, credit.other_agreement) == (1, 0)
    assert credit.shares.turn == pytest.approx(1)
    assert (credit.shares.instance, credit.shares.action) == pytest.approx((0, 0), abs=1e-9)


TURNS, INSTANCES = [0, 0, 0, 0, 1, 1, 1, 1], list("aabbaabb")
"""Two turns of each of two instances, twice."""


def test_a_variance_is_split_as_worked_out_by_hand():
    # value = ±2 by turn, ±1 by instance, ±1 by action, so SS = 32 + 8 + 8 = 48.
    # Turn: (32 − 1 · 16/6) / 48; then instance: (8 − 1 · 8/5) / 48; all else is the action's.
    worth = np.array([0.0, -1, 0, -1, 0, -1, 0, -1])
    values = np.array([2.0] * 4 + [-2.0] * 4) + np.array([1.0, 1, -1, -1] * 2) + (2 * worth + 1)
    shares = variance_shares(values, worth, TURNS, INSTANCES)
    assert shares.turn == pytest.approx((32 - 16 / 6) / 48)
    assert shares.instance == pytest.approx((8 - 8 / 5) / 48)
    assert shares.action == pytest.approx(1 - shares.turn - shares.instance)
    assert shares.rest == pytest.approx(0, abs=1e-9)


def test_what_the_worth_of_an_action_explains_in_part_is_split_by_the_squared_correlation():
    # Of the rest, ±1 ±1 … and ∓ by pairs, half the squares follow the worth.
    worth = np.array([0.0, -1, 0, -1, 0, -1, 0, -1])
    other = np.array([1.0, -1, -1, 1, -1, 1, 1, -1])
    shares = variance_shares((2 * worth + 1) + other, worth, TURNS, INSTANCES)
    assert (shares.turn, shares.instance) == (0, 0)
    assert (shares.action, shares.rest) == pytest.approx((0.5, 0.5))


def test_noise_is_nobodys_however_many_instances_there_are():
    noise = np.random.default_rng(0).normal(size=4000)
    turns, instances = np.arange(4000) % 10, np.arange(4000) // 10  # 400 means of 10 turns
    worth = -(np.random.default_rng(1).random(4000) < 0.3).astype(float)
    shares = variance_shares(noise, worth, turns.tolist(), instances.tolist())
    assert shares.turn + shares.instance + shares.action < 0.02


def test_a_share_that_cannot_be_told_is_none():
    worth, values = np.array([0.0, -1, 0, -1]), np.array([1.0, 2, 3, 5])
    once = variance_shares(values, worth, [0, 0, 1, 1], list("abcd"))
    assert once.instance is None and once.turn is not None
    one_episode = variance_shares(values, worth, [0, 1, 2, 3], list("aaaa"))
    assert one_episode.turn is None and one_episode.instance == 0
    assert variance_shares(np.ones(4), worth, [0, 0, 1, 1], list("aabb")) is None
    assert variance_shares(values, np.zeros(4), [0, 0, 1, 1], list("abab")).action is None


def test_correlations_of_constants_are_none_and_ties_share_a_rank():
    constant, rising = np.full(3, 0.1), np.array([1.0, 2, 3])
    assert correlation(constant, rising, "abc") is None
    assert correlation(rising, constant, "abc") is None
    assert ranks(np.array([5.0, 1, 5, 2])).tolist() == [3.5, 1, 3.5, 2]


def test_intervals_are_over_episodes_not_turns():
    rng = np.random.default_rng(0)
    per_episode = rng.normal(size=(2, 30))
    x, y = (np.repeat(numbers, 20) for numbers in per_episode)  # 20 equal turns an episode
    episodes = np.repeat(np.arange(30), 20).tolist()
    over_episodes = correlation(x, y, episodes)
    over_turns = correlation(x, y, list(range(600)))
    width = over_episodes.high - over_episodes.low
    assert width > 3 * (over_turns.high - over_turns.low)
    assert over_episodes.low <= over_episodes.value <= over_episodes.high
    single = correlation(x, y, [0] * 600)
    assert (single.low, single.high) == (-1, 1)


def test_tiny_and_huge_advantages_correlate_alike():
    exact, turns = [0.0, -1, 0, -1], [0, 1, 0, 1]
    for scale in (1e-30, 1.0, 1e12):
        advantages = [scale * a for a in (1, -1, 2, -2)]
        credit = assess_credit(advantages, exact, turns, "abab", "aabb", "abcd")
        assert credit.pearson.value == pytest.approx(3 / math.sqrt(10))
        assert credit.sign_agreement.value == 1


def test_within_states_only_the_actions_count():
    # Two states with two turns each, and a state with one, which says nothing. Less their means,
    # x is 1 −1 −2 2 0 and y is ½ −½ ½ −½ 0: Sxy = −1, Sxx = 10, Syy = 1.
    advantages, exact = [11.0, 9, 2, 6, 100], [0.0, -1, 0, -1, 0]
    credit = assess_credit(advantages, exact, [0] * 5, "aabbc", "abcde", "ssttu")
    assert credit.same_state.value == pytest.approx(-1 / math.sqrt(10))
    alone = assess_credit(advantages, exact, [0] * 5, "aabbc", "abcde", "rstuv")
    assert alone.same_state is None


def test_regret_first_errors_and_actions_are_counted(tmp_path):
    unreadable = line("c", 1, "+", reply="no idea")
    task = diagnosed(tmp_path, [*two_episodes(), line("c", 0, "+"), unreadable])
    assert (task.turns, task.episodes, task.instances) == (10, 3, 1)
    assert task.regret.value == pytest.approx(2 / 10) and task.optimal == 8 / 10
    assert [(r.turn, r.turns, r.mean) for r in task.regret_by_turn] == [
        (0, 3, 1 / 3),
        (1, 3, 1 / 3),
        (2, 2, 0),
        (3, 1, 0),
        (4, 1, 0),
    ]
    assert task.regret_by_turn[0].standard_error == pytest.approx(math.sqrt(1 / 3 / 3))
    assert task.first_errors == {
        "perception": 0,
        "decision": 0,
        "inconsistent": 0,
        "format": 1,
        "unattributed": 1,  # its wrong move says nothing of the picture
        "none": 1,
    }
    assert task.variety.actions == {"+": 8, "-": 1, "": 1}
    p = np.array([0.8, 0.1, 0.1])
    assert task.variety.action_entropy == pytest.approx(float(-(p * np.log2(p)).sum()))
    assert task.variety.distinct_replies == 3 / 10 and task.variety.commonest_thoughts == 9 / 10
    assert task.credit is None and task.advantages == 0


def test_thoughts_are_held_against_the_picture_and_the_action_against_the_plan(tmp_path):
    def says(key, turn, current, action):
        fields = {"current number": current, "target number": 5, "action": action}
        return line(key, turn, action, reply=json.dumps(fields))

    lines = [says("a", 0, 2, "+"), says("a", 1, 3, "-"), says("a", 2, 9, "-"), says("a", 3, 9, "+")]
    task = diagnosed(tmp_path, lines)  # stands at 2, 3, 2, 1
    assert (task.thoughts.statements, task.thoughts.true_statements) == (4, 2)
    assert (task.thoughts.optimal_if_true, task.thoughts.optimal_if_false) == (0.5, 0.5)
    assert task.thoughts.plans == 0
    assert task.first_errors["decision"] == 1

    points = vlbench.CARD_IDS[2]
    env = gymnasium.make(points).unwrapped
    env.reset(options={"instance": "points24/1-2-3-4", "presentation": 0})
    fields = env.demonstrate().fields
    other = next(action for action in env.legal if action != env.demonstrate().action)
    where = {"env_id": points, "instance": "points24/1-2-3-4"}
    replies = [env.write_reply(a, fields) for a in (env.demonstrate().action, other)]
    lines = [line(key, 0, "", reply=text, **where) for key, text in zip("ab", replies, strict=True)]
    thoughts = diagnosed(tmp_path, lines).thoughts
    assert (thoughts.plans, thoughts.consistent, thoughts.true_statements) == (2, 1, 2)


def test_a_collapse_is_named(tmp_path):
    lines = [one for i in range(10) for one in episode(f"{i}", "--", instance="number_line/5-2")]
    signs = diagnosed(tmp_path, lines).variety.signs
    assert signs == (
        "20 of 20 replies have the same text before the action",
        '20 of 20 actions are "-"',
    )
    mute = [line(f"{i}", 0, "+", reply=f"{i}") for i in range(20)]
    assert diagnosed(tmp_path, mute).variety.signs == ("20 of 20 replies name no action",)


def test_test_instances_and_frozen_rows_are_counted(tmp_path):
    blackjack = vlbench.CARD_IDS[3]
    splits = {"train": [], "test": [], "val": []}
    for split, instances in splits.items():
        env = gymnasium.make(blackjack, split=split)
        for seed in range(3):
            instances.append(env.reset(seed=seed)[1]["instance"])
    dealt = [*splits["train"], *splits["test"][:2], splits["test"][0], *splits["val"]]
    lines = [
        line(f"{i}", 0, "stand", env_id=blackjack, instance=instance, presentation=1)
        for i, instance in enumerate(dealt)
    ]
    leaks = diagnosed(tmp_path, lines).leaks
    assert leaks.test_instances == len(set(splits["test"][:2]))
    assert leaks.val_instances == len(set(splits["val"]))

    (row, *_) = frozen_rows(NUMBER_LINE, "test")
    lines = [
        line(key, 0, "+", kwargs=row.kwargs, instance=row.instance, presentation=number)
        for key, number in (("a", row.presentation), ("b", 12345))
    ]
    leaks = diagnosed(tmp_path, lines).leaks
    assert leaks.test_instances == leaks.frozen["test"] == 1 and leaks.val_instances == 0


def test_a_run_folder_is_diagnosed_without_advantages(tmp_path):
    run = RunFolder.start(tmp_path / "run", header())
    for number, player in enumerate([expert, random_player(1)]):
        for env_id in vlbench.CARD_IDS:
            run.add(play(env_id, number, player))
    run.close()
    report = diagnose(tmp_path / "run").report
    assert [task.env for task in report.tasks] == list(vlbench.CARD_IDS)
    for task in report.tasks:
        assert task.credit is None and task.regret is not None and task.differences == 0
        assert task.leaks.frozen["test"] == 2
        assert "an evaluation of the suite test, so its rows aren't leaks" in task.notes


def test_rewards_and_states_that_are_not_the_environments_are_counted(tmp_path):
    lines = episode("a", "-+")
    lines[0] |= {"reward": -1.0, "state_hash": "0" * 64}
    lines[1] |= {"reward": 1.0}
    task = diagnosed(tmp_path, lines)
    assert task.differences == 2
    assert task.first_difference == "episode a turn 0: the state isn't the recorded one"
    lines = [line("a", 0, "-", reward=-1.0), line("b", 0, "-", reward=-0.5)]
    task = diagnosed(tmp_path, lines)
    assert task.differences == 1
    assert task.first_difference == "episode b turn 0: recorded reward -0.5, replay gives -1.0"


def test_a_part_of_an_episode_starts_from_its_earlier_replies(tmp_path):
    earlier = [vlbench.reply("-")]
    late = [
        line("a", 1, "+", earlier=earlier, advantage=0.0),
        line("a", 2, "-", advantage=-1.0),
    ]
    task = diagnosed(tmp_path, late)
    assert [(r.turn, r.mean) for r in task.regret_by_turn] == [(1, 0.0), (2, 1.0)]
    assert task.credit.sign_agreement.value == 1


def test_lines_of_an_episode_may_stand_in_any_order(tmp_path):
    lines = two_episodes(*EXACT)
    shuffled = [lines[i] for i in np.random.default_rng(0).permutation(len(lines))]
    assert diagnosed(tmp_path, shuffled).credit.pearson.value == pytest.approx(1)


def test_turns_are_written_and_read_back_and_a_training_run_holds_them_in_a_folder(tmp_path):
    turns = [RolloutTurn(**one) for one in two_episodes(*EXACT)]
    for number, part in enumerate((turns[:3], turns[3:])):
        write_turns(tmp_path / "run" / "rollouts" / f"{number}.jsonl", part)
    for path in (tmp_path / "run", tmp_path / "run" / "rollouts"):
        read = read_rollouts(path)
        assert [turn for one in read.episodes for turn in one.turns] == turns
    assert [path.name for path in (tmp_path / "run" / "rollouts").iterdir()] != []
    assert not list((tmp_path / "run" / "rollouts").glob("*.partial"))


def test_a_last_line_that_was_cut_off_is_left_out_with_a_note(tmp_path):
    path = write(tmp_path / "turns.jsonl", two_episodes())
    path.write_bytes(path.read_bytes()[:-30])
    report = diagnose(path).report
    assert report.tasks[0].turns == 7
    assert report.notes == (f"{path}:8: a line that was cut off is left out",)
    path.write_bytes(path.read_bytes() + b"\n")
    with pytest.raises(ValueError, match=":8: not a JSON line"):
        diagnose(path)


WRONG = {
    "turn isn't": ({"turn": "0"}, "turns.jsonl:1: RolloutTurn.turn must be int, got '0'"),
    "no field": ({"advantages": 1.0}, 'RolloutTurn has no field "advantages"'),
    "schema": ({"schema": 2}, "turns.jsonl:1: schema 2, this version reads 1"),
    "nan": ({"advantage": math.nan}, "RolloutTurn.advantage must be a finite number"),
    "infinite": ({"value": math.inf}, "RolloutTurn.value must be a finite number"),
    "env": ({"env_id": "vlbench/Points42-v0"}, 'unknown env id "vlbench/Points42-v0"; did you'),
    "module": ({"env_id": "os:my/Env-v0"}, "isn't imported because a file names it"),
    "adapter": ({"env_id": "GymV21Environment-v0"}, "unknown env id"),
    "window": ({"kwargs": {"render_mode": "human"}}, "kwargs can't have render_mode"),
    "kwarg": ({"kwargs": {"max_positon": 3}}, 'did you mean "max_position"'),
    "instance": ({"instance": "points24/3-3-8-8"}, 'unknown instance "points24/3-3-8-8"'),
    "presentation": ({"presentation": -1}, "presentation must be from 0 to"),
    "negative": ({"turn": -1}, "turn must be at least 0, got -1"),
    "gap": ({"turn": 1}, "the first recorded turn of episode a is turn 1, with 0 earlier replies"),
    "reply": ({"reply": None}, "RolloutTurn.reply must be str, got None"),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_line_is_one_message_that_names_its_place(case, tmp_path, capsys):
    change, message = WRONG[case]
    path = write(tmp_path / "turns.jsonl", [line("a", 0, "+") | change])
    assert main([str(path), "--out", str(tmp_path / "page.html")]) == 2
    out, err = capsys.readouterr()
    assert out == "" and err.startswith("diagnose: ") and err.count("\n") == 1
    assert message in err and "turns.jsonl:1" in err
    assert [p.name for p in tmp_path.iterdir()] == ["turns.jsonl"]


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ([line("a", 0, "+"), line("a", 0, "+")], ":2: episode a has turn 0 where turn 1 should be"),
        ([line("a", 0, "+"), line("a", 2, "+")], ":2: episode a has turn 2 where turn 1 should be"),
        (
            [line("a", 0, "+"), line("a", 1, "+", presentation=1)],
            ":2: episode a starts elsewhere at",
        ),
        (
            [line("a", 0, "+"), line("a", 1, "+", earlier=["x"])],
            ":2: `earlier` isn't what the lines before have as replies",
        ),
        (episode("a", "++++"), "ends after 3 turns in the environment, and has a turn 3"),
        ([[1]], "expected an object for a RolloutTurn, got list"),
        ([], "has no turns"),
    ],
)
def test_lines_that_contradict_each_other_are_refused(lines, message, tmp_path):
    with pytest.raises(ValueError) as error:
        diagnose(write(tmp_path / "turns.jsonl", lines))
    assert message in str(error.value) and "\n" not in str(error.value)


def test_nothing_that_a_file_names_is_imported(tmp_path, monkeypatch):
    (tmp_path / "trap.py").write_text("raise SystemExit('imported')", "utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    lines = [line("a", 0, "+", env_id="trap:my/Env-v0")]
    with pytest.raises(ValueError, match="pass --env"):
        diagnose(write(tmp_path / "turns.jsonl", lines))


@pytest.mark.parametrize(
    ("name", "message"), [("none", "no file or folder"), ("", "holds no rollouts; wanted a run")]
)
def test_a_path_without_rollouts_is_one_line(name, message, tmp_path, capsys):
    assert main([str(tmp_path / name)]) == 2
    out, err = capsys.readouterr()
    assert not out and message in err and err.count("\n") == 1


def test_the_command_prints_text_or_json_and_writes_a_page(tmp_path, capsys):
    path = write(tmp_path / "turns.jsonl", two_episodes([0, 1, 2], [0, 1, 2, 3, 4]))
    assert main([str(path)]) == 0
    text = capsys.readouterr().out
    assert f"{NUMBER_LINE}: 8 turns, 2 episodes, 1 instances" in text
    assert "pearson 0.466 (" in text and "sign agreement 87.5 %" in text
    assert "variance     turn 100.0 %" in text
    assert "fewer than 20 episodes" in text

    page = tmp_path / "new" / "page.html"
    assert main([str(path), "--json", "--out", str(page)]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["tasks"][0]["credit"]["pearson"]["value"] == pytest.approx(0.46637, abs=1e-5)
    assert report["schema"] == rollouts.SCHEMA
    figures = re.findall(r"<svg.*?</svg>", page.read_text("utf-8"), re.DOTALL)
    assert len(figures) == 5
    for figure in figures:
        ElementTree.fromstring(figure)


def test_a_page_replaces_a_page_and_nothing_else(tmp_path, capsys):
    path = write(tmp_path / "turns.jsonl", two_episodes())
    for _ in range(2):
        assert main([str(path), "--out", str(tmp_path / "page.html")]) == 0
    before = path.read_bytes()
    assert main([str(path), "--out", str(path)]) == 2
    assert "turns.jsonl exists and isn't an HTML page" in capsys.readouterr().err
    assert path.read_bytes() == before


def test_texts_of_a_file_are_escaped_on_the_page(tmp_path):
    evil = "<script>alert(1)</script>&\x00\ud800"
    lines = [line(evil, 0, "+", reward=-5.0, advantage=1.0)]
    path = write(tmp_path / "turns.jsonl", lines)
    assert main([str(path), "--out", str(tmp_path / "page.html")]) == 0
    page = (tmp_path / "page.html").read_text("utf-8")
    assert "<script" not in page and "&lt;script&gt;" in page
    for figure in re.findall(r"<svg.*?</svg>", page, re.DOTALL):
        ElementTree.fromstring(figure)
