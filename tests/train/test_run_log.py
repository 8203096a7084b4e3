"""The logs of a run hold each step once, also after a crash, and other packages can read them."""

import io
import json
import struct
import sys
import time
import urllib.request

import pytest
from support.model_servers import free_port, running

from agents.train.log.run_log import RunLog, check_log, log_names


class Terminal(io.StringIO):
    def isatty(self):
        return True


def rows(run):
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text("utf-8").splitlines()]


def write(run, step, metrics, names=("json",)):
    """Log steps after one that a checkpoint holds."""
    log = RunLog(run, names, step=step, options={"out": run, "lr": 0.1}, stream=io.StringIO())
    for number, value in metrics.items():
        log.write(number, {"loss": value})
    log.close()


def test_json_is_always_written_and_every_other_log_only_where_it_is_named():
    assert log_names("") == ("json",)
    assert log_names("wandb, json") == ("json", "wandb")
    with pytest.raises(ValueError, match='unknown log "wand"; did you mean "wandb"'):
        log_names("json,wand")


def test_a_log_without_its_package_is_refused_though_a_folder_has_its_name(tmp_path, monkeypatch):
    (tmp_path / "wandb").mkdir()
    monkeypatch.setattr("sys.path", [str(tmp_path)])
    for name in ("wandb", "tensorboard"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    with pytest.raises(ValueError, match=r'wandb isn\'t installed: pip install "vlbench\[wandb\]"'):
        check_log("json,wandb")
    with pytest.raises(ValueError, match=r'pip install "vlbench\[train\]"'):
        check_log("tensorboard")
    check_log("json")


def test_steps_after_the_checkpoint_are_dropped_and_time_goes_on(tmp_path):
    write(tmp_path, 0, {1: 3.0, 2: 2.0, 3: 1.0})
    lines = (tmp_path / "metrics.jsonl").read_text("utf-8").splitlines()
    changed = [json.dumps({**json.loads(line), "seconds": 100.0}) for line in lines]
    torn = "\n".join([*changed, '{"step": 4, "lo'])
    (tmp_path / "metrics.jsonl").write_text(torn, "utf-8")
    write(tmp_path, 2, {3: 0.5})
    assert [(row["step"], row["loss"]) for row in rows(tmp_path)] == [(1, 3.0), (2, 2.0), (3, 0.5)]
    assert 100 <= rows(tmp_path)[-1]["seconds"] < 110


def test_a_terminal_shows_a_status_that_the_next_line_replaces(tmp_path):
    terminal, file = Terminal(), io.StringIO()
    for stream in (terminal, file):
        log = RunLog(tmp_path, ("json",), step=0, stream=stream)
        log.status("rollout 3/8")
        log.log_summary(1, 2, {"loss": "losses/loss", "eval": "eval/success"}, {"losses/loss": 0.5})
        log.close()
    assert terminal.getvalue() == f"rollout 3/8\r{' ' * 11}\r1/2 0 s  loss 0.500\n"
    assert file.getvalue() == "0 s  rollout 3/8\n1/2 0 s  loss 0.500\n"


def test_a_file_gets_the_first_status_at_once_and_then_few(tmp_path, monkeypatch):
    file, clock = io.StringIO(), iter(range(0, 1000, 5))
    monkeypatch.setattr("time.monotonic", lambda: next(clock))
    log = RunLog(tmp_path, ("json",), step=0, stream=file)
    for turn in range(12):
        log.status(f"rollout {turn}/12")
    log.close()
    shown = [line.split("rollout ")[1] for line in file.getvalue().splitlines()]
    assert shown[0] == "0/12" and 2 <= len(shown) <= 6


def test_a_silent_log_writes_nothing(tmp_path, capsys):
    log = RunLog(tmp_path, ("json",), step=0, silent=True)
    log.write(1, {"loss": 1.0})
    log.log_line("a line")
    log.status("a status")
    log.close()
    assert list(tmp_path.iterdir()) == []
    assert capsys.readouterr() == ("", "")


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
def test_tensorboard_reads_each_step_once(tmp_path):
    pytest.importorskip("torch")
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    write(tmp_path, 0, {1: 3.0, 2: 2.0, 3: 1.0}, ("json", "tensorboard"))
    write(tmp_path, 2, {3: 0.5, 4: 0.25}, ("json", "tensorboard"))
    events = accumulator.EventAccumulator(str(tmp_path / "tensorboard")).Reload()
    points = [(event.step, event.value) for event in events.Scalars("loss")]
    assert points == [(1, 3.0), (2, 2.0), (3, 0.5), (4, 0.25)]


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
def test_tensorboard_starts_on_loopback_and_shows_the_run(tmp_path):
    pytest.importorskip("torch")
    pytest.importorskip("tensorboard")
    write(tmp_path, 0, {1: 3.0, 2: 2.0}, ("json", "tensorboard"))
    port = free_port()
    command = [sys.executable, "-m", "tensorboard.main", "--logdir", str(tmp_path)]
    command += ["--host", "127.0.0.1", "--port", str(port)]
    url = f"http://127.0.0.1:{port}/data/plugin/scalars/tags"
    with running(command, url, tmp_path):
        deadline = time.monotonic() + 60
        while "loss" not in (tags := urllib.request.urlopen(url).read().decode()):
            assert time.monotonic() < deadline, tags
            time.sleep(0.5)
    assert "Traceback" not in (tmp_path / "server.log").read_text()


def wandb_records(path):
    """Yield the records of a file of W&B: LevelDB's log format, after seven bytes of its own."""
    from wandb.proto import wandb_internal_pb2

    data, place, whole = path.read_bytes(), 7, b""
    while place + 7 <= len(data):
        if 32768 - place % 32768 < 7:  # a record's head never lies in two blocks
            place += 32768 - place % 32768
        _, length, kind = struct.unpack_from("<IHB", data, place)
        if place + 7 + length > len(data):  # the rest isn't written yet
            return
        whole += data[place + 7 : place + 7 + length]
        place += 7 + length
        if kind in (1, 4):  # whole, or the last part of one
            yield wandb_internal_pb2.Record.FromString(whole)
            whole = b""


def read_wandb(folder):
    """Return (id, project) of the runs in a folder, the points (step, loss), and the options."""
    runs, points, options = set(), [], {}
    files = folder.glob("wandb/offline-run-*/*.wandb")
    files = sorted(files, key=lambda path: path.parent.name)
    for record in (record for path in files for record in wandb_records(path)):
        kind = record.WhichOneof("record_type")
        if kind == "run":
            runs.add((record.run.run_id, record.run.project))
            options |= {item.key: item.value_json for item in record.run.config.update}
        if kind == "history":
            items = {item.key or item.nested_key[0]: item for item in record.history.item}
            points.append(tuple(json.loads(items[name].value_json) for name in ("step", "loss")))
    return runs, points, options


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
def test_weights_and_biases_gets_the_options_and_each_step_offline(tmp_path, monkeypatch, capfd):
    pytest.importorskip("wandb")
    monkeypatch.setenv("WANDB_MODE", "offline")
    write(tmp_path, 0, {1: 3.0, 2: 2.0}, ("json", "wandb"))
    write(tmp_path, 2, {3: 0.5}, ("json", "wandb"))
    assert capfd.readouterr() == ("", "")
    deadline = time.monotonic() + 30
    runs, points, options = read_wandb(tmp_path)
    while len(points) < 3 and time.monotonic() < deadline:  # W&B writes on after `finish`
        time.sleep(0.1)
        runs, points, options = read_wandb(tmp_path)
    assert points == [(1, 3.0), (2, 2.0), (3, 0.5)]
    assert len(runs) == 1 and runs.pop()[1] == "vlbench"  # one run, also when it is resumed
    assert json.loads(options["lr"]) == 0.1 and json.loads(options["out"]) == str(tmp_path)
