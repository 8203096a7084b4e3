"""The bridge to Inspect AI, with the real package."""

import base64
import io
import json
import os
import subprocess
import sys

import numpy as np
import pytest
from inspect_ai import eval as inspect_eval
from inspect_ai.model import (
    ChatCompletionChoice,
    ChatMessageAssistant,
    ContentReasoning,
    ContentText,
    ModelOutput,
    ModelUsage,
    get_model,
)
from PIL import Image
from support.model_servers import transformers_serve

import vlbench
from leaderboard.pack import main as pack
from leaderboard.verify import verify
from vlbench.bridges import inspect_log, inspect_task
from vlbench.bridges.inspect_task import read_reply, tasks
from vlbench.recorder import sha256
from vlbench.replay import divergences
from vlbench.run_folder import RunFolder

pytestmark = pytest.mark.slow


def output(text, stop_reason="stop", **usage):
    answer = ModelOutput.from_content("mockllm/model", text, stop_reason)
    # Without usage, Inspect counts tokens with an encoding that it downloads.
    answer.usage = ModelUsage(input_tokens=3, output_tokens=4, total_tokens=7, **usage)
    return answer


class ScriptedModel:
    """Writes what `reply` makes of a number, and keeps the messages of each call."""

    def __init__(self, reply):
        self.reply, self.calls = reply, []

    def __call__(self, messages, tools, tool_choice, config):
        self.calls.append(messages)
        return self.reply(len(self.calls) - 1)

    def play(self, folder, *arguments, epochs=1, **options):
        model = get_model("mockllm/model", custom_outputs=self)
        (log,) = inspect_eval(
            tasks(*arguments, **options),
            model=model,
            epochs=epochs,
            log_dir=str(folder),
            display="none",
            max_samples=1,
            fail_on_error=False,
        )
        return log


def pictures(messages):
    """Return the sha256 of the pixels of each picture in a call."""
    parts = [part for message in messages for part in message.content if part.type == "image"]
    files = [base64.b64decode(part.image.partition("base64,")[2]) for part in parts]
    return [sha256(np.asarray(Image.open(io.BytesIO(file))).tobytes()) for file in files]


@pytest.fixture(scope="module")
def played(tmp_path_factory):
    folder = tmp_path_factory.mktemp("inspect")
    replies = ('{"thoughts": "x", "action": "+"}', '{"action": "stand"}', "I would hit.")
    model = ScriptedModel(lambda number: output(replies[number % 3]))
    log = model.play(folder, "NumberLine,Blackjack", episodes=4, epochs=2)
    return model, log, inspect_log.convert(log.location, folder / "run")


def test_a_log_becomes_a_run_that_replays_without_a_difference(played):
    _, log, run = played
    episodes = run.episodes()
    assert log.status == "success" and len(episodes) == 2 * 4 * 2
    assert {episode.repeat for episode in episodes} == {0, 1} and run.header.repeats == 2
    assert run.header.agent == "inspect:mockllm/model"
    assert divergences(episodes) == []
    assert RunFolder.open(run.path).episodes() == episodes


def test_the_model_sees_the_picture_of_each_turn_and_nothing_of_other_turns(played):
    model, _, run = played
    frames = sorted(turn.frame_hash for episode in run.episodes() for turn in episode.turns)
    shown = [pictures(call) for call in model.calls]
    assert all(len(hashes) == 1 for hashes in shown)
    assert sorted(hashes[0] for hashes in shown) == frames and len(set(frames)) > 8


def test_scores_are_the_environments_and_errors_are_clustered_by_instance(played):
    _, log, run = played
    episodes = run.episodes()
    scores = {score.name: score.metrics for score in log.results.scores}
    assert scores["success"]["mean"].value == np.mean([e.is_success for e in episodes])
    assert scores["total"]["mean"].value == pytest.approx(np.mean([e.total for e in episodes]))
    regrets = [sum(turn.regret for turn in e.turns) for e in episodes]
    assert scores["regret"]["mean"].value == pytest.approx(np.mean(regrets))
    assert scores["total"]["stderr"].params == {"cluster": "instance"}


def test_a_whole_set_packs_and_verifies(tmp_path):
    model = ScriptedModel(lambda number: output('{"thoughts": "", "action": "+"}'))
    log = model.play(tmp_path, "NumberLine", suite="test")
    inspect_log.convert(log.location, tmp_path / "run")
    entry = tmp_path / "entry.tar.gz"
    arguments = ["--name", "Plus", "--track", "zero-shot", "--weights", "closed"]
    assert pack([str(tmp_path / "run"), "--out", str(entry), *arguments]) == 0
    assert verify(entry).manifest.digest


def test_past_turns_are_in_the_chat_with_history(tmp_path):
    model = ScriptedModel(lambda number: output("?"))
    model.play(tmp_path, "NumberLine", episodes=1, history=1)
    assert [len(pictures(call)) for call in model.calls[:3]] == [1, 2, 2]
    assert [message.role for message in model.calls[1]] == ["user", "assistant", "user"]
    assert model.calls[1][1].text == "?"


def test_an_episode_that_the_provider_ends_is_errored_and_the_others_count(tmp_path):
    def fail_once(number):
        if number == 1:
            raise RuntimeError("503 overloaded")
        return output('{"action": "+"}')

    log = ScriptedModel(fail_once).play(tmp_path, "NumberLine", episodes=3)
    episodes = inspect_log.convert(log.location, tmp_path / "run").episodes()
    assert [episode.is_errored for episode in episodes] == [True, False, False]
    assert len(episodes[0].turns) == 1 and episodes[0].failure.kind == "provider"
    assert divergences(episodes) == []


def test_a_secret_in_a_reply_is_not_written(tmp_path, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-proj-0123456789abcdefghijklmnop")
    model = ScriptedModel(lambda number: output("sk-proj-0123456789abcdefghijklmnop"))
    log = model.play(tmp_path / "logs", "NumberLine", episodes=1)
    run = inspect_log.convert(log.location, tmp_path / "run")
    assert run.episodes()[0].failure.kind == "secret"
    for path in (tmp_path / "run").iterdir():
        assert b"sk-proj-0123456789" not in path.read_bytes()


@pytest.mark.parametrize(
    ("stop_reason", "expected"),
    [
        ("stop", "stop"),
        ("max_tokens", "length"),
        ("model_length", "length"),
        ("content_filter", "refused"),
        ("unknown", "stop"),
    ],
)
def test_stop_reasons_are_mapped(stop_reason, expected):
    reply = read_reply(output("text", stop_reason))
    assert reply.stop_reason == expected and reply.finish_reason == stop_reason
    assert reply.text == ("" if expected == "refused" else "text")


def test_reasoning_is_kept_apart_and_cached_tokens_count():
    answer = output("", input_tokens_cache_read=10, total_cost=0.5)
    parts = [ContentReasoning(reasoning="hm"), ContentText(text='{"action": "+"}')]
    answer.choices = [ChatCompletionChoice(message=ChatMessageAssistant(content=parts))]
    reply = read_reply(answer)
    assert (reply.text, reply.reasoning) == ('{"action": "+"}', "hm")
    assert (reply.prompt_tokens, reply.completion_tokens, reply.usd) == (13, 4, 0.5)
    assert reply.usd_source == "provider"


def convert_command(capsys, *arguments):
    code = inspect_task.main([str(argument) for argument in arguments])
    err = capsys.readouterr().err
    assert "Traceback" not in err and err.count("\n") == 1
    return code, err


def test_what_is_no_log_of_this_version_is_refused(played, tmp_path, capsys, monkeypatch):
    _, log, run = played
    (tmp_path / "x.eval").write_bytes(b"PK no zip")
    code, err = convert_command(capsys, tmp_path / "x.eval", "--out", tmp_path / "a")
    assert code == 2 and "is no log of Inspect" in err
    code, err = convert_command(capsys, log.location, "--out", run.path)
    assert code == 2 and "choose another folder" in err
    monkeypatch.setattr(vlbench, "__version__", "9.9")
    code, err = convert_command(capsys, log.location, "--out", tmp_path / "b")
    assert code == 2 and "this is 9.9" in err and not (tmp_path / "b").exists()


def test_a_log_of_another_task_is_refused(tmp_path, capsys):
    from inspect_ai import Task
    from inspect_ai.dataset import Sample

    model = get_model("mockllm/model", custom_outputs=[output("4")])
    (log,) = inspect_eval(
        Task(dataset=[Sample(input="2+2")]), model=model, log_dir=str(tmp_path), display="none"
    )
    code, err = convert_command(capsys, log.location, "--out", tmp_path / "run")
    assert code == 2 and "not of vlbench's" in err


def test_inspects_own_command_plays_a_model_behind_a_real_server(tmp_path):
    with transformers_serve(tmp_path) as (url, model):
        keys = {"LOCAL_BASE_URL": f"{url}/v1", "LOCAL_API_KEY": "none"}
        command = ["-m", "inspect_ai", "eval", "vlbench/vlbench", "-T", "env=NumberLine"]
        options = ["-T", "episodes=2", "--max-tokens", "8", "--display", "none", "--log-format"]
        done = subprocess.run(
            [sys.executable, *command, *options, "json", "--model", f"openai-api/local/{model}"],
            cwd=tmp_path,
            env=os.environ | keys,
            capture_output=True,
            text=True,
            timeout=300,
        )
    assert done.returncode == 0, done.stderr[-2000:] + done.stdout[-2000:]
    (path,) = (tmp_path / "logs").glob("*.json")
    assert json.loads(path.read_text())["status"] == "success"
    episodes = inspect_log.convert(path, tmp_path / "run").episodes()
    assert len(episodes) == 2 and episodes[0].turns[0].reply.prompt_tokens > 0
    assert divergences(episodes) == []
