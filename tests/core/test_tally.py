"""Runs of any size: tallies score as episodes do, and need little memory."""

import dataclasses
import json
import tracemalloc

import pytest
from support.sample_episodes import header

from vlbench.comparison import compare
from vlbench.records import to_json
from vlbench.records.json_lines import mend_last_line, read_lines
from vlbench.run_folder import EPISODES, RunFolder
from vlbench.scoring import headlines, score


@pytest.fixture
def run(tmp_path, some_episodes):
    """A run in which one episode was played twice, and one line is damaged."""
    folder = RunFolder.start(tmp_path, header())
    errored = dataclasses.replace(some_episodes[0], end="errored", error="lost", success=False)
    for episode in (errored, *reversed(some_episodes)):
        folder.add(episode)
    folder.close()
    with (tmp_path / EPISODES).open("a") as file:
        file.write('{"schema": 2}\n')
    return RunFolder.open(tmp_path)


def test_tallies_are_scored_as_the_episodes_are(run):
    episodes, tallies = run.episodes(), run.tallies()
    assert [tally.key for tally in tallies] == [episode.key for episode in episodes]
    assert score(run.header, tallies) == score(run.header, episodes)
    assert headlines(tallies, "test") == headlines(episodes, "test")
    assert compare(tallies, tallies) == compare(episodes, episodes)
    assert len(run.damaged) == 1


def test_some_episodes_are_read_by_key(run, some_episodes):
    key = some_episodes[4].key
    assert run.episodes({key}) == [some_episodes[4]]
    assert run.episodes(()) == []


def test_a_tally_needs_little_memory_however_long_the_episode_is(tmp_path, some_episodes):
    run = RunFolder.start(tmp_path, header())
    run.close()
    (long,) = [e for e in some_episodes if len(e.turns) == max(len(e.turns) for e in some_episodes)]
    with (tmp_path / EPISODES).open("w") as file:
        for row in range(10):
            file.write(json.dumps(to_json(dataclasses.replace(long, row=row))) + "\n")
    tracemalloc.start()
    tallies = run.tallies()
    size, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(tallies) == 10 and 20 * size < (tmp_path / EPISODES).stat().st_size


def test_a_last_line_that_was_cut_off_is_dropped_and_a_whole_one_is_ended(tmp_path):
    path = tmp_path / "lines.jsonl"
    first = json.dumps("x" * 200_000)
    for last, expected in (("[1", [first]), ("[1]", [first, "[1]"]), ("", [first])):
        path.write_text(f"{first}\n{last}", "utf-8")
        mend_last_line(path)
        assert path.read_text("utf-8") == "".join(f"{line}\n" for line in expected)
    path.write_text("[1", "utf-8")
    mend_last_line(path)
    assert path.read_text("utf-8") == ""
    damaged = []
    path.write_text("1\nno\n\n2\n", "utf-8")
    assert [data for _, data in read_lines(path, damaged)] == [1, 2]
    assert len(damaged) == 1 and "lines.jsonl:2" in damaged[0]
