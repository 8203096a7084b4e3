"""What fails counts as a failure, is shown, and is either tried again or told with its place."""

import asyncio
import dataclasses
import json
import socket
import urllib.error

import pytest
from support.hand_worked import PLAYED

import vlbench
from agents import compare, report, retry
from agents.agent import ProviderError
from agents.evaluate import evaluate, main
from agents.players.scripted import Expert
from agents.retry import RetryPolicy, as_provider_error
from vlbench import replay
from vlbench.instances import Presentation
from vlbench.replay import divergences
from vlbench.run_folder import JOURNAL, RunFolder
from vlbench.suites import frozen_rows

PLUS = vlbench.reply("+")


@pytest.fixture
def run(tmp_path, capsys):
    """Evaluate an agent of a file in this process; return the exit code, stdout and stderr."""

    def run(code, *arguments):
        (tmp_path / "own.py").write_text(code)
        place = ["--out", str(tmp_path / "run")]
        options = ["--agent", f"{tmp_path}/own.py:own", "--env", "NumberLine", *arguments]
        return main([*options, *place]), *capsys.readouterr()

    return run


class Flaky(Expert):
    """The expert, whose provider fails on every row but the first."""

    async def act(self, observation, env=None):
        first = frozen_rows("vlbench/NumberLine-v0", "test")[0]
        if env.unwrapped.presentation != Presentation(first.instance, first.presentation):
            raise ProviderError("status 500: no", status=500)
        return await super().act(observation, env)


def test_nine_of_ten_errored_episodes_are_no_success(tmp_path):
    run = evaluate(Flaky(), "NumberLine", episodes=10, out=tmp_path / "run")
    (card,) = run.scorecards
    assert (card.episodes, card.errored, card.success) == (10, 9, 0.1)
    assert "9 of 10 episodes errored and count as failures" in card.notes
    assert card.normalized < 0 and divergences(run.episodes) == []


def test_table_page_comparison_and_entry_show_the_same_number(tmp_path, capsys):
    pytest.importorskip("pydantic", reason="the bare wheel has no leaderboard")
    from leaderboard.scores import score_entry

    first = evaluate(Flaky(), "NumberLine", episodes=10, out=tmp_path / "flaky")
    evaluate(Expert(), "NumberLine", episodes=10, out=tmp_path / "whole")
    report.write_report(tmp_path / "flaky", tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text("utf-8")
    assert "<p class=rate>10.0 % " in page and "<dt>errored</dt><dd>9</dd>" in page
    assert "9 of 10 episodes errored and count as failures" in page
    (card,) = score_entry(first.header, first.episodes).scorecards
    assert card == first.scorecards[0]
    assert replay.main([str(tmp_path / "flaky")]) == 0
    assert "10 episodes replayed, 0 differ; 9 errored and count" in capsys.readouterr().out
    assert compare.main([str(tmp_path / "flaky"), str(tmp_path / "whole")]) == 0
    out = capsys.readouterr().out
    assert "  +90.0 (" in out and "9 episodes of the first run, 0 of the second" in out


def test_one_errored_episode_is_told_by_the_exit_code(run, tmp_path):
    code, out, err = run(
        "calls = 0\n"
        "def own(observation):\n"
        "    global calls\n"
        "    calls += 1\n"
        "    if calls == 3:\n"
        "        raise RuntimeError('out of memory')\n"
        f"    return {PLUS!r}\n",
        *("--episodes", "8", "--concurrency", "1", "--json"),
    )
    (card,) = json.loads(out)["scorecards"]
    assert code == 1 and card["errored"] == 1 and card["episodes"] == 8
    assert "evaluate: 1 of 8 episodes errored; the first: vlbench/NumberLine-v0#" in err
    assert f"RuntimeError: out of memory ({tmp_path}/own.py:6); to try them again: " in err


@pytest.mark.parametrize(
    ("code", "message", "line"),
    [
        ("def own(observation):\n    return {}['weights']\n", "KeyError: 'weights'", 2),
        ("def own(observation):\n    return len(3)\n", "TypeError: object of type 'int' has no", 2),
        ("def own():\n    return '+'\n", "TypeError: own() takes 0 positional arguments but", 1),
        ("def own(observation):\n    return None\n", "TypeError: an agent must give a str or a", 1),
        (
            "import json\ndef own(observation):\n    json.loads('x')\n",
            "JSONDecodeError: Expecti",
            3,
        ),
        ("import sys\ndef own(observation):\n    sys.exit(4)\n", "SystemExit: 4", 3),
        ("async def own(observation):\n    assert 0, 'no'\n", "AssertionError: no", 2),
        (
            "class Own:\n    name, privileged, settings = 'own', False, {}\n"
            "    def act(self, observation):\n        return self.model\nown = Own()\n",
            "AttributeError: 'Own' object has no attribute 'model'",
            4,
        ),
        ("def own(observation):\n    open('/no/such/file')\n", "FileNotFoundError: [Errno 2]", 2),
    ],
)
def test_a_bug_of_an_agent_stops_the_run_and_is_told_with_its_place(
    run, tmp_path, code, message, line
):
    exit_code, out, err = run(code, "--episodes", "4")
    assert exit_code == 3 and "Traceback" not in err and "100.0 %" not in out
    told = err.splitlines()[-1]
    assert told.startswith("evaluate: stopped: own raised ") and message in told
    assert f"({tmp_path}/own.py:{line}); to go on: python -m agents.evaluate" in told
    assert "; 0 episodes are counted" in out
    assert RunFolder.open(tmp_path / "run").episodes() == [], "a bug is no failure of the model"


def test_a_bug_in_closing_an_agent_is_told_too(run, tmp_path):
    code, out, err = run(
        "class Own:\n    name, privileged, settings = 'own', False, {}\n"
        f"    def act(self, observation):\n        return {PLUS!r}\n"
        "    def close(self):\n        self.session.close()\n"
        "own = Own()\n",
        *("--episodes", "2"),
    )
    assert code == 3 and "AttributeError: 'Own' object has no attribute 'session'" in err
    assert f"({tmp_path}/own.py:6); to go on" in err and "; 2 episodes are counted" in out


def test_a_run_that_a_bug_stopped_goes_on_once_it_is_mended(run, tmp_path):
    broken = (
        "calls = 0\n"
        "def own(observation):\n"
        "    global calls\n"
        "    calls += 1\n"
        f"    return {PLUS!r} if calls < 20 else {{}}['late']\n"
    )
    code, out, err = run(broken, "--episodes", "6", "--concurrency", "2")
    assert code == 3 and "KeyError: 'late'" in err and "episodes, not 6; these are counted" in err
    journal = (tmp_path / "run" / JOURNAL).read_text()
    assert journal.count("\n") == 19
    code, out, _ = run(f"def own(observation):\n    return {PLUS!r}\n", "--episodes", "6")
    assert code == 0 and (tmp_path / "run" / JOURNAL).read_text().startswith(journal)
    assert len(RunFolder.open(tmp_path / "run").episodes()) == 6


class Response:
    """What an HTTP client keeps of an answer."""

    def __init__(self, status, headers=None):
        self.status_code = status
        self.headers = headers or {}


def of_client(**attributes):
    """Return an exception of some HTTP client."""
    error = RuntimeError("from a client")
    for name, value in attributes.items():
        setattr(error, name, value)
    return error


def caused_by(cause):
    error = RuntimeError("wrapped")
    error.__cause__ = cause
    return error


TRANSIENT = [
    ConnectionResetError("reset"),
    ConnectionRefusedError("refused"),
    BrokenPipeError("pipe"),
    TimeoutError("late"),
    asyncio.IncompleteReadError(b"", 3),
    socket.gaierror(socket.EAI_AGAIN, "again"),
    OSError(retry.errno.ENETUNREACH, "unreachable"),
    urllib.error.URLError(ConnectionResetError("reset")),
    caused_by(ConnectionResetError("reset")),
    caused_by(caused_by(TimeoutError("late"))),
    *(of_client(status_code=status) for status in (408, 409, 429, 500, 503, 529)),
    of_client(status=429),
    of_client(code=503),
    of_client(response=Response(502)),
    of_client(response=Response(400, {"Retry-After": "2"})),
    of_client(retry_after=1.5),
    ProviderError("busy", transient=True),
]


@pytest.mark.parametrize("error", TRANSIENT, ids=repr)
def test_what_a_connection_or_a_busy_server_raises_is_tried_again(error, monkeypatch, tmp_path):
    waits = []

    async def wait(seconds):
        waits.append(seconds)

    monkeypatch.setattr(retry.asyncio, "sleep", wait)
    failures = [error, error]

    def own(observation):
        if failures:
            raise failures.pop()
        return PLUS

    run = evaluate(own, "NumberLine", episodes=1, out=tmp_path)
    (episode,) = run.episodes
    assert not run.stopped and not episode.error and episode.turns[0].reply.retries == 2
    assert len([seconds for seconds in waits if seconds]) == 2


@pytest.mark.parametrize(
    ("error", "status", "stops"),
    [
        (of_client(status_code=400), 400, False),
        (of_client(response=Response(401)), 401, True),
        (of_client(code=404), 404, True),
    ],
)
def test_other_statuses_are_not_tried_again(error, status, stops):
    fault = as_provider_error(error)
    assert (fault.status, fault.transient, fault.stops) == (status, False, stops)
    assert str(fault) == "RuntimeError: from a client"


@pytest.mark.parametrize(
    "error",
    [
        KeyError("x"),
        FileNotFoundError(2, "no file"),
        socket.gaierror(socket.EAI_NONAME, "no such host"),
        RuntimeError("out of memory"),
        of_client(code="rate_limit"),
        of_client(status_code=200),
        of_client(code=True),
    ],
    ids=repr,
)
def test_everything_else_is_no_fault_of_a_connection(error):
    assert as_provider_error(error) is None


def test_a_wait_that_an_own_agent_s_server_asks_for_is_kept():
    assert (
        as_provider_error(of_client(response=Response(429, {"retry-after": "7"}))).retry_after == 7
    )
    headers = {"Retry-After-Ms": "1500"}
    assert as_provider_error(of_client(status=503, headers=headers)).retry_after == 1.5


def test_retries_of_an_own_agent_end_in_an_errored_episode(tmp_path):
    def own(observation):
        raise ConnectionResetError("reset by peer")

    policy = RetryPolicy(retries=0)
    run = evaluate(own, "NumberLine", episodes=2, patience=policy, out=tmp_path)
    assert {e.error for e in run.episodes} == {
        "ProviderError: ConnectionResetError: reset by peer (try 1)"
    }
    assert run.scorecards[0].success == 0 and run.scorecards[0].errored == 2


def test_an_errored_episode_never_counts_as_a_success():
    solved = dataclasses.replace(PLAYED[0], end="errored", error="late")
    assert PLAYED[0].is_success and solved.success and not solved.is_success


def test_httpx_resets_are_known_once_httpx_is_loaded():
    httpx = pytest.importorskip("httpx", reason="of an API extra")
    for kind in (httpx.ConnectError, httpx.ReadTimeout, httpx.RemoteProtocolError):
        assert as_provider_error(kind("gone")).transient
    assert as_provider_error(httpx.UnsupportedProtocol("ftp")) is None
