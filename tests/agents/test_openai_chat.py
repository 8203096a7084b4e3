"""`openai_chat` against a server that tells what it was sent; the picture is among it."""

import pytest
from support.fault_server import FaultServer
from support.provider_calls import ask, picture, shown

from agents.evaluate import evaluate
from agents.providers.openai_chat import GPT4V, OpenAIChat
from agents.registry import load_agent
from vlbench.observation import png
from vlbench.prompts import Exchange
from vlbench.run_folder import RunFolder

pytestmark = pytest.mark.slow
SETTINGS = {
    "temperature": 0.5,
    "max_tokens": 77,
    "detail": "low",
    "seed": 3,
    "reasoning_effort": "low",
    "json_mode": True,
}


def test_the_picture_and_the_prompt_arrive_and_the_reply_tells_what_it_cost():
    first, second = shown(0), shown(1)
    with FaultServer() as server:
        replies = ask(OpenAIChat("m", base_url=server.v1), first, second, first)
        log = server.log()
    assert [entry["pictures"] for entry in log] == [[picture(o)] for o in (first, second, first)]
    assert log[0]["texts"] == [first["text"]] and log[0]["model"] == "m"
    assert log[0]["options"] == {"max_tokens": 1024}
    assert replies[0].text == replies[2].text != replies[1].text
    assert replies[0].provider_id == log[0]["id"] and replies[0].stop_reason == "stop"
    assert (replies[0].prompt_tokens, replies[0].completion_tokens) == (
        len(first["text"]) // 4 + 85,
        20,
    )


def test_the_png_is_the_picture():
    import io

    import numpy as np
    from PIL import Image

    image = shown()["image"]
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(png(image)))), image)


def test_history_goes_as_turns_with_their_own_pictures():
    past, now = shown(0), shown(1)
    observation = {**now, "history": (Exchange(past, ""),)}
    with FaultServer() as server:
        ask(OpenAIChat("m", base_url=server.v1), observation)
        (entry,) = server.log()
    assert entry["pictures"] == [picture(past), picture(now)]
    assert entry["texts"] == [past["text"], "(no reply)", now["text"]]


def test_settings_reach_the_wire_under_the_names_that_the_model_takes():
    with FaultServer() as server:
        for model in ("m", "org/gpt-5.4-mini", "o3", "gpt-4o"):
            ask(OpenAIChat(model, base_url=server.v1, **SETTINGS), shown())
        plain, thinking, *_ = log = server.log()
    common = {
        "temperature": 0.5,
        "seed": 3,
        "reasoning_effort": "low",
        "response_format": {"type": "json_object"},
    }
    assert plain["options"] == common | {"max_tokens": 77}
    assert thinking["options"] == common | {"max_completion_tokens": 77}
    assert ["max_tokens" in entry["options"] for entry in log] == [True, False, False, True]


def test_what_the_model_refuses_is_left_out_and_recorded(tmp_path):
    refuse = {
        "temperature": "Unsupported parameter: 'temperature' is not supported with this model.",
        "seed": "Unknown parameter: 'seed'.",
        "max_tokens": "Unsupported parameter: 'max_tokens' is not supported with this model. "
        "Use 'max_completion_tokens' instead.",
    }
    with FaultServer(refuse=refuse) as server:
        agent = OpenAIChat("m", base_url=server.v1, temperature=0.5, seed=3)
        run = evaluate(agent, "NumberLine", episodes=4, out=tmp_path)
        log = server.log()
    assert sorted(run.header.dropped) == ["seed", "temperature"]
    assert sorted(RunFolder.open(tmp_path).header.dropped) == ["seed", "temperature"]
    assert log[-1]["options"] == {"max_completion_tokens": 1024}
    assert not any(episode.error for episode in run.episodes)


def test_a_wrong_value_is_not_dropped_but_told(tmp_path):
    with FaultServer(refuse={"temperature": "'temperature' must be below 2"}) as server:
        agent = OpenAIChat("m", base_url=server.v1, temperature=9.0)
        run = evaluate(agent, "NumberLine", episodes=1, out=tmp_path)
    assert "status 400" in run.episodes[0].error and "must be below 2" in run.episodes[0].error


@pytest.mark.parametrize(
    ("config", "reason"),
    [
        ({"stop": "length", "reply": '{"thoughts": "'}, "length"),
        ({"stop": "content_filter"}, "refused"),
        ({"faults": {"refusal": 1}}, "refused"),
    ],
)
def test_why_a_reply_ended_is_recorded(config, reason, tmp_path):
    with FaultServer(**config) as server:
        agent = OpenAIChat("m", base_url=server.v1)
        (card,) = (run := evaluate(agent, "NumberLine", episodes=1, out=tmp_path)).scorecards
    turns = run.episodes[0].turns
    assert {turn.reply.stop_reason for turn in turns} == {reason}
    assert (card.refused_rate, card.truncated_rate) == ((1, 0) if reason == "refused" else (0, 1))
    assert not any(turn.action for turn in turns)


@pytest.mark.parametrize(
    ("status", "code"),
    [(401, "invalid_api_key"), (404, "model_not_found"), (429, "insufficient_quota")],
)
def test_a_key_or_model_that_will_never_do_stops_the_run(status, code, tmp_path):
    with FaultServer(status=[status, code]) as server:
        run = evaluate(OpenAIChat("m", base_url=server.v1), "NumberLine", out=tmp_path)
        asked = len(server.log())
    assert f"status {status}" in run.stopped and not run.episodes and asked <= 8


def test_gpt4v_is_an_alias_of_one_dated_model_and_says_so(tmp_path, monkeypatch, capsys):
    from agents.evaluate import main

    monkeypatch.setenv("OPENAI_API_KEY", "sk-0123456789")
    with FaultServer() as server:
        assert (
            main(
                [
                    "--agent",
                    "gpt4v",
                    "--base-url",
                    server.v1,
                    "--env",
                    "NumberLine",
                    "--episodes",
                    "2",
                    "--out",
                    str(tmp_path),
                ]
            )
            == 0
        )
        log = server.log()
    out, err = capsys.readouterr()
    assert {entry["model"] for entry in log} == {GPT4V} and all(e["pictures"] for e in log)
    assert f"gpt4v is an alias of {GPT4V}; not verified offline" in err and "estimate: " in err
    header = RunFolder.open(tmp_path).header
    assert header.agent == "gpt4v" and header.settings["model"] == GPT4V
    assert "not verified offline" in header.settings["note"]
    assert header.price is None, "a server of one's own has no list price"


def test_flags_and_settings_are_the_same_thing(tmp_path, monkeypatch):
    from agents.evaluate import main

    flags = [
        "--temperature",
        "0.5",
        "--max-tokens",
        "77",
        "--detail",
        "low",
        "--seed",
        "3",
        "--reasoning-effort",
        "low",
        "--json-mode",
    ]
    sets = [f"--set={name}={str(value).lower()}" for name, value in SETTINGS.items()]
    headers = []
    for number, given in enumerate((flags, sets)):
        with FaultServer() as server:
            out = tmp_path / str(number)
            main(
                [
                    "--agent",
                    "openai:some/model:7b",
                    "--base-url",
                    server.v1,
                    *given,
                    "--env",
                    "NumberLine",
                    "--episodes",
                    "1",
                    "--out",
                    str(out),
                ]
            )
            headers.append(RunFolder.open(out).header.settings | {"base_url": ""})
            assert server.log()[0]["model"] == "some/model:7b"
    assert headers[0] == headers[1] and headers[0]["temperature"] == 0.5


def test_settings_are_checked_before_anything_is_asked(monkeypatch):
    for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(ValueError, match='detail must be .*"hihg"; did you mean "high"'):
        load_agent("gpt4v", detail="hihg")
    with pytest.raises(ValueError, match="set OPENAI_API_KEY, or name a server"):
        load_agent("openai:m")
    with pytest.raises(ValueError, match="set MINE, or name a server"):
        load_agent("openai:m", api_key_env="MINE")
    with pytest.raises(ValueError, match="wanted one like http://127.0.0.1:8000/v1"):
        load_agent("openai:m", base_url="localhost:8000")


def test_a_run_goes_on_where_the_same_server_now_listens_with_other_patience(tmp_path, capsys):
    from agents.evaluate import main

    flags = ["--agent", "openai:m", "--env", "NumberLine", "--out", str(tmp_path)]
    with FaultServer() as server:
        more = ["--episodes", "1", "--timeout", "9", "--retries", "2", "--concurrency", "1"]
        assert main([*flags, *more, "--base-url", server.v1]) == 0
        first = server.v1
    capsys.readouterr()
    with FaultServer() as server:
        more = ["--episodes", "2", "--timeout", "8", "--rpm", "9000", "--max-usd", "none"]
        assert main([*flags, *more, "--base-url", server.v1]) == 0
        asked = len(server.log())
        moved = f"settings base_url was {first!r} when the run began, and is {server.v1!r} now"
    run = RunFolder.open(tmp_path)
    assert moved in capsys.readouterr().err
    assert len(run.episodes()) == 2 and asked == len(run.episodes()[1].turns)


@pytest.mark.parametrize(
    ("url", "sent_to"),
    [
        ("https://api.openai.com", "https://api.openai.com/v1"),
        ("https://api.openai.com/v1/chat/completions", "https://api.openai.com/v1"),
    ],
)
def test_openai_s_own_server_is_known_however_it_is_written(url, sent_to, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-0123456789")
    agent = load_agent("gpt4v", base_url=url)
    assert agent.settings["base_url"] == sent_to and agent.list_price and agent.paid


def test_a_bare_host_of_azure_is_told_what_it_lacks(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-0123456789")
    with pytest.raises(
        ValueError, match="Azure's end with /openai/v1, or with /openai/deployments"
    ):
        load_agent("openai:m", base_url="https://me.openai.azure.com/")


def test_the_limit_is_renamed_once_even_if_both_names_are_refused(tmp_path):
    refuse = {
        "max_tokens": "Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens' instead.",
        "max_completion_tokens": "Unsupported parameter 'max_completion_tokens'. Use max_tokens.",
    }
    with FaultServer(refuse=refuse) as server:
        agent = OpenAIChat("m", base_url=server.v1)
        run = evaluate(agent, "NumberLine", episodes=1, out=tmp_path)
    assert run.header.dropped == ["max_tokens"] and not run.episodes[0].error


def test_calls_that_are_refused_at_once_rename_the_limit_once(tmp_path):
    refuse = {"max_tokens": "Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens'."}
    with FaultServer(refuse=refuse, delay=0.3) as server:
        agent = OpenAIChat("m", base_url=server.v1)
        run = evaluate(agent, "NumberLine", episodes=8, concurrency=8, max_usd=None, out=tmp_path)
        refused = [entry for entry in server.log() if "max_tokens" in entry["options"]]
        rest = [entry["options"] for entry in server.log()[len(refused) :]]
    assert len(refused) == 8, "the calls weren't made at once"
    assert all(options == {"max_completion_tokens": 1024} for options in rest)
    assert run.header.dropped == [] and not any(episode.error for episode in run.episodes)
