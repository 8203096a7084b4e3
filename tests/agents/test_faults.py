"""Runs against a provider that fails: every episode ends complete or errored, nothing is lost."""

import asyncio
import base64
import heapq
import json
import os
import random
import time
from collections import Counter

import pytest
from support.cli_process import call, start
from support.fault_server import FAULTS, FaultServer
from support.simulated_clock import run_simulated

from agents import retry
from agents.agent import ProviderError
from agents.evaluate import evaluate, main
from agents.players.scripted import Random
from agents.pricing.cost import Budget, Price
from agents.progress import Progress
from agents.providers.openai_chat import OpenAIChat
from agents.retry import RetryingCaller, RetryPolicy
from vlbench.records import Failure, Reply
from vlbench.records.redaction import redact
from vlbench.replay import divergences
from vlbench.run_folder import JOURNAL, RunFolder
from vlbench.suites import frozen_rows

THIRTY_PERCENT = {kind: 0.3 / len(FAULTS) for kind in FAULTS}
NUMBER_LINES = len(frozen_rows("vlbench/NumberLine-v0", "paper"))


def asked(*tries, patience=None, monkeypatch=None):
    """Ask for what comes of some tries; return the reply and the waits between them."""
    left, waits = list(tries), []

    async def attempt():
        given = left.pop(0)
        if isinstance(given, Exception):
            raise given
        return await given if asyncio.iscoroutine(given) else given

    async def wait(seconds):
        waits.append(seconds)

    async def run():
        return await RetryingCaller(patience or RetryPolicy()).ask(attempt)

    if monkeypatch:
        monkeypatch.setattr(retry.asyncio, "sleep", wait)
    return asyncio.run(run()), [wait for wait in waits if wait]


def fault(retry_after=None):
    return ProviderError("busy", status=429, transient=True, retry_after=retry_after)


def test_transient_faults_are_tried_again_with_growing_waits(monkeypatch):
    reply, waits = asked(*[fault()] * 7, "ok", monkeypatch=monkeypatch)
    assert reply.text == "ok" and reply.retries == 7 and len(waits) == 7
    assert all(0.25 * 2**n <= wait <= 0.5 * 2**n for n, wait in enumerate(waits[:6]))
    assert waits[6] <= retry.LONGEST_WAIT


def test_a_provider_that_names_a_wait_gets_it(monkeypatch):
    assert asked(fault(7.5), fault(0), "ok", monkeypatch=monkeypatch)[1] == [7.5]


@pytest.mark.parametrize(
    ("tries", "message"),
    [
        ([fault()] * 3, r"busy \(try 3\)"),
        ([ProviderError("wrong")], r"wrong \(try 1\)"),
        ([fault(3600)], r"busy \(asked to wait 3600 s\)"),
    ],
)
def test_trying_ends(tries, message, monkeypatch):
    with pytest.raises(ProviderError, match=message) as raised:
        asked(*tries, patience=RetryPolicy(retries=2), monkeypatch=monkeypatch)
    assert raised.value.status == tries[0].status


def test_a_call_that_takes_too_long_is_tried_again():
    patience = RetryPolicy(timeout=0.05, retries=1)
    reply, _ = asked(asyncio.sleep(60), "ok", patience=patience)
    assert reply.text == "ok" and reply.retries == 1 and reply.seconds > 0.3


def test_calls_keep_the_pace():
    async def run():
        caller = RetryingCaller(RetryPolicy(rpm=1200))
        await asyncio.gather(*(caller.ask(lambda: "ok") for _ in range(11)))
        return asyncio.get_running_loop().time()

    assert run_simulated(run()) == pytest.approx(10 * 60 / 1200)


@pytest.mark.parametrize("wrong", [{"timeout": 0}, {"retries": -1}, {"rpm": 0}])
def test_patience_is_checked(wrong):
    with pytest.raises(ValueError, match="must be"):
        RetryPolicy(**wrong)


class Paid:
    """Answers at once; a call costs 0.01 USD at 10 USD per million tokens."""

    name, privileged, settings, remote, paid = "paid", False, {}, True, True
    calls = 0

    async def act(self, observation, env=None):
        type(self).calls += 1
        await asyncio.sleep(0)
        return Reply('{"action": "+"}', prompt_tokens=900, completion_tokens=100)


def test_a_run_stops_before_its_limit_keeps_what_was_paid_and_goes_on(tmp_path):
    def run(max_usd):
        return evaluate(
            Paid(),
            "NumberLine",
            suite="paper",
            price=Price(10, 10),
            max_usd=max_usd,
            out=tmp_path,
            concurrency=16,
        )

    Paid.calls = 0
    first = run(1.0)
    journaled = (tmp_path / JOURNAL).read_text().count("\n")
    assert Paid.calls == journaled and 84 <= journaled <= 100
    assert "--max-usd" in first.stopped and 0 < len(first.episodes) < NUMBER_LINES
    assert not any(episode.error for episode in first.episodes)
    assert run(1.0).stopped and Paid.calls <= 100
    whole = run(100.0)
    turns = [turn for episode in whole.episodes for turn in episode.turns]
    assert not whole.stopped and len(whole.episodes) == NUMBER_LINES
    assert Paid.calls == len(turns), "a journaled reply was asked again"
    assert whole.scorecards[0].usd == pytest.approx(0.01 * len(turns))
    assert whole.header.price == [10, 10]
    assert {turn.reply.usd_source for turn in turns} == {"price"}


def test_an_unknown_price_is_null_and_never_nothing(tmp_path):
    with pytest.raises(ValueError, match="paid: no known price.*--price IN,OUT.*--max-usd none"):
        evaluate(Paid(), "NumberLine", out=tmp_path)
    run = evaluate(Paid(), "NumberLine", episodes=2, max_usd=None, out=tmp_path)
    assert run.scorecards[0].usd is None and run.header.price is None
    assert run.scorecards[0].tokens == 1000 * run.scorecards[0].turns


def test_tokens_that_are_not_told_cost_nothing_known():
    budget = Budget(Price(1, 1), max_usd=1.0)
    assert budget.reserve()
    reply = budget.settle(Reply("ok"))
    assert (reply.usd, reply.usd_source) == (None, "")


@pytest.mark.parametrize("text", ["1", "1,2,3", "a,b", "-1,2", "nan,1", "inf,1"])
def test_a_price_is_two_numbers(text):
    with pytest.raises(ValueError, match="must be IN,OUT in USD per million tokens"):
        Price.parse(text)


def test_the_estimate_comes_first(tmp_path):
    class Told(list):
        write, flush, isatty = list.append, lambda self: None, lambda self: False

    told = Told()
    options = {"suite": "paper", "episodes": 3, "price": Price(10, 10)}
    evaluate(Paid(), "NumberLine", **options, out=tmp_path, progress=Progress(told))
    line = next(line for line in told if line.startswith("estimate: "))
    assert "to 30 calls" in line and "USD at 10 in, 10 out per million tokens" in line


def test_the_display_tells_retries_and_money(tmp_path, monkeypatch):
    class Told(list):
        write, flush, isatty = list.append, lambda self: None, lambda self: False

    class Shaky(Paid):
        async def act(self, observation, env=None):
            if type(self).calls % 2 == 0:
                type(self).calls += 1
                raise ProviderError("busy", transient=True, retry_after=0)
            return await super().act(observation)

    monkeypatch.setattr("agents.progress.SECONDS_BETWEEN_LINES", 0)
    evaluate(
        Shaky(),
        "NumberLine",
        suite="paper",
        episodes=2,
        concurrency=1,
        price=Price(10, 10),
        out=tmp_path,
        progress=Progress(told := Told()),
    )
    line = next(line for line in told if line.startswith("2/2 episodes"))
    assert " retries, 0." in line and " USD, " in line


def test_a_provider_that_can_not_be_used_stops_the_run(tmp_path):
    class Locked(Paid):
        async def act(self, observation, env=None):
            await super().act(observation)
            raise ProviderError("status 401: wrong key", stops=True)

    Locked.calls = 0
    run = evaluate(Locked(), "NumberLine", max_usd=None, out=tmp_path)
    assert "status 401: wrong key" in run.stopped and Locked.calls <= 8 and not run.episodes


def test_a_provider_that_never_answers_stops_the_run_and_errored_episodes_are_kept(tmp_path):
    class Gone(Paid):
        async def act(self, observation, env=None):
            raise ProviderError("connection refused", status=503)

    run = evaluate(Gone(), "NumberLine", max_usd=None, out=tmp_path)
    assert "20 calls failed in a row; the last: connection refused" in run.stopped
    assert {episode.end for episode in run.episodes} == {"errored"} and len(run.episodes) == 19
    assert {episode.failure for episode in run.episodes} == {Failure("provider", status=503)}


@pytest.mark.slow
def test_300_episodes_at_30_percent_faults_end_complete_or_errored_and_no_fault_is_a_move(tmp_path):
    repeats = -(-300 // NUMBER_LINES)
    with FaultServer(faults=THIRTY_PERCENT) as server:
        agent = OpenAIChat("m", base_url=server.v1)
        patience = RetryPolicy(timeout=1.5, retries=3)
        run = evaluate(
            agent,
            "NumberLine",
            suite="paper",
            episodes=-(-300 // repeats),
            repeats=repeats,
            concurrency=32,
            patience=patience,
            out=tmp_path,
        )
        log = server.log()
    assert not run.stopped and len(run.episodes) >= 300
    ends = Counter(episode.end for episode in run.episodes)
    assert ends["errored"] == sum(bool(e.error) for e in run.episodes) and not ends[""]
    assert 0 < ends["errored"] < 30, "with three retries a few calls in a hundred fail"
    given = {entry["id"]: entry for entry in log if entry["fault"] in ("", "refusal")}
    turns = [turn for episode in run.episodes for turn in episode.turns]
    for turn in turns:
        if turn.reply.stop_reason == "refused":
            assert given[turn.reply.provider_id]["fault"] == "refusal" and not turn.reply.text
            assert turn.status == "empty" and turn.action == ""
        else:
            assert given[turn.reply.provider_id]["fault"] == "" and turn.status == "ok"
    faulty = Counter(entry["fault"] for entry in log)
    assert set(faulty) == {"", *FAULTS}
    assert sum(turn.reply.retries for turn in turns) > 0.2 * len(turns)
    assert divergences(run.episodes) == []
    errors = "\n".join(episode.error for episode in run.episodes)
    assert "ProviderError: " in errors and "(try 4)" in errors


@pytest.mark.slow
def test_a_run_killed_amid_faults_asks_for_no_journaled_reply_again(tmp_path):
    concurrency = 16
    with FaultServer(faults=THIRTY_PERCENT, delay=0.05) as server:
        command = (
            "agents.evaluate",
            "--agent",
            "openai:m",
            "--base-url",
            server.v1,
            "--env",
            "NumberLine",
            "--suite",
            "paper",
            "--episodes",
            60,
            "--concurrency",
            concurrency,
            "--timeout",
            1.5,
            "--out",
            "run",
        )
        journal, kills = tmp_path / "run" / JOURNAL, 0
        for point in sorted(random.Random(3).sample(range(20, 200), 3)):
            process = start(tmp_path, *command)
            while process.poll() is None and (
                not journal.exists() or journal.read_bytes().count(b"\n") < point
            ):
                time.sleep(0.01)
            process.kill()
            process.communicate()
            kills += 1
        code, _, err = call(tmp_path, *command)
        assert code == 0, err
        answered = {e["id"] for e in server.log() if e["id"] and e["fault"] in ("", "refusal")}
    run = RunFolder.open(tmp_path / "run")
    lines = [json.loads(line) for line in journal.read_text().splitlines()]
    keys = Counter((line["episode"], line["turn"]) for line in lines)
    assert set(keys.values()) == {1}, "a journaled reply was asked again"
    journaled = {line["reply"]["provider_id"] for line in lines}
    assert len(journaled) == len(lines) and journaled <= answered
    assert len(answered - journaled) <= kills * concurrency, "more was lost than in flight"
    played = run.episodes()
    assert len(played) == min(60, NUMBER_LINES) and divergences(played) == []


class OneSecond(Random):
    """Plays at random; a reply takes a second of the loop's time."""

    last_reply = 0.0
    """When it came."""

    async def act(self, observation, env=None):
        await asyncio.sleep(1.0)
        self.last_reply = asyncio.get_running_loop().time()
        return await super().act(observation, env)


def test_slots_are_kept_busy(tmp_path, monkeypatch):
    """A run takes as long as if each episode began in the slot that is free first."""
    monkeypatch.setattr("agents.evaluate.run_coroutine", run_simulated)
    slots, agent = 16, OneSecond()
    run = evaluate(agent, "NumberLine", suite="paper", concurrency=slots, out=tmp_path)
    lengths = [len(episode.turns) for episode in run.episodes]
    assert len(lengths) == NUMBER_LINES > 5 * slots and len(set(lengths)) > 5
    free = [0.0] * slots
    for length in lengths:  # in the order of play
        heapq.heappush(free, heapq.heappop(free) + length)
    assert agent.last_reply == pytest.approx(max(free))


def test_a_missing_key_is_one_line_in_under_a_second_and_names_what_to_set(tmp_path, monkeypatch):
    names = {
        "gpt4v": ("OPENAI_API_KEY", "OPENAI_BASE_URL"),
        "claude": ("ANTHROPIC_API_KEY", "ANTHROPIC_BASE_URL"),
        "gemini": ("GEMINI_API_KEY", "GOOGLE_API_KEY", "GOOGLE_GEMINI_BASE_URL"),
    }
    for variable in (each for variables in names.values() for each in variables):
        monkeypatch.delenv(variable, raising=False)
    for agent, (wanted, *_) in names.items():
        seconds = []
        for _ in range(2):  # the first may have to compile
            started = time.monotonic()
            code, out, err = call(tmp_path, "agents.evaluate", "--agent", agent)
            seconds.append(time.monotonic() - started)
        assert code == 2 and not out and err.count("\n") == 1
        assert wanted in err and "--base-url" in err
        assert min(seconds) < 1.0 or os.getloadavg()[0] > os.cpu_count()
        assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_no_key_and_no_password_reaches_a_file_or_the_terminal(tmp_path, monkeypatch, capsys):
    key, password = "sk-secret-0123456789", "hunter2-hunter2"
    monkeypatch.setenv("OPENAI_API_KEY", key)
    told = ""
    for config in ({"status": [401, "invalid_api_key"]}, {"status": [500, "x"]}, {}):
        with FaultServer(**config) as server:
            url = server.v1.replace("://", f"://user:{password}@")
            main(
                [
                    "--agent",
                    "gpt4v",
                    "--base-url",
                    f"{url}?api-key={password}",
                    "--env",
                    "NumberLine",
                    "--episodes",
                    "2",
                    "--retries",
                    "0",
                    "--out",
                    str(tmp_path / server.url[-5:]),
                ]
            )
            assert server.log()[0]["auth"].startswith("Basic "), "the server saw no credentials"
        told += "".join(capsys.readouterr())
    for path in tmp_path.rglob("*"):
        told += path.read_text() if path.is_file() else ""
    for secret in (key, password, base64.b64encode(f"user:{password}".encode()).decode()):
        assert secret not in told
    assert "status 401" in told
    assert server.v1 in told


def test_what_is_shown_has_no_key_and_no_user(monkeypatch):
    monkeypatch.setenv("SOME_API_KEY", "0123456789")
    monkeypatch.setenv("SHORT_KEY", "none")
    text = "POST http://me:word@host:1/v1?key=abc&api-version=1 with 0123456789, none, and 4/5"
    shown = "POST http://host:1/v1?key=[secret]&api-version=1 with [SOME_API_KEY], none, and 4/5"
    assert redact(text) == shown
