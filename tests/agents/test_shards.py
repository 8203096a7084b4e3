"""A run in parts: every part is played once, and the parts joined equal the whole."""

import dataclasses
import json
import shutil

import pytest
from support.cli_process import call

from agents.evaluate import evaluate
from agents.merge import main as merge_command
from agents.shards import array_note, merge, parse_shard, part
from vlbench.records import Shard
from vlbench.replay import divergences
from vlbench.run_folder import EPISODES, RunFolder

ARRAY = {"SLURM_ARRAY_TASK_ID": "5", "SLURM_ARRAY_TASK_MIN": "3", "SLURM_ARRAY_TASK_COUNT": "4"}
ENVS = ["NumberLine", "Blackjack"]


def play(out, shard=None, **options):
    options = {"episodes": 7, "repeats": 2, "concurrency": 3, **options}
    return evaluate("random", ENVS, out=out, shard=shard, **options)


def timeless(episodes):
    """Return episodes without the times of their replies."""
    return [
        dataclasses.replace(
            episode,
            turns=tuple(
                dataclasses.replace(turn, reply=dataclasses.replace(turn.reply, seconds=0.0))
                for turn in episode.turns
            ),
        )
        for episode in episodes
    ]


@pytest.fixture(scope="module")
def played(tmp_path_factory):
    folder = tmp_path_factory.mktemp("parts")
    for index in range(3):
        play(folder / f"part{index}", Shard(index, 3))
    return folder


@pytest.fixture
def parts(played, tmp_path):
    return [shutil.copytree(played / f"part{i}", tmp_path / f"part{i}") for i in range(3)]


def test_three_parts_joined_equal_the_whole_run_record_by_record(parts, tmp_path):
    whole = play(tmp_path / "whole")
    joined = merge([parts[2], parts[0], parts[1]], tmp_path / "joined")
    episodes = joined.episodes()
    assert timeless(episodes) == timeless(whole.episodes) and len(episodes) == 2 * 7 * 2
    assert divergences(episodes) == []
    for item in dataclasses.fields(joined.header):
        if item.name != "started":
            assert getattr(joined.header, item.name) == getattr(whole.header, item.name)
    replies = {key: [r.text for r in turns] for key, turns in joined.replies().items()}
    journal = RunFolder.open(whole.folder).replies()
    assert replies == {key: [r.text for r in turns] for key, turns in journal.items()}


@pytest.mark.extra
def test_joined_parts_of_a_whole_set_pack_and_verify(tmp_path):
    from leaderboard.archive import Refused
    from leaderboard.pack import main as pack
    from leaderboard.verify import verify

    for index in range(2):
        evaluate("random", "NumberLine", out=tmp_path / f"part{index}", shard=Shard(index, 2))
    merge([tmp_path / "part0", tmp_path / "part1"], tmp_path / "joined")
    entry = tmp_path / "entry.tar.gz"
    assert pack([str(tmp_path / "joined"), "--out", str(entry), "--track", "reference"]) == 0
    verify(entry)  # it also counts the episodes that began out of order
    pack([str(tmp_path / "part0"), "--out", str(tmp_path / "part.tar.gz")])
    with pytest.raises(Refused):
        verify(tmp_path / "part.tar.gz")


def test_a_part_resumes_as_the_same_part_only(tmp_path):
    first = play(tmp_path / "part", Shard(0, 3))
    assert play(tmp_path / "part", Shard(0, 3)).episodes == first.episodes
    with pytest.raises(ValueError, match="another run: shard"):
        play(tmp_path / "part", Shard(1, 3))
    with pytest.raises(ValueError, match="another run: shard"):
        play(tmp_path / "part")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda parts: parts[:2], "parts 3/3 are missing"),
        (lambda parts: [*parts, parts[1]], "are both part 2/3"),
        (lambda parts: parts[:1], "parts 2/3, 3/3 are missing"),
    ],
    ids=["missing", "twice", "alone"],
)
def test_parts_that_make_no_whole_are_named(parts, tmp_path, change, message):
    with pytest.raises(ValueError, match=message):
        merge(change(parts), tmp_path / "joined")
    assert not (tmp_path / "joined").exists()


def test_parts_of_different_runs_are_refused(parts, tmp_path, capsys):
    play(tmp_path / "other", Shard(1, 3), prompt="action_only")
    with pytest.raises(ValueError, match="of different runs: prompt"):
        merge([parts[0], tmp_path / "other", parts[2]], tmp_path / "joined")
    play(tmp_path / "short", Shard(1, 3), episodes=3)
    with pytest.raises(ValueError, match="of different runs: episodes 7 and 3"):
        merge([parts[0], tmp_path / "short", parts[2]], tmp_path / "joined")
    play(tmp_path / "halves", Shard(1, 2))
    with pytest.raises(ValueError, match="one is split into 3 parts, the other into 2"):
        merge([parts[0], tmp_path / "halves", parts[2]], tmp_path / "joined")
    play(tmp_path / "all")
    assert merge_command([str(tmp_path / "all"), "--out", str(tmp_path / "joined")]) == 2
    assert "is a whole run, not a part" in capsys.readouterr().err
    assert merge_command([*map(str, parts), "--out", str(parts[0])]) == 2
    assert not (tmp_path / "joined").exists()


def test_a_damaged_line_is_named_and_a_line_that_was_cut_off_is_left_out(parts, tmp_path):
    with (parts[1] / EPISODES).open("a") as file:
        file.write('{"env_id": "vlben')
    whole = merge(parts, tmp_path / "joined")
    assert len(whole.episodes()) == 2 * 7 * 2
    with (parts[1] / EPISODES).open("a") as file:
        file.write("\n")
    with pytest.raises(ValueError, match=r"episodes.jsonl:\d+ is damaged"):
        merge(parts, tmp_path / "again")


def test_every_item_is_in_exactly_one_part():
    items = list(range(11))
    assert sorted(x for i in range(4) for x in part(items, Shard(i, 4))) == items
    assert part(items, None) == items and part([1], Shard(3, 4)) == []


def test_a_shard_is_parsed_from_numbers_or_from_slurm():
    assert parse_shard("2/3") == Shard(1, 3)
    assert parse_shard("slurm", ARRAY) == Shard(2, 4)
    for text in ("0/3", "4/3", "1", "1/0", "a/b", "-1/2", "1/2/3", ""):
        with pytest.raises(ValueError, match="must be I/N"):
            parse_shard(text, ARRAY)
    with pytest.raises(ValueError, match="slurm needs an array job"):
        parse_shard("slurm", {})
    with pytest.raises(ValueError, match="consecutive task numbers"):
        parse_shard("slurm", ARRAY | {"SLURM_ARRAY_TASK_ID": "9"})


def test_an_array_without_a_shard_plays_the_whole_run_and_says_so(tmp_path, monkeypatch):
    assert array_note(None, {}) == "" == array_note(Shard(0, 2), ARRAY)
    assert "task 5 of a SLURM array of 4, and it plays the whole run" in array_note(None, ARRAY)
    for name, value in ARRAY.items():
        monkeypatch.setenv(name, value)
    command = ["agents.evaluate", "--agent", "random", "--env", "NumberLine", "--episodes", "5"]
    code, out, err = call(tmp_path, *command, "--json", "--out", "run")
    assert code == 0 and "--shard slurm plays a part" in err
    assert json.loads(out)["scorecards"][0]["episodes"] == 5
    code, out, err = call(tmp_path, *command, "--json", "--out", "part", "--shard", "slurm")
    assert code == 0 and json.loads(out)["scorecards"][0]["episodes"] == 1
