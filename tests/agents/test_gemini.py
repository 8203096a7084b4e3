"""`gemini` over both SDKs, against a server that tells what it was sent."""

import sys

import pytest
from support.fault_server import FaultServer
from support.provider_calls import ask, picture, shown

from agents import doctor
from agents.evaluate import evaluate
from agents.providers.gemini import MODEL, Gemini
from agents.registry import load_agent
from agents.retry import RetryPolicy
from vlbench.prompts import Exchange

pytestmark = pytest.mark.slow
SDKS = ("google-genai", "google-generativeai")


@pytest.fixture(params=SDKS)
def sdk(request):
    pytest.importorskip("google.genai")
    return request.param


def test_the_picture_and_the_prompt_arrive_and_the_reply_tells_what_it_cost(sdk):
    first, second = shown(0), shown(1)
    with FaultServer() as server:
        agent = Gemini("m", base_url=server.url, sdk=sdk)
        replies = ask(agent, first, second) + ask(agent, first)
        log = server.log()
    assert [entry["pictures"] for entry in log] == [[picture(o)] for o in (first, second, first)]
    assert log[0]["texts"] == [first["text"]]
    assert log[0]["path"].startswith("/v1beta/models/m:generateContent")
    assert replies[0].text == replies[2].text != replies[1].text
    assert replies[0].prompt_tokens == len(first["text"]) // 4 + 85
    assert replies[0].completion_tokens == 20
    assert sdk != "google-genai" or replies[0].provider_id == log[0]["id"]


def test_settings_and_history_reach_the_wire(sdk):
    settings = {
        "temperature": 0.5,
        "max_tokens": 77,
        "seed": 3,
        "thinking_budget": 0,
        "json_mode": True,
    }
    past, now = shown(0), shown(1)
    with FaultServer() as server:
        agent = Gemini("m", base_url=server.url, sdk=sdk, **settings)
        ask(agent, {**now, "history": (Exchange(past, ""),)})
        (entry,) = server.log()
    assert entry["pictures"] == [picture(past), picture(now)]
    assert entry["texts"] == [past["text"], "(no reply)", now["text"]]
    sent = {"temperature": 0.5, "maxOutputTokens": 77, "responseMimeType": "application/json"}
    if sdk == "google-genai":
        sent |= {"seed": 3, "thinkingConfig": {"thinking_budget": 0}}  # as the SDK spells it
        assert agent.dropped == []
    else:
        assert agent.dropped == ["seed", "thinking_budget"]
    assert {name: entry["options"][name] for name in sent} == sent


def test_a_parameter_that_the_model_refuses_is_left_out_and_recorded(sdk, tmp_path):
    with FaultServer(refuse={"temperature": "temperature is not supported by m"}) as server:
        agent = Gemini("m", base_url=server.url, sdk=sdk, temperature=0.5)
        run = evaluate(agent, "NumberLine", episodes=2, out=tmp_path)
    assert run.header.dropped == ["temperature"] and not any(e.error for e in run.episodes)


@pytest.mark.parametrize(
    ("config", "reason"),
    [
        ({"stop": "MAX_TOKENS", "reply": '{"thoughts": "'}, "length"),
        ({"stop": "SAFETY"}, "refused"),
        ({"faults": {"refusal": 1}}, "refused"),
    ],
)
def test_blocks_are_refusals_and_cut_replies_are_truncated(config, reason, sdk, tmp_path):
    with FaultServer(**config) as server:
        agent = Gemini("m", base_url=server.url, sdk=sdk)
        (card,) = (run := evaluate(agent, "NumberLine", episodes=1, out=tmp_path)).scorecards
    turns = run.episodes[0].turns
    assert {turn.reply.stop_reason for turn in turns} == {reason}
    assert (card.refused_rate, card.truncated_rate) == ((1, 0) if reason == "refused" else (0, 1))


FAULTS = ("429", "500", "503", "reset", "half-body", "invalid-json", "empty-choice", "content-type")


@pytest.mark.parametrize("fault", FAULTS)
def test_transient_faults_are_met_by_the_harness_alone(fault, sdk, tmp_path):
    with FaultServer(faults={fault: 1}) as server:
        agent = Gemini("m", base_url=server.url, sdk=sdk)
        run = evaluate(
            agent, "NumberLine", episodes=1, patience=RetryPolicy(5, retries=1), out=tmp_path
        )
        asked = len(server.log())
    assert asked == 2, "the SDK tried again too"
    (episode,) = run.episodes
    assert episode.end == "errored" and not episode.turns and "(try 2)" in episode.error


def test_a_call_that_hangs_is_given_up(sdk, tmp_path):
    with FaultServer(faults={"hang": 1}) as server:
        agent = Gemini("m", base_url=server.url, sdk=sdk)
        run = evaluate(
            agent, "NumberLine", episodes=1, patience=RetryPolicy(0.5, retries=0), out=tmp_path
        )
    assert "no reply within 0.5 s" in run.episodes[0].error


def test_a_wrong_key_stops_the_run_and_is_told_to_nobody(sdk, tmp_path, monkeypatch):
    monkeypatch.setenv("GEMINI_API_KEY", "AIza-0123456789")
    with FaultServer(status=[401, "x"]) as server:
        url = server.url.replace("://", "://user:hunter2-hunter2@")
        run = evaluate(Gemini("m", base_url=url, sdk=sdk), "NumberLine", out=tmp_path)
        assert server.log()[0]["auth"].startswith("Basic ")
    files = "".join(path.read_text() for path in tmp_path.rglob("*") if path.is_file())
    assert "status 401" in run.stopped and not run.episodes
    for secret in ("AIza-0123456789", "hunter2", "dXNlcjpodW50ZXIy"):
        assert secret not in run.stopped + files


def test_gemini_names_its_model_and_what_it_lacks(monkeypatch):
    monkeypatch.setenv("GEMINI_API_KEY", "AIza-0123456789")
    agent = load_agent("gemini")
    assert agent.settings["model"] == MODEL and f"gemini is {MODEL}" in agent.note
    assert agent.paid and agent.list_price and load_agent("gemini:other").list_price is None
    with pytest.raises(ValueError, match='unknown sdk "google-gena"; did you mean "google-genai"'):
        load_agent("gemini", sdk="google-gena")
    monkeypatch.setitem(sys.modules, "google.genai", None)
    with pytest.raises(ValueError, match=r'pip install "vlbench\[api\]"'):
        load_agent("gemini")


def test_doctor_examines_it(sdk, capsys):
    with FaultServer() as server:
        code = doctor.main(["--agent", "gemini:m", "--base-url", server.url, "--sdk", sdk])
    assert code == 0 and "arrives" in capsys.readouterr().out
