"""Challenges: new rows after the submission, compared with the entry."""

import dataclasses
import json
import random

import pytest
from support.sample_entries import contents, packed, run, seal

import vlbench
from agents.evaluate import evaluate
from agents.evaluate import main as evaluate_main
from leaderboard import site
from leaderboard.pack import main as pack_main
from leaderboard.verify import main, summary, verify, verify_all
from vlbench.records.run_spec import CHALLENGE_ROWS, Challenge
from vlbench.run_folder import RunFolder
from vlbench.suites import (
    frozen_rows,
)
from vlbench.task import split_in
from vlbench.tasks.blackjack.game import BlackjackGame

pytestmark = [pytest.mark.extra, pytest.mark.slow]

EZ_POINTS = "vlbench/EZPoints-v0"
NONCE = "published-later"


class Memory:
    """Solves the frozen rows by heart, and plays at random where it doesn't know the turn."""

    name, privileged, settings = "memory", False, {"temperature": 0.0}

    def __init__(self):
        self.rng = random.Random(0)
        self.known = {}

    def learn(self, folder):
        for episode in evaluate("expert", "EZPoints", out=folder).episodes:
            for turn in episode.turns:
                self.known[turn.frame_hash, turn.prompt_hash] = turn.action
        return self

    async def act(self, observation, env=None):
        parts = observation["image"].tobytes(), observation["text"].encode()
        turn = tuple(map(vlbench.recorder.sha256, parts))
        return vlbench.reply(self.known.get(turn) or self.rng.choice("123456789+*="))


@pytest.fixture(scope="module")
def paths(tmp_path_factory):
    """The entry, its challenge, and a file that publishes the nonce."""
    folder = tmp_path_factory.mktemp("challenge")
    agent = Memory().learn(folder / "expert")
    entry = packed(run(folder / "run", "EZPoints", "test", agent=agent), folder / "m.tar.gz")
    digest = verify(entry).manifest.digest
    other = Memory()  # the turns of a challenge may be known ones by chance
    evaluate(other, "EZPoints", challenge=Challenge(digest, NONCE), out=folder / "new")
    arguments = ["--entry", str(entry), "--out", str(folder / "m.challenge.tar.gz")]
    assert pack_main([str(folder / "new"), *arguments]) == 0
    (folder / "nonces.json").write_text(json.dumps({digest: NONCE}), "utf-8")
    return folder / "m.tar.gz", folder / "m.challenge.tar.gz", folder / "nonces.json"


def test_rows_follow_from_digest_nonce_and_task_and_are_of_the_test_split():
    challenge = Challenge("1" * 64, "n")
    rows = challenge.rows("vlbench/Blackjack-v0")
    assert rows == challenge.rows("vlbench/Blackjack-v0") and len(rows) == CHALLENGE_ROWS
    assert {row.instance for row in rows}.isdisjoint(
        row.instance for row in frozen_rows("vlbench/Blackjack-v0", "test")
    )
    assert all(split_in(BlackjackGame(), row.instance) == "test" for row in rows)
    assert all(row.kwargs == {"theme": "train"} for row in rows)
    for other in (Challenge("2" * 64, "n"), Challenge("1" * 64, "m")):
        assert set(map(str, other.rows("vlbench/Blackjack-v0"))).isdisjoint(map(str, rows))


def test_a_challenge_run_holds_its_source_and_replays(paths):
    header = RunFolder.open(paths[1].parent / "new").header
    assert header.challenge == Challenge(verify(paths[0]).manifest.digest, NONCE)
    assert [row.frame_hash for row in header.rows(EZ_POINTS)] == [""] * CHALLENGE_ROWS


def test_an_entry_that_knew_the_rows_falls_short_of_its_challenge(paths):
    (entry,) = verify_all(paths[:2], nonces=paths[2]).entries
    assert entry.marks == ("replayed", "challenge")
    (task,) = entry.challenge.tasks
    assert task.entry.value == 1.0 and task.challenge.value < 0.1
    assert task.difference.high < 0
    flags = {flag.label: flag for flag in entry.flags}
    assert set(flags) == {"agrees with the expert", "falls short of its challenge"}
    assert "points" in flags["falls short of its challenge"].detail
    source = "(from nonces.json, not from the maintainers)"
    assert f"challenge m.challenge.tar.gz, nonce published-later {source}" in summary(entry)


def test_a_nonce_that_nobody_published_gives_no_mark(paths):
    (entry,) = verify_all(paths[:2]).entries
    assert entry.marks == ("replayed",) and entry.challenge
    assert "not published by the maintainers: no mark" in summary(entry)


def test_the_site_shows_entry_and_challenge_side_by_side(paths, tmp_path):
    arguments = [*map(str, paths[:2]), "--nonces", str(paths[2]), "--out", str(tmp_path / "site")]
    assert site.main(arguments) == 0
    (page,) = (tmp_path / "site" / "entries").iterdir()
    text = page.read_text("utf-8")
    assert "from the file nonces.json, not from the maintainers" in text
    assert "<h2>Challenge</h2>" in text and '<span class="pill ok">challenge</span>' in text
    assert "falls short of its challenge" in (tmp_path / "site" / "index.html").read_text("utf-8")


def changed(path, file, change):
    manifest, parts = contents(path)
    change(manifest, parts["test.jsonl"])
    return seal(manifest, parts, file)


@pytest.mark.parametrize(
    "change, wanted",
    [
        (lambda m, lines: m["suites"][0]["run"]["challenge"].update(nonce="mine"), "presentation"),
        (lambda m, lines: lines.pop(), "wanted vlbench/EZPoints-v0#99/0, found the end"),
        (lambda m, lines: lines.reverse(), "wanted "),
        (
            lambda m, lines: m["suites"][0]["run"]["settings"].update(temperature=1.0),
            "settings is {'temperature': 0.0} on test, {'temperature': 1.0}",
        ),
        (
            lambda m, lines: m["suites"][0]["run"].update(agent="somebody"),
            "agent is 'memory' on test, 'somebody' on test",
        ),
        (
            lambda m, lines: m["suites"][0]["run"]["challenge"].update(digest="0" * 64),
            "presentation: wanted",
        ),
        (
            lambda m, lines: m["suites"][0]["run"].pop("challenge"),
            "presentation: wanted",
        ),
    ],
)
def test_other_rows_settings_or_agents_are_refused(paths, tmp_path, change, wanted):
    path = changed(paths[1], tmp_path / "changed.tar.gz", change)
    verification = verify_all([paths[0], path], nonces=paths[2])
    (refused,) = verification.refused
    assert wanted in str(refused), refused
    assert verification.entries[0].challenge is None


def test_a_challenge_needs_its_entry_and_an_entry_takes_one(paths, tmp_path, capsys):
    assert main([str(paths[1])]) == 1
    assert "wanted its entry " in capsys.readouterr().err
    second = tmp_path / "again.tar.gz"
    second.write_bytes(paths[1].read_bytes())
    assert main([*map(str, paths[:2]), str(second)]) == 1
    assert "wanted one challenge, found m.challenge.tar.gz too" in capsys.readouterr().err


def test_a_challenge_is_packed_with_its_own_entry_only(paths, tmp_path, capsys):
    run_path, out = str(paths[1].parent / "new"), ["--out", str(tmp_path / "x.tar.gz")]
    assert pack_main([run_path, *out, "--track", "zero-shot"]) == 2
    assert "the run is a challenge; name its entry: --entry" in capsys.readouterr().err
    assert pack_main([run_path, *out, "--entry", str(paths[1])]) == 2
    assert "wanted the challenge of " in capsys.readouterr().err
    assert pack_main([run_path, *out, "--entry", str(paths[0]), "--name", "x"]) == 2
    assert "--entry gives the card, so --name can't be set" in capsys.readouterr().err
    assert not (tmp_path / "x.tar.gz").exists()


@pytest.mark.parametrize(
    "arguments, wanted",
    [
        (["--challenge", "1" * 64], "--challenge and --nonce belong together"),
        (["--nonce", "x"], "--challenge and --nonce belong together"),
        (["--challenge", "abc", "--nonce", "x"], "--challenge must be like"),
        (["--challenge", "1" * 64, "--nonce", ""], "--nonce must have 1 to 128 bytes, got 0"),
        (["--challenge", "1" * 64, "--nonce", "\u202e"], "--nonce must be plain text, got U+202E"),
        (["--challenge", "1" * 64, "--nonce", "x", "--episodes", "3"], "a challenge plays all its"),
        (
            ["--challenge", "1" * 64, "--nonce", "x", "--suite", "paper"],
            "a challenge plays all its",
        ),
        (["--challenge", "1" * 64, "--nonce", "x", "--repeats", "2"], "a challenge plays all its"),
    ],
)
def test_a_wrong_call_is_one_line(tmp_path, monkeypatch, capsys, arguments, wanted):
    monkeypatch.chdir(tmp_path)
    assert evaluate_main(["--agent", "expert", "--env", "NumberLine", *arguments]) == 2
    err = capsys.readouterr().err
    assert wanted in err and err.count("\n") == 1 and list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("text", ["", "[]", '{"a": 1}', "{"])
def test_a_damaged_file_of_nonces_is_one_line(paths, tmp_path, capsys, text):
    (tmp_path / "n.json").write_text(text, "utf-8")
    assert main([str(paths[0]), "--nonces", str(tmp_path / "n.json")]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_another_run_does_not_go_on_as_a_challenge(paths):
    header = RunFolder.open(paths[1].parent / "new").header
    assert "challenge is" in header.conflict(dataclasses.replace(header, challenge=None))


def test_a_task_without_frozen_sets_has_no_challenge(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    arguments = ["--challenge", "1" * 64, "--nonce", "x", "--env", "rl4vlm/NumberLine-v0"]
    assert evaluate_main(["--agent", "expert", *arguments]) == 2
    err = capsys.readouterr().err
    assert "a challenge follows the rules of its set test; it has none" in err
    assert err.count("\n") == 1
