"""Converting what schema 1 recorded: every field is kept, and what comes out is replayed.

`schema1.tar.gz` is an entry that the last version of schema 1 packed and verified: 100 rows of
EZPoints, with turns of every cause, errors, retries, episodes played again, and a damaged line.
"""

import gzip
import json
import shutil
from pathlib import Path

import pytest
from support.sample_entries import contents, seal

import vlbench.replay
from leaderboard.convert import main
from leaderboard.entry import read_entry, read_episodes
from vlbench.records import CAUSES, episode_key
from vlbench.run_folder import RunFolder
from vlbench.scoring import score

pytestmark = pytest.mark.extra

OLD = Path(__file__).with_name("schema1.tar.gz")
PART = "ood.jsonl"
TURN = {"prompt": "prompt_hash", "frame": "frame_hash", "state": "state_hash"}
EPISODE = {"final_state": "final_state_hash", "final_frame": "final_frame_hash"}


def assert_kept(old, new, names, changed):
    """Hold each field of an old record against the new one's."""
    for name, value in old.items():
        if name not in changed:
            kept = getattr(new, names.get(name, name))
            assert (kept, type(kept)) == (value, type(value)), name


def assert_episodes_kept(lines, episodes):
    assert len(lines) == len(episodes) > 0
    for line, episode in zip(lines, episodes, strict=True):
        assert_kept(line, episode, EPISODE, {"schema", "turns"})
        assert episode.schema == 2 and len(episode.turns) == len(line["turns"])
        for old, turn in zip(line["turns"], episode.turns, strict=True):
            assert_kept(old, turn, TURN, {"reply", "cause"})
            assert_kept(old["reply"], turn.reply, {}, set())
            assert turn.cause == ("inconsistent" if old["cause"] == "slip" else old["cause"])


@pytest.fixture(scope="module")
def old():
    manifest, parts = contents(OLD)
    causes = {turn["cause"] for line in parts[PART] for turn in line["turns"]}
    assert causes == {*CAUSES, ""} - {"inconsistent"} | {"slip"}
    return manifest, parts


def old_run(folder, manifest, lines):
    """Write the run's folder that an old entry was packed from."""
    folder.mkdir()
    (folder / "run.json").write_text(json.dumps(manifest["suites"][0]["run"]), "utf-8")
    keys = [episode_key(line["env_id"], line["row"], line["repeat"]) for line in lines]
    journal = [
        {"episode": key, "turn": number, "reply": turn["reply"]}
        for key, line in zip(keys, lines, strict=True)
        for number, turn in enumerate(line["turns"])
    ]
    for name, records in (("replies.jsonl", journal), ("episodes.jsonl", lines)):
        text = "".join(json.dumps(record) + "\n" for record in records)
        (folder / name).write_text(text, "utf-8")
    return folder


def test_an_old_entry_keeps_every_field_and_scores_the_same(old, tmp_path, capsys):
    manifest, parts = old
    path = tmp_path / "new" / "entry.tar.gz"
    assert main([str(OLD), "--out", str(path)]) == 0
    assert "entry.tar.gz: the entry Scribe 1, digest " in capsys.readouterr().out
    entry = read_entry(path)
    assert_kept(manifest["card"], entry.manifest.card, {}, set())
    (before,), (suite,) = manifest["suites"], entry.manifest.suites
    assert_kept(before["run"], suite.run, {}, {"schema", "parser"})
    assert (suite.run.schema, suite.run.dirty, suite.run.models) == (2, None, {})
    assert suite.irregularities.model_dump(mode="json") == {**before["losses"], "late": []}
    assert before["losses"]["errored"] and before["losses"]["replayed"]
    assert suite.part.episodes == before["part"]["episodes"] == 100
    assert_episodes_kept(parts[PART], list(read_episodes("", PART, entry.parts[PART])))

    (card,) = score(suite.run, list(read_episodes("", PART, entry.parts[PART])))
    (scored,) = before["scorecards"]
    assert card.success == scored["success"]
    assert (card.regret, card.usd) == pytest.approx((scored["regret"], scored["usd"]), rel=1e-12)
    assert card.attribution["inconsistent"].turns == scored["attribution"]["slip"]["turns"] > 0


def test_an_old_run_keeps_every_field_and_is_replayed(old, tmp_path, capsys):
    manifest, parts = old
    run = old_run(tmp_path / "run", manifest, parts[PART])
    with (run / "episodes.jsonl").open("a") as file:
        file.write('{"schema":1,"env_id":"vlb')
    with pytest.raises(ValueError, match=r"this version reads 2; python -m leaderboard.convert "):
        RunFolder.open(run)
    assert main([str(run), "--out", str(tmp_path / "new")]) == 0
    out = capsys.readouterr().out
    assert out.endswith("new: a run of scribe; 1 damaged lines copied as they are\n")
    new = RunFolder.open(tmp_path / "new")
    assert_kept(manifest["suites"][0]["run"], new.header, {}, {"schema", "parser"})
    assert_episodes_kept(parts[PART], new.episodes())
    assert len(new.damaged) == 1
    replies = new.replies()
    for episode in new.episodes():
        assert replies.get(episode.key, []) == [turn.reply for turn in episode.turns]
    assert vlbench.replay.main([str(tmp_path / "new")]) == 1
    assert "100 episodes replayed, 0 differ" in capsys.readouterr().out


def test_nothing_is_overwritten(tmp_path, capsys):
    (tmp_path / "here.tar.gz").write_text("mine")
    assert main([str(OLD), "--out", str(tmp_path / "here.tar.gz")]) == 2
    assert main([str(OLD), "--out", str(tmp_path)]) == 2
    err = capsys.readouterr().err
    assert err.count("is there already; choose another name") == err.count("\n") == 2
    assert (tmp_path / "here.tar.gz").read_text() == "mine"


def damaged(path, old, change):
    """Write an old entry with a change, sealed with right hashes."""
    manifest, parts = json.loads(json.dumps(old))
    change(manifest, parts[PART])
    return seal(manifest, parts, path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda m, lines: m.update(format=2), "manifest.json: wanted format 1, found 2"),
        (lambda m, lines: m.pop("format"), "manifest.json: not of schema 1: it lacks the field"),
        (lambda m, lines: m["suites"][0].pop("losses"), "lacks the field 'losses'"),
        (lambda m, lines: m["suites"][0]["run"].update(schema=2), "wanted schema 1, found 2"),
        (lambda m, lines: m["suites"][0]["run"].pop("agent"), 'RunHeader lacks the field "agent"'),
        (lambda m, lines: m["card"].update(track="best"), "card.track: Input should be"),
        (lambda m, lines: lines[2].update(schema=2), "ood.jsonl:3: wanted schema 1, found 2"),
        (lambda m, lines: lines[2].pop("turns"), "ood.jsonl:3: not of schema 1: it lacks"),
        (lambda m, lines: lines[2].update(turns=[3]), "ood.jsonl:3: not of schema 1: "),
        (lambda m, lines: lines[2]["turns"][0].pop("frame"), 'Turn lacks the field "frame_hash"'),
        (lambda m, lines: lines.insert(2, [1]), "ood.jsonl:3: not of schema 1: "),
    ],
)
def test_what_is_not_of_schema_1_is_refused_by_name(old, tmp_path, capsys, change, message):
    path = damaged(tmp_path / "old.tar.gz", old, change)
    assert main([str(path), "--out", str(tmp_path / "new.tar.gz")]) == 2
    err = capsys.readouterr().err
    assert err.startswith("convert: old.tar.gz: ") and message in err and err.count("\n") == 1
    assert not (tmp_path / "new.tar.gz").exists()


def test_an_entry_that_was_changed_after_it_was_sealed_is_refused(old, tmp_path, capsys):
    raw = gzip.decompress(OLD.read_bytes())
    for was, now, message in (
        (b'"Scribe 1"', b'"Scribe 2"', "its digest isn't that of its contents"),
        (b'"reward":-1.0', b'"reward":10.0', "its hash isn't that of its contents"),
    ):
        assert was in raw and len(was) == len(now)
        (tmp_path / "old.tar.gz").write_bytes(gzip.compress(raw.replace(was, now, 1)))
        assert main([str(tmp_path / "old.tar.gz"), "--out", str(tmp_path / "new.tar.gz")]) == 2
        assert message in capsys.readouterr().err


def test_what_can_not_be_converted_is_one_line_and_leaves_nothing(old, tmp_path, capsys):
    run = old_run(tmp_path / "run", *[old[0], old[1][PART][:2]])
    assert main([str(run), "--out", str(tmp_path / "once")]) == 0
    shutil.copytree(run, tmp_path / "torn")
    (tmp_path / "torn" / "run.json").write_text("{")
    (tmp_path / "text").write_text("nothing")
    (tmp_path / "empty").mkdir()
    capsys.readouterr()
    for name, message in {
        "once": "run.json: wanted schema 1, found 2",
        "torn": "run.json: Expecting property name",
        "text": "wanted a gzip file",
        "empty": "empty is no run folder: it has no run.json",
        "nowhere": "no run or entry ",
    }.items():
        assert main([str(tmp_path / name), "--out", str(tmp_path / "new")]) == 2
        err = capsys.readouterr().err
        assert err.startswith("convert: ") and message in err and err.count("\n") == 1
    assert main([str(run)]) == main([]) == 2
    assert {path.name for path in tmp_path.iterdir()} == {"run", "once", "torn", "text", "empty"}
