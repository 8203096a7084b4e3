"""One contract for all providers: each SDK against a server that tells what it was sent."""

import json

import gymnasium
import pytest
from support.fault_server import FORMS, FaultServer
from support.provider_calls import ask, picture, shown
from support.providers import VALUES, WAYS, place

from agents import doctor
from agents.evaluate import evaluate, main
from agents.providers.base import OWN_FIELDS
from agents.providers.reply_schema import reply_schema
from agents.registry import load_agent
from agents.retry import RetryPolicy
from vlbench.prompts import Exchange
from vlbench.run_folder import RunFolder

pytestmark = pytest.mark.slow
KEY = "key-0123456789abcdef"


@pytest.fixture(params=WAYS, ids=lambda way: way.name)
def way(request, monkeypatch):
    for module in ("openai", "anthropic", "google.genai", "google.generativeai"):
        pytest.importorskip(module)
    for each in WAYS:
        monkeypatch.delenv(each.variable, raising=False)
    monkeypatch.setenv(request.param.variable, KEY)
    return request.param


def test_picture_prompt_and_key_arrive_and_the_reply_tells_what_it_cost(way):
    first, second = shown(0), shown(1)
    with FaultServer() as server:
        replies = ask(way.make(server), first, second, first)
        log = server.log()
    assert [entry["pictures"] for entry in log] == [[picture(o)] for o in (first, second, first)]
    assert log[0]["texts"] == [first["text"]]
    assert log[0]["path"].startswith(way.path)
    header, before = way.key
    assert log[0]["headers"][header] == before + KEY
    keys = [name for name, value in log[0]["headers"].items() if KEY in value]
    assert keys == [header], "the key goes into one header"
    assert replies[0].text == replies[2].text != replies[1].text
    cost = (len(first["text"]) // 4 + 85, 20)
    assert (replies[0].prompt_tokens, replies[0].completion_tokens) == cost
    assert replies[0].usd is None


def test_a_prompt_is_sent_to_the_letter(way):
    observation = {**shown(), "text": ' ☃ \n{"action": …}\t\n'}
    with FaultServer() as server:
        ask(way.make(server), observation)
        assert server.log()[0]["texts"] == [observation["text"]]


def test_only_what_is_asked_for_is_sent_under_the_api_s_own_names(way):
    given = {name: VALUES[name] for name in way.wire}
    with FaultServer() as server:
        ask(way.make(server), shown())
        agent = way.make(server, **given)
        ask(agent, shown())
        plain, full = (entry["options"] for entry in server.log())
    limit = {way.wire["max_tokens"]: way.limit}
    assert plain == limit | way.always
    for name, path in way.wire.items():
        assert place(full, path) == VALUES[name], name
    assert agent.dropped == [] and given.items() <= agent.settings.items()


def test_zero_is_a_value(way):
    zeros = {name: 0 for name in ("temperature", "seed", "thinking_budget") if name in way.wire}
    with FaultServer() as server:
        agent = way.make(server, **zeros)
        ask(agent, shown())
        (entry,) = server.log()
    assert zeros.items() <= agent.settings.items()
    for name in zeros.keys() - {"thinking_budget"}:
        assert place(entry["options"], way.wire[name]) == 0
    if way.name == "anthropic":
        assert entry["options"]["thinking"] == {"type": "disabled"}


def test_a_setting_that_the_agent_lacks_is_refused_in_one_line(way):
    with FaultServer() as server:
        for name in VALUES.keys() - way.wire.keys():
            try:
                agent = way.make(server, **{name: VALUES[name]})
            except ValueError as error:
                assert name in str(error) and "\n" not in str(error)
            else:
                assert agent.dropped == [name], "google-generativeai leaves it out and says so"


def test_history_goes_as_turns_with_their_own_pictures(way):
    past, now = shown(0), shown(1)
    with FaultServer() as server:
        ask(way.make(server), {**now, "history": (Exchange(past, " "), Exchange(now, "+"))})
        (entry,) = server.log()
    assert entry["pictures"] == [picture(past), picture(now), picture(now)]
    texts = [text.strip() or "(no reply)" for text in entry["texts"]]
    assert texts == [past["text"], "(no reply)", now["text"], "+", now["text"]]


def test_a_system_prompt_and_examples_go_before_the_turn(way):
    example, now = shown(0), shown(1)
    shots = (Exchange(example, '{"action": "+"}'),)
    with FaultServer() as server:
        ask(way.make(server), {**now, "system": "Be brief.", "shots": shots})
        (entry,) = server.log()
    texts = [example["text"], '{"action": "+"}', now["text"]]
    assert entry["pictures"] == [picture(example), picture(now)]
    if way.name in ("openai", "azure", "responses"):
        assert entry["texts"] == ["Be brief.", *texts]
        return
    assert entry["texts"] == texts
    name = "system" if way.name == "anthropic" else "systemInstruction"
    (part,) = entry["options"][name] if name == "system" else entry["options"][name]["parts"]
    assert part["text"] == "Be brief."


def test_headers_and_the_query_are_sent_and_only_their_names_are_recorded(way, tmp_path, capsys):
    secret = "hunter2-hunter2"
    query = {} if way.settings.get("sdk") == "google-generativeai" else {"gate": secret}
    join = "&" if "?" in way.root else "?"
    with FaultServer() as server:
        url = server.url + way.root + join + f"gate={secret}" * bool(query)
        flags = [f"--{name}={value}" for name, value in way.settings.items()]
        flags += ["--agent", way.agent, "--base-url", url, "--header", f"X-Gate={secret}"]
        run = ["--env", "NumberLine", "--episodes", "1", "--out", str(tmp_path / "run")]
        assert main([*flags, *run]) == 0
        entry = server.log()[0]
    assert entry["headers"]["x-gate"] == secret
    assert not query or f"gate={secret}" in entry["path"]
    settings = RunFolder.open(tmp_path / "run").header.settings
    assert settings["headers"] == ["X-Gate"]
    assert set(settings.get("query", ())) >= set(query)
    printed = "".join(capsys.readouterr())
    written = "".join(p.read_text() for p in tmp_path.rglob("*") if p.is_file())
    assert secret not in printed + written and KEY not in printed + written
    assert "--header" in printed, "the line that goes on names the header"


@pytest.mark.parametrize("own", ["Authorization", "api-key", "X-Api-Key", "x-goog-api-key"])
def test_a_header_may_take_the_place_of_the_key(own, way, monkeypatch):
    monkeypatch.delenv(way.variable)
    with FaultServer() as server:
        agent = way.make(server, headers={own: "own-key-value"})
        ask(agent, shown())
        headers = server.log()[0]["headers"]
    assert headers[own.lower()] == "own-key-value" and agent.has_key
    others = {"authorization", "api-key", "x-api-key"} - {own.lower()}
    assert not others & headers.keys(), "no stand-in is sent beside it"


def test_an_extra_body_goes_with_every_request(way, tmp_path):
    if way.settings.get("sdk") == "google-generativeai":
        with FaultServer() as server, pytest.raises(ValueError, match="can't send an extra body"):
            way.make(server, extra_body={"min_p": 0.1})
        return
    with FaultServer() as server:
        agent = way.make(server, extra_body={"min_p": 0.1, "nested": {"deep": [1]}})
        run = evaluate(agent, "NumberLine", episodes=1, out=tmp_path)
        entry = server.log()[-1]
        assert entry["options"]["min_p"] == 0.1 and entry["options"]["nested"] == {"deep": [1]}
        assert run.header.settings["extra_body"] == {"min_p": 0.1, "nested": {"deep": [1]}}
        for name in OWN_FIELDS:
            with pytest.raises(ValueError, match=f"""extra_body can't set "{name}": it"""):
                way.make(server, extra_body={name: 1})
        if "generate" not in way.path:
            with pytest.raises(ValueError, match="sets .* and so does temperature"):
                way.make(server, temperature=0, extra_body={"temperature": 1})


def test_a_key_in_an_extra_body_is_sent_and_told_to_nobody(way, tmp_path, capsys):
    if way.settings.get("sdk") == "google-generativeai":
        pytest.skip("it sends no extra body")
    body = {"gate": {"api_key": "hunter2-hunter2", "region": "eu"}, "safe_tokens": 3}
    with FaultServer() as server:
        flags = [f"--{name}={value}" for name, value in way.settings.items()]
        flags += ["--agent", way.agent, "--base-url", server.url + way.root]
        run = ["--env", "NumberLine", "--episodes", "1", "--out", str(tmp_path / "run")]
        assert main([*flags, *run, "--extra-body", json.dumps(body)]) == 0
        assert server.log()[0]["options"]["gate"] == body["gate"]
    recorded = RunFolder.open(tmp_path / "run").header.settings["extra_body"]
    assert recorded == {"gate": {"api_key": "[not recorded]", "region": "eu"}, "safe_tokens": 3}
    written = "".join(p.read_text() for p in tmp_path.rglob("*") if p.is_file())
    assert "hunter2" not in written + "".join(capsys.readouterr())


def test_a_schema_of_the_task_s_own_fields_and_actions_is_sent(way, tmp_path):
    if way.settings.get("sdk") == "google-generativeai":
        with FaultServer() as server:
            assert way.make(server, json_schema=True).dropped == ["json_schema"]
        return
    env = gymnasium.make("vlbench/NumberLine-v0")
    env.reset(seed=0)
    wanted = reply_schema(env)
    assert list(wanted["properties"]) == ["current number", "target number", "thoughts", "action"]
    assert wanted["properties"]["action"] == {"type": "string", "enum": ["+", "-"]}
    with FaultServer() as server:
        agent = way.make(server, json_schema=True)
        run = evaluate(agent, "NumberLine", episodes=1, out=tmp_path)
        options = server.log()[-1]["options"]
    assert json.dumps(wanted) in json.dumps(options)
    assert run.header.settings["json_schema"] is True and run.header.dropped == []


def unreadable(way, form):
    """Whether an SDK's own parser fails on an error's body."""
    return way.name == "google-generativeai" and form in ("error", "list", "json-string")


PARAMETER = "Unsupported parameter: '{name}' is not supported with this model."
VALUE = "Unsupported value: '{name}' does not support {value} with this model."


@pytest.mark.parametrize("form", FORMS)
def test_a_refused_parameter_is_left_out_and_told_once(form, way, tmp_path, capsys):
    if unreadable(way, form):
        pytest.skip("its parser of errors fails")
    name = way.wire["top_p"]
    refuse = {name: PARAMETER.format(name=name), "min_p": PARAMETER.format(name="min_p")}
    extra = ["--extra-body", '{"min_p": 0.1}']
    if way.settings.get("sdk") == "google-generativeai":
        extra = []
    with FaultServer(refuse=refuse, form=form) as server:
        flags = [f"--{name}={value}" for name, value in way.settings.items()]
        flags += ["--agent", way.agent, "--base-url", server.url + way.root, "--top-p", "0.75"]
        run = ["--env", "NumberLine", "--episodes", "2", "--out", str(tmp_path / "run")]
        assert main([*flags, *extra, *run]) == 0
        log = server.log()
    assert place(log[0]["options"], name) == 0.75 and place(log[-1]["options"], name) is None
    printed = capsys.readouterr().err
    assert printed.count("the model doesn't take top_p; it is left out from now on") == 1
    opened = RunFolder.open(tmp_path / "run")
    dropped = ["top_p"] + ["extra_body.min_p"] * bool(extra)
    assert sorted(opened.header.dropped) == sorted(dropped)
    assert opened.header.settings["top_p"] == 0.75, "the settings are what was asked for"
    assert not any(episode.error for episode in opened.episodes())


@pytest.mark.parametrize("form", FORMS)
def test_a_refused_value_is_an_error_in_the_server_s_words(form, way, tmp_path):
    name = way.wire["temperature"]
    message = VALUE.format(name=name, value=0.5) + " Only the default (1) value is supported."
    with FaultServer(refuse={name: message}, form=form) as server:
        agent = way.make(server, temperature=0.5)
        patience = RetryPolicy(5, retries=0)
        run = evaluate(agent, "NumberLine", episodes=1, patience=patience, out=tmp_path)
        asked = len(server.log())
    (episode,) = run.episodes
    assert episode.end == "errored" and asked == 1 and not run.header.dropped
    if unreadable(way, form):
        assert "can't be read by this SDK; --sdk google-genai tells it" in episode.error
        return
    assert "status 400" in episode.error and "does not support 0.5 with this model" in episode.error


def test_the_end_of_a_reply_is_recorded_in_both_words(way, tmp_path):
    for word, reason in way.stops.items():
        with FaultServer(stop=word, reply='{"action": "+"}' if reason == "stop" else "{") as server:
            run = evaluate(way.make(server), "NumberLine", episodes=1, out=tmp_path / reason)
        replies = [turn.reply for turn in run.episodes[0].turns]
        assert {reply.stop_reason for reply in replies} == {reason}
        assert {reply.finish_reason for reply in replies} == {word or "completed"}
    with FaultServer(faults={"refusal": 1}) as server:
        run = evaluate(way.make(server), "NumberLine", episodes=1, out=tmp_path / "refusal")
    (reply, *_) = [turn.reply for turn in run.episodes[0].turns]
    assert reply.stop_reason == "refused" and reply.text == ""


FAULTS = ("429", "500", "503", "529", "reset", "half-body", "invalid-json", "empty-choice")
FAULTS += ("content-type",)


@pytest.mark.parametrize("fault", FAULTS)
def test_transient_faults_are_met_by_the_harness_alone(fault, way, tmp_path):
    with FaultServer(faults={fault: 1}) as server:
        patience = RetryPolicy(5, retries=1)
        run = evaluate(way.make(server), "NumberLine", episodes=1, patience=patience, out=tmp_path)
        asked = len(server.log())
    assert asked == 2, "the SDK tried again too"
    (episode,) = run.episodes
    assert episode.end == "errored" and not episode.turns and "(try 2)" in episode.error


def test_a_call_that_hangs_is_given_up(way, tmp_path):
    with FaultServer(faults={"hang": 1}) as server:
        patience = RetryPolicy(0.5, retries=0)
        run = evaluate(way.make(server), "NumberLine", episodes=1, patience=patience, out=tmp_path)
    assert "no reply within 0.5 s" in run.episodes[0].error


@pytest.mark.parametrize("status", [401, 404])
def test_a_key_or_model_that_will_never_do_stops_the_run_and_no_key_is_told(status, way, tmp_path):
    with FaultServer(status=[status, "no"]) as server:
        run = evaluate(way.make(server), "NumberLine", out=tmp_path)
        asked = len(server.log())
    tries = 3 if way.name == "google-generativeai" else 1  # its HTTP library asks again after 401
    assert f"status {status}" in run.stopped and not run.episodes and asked <= 8 * tries
    files = "".join(path.read_text() for path in tmp_path.rglob("*") if path.is_file())
    assert KEY not in run.stopped + files


def test_doctor_examines_it(way, capsys):
    with FaultServer() as server:
        flags = [f"--{name}={value}" for name, value in way.settings.items()]
        url = server.url + way.root
        code = doctor.main(["--agent", way.agent, "--base-url", url, *flags, "--top-p", "0.75"])
    printed = capsys.readouterr().out
    assert code == 0 and "arrives" in printed and KEY not in printed


def test_wrong_settings_are_told_before_anything_is_asked(way, monkeypatch):
    with FaultServer() as server:
        for setting, message in [
            ({"temperature": -1}, "temperature must be at least 0, got -1"),
            ({"top_p": 2}, "top_p must be .*at most 1, got 2"),
            ({"max_tokens": "many"}, "max_tokens must be a whole number"),
            ({"extra_body": [1]}, "extra_body must be a JSON object"),
            ({"headers": "X-A=b"}, "headers must be a JSON object"),
            ({"model": 3}, "model must be a text"),
            ({"json_schema": "yes"}, "json_schema must be true or false"),
            ({"headers": {"a b": "c"}}, "headers: must be NAME=VALUE"),
            ({"headers": {"X-A": "a\nb"}}, 'headers: "X-A": its value must be'),
        ]:
            with pytest.raises(ValueError, match=message):
                way.make(server, **setting)
        assert server.log() == []
        nothing = dict.fromkeys(("headers", "extra_body", "temperature"))
        assert way.make(server).settings == way.make(server, **nothing).settings
    monkeypatch.delenv(way.variable)
    with pytest.raises(ValueError, match=f"no key: set .*{way.variable}"):
        load_agent(way.agent, **way.settings)
