"""What each answer of a provider means, through the real SDKs."""

import pytest
from support.fault_server import FaultServer
from support.provider_calls import ask, shown
from support.wire_faults import AGAIN, CASES, REFUSED, REJECTED, REPLY, STOP, TRUNCATED

from agents.agent import ProviderError
from agents.providers.answers import Answer, Fault, Meaning, reported_usd
from agents.providers.error_body import parse_duration
from agents.registry import load_agent

AGENTS = {"openai": "openai:m", "gemini": "gemini:m", "anthropic": "anthropic:m"}
STOP_REASONS = {REPLY: "stop", TRUNCATED: "length", REFUSED: "refused"}


@pytest.fixture(scope="module")
def server():
    with FaultServer(reply='{"thoughts": "hm", "action": "+"}') as server:
        yield server


def load(server, api, **settings):
    pytest.importorskip("openai")
    url = server.v1 if api == "openai" else server.url
    return load_agent(AGENTS[api], base_url=url, **settings)


@pytest.mark.slow
@pytest.mark.parametrize(("api", "name"), [(api, name) for api in CASES for name in CASES[api]])
def test_an_answer_is_what_it_means(api, name, server):
    case = CASES[api][name]
    server.prepare(name)
    agent = load(server, api)
    if case.meaning in STOP_REASONS:
        (reply,) = ask(agent, shown())
        assert reply.stop_reason == STOP_REASONS[case.meaning]
        assert case.says in reply.provider_message
        if case.meaning == REPLY:
            assert reply.text == ("" if case.empty else '{"thoughts": "hm", "action": "+"}')
            assert case.reasoning in reply.reasoning and bool(case.reasoning) == bool(
                reply.reasoning
            )
        return
    with pytest.raises(ProviderError) as raised:
        ask(agent, shown())
    error = raised.value
    assert (error.transient, error.stops) == (case.meaning == AGAIN, case.meaning == STOP)
    assert case.meaning in (AGAIN, STOP, REJECTED)
    assert error.retry_after == case.wait
    assert case.says in str(error) and case.says in error.provider_message + error.finish_reason
    assert "\n" not in str(error)


@pytest.mark.parametrize(
    ("reason", "text", "meaning"),
    [
        ("stop", "", Meaning.REPLY),
        ("STOP", "+", Meaning.REPLY),
        ("COMPLETE", "+", Meaning.REPLY),
        ("satisfied", "+", Meaning.REPLY),
        ("", "+", Meaning.REPLY),
        ("", "", Meaning.TRANSIENT),
        ("satisfied", "", Meaning.TRANSIENT),
        ("max-tokens", "+", Meaning.TRUNCATED),
        ("max_output_tokens", "+", Meaning.TRUNCATED),
        ("ERROR_TOXIC", "+", Meaning.REFUSED),
        ("guardrail_intervened", "+", Meaning.REFUSED),
        ("content-filter", "+", Meaning.REFUSED),
        ("prohibited content", "+", Meaning.REFUSED),
        ("ERROR", "+", Meaning.TRANSIENT),
        ("USER_CANCEL", "+", Meaning.TRANSIENT),
        ("TIMEOUT", "+", Meaning.TRANSIENT),
        ("engine_overloaded", "+", Meaning.TRANSIENT),
        ("load", "", Meaning.TRANSIENT),
    ],
)
def test_a_finish_reason_has_one_meaning(reason, text, meaning):
    assert Answer(text=text, finish_reason=reason).meaning is meaning


def test_codes_outrank_the_status():
    assert Fault("", status=400, codes=["ContentFilter"]).meaning is Meaning.REFUSED
    assert Fault("", status=429, codes=["RateLimitReached"]).meaning is Meaning.TRANSIENT
    assert Fault("", status=500, codes=["billing_hard_limit_reached"]).meaning is Meaning.STOP
    assert Fault("", status=400, codes=["Throttling"]).meaning is Meaning.TRANSIENT
    assert Fault("", status=418).meaning is Meaning.REJECTED
    assert Fault("connection reset").meaning is Meaning.TRANSIENT


@pytest.mark.parametrize(
    ("value", "unit", "seconds"),
    [
        (3, "s", 3.0),
        ("250", "ms", 0.25),
        ("3s", "s", 3.0),
        ("3.5s", "s", 3.5),
        ("7m12.5s", "s", 432.5),
        ("1h", "s", 3600.0),
        ("500ms", "s", 0.5),
        ("500 milliseconds", "s", 0.5),
        ("2 minutes", "s", 120.0),
        ({"seconds": 4}, "s", 4.0),
        ("-5", "s", 0.0),
        ("Thu, 01 Jan 1970 00:00:00 GMT", "s", 0.0),
        ("nan", "s", None),
        ("soon", "s", None),
        ("", "s", None),
        (None, "s", None),
    ],
)
def test_waits_are_read_in_the_forms_in_which_they_come(value, unit, seconds):
    assert parse_duration(value, unit) == seconds


@pytest.mark.parametrize(
    ("usage", "usd"),
    [
        ({"cost": 0.01}, 0.01),
        ({"cost": "0.01"}, 0.01),
        ({"cost": 0}, 0.0),
        ({"cost": {"total_cost": 0.02}}, 0.02),
        ({"estimated_cost": 0.03}, 0.03),
        ({"cost_in_usd_ticks": 400_000_000}, 0.04),
        ({"cost": None}, None),
        ({"cost": -1}, None),
        ({"cost": float("nan")}, None),
        ({"cost": "free"}, None),
        ({"cost": True}, None),
        ({}, None),
        (None, None),
    ],
)
def test_a_reported_cost_is_read_in_the_forms_in_which_it_comes(usage, usd):
    assert reported_usd(usage) == (None if usd is None else pytest.approx(usd))
