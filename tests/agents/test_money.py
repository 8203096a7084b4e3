"""What makes a run paid, what a reply costs, and a limit that is kept to the cent."""

import pytest
from support.fault_server import FaultServer

from agents.evaluate import MAX_USD, _check_limit, evaluate, main
from agents.pricing.cost import DefaultLimit, Price, is_paid_host, reports_cost
from agents.pricing.estimate import Estimate
from agents.providers.openai_chat import LIST_PRICES, OpenAIChat
from agents.registry import load_agent
from agents.retry import RetryPolicy
from vlbench.run_folder import RunFolder

STAND = '{"action": "stand"}'
OWN = "http://127.0.0.1:8000/v1"


@pytest.fixture(autouse=True)
def key(monkeypatch):
    for name in ("OPENAI_BASE_URL", "GOOGLE_GEMINI_BASE_URL", "ANTHROPIC_BASE_URL"):
        monkeypatch.delenv(name, raising=False)
    for name in ("OPENAI_API_KEY", "GEMINI_API_KEY", "ANTHROPIC_API_KEY"):
        monkeypatch.setenv(name, "sk-0123456789")


@pytest.mark.parametrize(
    ("url", "paid"),
    [
        ("https://api.openai.com/v1", True),
        ("HTTPS://API.OpenAI.com:443/v1/", True),
        ("https://api.openai.com./v1", True),
        ("https://eu.api.openai.com/v1", True),
        ("https://mine.openai.azure.com/openai/v1", True),
        ("https://openrouter.ai/api/v1", True),
        ("https://us-central1-aiplatform.googleapis.com/v1", True),
        ("http://127.0.0.1:8000/v1", False),
        ("http://openai.com.internal/v1", False),
        ("http://notopenai.com/v1", False),
        ("http://gpu-7:8000/v1", False),
        ("http://[::1]:8000/v1", False),
    ],
)
def test_the_host_makes_a_run_paid(url, paid):
    assert is_paid_host(url) == paid


@pytest.mark.slow
@pytest.mark.parametrize("place", ["argument", "variable"])
def test_a_url_that_is_spelt_out_keeps_price_and_limit(place, monkeypatch):
    url = "https://api.openai.com/v1"
    if place == "variable":
        monkeypatch.setenv("OPENAI_BASE_URL", url)
    agent = OpenAIChat("gpt4v", base_url=url if place == "argument" else None)
    assert agent.paid and agent.list_price == next(iter(LIST_PRICES.values()))
    other = load_agent("openai:m", base_url=url)
    assert other.paid and other.list_price is None
    own = load_agent("gpt4v", base_url=OWN)
    assert not own.paid and own.list_price is None
    gemini = load_agent("gemini", base_url="https://generativelanguage.googleapis.com")
    assert gemini.paid and gemini.list_price
    with pytest.raises(ValueError, match="openai:m: no known price, so that max-usd 5 "):
        evaluate(other, "NumberLine")


@pytest.mark.slow
def test_a_limit_that_was_given_and_can_not_be_kept_is_refused_before_the_first_call(
    tmp_path, capsys
):
    with FaultServer() as server:
        arguments = ["--agent", "openai:m", "--base-url", server.v1, "--env", "NumberLine"]
        arguments += ["--episodes", "1", "--out", str(tmp_path / "run")]
        assert main([*arguments, "--max-usd", "5"]) == 2
        err = capsys.readouterr().err
        assert "no known price, so that max-usd 5 couldn't be kept; pass --price" in err
        assert err.count("\n") == 1 and not server.log() and not (tmp_path / "run").exists()
        assert main(arguments) == 0, "the default limit isn't asked for"
        assert main([*arguments, "--max-usd", "none"]) == 0
        assert main([*arguments, "--max-usd", "5", "--price", "0,0"]) == 0


def test_a_limit_can_be_kept_where_the_provider_reports_costs():
    assert reports_cost("https://openrouter.ai/api/v1") and not reports_cost(OWN)

    class OpenRouter:
        name, remote, paid, reports_cost = "q", True, True, True

    _check_limit(OpenRouter, None, 1.0)
    OpenRouter.reports_cost = False
    for limit in (1.0, MAX_USD):
        with pytest.raises(ValueError, match="no known price"):
            _check_limit(OpenRouter, None, limit)
    OpenRouter.paid = False
    _check_limit(OpenRouter, None, DefaultLimit(5.0))


@pytest.mark.slow
@pytest.mark.parametrize("price", [None, Price(1000, 1000)])
def test_a_cost_that_the_provider_reports_wins_over_a_price(price, tmp_path):
    with FaultServer(usd=0.01, reply=STAND) as server:
        run = evaluate(
            OpenAIChat("m", base_url=server.v1), "Blackjack", episodes=7, price=price, out=tmp_path
        )
        calls = len(server.log())
    assert run.scorecards[0].usd == pytest.approx(0.01 * calls) and not run.stopped
    sources = {turn.reply.usd_source for episode in run.episodes for turn in episode.turns}
    assert sources == {"provider"}


@pytest.mark.slow
def test_the_default_limit_counts_what_a_server_reports(tmp_path):
    with FaultServer(usd=12.5, reply=STAND) as server:
        run = evaluate(OpenAIChat("m", base_url=server.v1), "Blackjack", out=tmp_path)
        assert len(server.log()) == 1, "the first reply shows what a call costs"
    assert run.stopped.startswith("stopped at 12.50 USD")


@pytest.mark.slow
def test_a_limit_is_kept_to_the_cent_at_any_price_and_by_a_resumed_run(tmp_path):
    with FaultServer(usd=0.01, reply=STAND) as server:
        agent = OpenAIChat("m", base_url=server.v1)

        def play(max_usd):
            return evaluate(
                *(agent, "Blackjack"),
                price=Price(0.001, 0.001),
                max_usd=max_usd,
                concurrency=16,
                out=tmp_path,
            )

        assert play(0.095).stopped and len(server.log()) == 9
        assert play(0.095).stopped and len(server.log()) == 9
        assert play(0.125).stopped and len(server.log()) == 12
    replies = [
        reply for replies in RunFolder.open(tmp_path).replies().values() for reply in replies
    ]
    assert sum(reply.usd for reply in replies) == pytest.approx(0.12)


@pytest.mark.slow
def test_what_a_failed_try_costs_is_counted_with_the_reply(tmp_path):
    with FaultServer(usd=0.01, reply=STAND) as server:
        server.prepare("error", "abort", "status 500", "text", "network_error", "text")
        run = evaluate(
            OpenAIChat("m", base_url=server.v1),
            "Blackjack",
            episodes=2,
            concurrency=1,
            patience=RetryPolicy(retries=3),
            out=tmp_path,
        )
    costs = [turn.reply.usd for episode in run.episodes for turn in episode.turns]
    assert costs == pytest.approx([0.03, 0.02])


@pytest.mark.slow
def test_a_call_that_only_failed_is_counted_too(tmp_path):
    with FaultServer(usd=3.0, reply=STAND) as server:
        server.prepare("error", "error")
        run = evaluate(
            OpenAIChat("m", base_url=server.v1),
            "Blackjack",
            episodes=3,
            concurrency=1,
            patience=RetryPolicy(retries=1),
            out=tmp_path,
        )
    assert run.episodes[0].end == "errored" and "stopped at 6.00 USD" in run.stopped


def test_an_estimate_plays_nothing_and_counts_what_is_left(tmp_path, capsys):
    asked = ["--agent", "expert", "--env", "EZPoints", "--suite", "test,paper"]
    asked += ["--episodes", "3", "--out", str(tmp_path / "run")]
    assert main([*asked, "--estimate"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.partition(": ")[0] for line in lines] == ["test", "paper", "in all"]
    assert lines[0].startswith("test: estimate: ") and "USD" not in lines[-1]
    assert not (tmp_path / "run").exists()
    assert main(asked) == 0
    capsys.readouterr()
    assert main([*asked, "--estimate"]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "in all: 0 calls"


def test_an_estimate_is_one_number_where_least_and_most_are_written_alike():
    price = Price(10, 10)
    assert Estimate((200, 200), 1000, 150).line(price, 1, None) == (
        "estimate: 200 calls, 0.20 M prompt and 0.03 M completion tokens, 2.30 USD at 10 "
        "in, 10 out per million tokens, 10 min at 3 s a call and 1 at once"
    )
    assert Estimate((1, 1), 1000, 150).work().startswith("estimate: 1 call, 0.00 M prompt")
    assert Estimate((5, 60), 1000, 150).line(None, 1, None).startswith("estimate: 5 to 60 calls, ")


@pytest.mark.slow
def test_an_estimate_of_a_provider_s_model_ends_with_price_hours_and_limit(tmp_path, capsys):
    asked = ["--agent", "gpt4v", "--env", "EZPoints", "--suite", "test,paper", "--max-usd", "7"]
    assert main([*asked, "--estimate", "--out", str(tmp_path / "run")]) == 0
    *lines, total = capsys.readouterr().out.splitlines()
    usd = sum(float(line.split("completion tokens, ")[1].split(" to ")[0]) for line in lines)
    assert float(total.split(", ")[1].split(" to ")[0]) == pytest.approx(usd, abs=0.02)
    assert total.startswith("in all: ") and total.endswith("at 7 USD (--max-usd)")
    assert " h; the run stops" in total and not (tmp_path / "run").exists()
