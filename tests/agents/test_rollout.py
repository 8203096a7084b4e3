"""The loop: journaling, resuming after `kill -9`, errored episodes, history."""

import asyncio
import dataclasses
import json
import random
import signal
import time
from collections import Counter

import pytest
from support.cli_process import OUTSIDE, call, start

import vlbench
from agents.evaluate import evaluate
from agents.players.scripted import Expert, Random
from vlbench.prompts import messages
from vlbench.records import MAX_REPLY, Reply
from vlbench.replay import divergences
from vlbench.run_folder import EPISODES, JOURNAL, RunFolder
from vlbench.scoring import score
from vlbench.suites import frozen_rows

PLUS = vlbench.reply("+")
NUMBER_LINES = len(frozen_rows("vlbench/NumberLine-v0", "paper"))


def timeless(episodes):
    """Episodes without what the clock has a part in."""
    return [
        dataclasses.replace(
            episode,
            turns=tuple(
                dataclasses.replace(turn, reply=dataclasses.replace(turn.reply, seconds=0.0))
                for turn in episode.turns
            ),
        )
        for episode in episodes
    ]


def lines(path):
    return path.read_bytes().count(b"\n") if path.exists() else 0


def until(process, log, number):
    """Wait until an agent was asked so often, or the process ended."""
    while process.poll() is None and lines(log) < number:
        time.sleep(0.005)


def test_a_run_killed_at_random_points_resumes_to_the_same_episodes_and_asks_nothing_twice(
    tmp_path,
):
    concurrency = 4
    command = (
        "agents.evaluate",
        "--agent",
        f"{OUTSIDE / 'slow_agent.py'}:Slow",
        "--env",
        "NumberLine,Blackjack",
        "--episodes",
        60,
        "--concurrency",
        concurrency,
        "--out",
        "run",
        "--set",
    )
    (tmp_path / "calm").mkdir()
    assert call(tmp_path / "calm", *command, "log=calm.log")[0] == 0
    calm = RunFolder.open(tmp_path / "calm" / "run")
    asked = lines(tmp_path / "calm" / "calm.log")

    log, kills = tmp_path / "log", 0
    points = sorted(random.Random(7).sample(range(5, asked - 20), 4))
    for point in points:
        process = start(tmp_path, *command, f"log={log}")
        until(process, log, point)
        process.kill()
        process.communicate()
        kills += process.returncode == -signal.SIGKILL
    assert kills == len(points)
    code, _, err = call(tmp_path, *command, f"log={log}")
    assert code == 0, err

    disturbed = RunFolder.open(tmp_path / "run")
    assert timeless(disturbed.episodes()) == timeless(calm.episodes())
    cards, calm_cards = (
        [dataclasses.replace(card, seconds=0.0) for card in score(run.header, run.episodes())]
        for run in (disturbed, calm)
    )
    assert cards == calm_cards
    journaled = Counter(
        (data["episode"], data["turn"])
        for data in map(json.loads, (tmp_path / "run" / JOURNAL).read_text().splitlines())
    )
    assert set(journaled.values()) == {1}, "a journaled reply was asked again"
    assert sum(journaled.values()) == asked
    assert asked <= lines(log) <= asked + kills * concurrency, "more was lost than in flight"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_or_sigterm_exits_130_and_says_how_to_go_on(tmp_path, number):
    command = (
        "agents.evaluate",
        "--agent",
        f"{OUTSIDE / 'slow_agent.py'}:Slow",
        "--set",
        "log=log",
        "--env",
        "NumberLine",
        "--suite",
        "paper",
    )
    process = start(tmp_path, *command)
    until(process, tmp_path / "log", 60)
    process.send_signal(number)
    _, err = process.communicate(timeout=30)
    assert process.returncode == 130 and "Traceback" not in err
    resume = err.strip().splitlines()[-1].partition("to go on: python -m ")[2].split()
    assert "--out" in resume
    asked = lines(tmp_path / JOURNAL)
    code, out, err = call(tmp_path, *resume)
    assert code == 0 and f" {NUMBER_LINES} " in out, err
    (run,) = (tmp_path / "runs").iterdir()
    turns = sum(len(episode.turns) for episode in RunFolder.open(run).episodes())
    assert asked < lines(run / JOURNAL) == turns


class Failing(Random):
    """Fails on every call after the first `good` ones; counts the calls."""

    def __init__(self, good):
        super().__init__()
        self.good = good
        self.calls = 0

    async def act(self, observation, env=None):
        self.calls += 1
        if self.calls > self.good:
            raise RuntimeError("the model\nis gone")
        return await super().act(observation, env)


def test_what_an_agent_raises_is_an_errored_episode_and_is_tried_again(tmp_path):
    whole = evaluate(Failing(10**6), "NumberLine", episodes=10, out=tmp_path / "whole")
    turns = sum(len(episode.turns) for episode in whole.episodes)
    first = evaluate(Failing(turns // 2), "NumberLine", episodes=10, out=tmp_path / "run")
    errored = [episode for episode in first.episodes if episode.end == "errored"]
    assert {episode.error for episode in errored} == {"RuntimeError: the model is gone"}
    assert len(first.episodes) == 10 and first.scorecards[0].errored == len(errored) > 3
    assert divergences(first.episodes) == []
    agent = Failing(10**6)
    again = evaluate(agent, "NumberLine", episodes=10, out=tmp_path / "run")
    assert timeless(again.episodes) == timeless(whole.episodes)
    assert agent.calls == turns - turns // 2, "a journaled reply was asked again"


def test_what_an_environment_raises_is_an_errored_episode_too(tmp_path, monkeypatch):
    from vlbench.tasks.number_line.game import NumberLineGame

    step = NumberLineGame.step

    def brittle(self, state, action):
        if state.current == 3:
            raise ZeroDivisionError("three")
        return step(self, state, action)

    monkeypatch.setattr(NumberLineGame, "step", brittle)
    run = evaluate(
        lambda observation: PLUS, "NumberLine", suite="paper", out=tmp_path, concurrency=1
    )
    threes = [e for e in run.episodes if e.end == "errored"]
    assert {e.error for e in threes} == {"ZeroDivisionError: three"}
    assert {e.failure.kind for e in threes} == {"environment"}
    assert "test_rollout.py:" in threes[0].failure.place
    assert 0 < len(threes) < len(run.episodes) == NUMBER_LINES


def test_a_reply_of_ten_megabytes_is_data(tmp_path):
    flood = PLUS + "x" * 10_000_000
    run = evaluate(lambda observation: flood, "NumberLine", episodes=1, out=tmp_path)
    for turn in (turn for episode in run.episodes for turn in episode.turns):
        assert turn.reply.stop_reason == "oversize" and turn.status == "ok"
        assert len(turn.reply.text.encode()) == MAX_REPLY
    assert divergences(run.episodes) == []


def test_only_a_privileged_agent_is_handed_the_environment(tmp_path):
    class Curious:
        name, privileged, settings = "curious", False, {}

        async def act(self, observation, env=None):
            assert env is None and set(observation) == {"image", "text", "env_id", "repeat"}
            return Reply(PLUS)

    run = evaluate(Curious(), "NumberLine", episodes=3, out=tmp_path)
    assert not any(episode.error for episode in run.episodes) and not run.header.privileged


def test_history_is_the_last_turns_also_after_a_resume(tmp_path):
    seen = []

    class Remembering(Failing):
        async def act(self, observation, env=None):
            seen.append(observation)
            await super().act(observation, env)
            return Reply("hm")  # never moves: every episode has all its ten turns

    options = {"suite": "paper", "episodes": 1, "history": 2, "out": tmp_path}
    evaluate(Remembering(7), "NumberLine", **options)
    evaluate(Remembering(99), "NumberLine", **options)
    lengths = [len(observation["history"]) for observation in seen]
    assert lengths == [0, 1, 2, 2, 2, 2, 2, 2, 2, 2, 2]  # the eighth turn was asked for twice
    resumed = seen[8]["history"]
    assert [past.reply for past in resumed] == ["hm", "hm"]
    assert resumed[0].observation["image"].shape == (300, 300, 3)
    roles = [message["role"] for message in messages(seen[8])]
    assert roles == ["user", "assistant", "user", "assistant", "user"]


def test_episodes_run_at_once_and_no_more_than_asked(tmp_path):
    waiting, most = 0, 0

    async def slow(observation):
        nonlocal waiting, most
        waiting += 1
        most = max(most, waiting)
        await asyncio.sleep(0.001)
        waiting -= 1
        return PLUS

    evaluate(slow, "NumberLine", episodes=12, concurrency=5, out=tmp_path)
    assert most == 5


def test_a_damaged_line_is_named_and_the_rest_is_kept(tmp_path):
    kept = evaluate(Expert(), "NumberLine", episodes=6, out=tmp_path)
    for name in (EPISODES, JOURNAL):
        text = (tmp_path / name).read_text().splitlines()
        text[1] = text[1][:40]
        text[2] = '{"schema": 1}'
        (tmp_path / name).write_text("\n".join(text) + '\n{"torn')
    code, out, err = call(
        tmp_path,
        "agents.evaluate",
        "--agent",
        "expert",
        "--env",
        "NumberLine",
        "--episodes",
        6,
        "--out",
        tmp_path,
    )
    assert code == 0 and "100.0 %" in out
    for name in (EPISODES, JOURNAL):
        assert f"{name}:2" in err and f"{name}:3" in err
    assert timeless(RunFolder.open(tmp_path).episodes()) == timeless(kept.episodes)


def test_a_turn_whose_journal_line_was_lost_undoes_the_later_ones(tmp_path):
    options = {"suite": "paper", "episodes": 1, "out": tmp_path}
    run = evaluate(lambda observation: "hm", "NumberLine", **options)
    journal = (tmp_path / JOURNAL).read_text().splitlines()
    (tmp_path / EPISODES).unlink()
    (tmp_path / JOURNAL).write_text("\n".join(journal[:3] + journal[4:]) + "\n")
    calls = []

    def plus(observation):
        calls.append(observation)
        return "hm again"

    plus.__name__ = run.header.agent
    again = evaluate(plus, "NumberLine", **options)
    texts = [turn.reply.text for turn in again.episodes[0].turns]
    assert texts == ["hm"] * 3 + ["hm again"] * 7 and len(calls) == 7
    (tmp_path / EPISODES).unlink()
    replies = RunFolder.open(tmp_path).replies()
    assert [reply.text for reply in replies["vlbench/NumberLine-v0#0/0"]] == texts


def test_a_notebook_whose_loop_runs_already_can_evaluate(tmp_path):
    async def cell():
        return evaluate(Expert(), "NumberLine", episodes=2, out=tmp_path)

    assert asyncio.run(cell()).scorecards[0].success == 1


@pytest.mark.parametrize("agent", ["expert", "random", "heuristic"])
def test_runs_replay_without_a_difference(agent, tmp_path):
    run = evaluate(agent, vlbench.CARD_IDS, episodes=5, out=tmp_path)
    assert len(run.episodes) == 5 * len(vlbench.CARD_IDS)
    assert divergences(run.episodes) == []
