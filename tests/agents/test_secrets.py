"""No key and no password reaches a file, a terminal or an archive."""

import base64
import hashlib
import json
import urllib.parse

import pytest
from support.cli_process import call
from support.fault_server import FaultServer
from support.wire_faults import LEAKS

from agents import doctor
from agents.evaluate import evaluate, main
from agents.providers.openai_chat import OpenAIChat
from agents.report import write_report
from vlbench.cli import plain_output, run_main
from vlbench.records import Failure, Reply
from vlbench.records.redaction import (
    SecretInReply,
    find_key,
    holds_secret,
    redact,
)
from vlbench.replay import divergences
from vlbench.run_folder import JOURNAL, RunFolder

KEY = "sk-proj-SECRET/SECRET+1234=="
"""It has the characters that URLs and base64 write in other ways."""

FORMS = {
    "itself": KEY,
    "stripped": f"  {KEY}\n",
    "the repr of a header": repr(f"Bearer {KEY}\n".encode()),
    "percent-encoded": urllib.parse.quote(KEY, safe=""),
    "percent-encoded in lower case": KEY.replace("/", "%2f")
    .replace("+", "%2b")
    .replace("=", "%3d"),
    "a form": urllib.parse.quote_plus(KEY),
    "basic authentication": base64.b64encode(f"me:{KEY}".encode()).decode(),
    "another user's": base64.b64encode(f"you2:{KEY}".encode()).decode(),
    "base64 for URLs": base64.urlsafe_b64encode(KEY.encode()).decode(),
    "JSON in JSON": json.dumps(json.dumps({"key": KEY})),
    "a header": f"{{'authorization': 'Bearer {KEY}'}}",
}


@pytest.fixture
def key(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    return KEY


def fragments(secret):
    """Return what no output may hold: the secret in every form, and each long part of it."""
    core = [secret[start : start + 10] for start in range(0, len(secret) - 9, 5)]
    encoded = base64.b64encode(f"user:{secret}".encode()).decode()
    return [*core, urllib.parse.quote(secret, safe="")[-12:], encoded[12:28]]


def written(folder):
    return "".join(p.read_text("utf-8") for p in folder.rglob("*") if p.is_file())


@pytest.mark.parametrize("form", FORMS)
def test_a_key_is_found_in_every_form(form, key):
    text = f"before {FORMS[form]} after"
    shown = redact(text)
    assert not any(part in shown for part in fragments(key))
    assert shown.startswith("before ") and shown.endswith(" after")
    assert holds_secret(text)


@pytest.mark.parametrize(
    "text",
    [
        "basic strategies win: basic blackjack, Basic income",
        "the bearer of bad news is a bearer of everything1",
        "task-force risk-averse-strategy-1 desk-2-1-3-4-5-6-7-8-9-10",
        "http://127.0.0.1:8000/v1?api-version=2024-10-21&model=x",
        "sha256 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
        "hf:org/model-7b, gpt-4o-2024-11-20, gemini-3.8-flash",
        '{"thoughts": "2*(3+4)*5=70", "action": "hit"}',
        "mail me@host.org; a ratio of 3://4",
    ],
)
def test_other_texts_stay_as_they_are(text):
    assert redact(text) == text and not find_key(text)


def test_a_word_that_is_a_key_ends_no_episode(monkeypatch):
    monkeypatch.setenv("LITELLM_KEY", "anything")
    assert not holds_secret("anything goes") and "anything" not in redact("key anything")


def test_passwords_of_urls_in_the_environment_are_secrets(monkeypatch):
    monkeypatch.setenv("HTTPS_PROXY", "http://me:hunter2%2Bhunter2@proxy:8080")
    shown = redact("407 for me:hunter2+hunter2 at http://me:hunter2%2Bhunter2@proxy:8080")
    assert shown == "407 for [HTTPS_PROXY] at http://proxy:8080"


def test_further_secrets_are_redacted_too():
    assert redact("header aaaa-bbbb-1 of host", "aaaa-bbbb-1") == "header [secret] of host"
    assert holds_secret("so aaaa-bbbb-1", "aaaa-bbbb-1")


@pytest.mark.slow
@pytest.mark.parametrize("white", ["{}\n", " {} ", "\t{}\r\n"])
def test_white_space_around_a_key_is_not_sent(white, monkeypatch, tmp_path):
    monkeypatch.setenv("OPENAI_API_KEY", white.format(KEY))
    with FaultServer() as server:
        run = evaluate(OpenAIChat("m", base_url=server.v1), "NumberLine", episodes=1, out=tmp_path)
        assert {entry["auth"] for entry in server.log()} == {f"Bearer {KEY}"}
    assert not run.episodes[0].error


@pytest.mark.parametrize(
    ("agent", "variable"),
    [
        ("openai:m", "OPENAI_API_KEY"),
        ("gemini:m", "GEMINI_API_KEY"),
        ("anthropic:m", "ANTHROPIC_API_KEY"),
    ],
)
@pytest.mark.parametrize("character", ["\n", "\r", "\x1b", "é", "\u200b"])
def test_a_key_that_no_header_can_hold_is_refused_in_one_line(
    agent, variable, character, monkeypatch, tmp_path, capsys
):
    monkeypatch.setenv(variable, f"sk-SECRET{character}SECRET1234")
    arguments = ["--agent", agent, "--base-url", "http://127.0.0.1:9"]
    for command in (
        lambda: main([*arguments, "--env", "NumberLine", "--out", str(tmp_path / "run")]),
        lambda: doctor.main(arguments),
    ):
        assert command() == 2
        out, err = capsys.readouterr()
        assert not out and err.count("\n") == 1 and "SECRET" not in err
        assert f"the key in {variable} can't be sent: its character 10 of 20 is" in err
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
def test_a_key_that_servers_repeat_stands_nowhere(key, tmp_path, capsys):
    names = [name for name in LEAKS if name != "leak in a reply"]
    with FaultServer() as server:
        server.prepare(*names)
        options = ("--env", "NumberLine", "--episodes", str(len(names)), "--retries", "0")
        code = main(
            ["--agent", "openai:m", "--base-url", server.v1, *options, "--concurrency", "1"]
            + ["--out", str(tmp_path / "run"), "--html", str(tmp_path / "page.html")]
        )
        assert {entry["auth"] for entry in server.log()} == {f"Bearer {KEY}"}
        server.prepare(*names)
        doctor.main(["--agent", "openai:m", "--base-url", server.v1])
    assert code == 1
    out, err = capsys.readouterr()
    everything = written(tmp_path) + out + err
    for part in fragments(key):
        assert part not in everything
    episodes = RunFolder.open(tmp_path / "run").episodes()
    assert sum(episode.end == "errored" for episode in episodes) == 4
    assert "[OPENAI_API_KEY]" in everything and "Basic [secret]" in everything


@pytest.mark.slow
def test_a_reply_with_a_secret_ends_its_episode_and_only_its_hash_is_kept(key, tmp_path):
    text = f'{{"thoughts": "I know {KEY}", "action": "+"}}'
    with FaultServer(reply=text) as server:
        agent = OpenAIChat("m", base_url=server.v1)
        run = evaluate(agent, "NumberLine", episodes=2, out=tmp_path)
    digest = hashlib.sha256(text.encode()).hexdigest()
    for episode in run.episodes:
        assert episode.end == "errored" and not episode.turns
        assert "secret in reply" in episode.error and not run.stopped
        assert episode.failure == Failure("secret", reply_hash=digest)
    assert KEY not in written(tmp_path) and not (tmp_path / JOURNAL).exists()


def test_a_secret_later_in_an_episode_leaves_the_turns_before_it(monkeypatch, tmp_path):
    monkeypatch.setenv("MY_TOKEN", "0123-4567-89ab")

    async def told(observation):
        told.calls += 1
        return Reply('{"action": "%s"}' % ("+" if told.calls < 3 else "0123-4567-89ab"))

    told.calls = 0
    run = evaluate(told, "NumberLine", episodes=1, concurrency=1, out=tmp_path)
    (episode,) = run.episodes
    assert episode.end == "errored" and len(episode.turns) == 2
    assert "0123-4567" not in written(tmp_path)
    assert divergences(run.episodes) == []


def test_the_folder_itself_takes_no_secret(monkeypatch, tmp_path):
    """Other engines write their episodes without the harness."""
    run = evaluate(
        lambda o: '{"action": "+"} 0123-4567-89ab', "NumberLine", episodes=1, out=tmp_path
    )
    folder, (episode,) = RunFolder(tmp_path / "other", run.header), run.episodes
    folder.path.mkdir()
    monkeypatch.setenv("MY_TOKEN", "0123-4567-89ab")
    with pytest.raises(SecretInReply):
        folder.journal(episode.key, 0, episode.turns[0].reply)
    folder.add(episode)
    folder.close()
    (kept,) = folder.episodes()
    assert kept.end == "errored" and not kept.turns and kept.failure.kind == "secret"
    assert kept.final_frame_hash == episode.turns[0].frame_hash


def test_secrets_in_settings_and_exceptions_of_own_agents_are_redacted(key, tmp_path):
    class Mine:
        name, privileged = "mine", False
        settings = {"system": f"use {KEY}", "nested": [{"url": "http://me:pass@host/?api-key=abc"}]}
        secrets = ("own-secret-1",)

        async def act(self, observation):
            raise RuntimeError(f"{KEY} and own-secret-1 don't work")

    run = evaluate(Mine(), "NumberLine", episodes=1, out=tmp_path)
    again = evaluate(Mine(), "NumberLine", episodes=2, out=tmp_path)  # no conflict of settings
    assert again.header.settings == run.header.settings
    write_report(tmp_path, tmp_path / "page.html")
    text = written(tmp_path)
    for secret in (*fragments(key), "own-secret-1", "me:pass", "=abc"):
        assert secret not in text
    assert run.header.settings["system"] == "use [OPENAI_API_KEY]"
    assert "[OPENAI_API_KEY] and [secret] don't work" in text


def test_an_exception_that_nobody_expects_is_shown_without_secrets(key, capsys):

    def fail():
        raise RuntimeError(f"Illegal header value {f'Bearer {KEY}'.encode()!r}")

    assert run_main("test", fail) == 1
    err = capsys.readouterr().err
    assert "Traceback" in err and "Illegal header value" in err
    assert not any(part in err for part in fragments(key))
    with pytest.raises(ZeroDivisionError):
        run_main("test", lambda: 1 // 0)


def test_what_commands_print_is_redacted(key, capsys):
    import sys

    with plain_output():
        print("out", KEY)
        print("err", KEY, file=sys.stderr)
        sys.stdout.writelines([KEY, "\n"])
        assert not sys.stdout.isatty()
    out, err = capsys.readouterr()
    assert out == "out [OPENAI_API_KEY]\n[OPENAI_API_KEY]\n" and err == "err [OPENAI_API_KEY]\n"


@pytest.mark.slow
def test_the_line_that_goes_on_holds_no_password(tmp_path):
    url = "http://user:hunter2-hunter2@127.0.0.1:9/v1?token=abcdefgh"
    arguments = ("--base-url", url, "--env", "NumberLine", "--episodes", 1, "--retries", 0)
    _, out, err = call(tmp_path, "agents.evaluate", "--agent", "openai:m", *arguments)
    assert "to go on if stopped" in err
    assert "hunter2" not in out + err and "abcdefgh" not in out + err
