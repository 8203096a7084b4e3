"""A real OpenEnv server and client, on loopback; run by `test_openenv_server.py`."""

import contextlib
import json
import os
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

import vlbench
from vlbench.bridges.openenv_server import TaskClient, picture
from vlbench.recorder import EnvCache, sha256
from vlbench.replay import divergences
from vlbench.run_folder import RunFolder
from vlbench.suites import frozen_rows, shipped_suites

ENV = "vlbench/Points24-v0"
HIDDEN = ("instance", "presentation", "facts", "legal_actions", "values", "expert", "hint")


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    folder = tmp_path_factory.mktemp("openenv")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-W", "ignore", "-m", "vlbench.bridges.openenv_server"]
    options = ["--env", "Points24", "--port", str(port), "--record", str(folder / "record")]
    log = (folder / "log").open("w")
    process = subprocess.Popen([*command, *options], stdout=log, stderr=log, env=os.environ)
    url = f"http://127.0.0.1:{port}"
    for _ in range(240):
        assert process.poll() is None, (folder / "log").read_text()[-2000:]
        with contextlib.suppress(OSError), urllib.request.urlopen(f"{url}/health", timeout=2):
            break
        time.sleep(0.5)
    yield url, folder
    process.terminate()
    process.wait(30)


def solve(client, row, start):
    """Play the expert's replies; return the observations and rewards, and those expected."""
    env = EnvCache().of(row)
    seen, _ = env.reset(options=row.options)
    result = client.reset(**start)
    got, wanted = [], []
    while True:
        observation = result.observation
        got.append((sha256(picture(observation).tobytes()), observation.text, result.reward))
        wanted.append([sha256(seen["image"].tobytes()), seen["text"]])
        assert not any(name in observation.model_dump() for name in HIDDEN)
        if result.done:
            return got, wanted, observation
        reply = vlbench.reply(env.unwrapped.expert(), thoughts="so")
        seen, reward, *_ = env.step(reply)
        result = client.step(reply)
        assert result.reward == reward


def test_the_validator_passes(server):
    url, _ = server
    command = [Path(sys.executable).with_name("openenv"), "validate", "--url", url]
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-2000:]
    assert "PASS" in done.stdout


def test_rows_of_frozen_suites_are_the_same_pixel_for_pixel_in_every_turn(server):
    url, _ = server
    rows = frozen_rows(ENV, "test")
    with TaskClient(base_url=url).sync() as client:
        for index in (0, 17):
            got, wanted, last = solve(client, rows[index], {"split": "test", "index": index})
            assert [[*pair[:2]] for pair in got] == wanted and got[0][0] == rows[index].frame_hash
            assert last.success and len(got) > 4
            assert client.state().step_count == len(got) - 1


def test_the_splits_are_the_frozen_suites(server):
    url, _ = server
    names = [split["name"] for split in ask(url, "/vlbench/splits")]
    assert names == list(shipped_suites(ENV))
    assert ask(url, "/vlbench/num_tasks", {"split": "test"}) == {
        "num_tasks": len(frozen_rows(ENV, "test"))
    }
    task = ask(url, "/vlbench/task", {"split": "test", "index": 17})["task"]
    assert task == {"id": "test-17", "split": "test", "index": 17}


def test_nothing_that_the_picture_shows_is_in_a_schema(server):
    url, _ = server
    schemas = ask(url, "/schema")
    for name in ("observation", "state"):
        assert not set(HIDDEN) & set(schemas[name]["properties"])


def test_a_wrong_action_or_row_is_answered_and_the_session_goes_on(server):
    url, _ = server
    with TaskClient(base_url=url).sync() as client:
        for wrong in ({"split": "test", "index": 10**6}, {"split": "nothing", "index": 0}):
            with pytest.raises(Exception, match="test has rows 0 to|wanted a split"):
                client.reset(**wrong)
        client.reset(split="test", index=0)
        with pytest.raises(Exception, match="reply"):
            client.step(7)
        result = client.step("not json")
        assert (result.observation.status, result.reward) == ("malformed", -1)


def test_what_was_played_replays_without_a_difference(server):
    _, folder = server
    time.sleep(1)  # the sessions have ended; their last episodes are being written
    (path,) = (folder / "record").iterdir()
    episodes = RunFolder.open(path).episodes()
    assert len(episodes) >= 3 and divergences(episodes) == []
    assert sum(episode.is_success for episode in episodes) == 2


def ask(url, path, body=None):
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url + path, data, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.loads(answer.read())
