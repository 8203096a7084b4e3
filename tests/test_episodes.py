"""Records: playing, keeping, replaying and scoring them."""

import dataclasses
import json

import gymnasium
import numpy as np
import pytest

import vlbench
from vlbench.episodes import MAX_REPLY, Episode, Recording, Reply, from_json, to_json
from vlbench.instances import Row, frozen_rows
from vlbench.replay import Replayer, divergences, main
from vlbench.runs import RunFolder, RunHeader
from vlbench.scoring import CARD_TASKS, CAUSES, compare, headlines, score


def header(**changes):
    base = RunHeader(
        agent="test", settings={}, privileged=False, env_ids=list(vlbench.ENV_IDS), suite="test",
        prompt="cot", theme="", episodes=None, repeats=1, history=0, prompt_hashes={},
        frozen_hashes={},
    )  # fmt: skip
    return dataclasses.replace(base, **changes)


def play(env_id, number, choose, repeat=0):
    """Play a frozen row; `choose(env, turn)` returns a text."""
    row = frozen_rows(env_id, "test")[number]
    recording = Recording(gymnasium.make(env_id, **row.kwargs), row, number, repeat)
    while not recording.end:
        text = choose(recording.env.unwrapped, len(recording.turns))
        recording.play(Reply(text, prompt_tokens=10, completion_tokens=5, usd=0.001, seconds=0.5))
    return recording.episode()


def expert(env, turn):
    return vlbench.reply(env.expert())


def random_player(seed):
    rng = np.random.default_rng(seed)
    return lambda env, turn: vlbench.reply(env.vocabulary[rng.integers(len(env.vocabulary))])


@pytest.fixture(scope="module")
def some_episodes():
    return [
        play(env_id, number, player)
        for env_id in CARD_TASKS
        for number, player in enumerate([expert, random_player(1), random_player(2)])
    ]


def test_a_record_survives_json(some_episodes):
    for episode in some_episodes:
        assert from_json(Episode, json.loads(json.dumps(to_json(episode)))) == episode


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"extra": 1}, 'no field "extra"'),
        ({"success": "yes"}, "Episode.success must be bool"),
        ({"row": True}, "Episode.row must be int"),
        ({"turns": {}}, "turns must be a list"),
        ({"turns": [3]}, "wanted an object for a Turn"),
        ({"presentation": None}, "Episode.presentation must be int"),
    ],
)
def test_a_damaged_record_is_refused_by_name(some_episodes, change, message):
    with pytest.raises(ValueError, match=message):
        from_json(Episode, {**to_json(some_episodes[0]), **change})


def test_a_missing_field_is_named(some_episodes):
    data = to_json(some_episodes[0])
    del data["env_id"]
    with pytest.raises(ValueError, match='lacks the field "env_id"'):
        from_json(Episode, data)


def test_replay_finds_no_difference_in_an_honest_record(some_episodes):
    assert divergences(some_episodes) == []


def flipped(value):
    if isinstance(value, bool):
        return not value
    if isinstance(value, float):
        return value + 1
    if isinstance(value, int):
        return value + 1
    if isinstance(value, Reply):
        return dataclasses.replace(value, text=value.text + " ")
    return "0" * 64 if len(value) == 64 else value + "x"


TURN_FIELDS = [
    "prompt", "frame", "state", "reply", "reply_hash", "status", "recovered", "action", "illegal",
    "reward", "expert", "regret", "cause", "strict",
]  # fmt: skip


@pytest.mark.parametrize("name", TURN_FIELDS)
def test_replay_names_any_one_changed_field_of_a_turn(some_episodes, name):
    for episode in some_episodes:
        for number in range(len(episode.turns)):
            turn = episode.turns[number]
            changed = dataclasses.replace(turn, **{name: flipped(getattr(turn, name))})
            turns = (*episode.turns[:number], changed, *episode.turns[number + 1 :])
            found = Replayer().replay(dataclasses.replace(episode, turns=turns)).divergence
            assert found is not None and found.turn == number
            assert found.field == ("reply_hash" if name == "reply" else name)
            assert episode.key in str(found) and found.field in str(found)
            break


@pytest.mark.parametrize("name", ["end", "success", "final_state", "final_frame", "schema"])
def test_replay_names_any_one_changed_field_of_an_episode(some_episodes, name):
    for episode in some_episodes:
        changed = dataclasses.replace(episode, **{name: flipped(getattr(episode, name))})
        assert Replayer().replay(changed).divergence.field == name


def test_replay_notices_another_instance_or_presentation(some_episodes):
    points = next(e for e in some_episodes if "Points24" in e.env_id)
    for change in ({"instance": "points24/3-3-8-8"}, {"presentation": points.presentation ^ 1}):
        found = Replayer().replay(dataclasses.replace(points, **change)).divergence
        assert found.turn == 0 and found.field in ("prompt", "frame", "state")


def test_replay_notices_missing_and_surplus_turns(some_episodes):
    episode = next(e for e in some_episodes if len(e.turns) > 2)
    short = dataclasses.replace(episode, turns=episode.turns[:-1])
    assert Replayer().replay(short).divergence is not None
    long = dataclasses.replace(episode, turns=(*episode.turns, episode.turns[-1]))
    assert Replayer().replay(long).divergence.field == "turns"


def test_a_row_that_is_drawn_differently_than_it_was_frozen_is_refused():
    row = dataclasses.replace(frozen_rows(vlbench.ENV_IDS[0], "test")[0], frame="0" * 64)
    with pytest.raises(ValueError, match="differently than it was frozen"):
        Recording(gymnasium.make(row.env_id, **row.kwargs), row)


def test_replies_are_bounded_before_they_are_recorded():
    long = Reply("é" * MAX_REPLY).bounded()
    assert len(long.text.encode()) <= MAX_REPLY and long.stop_reason == "oversize"
    assert Reply('{"action": "+"}', stop_reason="refused").bounded().text == ""
    assert Reply("a\ud800b").bounded().text == "a?b"
    assert Reply("fine").bounded() == Reply("fine")


def test_a_failure_can_not_be_hidden_by_calling_it_an_error(some_episodes):
    failed = next(e for e in some_episodes if not e.success and e.end == "truncated")
    hidden = dataclasses.replace(failed, end="errored", error="ProviderError: 500")
    assert Replayer().replay(hidden).divergence.field == "end"


def test_causes_are_told_apart_by_the_replys_own_fields():
    env_id = "vlbench/Points24-v0"
    row = Row(env_id, {}, "points24/3-3-8-8", 5)
    right = {"cards": ["3", "3", "8", "8"], "current formula": ""}
    cases = [
        ("no object", "format"),
        (vlbench.reply("8", **right), ""),
        (vlbench.reply("3", **right, plan="3 * 8 * 3 / 8"), "decision"),
        (vlbench.reply("3", cards=["3", "3", "8", "9"], plan="8 / ( 3 - 8 / 3 )"), "perception"),
        (vlbench.reply("3", **right, plan="8 / ( 3 - 8 / 3 ) = 24"), "slip"),
        (vlbench.reply("3"), "unattributed"),
        (vlbench.reply("9", **right), "decision"),
        (vlbench.reply("11", **right), "format"),
    ]
    for text, cause in cases:
        recording = Recording(gymnasium.make(env_id), row)
        turn = recording.play(Reply(text))
        assert turn.cause == cause, text
        assert (turn.regret > 0) == bool(cause), text


@pytest.mark.parametrize(
    ("env_id", "instance", "fields", "perception"),
    [
        ("Blackjack", "blackjack/15", {"dealer card": "jack"}, True),
        ("Blackjack", "blackjack/15", {"dealer card": "J♠", "player total": 9.0}, True),
        ("Blackjack", "blackjack/15", {"dealer card": 10}, True),
        ("Blackjack", "blackjack/15", {"dealer card": "Q of hearts"}, False),
        ("Blackjack", "blackjack/15", {"dealer card": "9"}, False),
        ("Blackjack", "blackjack/15", {"dealer card": None, "player total": "hard nine"}, None),
        ("NumberLine", "number_line/2-5", {"current number": 2.0, "target number": "5"}, True),
        ("NumberLine", "number_line/2-5", {"current number": None}, None),
        ("NumberLine", "number_line/2-5", {"current number": 3}, False),
        ("Points24", "points24/3-3-8-8", {"cards": ["3 of hearts", 8, "8", 3.0]}, True),
        ("Points24", "points24/3-3-8-8", {"cards": ["three", 8, 8, 3]}, None),
        ("Points24", "points24/3-3-8-8", {"current formula": "empty"}, True),
        ("Points24", "points24/3-3-8-8", {"current formula": "3 + 8"}, False),
    ],
)
def test_what_a_reply_says_of_the_picture_is_read_as_people_write_it(
    env_id, instance, fields, perception
):
    env = gymnasium.make(f"vlbench/{env_id}-v0")
    env.reset(options={"instance": instance, "presentation": 1})
    assert env.unwrapped.claims(fields).perception is perception


@pytest.mark.parametrize("plan", ["I will multiply", "", "?", "8÷(3−8÷3)", "(8/(3-8/3)", "3 +"])
def test_a_plan_that_is_no_formula_plans_nothing(plan):
    env = gymnasium.make("vlbench/Points24-v0")
    env.reset(options={"instance": "points24/3-3-8-8", "presentation": 1})
    assert env.unwrapped.claims({"plan": plan}).plan is None


def test_regret_is_what_a_turn_lost():
    row = Row("vlbench/NumberLine-v0", {}, "number_line/2-4", 0)
    recording = Recording(gymnasium.make(row.env_id), row)
    regrets = [recording.play(Reply(vlbench.reply(a))).regret for a in "+-"]
    assert regrets == [0.0, 1.0]
    assert recording.play(Reply("what?")).regret == 1.0
    assert recording.play(Reply(vlbench.reply("+"))).regret == 0.0


def test_strict_reading_is_recorded_beside_the_standard_one():
    row = Row("vlbench/NumberLine-v0", {}, "number_line/2-4", 0)
    recording = Recording(gymnasium.make(row.env_id), row)
    fenced = recording.play(Reply('```json\n{"action": "+"}\n```'))
    assert fenced.status == "ok" and not fenced.strict and not fenced.recovered
    assert recording.play(Reply('{"action": "+"}')).strict


# Scorecards


def test_a_scorecard_counts_what_was_played(some_episodes):
    cards = score(header(), some_episodes)
    assert [card.env for card in cards] == list(CARD_TASKS)
    for card in cards:
        played = [e for e in some_episodes if e.env_id == card.env]
        assert card.episodes == 3 and card.errored == 0
        assert card.success == sum(e.success for e in played) / 3
        assert card.mean_return == pytest.approx(sum(e.total for e in played) / 3)
        assert card.paper_success == sum(e.total > 0 for e in played) / 3
        turns = [t for e in played for t in e.turns]
        assert card.illegal_rate == sum(t.illegal for t in turns) / len(turns)
        assert card.tokens == 15 * len(turns) and card.usd == pytest.approx(0.001 * len(turns))
        span = card.ceiling - card.floor
        assert card.normalized == pytest.approx((card.success - card.floor) / span)
        assert sum(a.turns for a in card.attribution.values()) <= len(turns)
        assert set(card.attribution) == set(CAUSES)
        lost = sum(a.regret for a in card.attribution.values())
        assert lost == pytest.approx(card.regret * len(turns))


def test_few_instances_are_said_to_be_not_held_out(some_episodes):
    notes = {card.env: card.notes for card in score(header(), some_episodes)}
    assert notes["vlbench/NumberLine-v0"] == ("instances not held out",)
    assert notes["vlbench/Blackjack-v0"] == ()


def test_an_errored_episode_is_apart_and_an_unknown_price_is_null(some_episodes):
    errored = dataclasses.replace(some_episodes[0], end="errored", error="boom", success=False)
    free = some_episodes[1].turns[0]
    unknown = dataclasses.replace(free, reply=dataclasses.replace(free.reply, usd=None))
    other = dataclasses.replace(some_episodes[1], turns=(unknown, *some_episodes[1].turns[1:]))
    (card,) = score(header(), [errored, other])
    assert (card.episodes, card.errored) == (1, 1)
    assert card.usd is None and card.usd_per_success is None


def test_the_headline_needs_every_task_of_its_table(some_episodes):
    (cards,) = headlines(some_episodes, "test")
    by_card = [card.normalized for card in score(header(), some_episodes)]
    assert cards.table == "cards" and cards.normalized == pytest.approx(sum(by_card) / 4)
    assert cards.low <= cards.normalized <= cards.high
    assert headlines([e for e in some_episodes if "Black" not in e.env_id], "test") == []


def test_two_runs_are_compared_on_the_rows_that_both_played():
    env_id = "vlbench/EZPoints-v0"
    best = [play(env_id, n, expert) for n in range(32)]
    worse = [play(env_id, n, random_player(n)) for n in range(30)]
    (comparison,) = compare(worse, best)
    assert comparison.rows == 30 and comparison.success.value == 1.0
    assert comparison.only_second == 30 and comparison.only_first == 0 and comparison.separated
    (same,) = compare(best, best)
    assert same.success.value == 0 and not same.separated
    with pytest.raises(ValueError, match="no row in common"):
        compare(best, [play("vlbench/NumberLine-v0", 0, expert)])


# Runs on disk


def test_a_run_is_read_back_as_it_was_written(tmp_path, some_episodes):
    run = RunFolder.start(tmp_path / "run", header())
    for episode in some_episodes:
        for number, turn in enumerate(episode.turns):
            run.journal(episode.key, number, turn.reply)
        run.add(episode)
    run.close()
    again = RunFolder.open(tmp_path / "run")
    assert again.episodes() == some_episodes and again.header == header()
    journal = again.replies()
    assert all(journal[e.key] == [t.reply for t in e.turns] for e in some_episodes)
    assert again.damaged == []


def test_damaged_lines_are_named_and_the_rest_is_kept(tmp_path, some_episodes):
    run = RunFolder.start(tmp_path, header())
    for episode in some_episodes[:3]:
        run.add(episode)
    run.close()
    path = tmp_path / "episodes.jsonl"
    lines = path.read_text().splitlines()
    lines[1] = lines[1][:50]
    path.write_text("\n".join([*lines, '{"schema": 1}']))  # and a torn tail
    again = RunFolder.open(tmp_path)
    assert again.episodes() == [some_episodes[0], some_episodes[2]]
    assert len(again.damaged) == 2 and f"{path}:2:" in again.damaged[0]
    again.add(some_episodes[1])
    again.close()
    assert RunFolder.open(tmp_path).episodes() == some_episodes[:3]


@pytest.mark.parametrize(
    ("change", "message"),
    [({"agent": "other"}, "agent is"), ({"suite": "ood"}, "suite is"), ({"history": 3}, "history")],
)
def test_a_folder_with_another_run_is_refused(tmp_path, change, message):
    RunFolder.start(tmp_path, header()).close()
    with pytest.raises(ValueError, match=message):
        RunFolder.start(tmp_path, header(**change))


def test_a_run_may_go_on_to_more_episodes(tmp_path):
    RunFolder.start(tmp_path, header(episodes=5, started="first")).close()
    run = RunFolder.start(tmp_path, header(episodes=50, started="again"))
    assert run.header.episodes == 50 and run.header.started == "first"
    run.close()


def test_a_folder_without_a_run_or_with_a_damaged_header_is_one_line(tmp_path):
    with pytest.raises(ValueError, match="is no run folder"):
        RunFolder.open(tmp_path)
    (tmp_path / "run.json").write_text("{")
    with pytest.raises(ValueError, match="is damaged"):
        RunFolder.open(tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(ValueError, match="can't write"):
        RunFolder.start(tmp_path / "file" / "run", header())


def test_the_replay_command_says_what_differs(tmp_path, capsys, some_episodes):
    run = RunFolder.start(tmp_path, header())
    for episode in some_episodes[:2]:
        run.add(episode)
    assert main([str(tmp_path)]) == 0
    assert "2 episodes replayed, 0 differ" in capsys.readouterr().out
    run.add(dataclasses.replace(some_episodes[2], success=not some_episodes[2].success))
    run.close()
    assert main([str(tmp_path)]) == 1
    assert "success is" in capsys.readouterr().out
    assert main([str(tmp_path / "nothing")]) == 2
    assert main([]) == main([str(tmp_path), "--fast"]) == 2
    assert capsys.readouterr().err.count("\n") == 3


def test_the_replay_command_notices_an_episode_in_another_rows_place(
    tmp_path, capsys, some_episodes
):
    run = RunFolder.start(tmp_path, header())
    run.add(dataclasses.replace(some_episodes[0], row=5))
    run.close()
    assert main([str(tmp_path)]) == 1
    assert "#5/0: row is" in capsys.readouterr().out


def test_the_replay_command_names_an_episode_that_can_not_be_started(
    tmp_path, capsys, some_episodes
):
    run = RunFolder.start(tmp_path, header())
    run.add(dataclasses.replace(some_episodes[0], instance="number_line/9-9"))
    run.close()
    assert main([str(tmp_path)]) == 1
    assert "start is 'number_line/9-9'" in capsys.readouterr().out


def test_a_run_is_written_by_one_process_at_a_time(tmp_path):
    run = RunFolder.start(tmp_path, header())
    with pytest.raises(ValueError, match="being written by another process"):
        RunFolder.start(tmp_path, header())
    run.close()
    RunFolder.start(tmp_path, header()).close()


def test_episodes_without_a_header_are_nobodys(tmp_path):
    (tmp_path / "episodes.jsonl").write_text("")
    with pytest.raises(ValueError, match="holds episodes.jsonl but no run.json"):
        RunFolder.start(tmp_path, header())
