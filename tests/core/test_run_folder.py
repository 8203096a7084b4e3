"""Run folders are written, read back, resumed and checked for damage."""

import json
import os
import subprocess
from dataclasses import replace

import pytest
from support.sample_episodes import Tester, header

import vlbench
from vlbench.records import ModelInfo
from vlbench.records.run_spec import RunSpec
from vlbench.run_folder import EPISODES, JOURNAL, RunFolder, run_header
from vlbench.suites import (
    frozen_hash,
    frozen_rows,
)


def test_a_run_is_read_back_as_it_was_written(tmp_path, some_episodes):
    run = RunFolder.start(tmp_path / "run", header())
    for episode in some_episodes:
        for number, turn in enumerate(episode.turns):
            run.journal(episode.key, number, turn.reply)
        run.add(episode)
    run.close()
    again = RunFolder.open(str(tmp_path / "run"))
    assert again.episodes() == some_episodes and again.header == header()
    journal = again.replies()
    assert all(journal[e.key] == [t.reply for t in e.turns] for e in some_episodes)
    assert again.damaged == []


def test_damaged_lines_are_named_and_the_rest_is_kept(tmp_path, some_episodes):
    run = RunFolder.start(tmp_path, header())
    for episode in some_episodes[:3]:
        run.add(episode)
    run.close()
    path = tmp_path / "episodes.jsonl"
    lines = path.read_text().splitlines()
    lines[1] = lines[1][:50]
    path.write_text("\n".join([*lines, '{"schema": 1}']))  # and a torn tail
    again = RunFolder.open(tmp_path)
    assert again.episodes() == [some_episodes[0], some_episodes[2]]
    assert len(again.damaged) == 2 and f"{path}:2:" in again.damaged[0]
    again.add(some_episodes[1])
    again.close()
    assert RunFolder.open(tmp_path).episodes() == some_episodes[:3]


@pytest.mark.parametrize(
    "cut",
    [
        b"{",
        b'{"schema": 2, "env_id": "vlben',
        b'"\xc3',
        b"[[[[",
        b"\0" * 40,
        b'{"a": "' + b"x" * 10**6,
    ],
)
@pytest.mark.parametrize("name", [JOURNAL, EPISODES])
def test_a_line_that_was_cut_off_is_dropped_when_the_run_goes_on(
    tmp_path, some_episodes, name, cut
):
    run = RunFolder.start(tmp_path, header())
    run.add(some_episodes[0])
    run.journal(some_episodes[0].key, 0, some_episodes[0].turns[0].reply)
    run.close()
    whole = (tmp_path / name).read_bytes()
    (tmp_path / name).write_bytes(whole + cut)
    interrupted = RunFolder.open(tmp_path)
    interrupted.episodes(), interrupted.replies()
    assert len(interrupted.damaged) == 1, "it is reported until the run goes on"
    again = RunFolder.start(tmp_path, header())
    assert (tmp_path / name).read_bytes() == whole
    again.add(some_episodes[1])
    again.close()
    final = RunFolder.open(tmp_path)
    assert final.episodes() == some_episodes[:2] and len(final.replies()) == 1
    assert final.damaged == []


def test_a_whole_last_line_without_its_line_break_is_kept(tmp_path, some_episodes):
    run = RunFolder.start(tmp_path, header())
    run.add(some_episodes[0])
    run.close()
    whole = (tmp_path / EPISODES).read_bytes()
    (tmp_path / EPISODES).write_bytes(whole[:-1])
    RunFolder.start(tmp_path, header()).close()
    assert (tmp_path / EPISODES).read_bytes() == whole


@pytest.mark.parametrize(
    ("change", "message"),
    [({"agent": "other"}, "agent is"), ({"suite": "ood"}, "suite is"), ({"history": 3}, "history")],
)
def test_a_folder_with_another_run_is_refused(tmp_path, change, message):
    RunFolder.start(tmp_path, header()).close()
    with pytest.raises(ValueError, match=message):
        RunFolder.start(tmp_path, header(**change))


LONG = "a system prompt of many words " * 10


@pytest.mark.parametrize(
    ("there", "here", "message"),
    [
        (
            {"max_tokens": 512, "note": LONG},
            {"max_tokens": 513, "note": LONG},
            "settings max_tokens is 512 there, 513 here",
        ),
        ({"top_p": None}, {"top_p": 0.5}, "settings top_p is not set there, 0.5 here"),
        ({}, {"temperature": 0}, "settings temperature is not set there, 0 here"),
        ({"prompt": f"{LONG}a"}, {"prompt": f"{LONG}b"}, f"{LONG}a' there, '{LONG}b' here"),
        (
            {"extra_body": {"min_p": 0.1, "x": {"y": 1}}},
            {"extra_body": {"min_p": 0.1, "x": {"y": 2}}},
            "settings extra_body x y is 1 there, 2 here",
        ),
        (
            {"seed": 1, "top_k": 4},
            {"seed": 2, "top_k": 5},
            "seed is 1 there, 2 here; settings top_k is 4 there, 5 here",
        ),
        ({"sdk": "a"}, {"sdk": "b"}, "settings sdk is 'a' there, 'b' here"),
    ],
)
def test_a_conflict_names_each_setting_with_both_values_whole(there, here, message, tmp_path):
    RunFolder.start(tmp_path, header(settings=there)).close()
    with pytest.raises(ValueError) as raised:
        RunFolder.start(tmp_path, header(settings=here))
    assert f"{message}; choose another folder" in str(raised.value)


@pytest.mark.parametrize(
    ("there", "here", "notices"),
    [
        ({"seed": None, "json_mode": False, "headers": []}, {}, []),
        ({"temperature": 0}, {"temperature": 0.0}, []),
        ({"batch_size": 32, "note": "a"}, {"batch_size": 4, "note": "b"}, []),
        (
            {"base_url": "http://host:1/v1"},
            {"base_url": "http://host:2/v1", "headers": ["X-Org"]},
            [
                "settings base_url was 'http://host:1/v1' when the run began, and is "
                "'http://host:2/v1' now",
                "settings headers was not set when the run began, and is ['X-Org'] now",
            ],
        ),
    ],
)
def test_what_does_not_change_the_model_never_conflicts(there, here, notices, tmp_path):
    RunFolder.start(tmp_path, header(settings=there)).close()
    run = RunFolder.start(tmp_path, header(settings=here))
    run.close()
    assert run.notices == notices and run.header.settings == there


@pytest.mark.parametrize(
    ("there", "here", "conflict", "notices"),
    [
        ({"dtype": "float32"}, {"dtype": "bfloat16"}, r"float32\) there, .*bfloat16\) here", []),
        ({"picture_size": "96x96"}, {"picture_size": "336x336"}, "model picture_size is", []),
        ({"dtype": "float32"}, {"dtype": ""}, "", []),
        (
            {"device": "cuda", "versions": {"torch": "2.12", "peft": "1"}},
            {"device": "cpu", "versions": {"torch": "2.13", "peft": "1"}},
            "",
            [
                "model device was 'cuda' when the run began, and is 'cpu' now",
                "model versions torch was '2.12' when the run began, and is '2.13' now",
            ],
        ),
    ],
)
def test_a_local_model_keeps_its_dtype_and_says_what_else_changed(
    there, here, conflict, notices, tmp_path
):
    RunFolder.start(tmp_path, header(models={"": ModelInfo(**there)})).close()
    now = header(models={"": ModelInfo(**here)})
    if conflict:
        with pytest.raises(ValueError, match=conflict):
            RunFolder.start(tmp_path, now)
        return
    run = RunFolder.start(tmp_path, now)
    run.close()
    assert run.notices == notices


def test_a_run_may_be_resumed_with_more_episodes(tmp_path):
    RunFolder.start(tmp_path, header(episodes=5, started="first")).close()
    run = RunFolder.start(tmp_path, header(episodes=50, started="again"))
    assert run.header.episodes == 50 and run.header.started == "first"
    run.close()


def test_a_folder_without_a_run_or_with_a_damaged_header_is_one_line(tmp_path):
    with pytest.raises(ValueError, match="is no run folder"):
        RunFolder.open(tmp_path)
    RunFolder.start(tmp_path / "b" / "test", header()).close()
    with pytest.raises(ValueError, match=r"is no run folder: .*; it holds 1 of them, as .*test"):
        RunFolder.open(tmp_path / "b")
    (tmp_path / "run.json").write_text("{")
    with pytest.raises(ValueError, match="is damaged"):
        RunFolder.open(tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(ValueError, match="can't write"):
        RunFolder.start(tmp_path / "file" / "run", header())


def test_a_run_is_written_by_one_process_at_a_time(tmp_path):
    run = RunFolder.start(tmp_path, header())
    with pytest.raises(ValueError, match="another process is writing to"):
        RunFolder.start(tmp_path, header())
    before = (tmp_path / "run.json").read_text()
    with pytest.raises(ValueError, match="another process is writing to"):
        RunFolder.start(tmp_path, header(repeats=3))
    assert (tmp_path / "run.json").read_text() == before
    run.close()
    RunFolder.start(tmp_path, header()).close()


def test_a_failed_start_releases_the_folder(tmp_path):
    (tmp_path / f".run.json.{os.getpid()}").mkdir()
    with pytest.raises(ValueError, match="can't write"):
        RunFolder.start(tmp_path, header())
    (tmp_path / f".run.json.{os.getpid()}").rmdir()
    RunFolder.start(tmp_path, header()).close()


def test_damaged_lines_are_reported_once_however_often_they_are_read(tmp_path):
    run = RunFolder.start(tmp_path, header())
    run.close()
    (tmp_path / EPISODES).write_text("torn\n")
    (tmp_path / JOURNAL).write_text("{}\n")
    for _ in range(2):
        assert run.episodes() == [] and run.replies() == {}
    assert len(run.damaged) == 2


def test_episodes_without_a_header_are_refused(tmp_path):
    (tmp_path / "episodes.jsonl").write_text("")
    with pytest.raises(ValueError, match="holds episodes.jsonl but no run.json"):
        RunFolder.start(tmp_path, header())


def test_a_header_states_rows_prompt_and_versions():
    spec = RunSpec("ood-rules", "action_only", "comic", 50, repeats=2, history=3)
    recorded = run_header(Tester(), spec, ["vlbench/Points24-v0"], price=[2.5, 10.0])
    assert (recorded.suite, recorded.prompt, recorded.theme) == (
        "ood-rules",
        "action_only",
        "comic",
    )
    assert (recorded.episodes, recorded.repeats, recorded.history) == (50, 2, 3)
    assert recorded.frozen_hashes == {
        "vlbench/Points24-v0": frozen_hash("vlbench/Points24-v0", "ood-rules"),
    }
    assert recorded.price == [2.5, 10.0] and recorded.versions["vlbench"] == vlbench.__version__
    assert (recorded.env_kwargs, recorded.models, recorded.shard, recorded.challenge) == (
        {},
        {},
        None,
        None,
    )


MODEL = ModelInfo("runs/a/step-000001", 1, "a" * 64, "float32")


@pytest.mark.parametrize(
    ("there", "here", "message"),
    [
        ({"": MODEL}, {"": replace(MODEL, checkpoint="elsewhere", step=None, device="cuda")}, ""),
        (
            {"": MODEL},
            {"": replace(MODEL, checkpoint="b", weights_hash="b" * 64)},
            "the model is runs/a/step-000001 (sha256 aaaaaaaaaaaa, float32) there, "
            "b (sha256 bbbbbbbbbbbb, float32) here",
        ),
        ({"": MODEL}, {"": replace(MODEL, dtype="bfloat16")}, "bfloat16) here"),
        ({"": replace(MODEL, weights_hash="")}, {"": MODEL}, "unknown weights"),
        ({}, {"": MODEL}, "the model is unknown there"),
        ({"": MODEL}, {}, "unknown here"),
        ({"vlbench/Points24-v0": MODEL}, {}, "the model of vlbench/Points24-v0 is"),
    ],
)
def test_a_run_goes_on_with_its_model_only(there, here, message):
    conflict = header(models=there).conflict(header(models=here))
    assert message in conflict and bool(conflict) == bool(message)


def test_a_setting_that_differs_is_named():
    there, here = ({"model": name, "batch_size": 32} for name in ("a", "b"))
    conflict = header(settings=there).conflict(header(settings=here))
    assert conflict == "settings model is 'a' there, 'b' here"


def test_files_of_a_run_that_are_no_plain_files_are_not_read(tmp_path):
    os.mkfifo(tmp_path / "run.json")
    with pytest.raises(ValueError, match="run.json isn't a file"):
        RunFolder.open(tmp_path)
    (tmp_path / "run.json").unlink()
    RunFolder.start(tmp_path, header()).close()
    os.mkfifo(tmp_path / EPISODES)
    assert RunFolder.open(tmp_path).episodes() == []


def test_settings_that_are_no_plain_data_are_refused():
    tester = Tester()
    tester.settings = {"model": object()}
    with pytest.raises(ValueError, match="the settings of agent test aren't plain data"):
        run_header(tester, RunSpec("test", "cot"), [])


def test_a_run_changes_its_rows_by_prompt_and_theme_only():
    usual = frozen_rows("vlbench/EZPoints-v0", "ood-rules")
    assert RunSpec("ood-rules", "cot").rows("vlbench/EZPoints-v0") == usual
    changed_rows = RunSpec("ood-rules", "cot_facts", "comic").rows("vlbench/EZPoints-v0")
    for row, changed in zip(usual, changed_rows, strict=True):
        assert changed.kwargs == row.kwargs | {"prompt": "cot_facts", "theme": "comic"}
        assert changed.frame_hash == "" and changed.instance == row.instance


def test_a_header_marks_uncommitted_changes(tmp_path, monkeypatch):
    monkeypatch.setattr(vlbench, "__file__", str(tmp_path / "vlbench" / "__init__.py"))
    assert (header().commit, header().dirty) == ("", None)

    def git(*arguments):
        command = ["git", "-c", "user.name=n", "-c", "user.email=e", "-C", str(tmp_path)]
        subprocess.run([*command, *arguments], check=True, capture_output=True)

    git("init")
    git("commit", "--allow-empty", "-m", "first")
    assert len(header().commit) == 40 and header().dirty is False
    clean = header().commit
    (tmp_path / "new.py").write_text("")
    assert (header().commit, header().dirty) == (f"{clean}+dirty", True)


def test_a_run_of_another_schema_is_refused_with_the_command_that_converts_it(tmp_path):
    RunFolder.start(tmp_path, header()).close()
    path = tmp_path / "run.json"
    data = json.loads(path.read_text())
    for schema, message in ((3, "reads 2$"), (1, "reads 2; python -m leaderboard.convert ")):
        path.write_text(json.dumps(data | {"schema": schema, "unheard": "of"}))
        with pytest.raises(ValueError, match=f"schema {schema}, this version {message}"):
            RunFolder.open(tmp_path)
