"""`python -m agents.doctor`: each line ok, or what to do."""

import pytest
from support.cli_process import OUTSIDE, call
from support.fault_server import FaultServer

from agents import doctor
from agents.providers.openai_chat import OpenAIChat
from vlbench.records import Reply


@pytest.fixture
def examine(capsys, monkeypatch):
    """Examine in this process; returns the exit code, the lines by check, and stderr."""
    for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(doctor, "PATIENCE", doctor.RetryPolicy(timeout=5, retries=0))

    def examine(*arguments):
        code = doctor.main([str(argument) for argument in arguments])
        out, err = capsys.readouterr()
        lines = [line for line in out.splitlines() if line[:4] in ("ok  ", "FAIL")]
        return code, {line[6:].split()[0]: (line[:4].strip(), line) for line in lines}, err

    return examine


def served(examine, *arguments, **config):
    with FaultServer(**config) as server:
        return examine("--agent", "openai:m", "--base-url", server.v1, *arguments)


@pytest.mark.slow
def test_all_is_well(examine):
    code, lines, _ = served(examine)
    assert code == 0 and list(lines) == ["key", "endpoint", "model", "picture", "reply"]
    assert {mark for mark, _ in lines.values()} == {"ok"}
    assert "98 prompt tokens with it and 13 without" in lines["picture"][1]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("config", "check", "told"),
    [
        ({"status": [401, "x"]}, "key", "set the right one"),
        ({"status": [404, "x"]}, "model", "check --model, and that --base-url ends"),
        ({"status": [429, "x"]}, "endpoint", "the quota is used up"),
        ({"faults": {"reset": 1}}, "endpoint", "is the server up, and its URL right?"),
        ({"faults": {"content-type": 1}}, "endpoint", "no chat completion in the answer"),
        ({"reply": '{"action": "+"}'}, "picture", "red and blue get the same reply"),
        ({"reply": "I see a line"}, "reply", "malformed: 'I see a line'; try --json-mode"),
        ({"reply": '{"action": "', "stop": "length"}, "reply", "raise --max-tokens"),
        ({"reply": '{"action": "+"'}, "reply", "inside an object: no brace closes it"),
        ({"thinks": True}, "reply", "turn the server's reasoning parser off"),
        ({"most_pictures": 0}, "picture", "the model's chat template has no slot for one"),
        ({"most_pictures": 0, "drops_pictures": True}, "picture", "didn't arrive: no more tokens"),
        ({"status": [402, "x"]}, "key", "the account is empty"),
        ({"status": [405, "x"]}, "model", "check --model, and that --base-url ends"),
    ],
)
def test_what_is_wrong_is_named_with_what_to_do(config, check, told, examine):
    code, lines, _ = served(examine, **config)
    assert code == 1 and lines[check][0] == "FAIL" and told in lines[check][1]


@pytest.mark.slow
def test_an_answer_in_the_reasoning_is_shown_and_the_picture_is_judged_by_it(examine):
    code, lines, _ = served(examine, thinks=True)
    assert code == 1 and [check for check, (mark, _) in lines.items() if mark == "FAIL"] == [
        "reply"
    ]
    assert """empty: ''; the answer went into the reasoning""" in lines["reply"][1]
    assert """its reasoning: '{"thoughts":""" in lines["reply"][1]
    assert "isn't read: '{\"thoughts\":" in lines["reasoning"][1]


@pytest.mark.slow
@pytest.mark.parametrize("drops", [False, True])
def test_a_server_that_takes_one_picture_is_named_and_fails_a_history(drops, examine):
    config = {"most_pictures": 1, "drops_pictures": drops}
    code, lines, _ = served(examine, **config)
    assert code == 0 and lines["history"][0] == "ok"
    assert "that matters for --history only" in lines["history"][1]
    code, lines, _ = served(examine, "--history", 2, **config)
    assert code == 1 and lines["history"][0] == "FAIL"
    assert """--limit-mm-per-prompt '{"image": 3}'""" in lines["history"][1]
    expected = "don't arrive" if drops else "At most 1 image(s)"
    assert expected in lines["history"][1]


@pytest.mark.slow
def test_several_pictures_that_arrive_are_counted(examine):
    code, lines, _ = served(examine, "--history", 2)
    assert code == 0 and "3 pictures in a request arrive: 296 prompt tokens" in lines["history"][1]


@pytest.mark.slow
def test_a_parameter_that_the_model_refuses_is_named(examine):
    refuse = {"temperature": "Unsupported parameter: temperature"}
    code, lines, _ = served(examine, "--temperature", 0, refuse=refuse)
    assert code == 1 and "the model doesn't take temperature" in lines["settings"][1]


@pytest.mark.slow
def test_a_picture_that_is_dropped_on_the_way_is_seen(examine, monkeypatch):
    message = OpenAIChat._message

    def without(self, chat):
        sent = message(self, chat)
        sent["content"] = [part for part in sent["content"] if part["type"] == "text"]
        return sent

    monkeypatch.setattr(OpenAIChat, "_message", without)
    code, lines, _ = served(examine)
    assert code == 1 and "didn't arrive: no more tokens than without it" in lines["picture"][1]


@pytest.mark.slow
def test_nobody_listens(examine):
    code, lines, _ = examine("--agent", "openai:m", "--base-url", "http://127.0.0.1:9/v1")
    assert code == 1 and "is the server up" in lines["endpoint"][1]


def test_a_missing_key_is_one_line_that_names_the_variable(examine):
    code, lines, err = examine("--agent", "gpt4v")
    assert code == 2 and not lines and err.count("\n") == 1
    assert "set OPENAI_API_KEY" in err and "--base-url" in err


def test_a_wrong_call_is_one_line(examine):
    code, _, err = examine("--agent", "exprt")
    assert code == 2 and 'did you mean "expert"?' in err


def test_players_without_a_provider_play_a_turn(examine, tmp_path):
    code, lines, _ = examine("--agent", "expert")
    assert code == 0 and list(lines) == ["reply"] and 'read as "' in lines["reply"][1]
    code, out, _ = call(
        tmp_path, "vlbench", "doctor", "--agent", f"{OUTSIDE / 'ten_line_agent.py'}:Mine"
    )
    assert code == 1 and "red and blue get the same reply" in out


def test_colours_that_are_named_are_the_best_sign():
    replies = {"red": Reply("Red."), "blue": Reply("It is blue")}
    ok, told = doctor._picture(replies, doctor.PictureTokens(None, None))
    assert ok and "the colours are named" in told
