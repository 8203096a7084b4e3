"""Replay finds no difference in an honest record and names any single change."""

import dataclasses

import gymnasium
import pytest
from support.sample_episodes import expert, header, play

from vlbench.recorder import EpisodeRecorder
from vlbench.records import Failure, Reply
from vlbench.replay import Replayer, divergences, main
from vlbench.run_folder import EPISODES, JOURNAL, RunFolder


def test_replay_finds_no_difference_in_an_honest_record(some_episodes):
    assert divergences(some_episodes) == []


def flipped(value):
    if isinstance(value, bool):
        return not value
    if isinstance(value, float):
        return value + 1
    if isinstance(value, int):
        return value + 1
    if isinstance(value, Reply):
        return dataclasses.replace(value, text=value.text + " ")
    return "0" * 64 if len(value) == 64 else value + "x"


TURN_FIELDS = [
    "prompt_hash",
    "frame_hash",
    "state_hash",
    "reply",
    "reply_hash",
    "status",
    "recovered",
    "action",
    "illegal",
    "reward",
    "expert",
    "regret",
    "cause",
    "strict",
]


@pytest.mark.parametrize("name", TURN_FIELDS)
def test_replay_names_any_one_changed_field_of_a_turn(some_episodes, name):
    for episode in some_episodes:
        for number in range(len(episode.turns)):
            turn = episode.turns[number]
            changed = dataclasses.replace(turn, **{name: flipped(getattr(turn, name))})
            turns = (*episode.turns[:number], changed, *episode.turns[number + 1 :])
            divergence = Replayer().replay(dataclasses.replace(episode, turns=turns)).divergence
            assert divergence is not None and divergence.turn == number
            assert divergence.field == ("reply_hash" if name == "reply" else name)
            assert episode.key in str(divergence) and divergence.field in str(divergence)
            break


@pytest.mark.parametrize(
    "name", ["end", "success", "final_state_hash", "final_frame_hash", "schema"]
)
def test_replay_names_any_one_changed_field_of_an_episode(some_episodes, name):
    for episode in some_episodes:
        changed = dataclasses.replace(episode, **{name: flipped(getattr(episode, name))})
        assert Replayer().replay(changed).divergence.field == name


def test_replay_notices_another_instance_or_presentation(some_episodes):
    points = next(e for e in some_episodes if "Points24" in e.env_id)
    for change in ({"instance": "points24/3-3-8-8"}, {"presentation": points.presentation ^ 1}):
        divergence = Replayer().replay(dataclasses.replace(points, **change)).divergence
        assert divergence.turn == 0 and divergence.field in (
            "prompt_hash",
            "frame_hash",
            "state_hash",
        )


def test_replay_notices_missing_and_surplus_turns(some_episodes):
    episode = next(e for e in some_episodes if len(e.turns) > 2)
    short = dataclasses.replace(episode, turns=episode.turns[:-1])
    assert Replayer().replay(short).divergence is not None
    long = dataclasses.replace(episode, turns=(*episode.turns, episode.turns[-1]))
    assert Replayer().replay(long).divergence.field == "turns"


def test_a_failure_can_not_be_hidden_by_calling_it_an_error(some_episodes):
    failed = next(e for e in some_episodes if not e.success and e.end == "truncated")
    hidden = dataclasses.replace(failed, end="errored", error="ProviderError: 500")
    assert Replayer().replay(hidden).divergence.field == "end"


def test_an_errored_episode_replays_up_to_its_error(some_episodes):
    long = next(e for e in some_episodes if len(e.turns) > 2)
    recording = EpisodeRecorder(gymnasium.make(long.env_id, **long.kwargs), long.start, long.row)
    recording.play(long.turns[0].reply)
    errored = recording.episode("ProviderError: 503", Failure("provider", status=503))
    assert Replayer().replay(dataclasses.replace(errored)).divergence is None
    moved = dataclasses.replace(errored, final_frame_hash="0" * 64)
    assert Replayer().replay(moved).divergence.field == "final_frame_hash"


def test_the_replay_command_says_what_differs(tmp_path, capsys, some_episodes):
    run = RunFolder.start(tmp_path, header())
    for episode in some_episodes[:2]:
        run.add(episode)
    assert main([str(tmp_path)]) == 0
    assert "2 episodes replayed, 0 differ" in capsys.readouterr().out
    run.add(dataclasses.replace(some_episodes[2], success=not some_episodes[2].success))
    run.close()
    assert main([str(tmp_path)]) == 1
    assert "success is" in capsys.readouterr().out
    assert main([str(tmp_path / "nothing")]) == 2
    assert main([]) == main([str(tmp_path), "--fast"]) == 2
    assert capsys.readouterr().err.count("\n") == 3


def test_the_replay_command_notices_an_episode_in_another_rows_place(
    tmp_path, capsys, some_episodes
):
    run = RunFolder.start(tmp_path, header())
    run.add(dataclasses.replace(some_episodes[0], row=5))
    run.close()
    assert main([str(tmp_path)]) == 1
    assert "#5/0: row is" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"prompt_hashes": {"vlbench/EZPoints-v0": "0" * 64}}, "prompt_hashes of vlbench/EZ"),
        ({"frozen_hashes": {"vlbench/EZPoints-v0": "0" * 64}}, "frozen_hashes of vlbench/EZ"),
        ({"parser": "vlact-0"}, "parser is 'vlact-0'"),
        ({"suite": "tset"}, "suite of vlbench/EZPoints-v0 is 'tset'"),
        ({"suite": "seeds"}, "#1/0: seed is (None"),
        ({"prompt": "action_only"}, "#1/0: row is"),
        ({"theme": "comic"}, "#1/0: row is"),
    ],
)
def test_the_replay_command_notices_differences_in_the_header(tmp_path, capsys, change, field):
    for folder, fields in ((tmp_path / "honest", {}), (tmp_path / "other", change)):
        run = RunFolder.start(folder, header(**fields))
        run.add(play("vlbench/EZPoints-v0", 1, expert))
        run.close()
    assert main([str(tmp_path / "honest")]) == 0
    assert main([str(tmp_path / "other")]) == 1
    assert field in capsys.readouterr().out


def test_an_unknown_environment_hides_no_other_difference(tmp_path, capsys, some_episodes):
    run = RunFolder.start(tmp_path, header())
    run.add(dataclasses.replace(some_episodes[0], env_id="vlbench/NumberLin-v0"))
    run.add(dataclasses.replace(some_episodes[1], env_id="Pusher-v5"))  # isn't installed
    nothing = {"turns": (), "final_frame_hash": "", "end": "errored", "error": "boom"}
    run.add(dataclasses.replace(some_episodes[2], env_id="vlbench/NumberLin-v0", **nothing))
    run.add(dataclasses.replace(some_episodes[3], success=not some_episodes[3].success))
    run.close()
    assert main([str(tmp_path)]) == 1
    printed = capsys.readouterr().out
    for line in ("NumberLin-v0#0/0: start", "Pusher-v5#1/0", "NumberLin-v0#2/0: env_id", "success"):
        assert line in printed


def test_the_replay_command_names_an_episode_that_can_not_be_started(
    tmp_path, capsys, some_episodes
):
    run = RunFolder.start(tmp_path, header())
    run.add(dataclasses.replace(some_episodes[0], instance="number_line/9-9"))
    run.close()
    assert main([str(tmp_path)]) == 1
    assert "start is 'number_line/9-9'" in capsys.readouterr().out


def test_a_run_that_was_killed_amid_a_line_replays_without_a_difference_once_it_goes_on(
    tmp_path, capsys
):
    run = RunFolder.start(tmp_path, header())
    run.add(play("vlbench/EZPoints-v0", 1, expert))
    run.close()
    for name in (EPISODES, JOURNAL):
        with (tmp_path / name).open("a") as file:
            file.write('{"schema": 2, "env_id": "vlbench/EZPo')
    assert main([str(tmp_path)]) == 1
    assert "damaged line left out" in capsys.readouterr().out
    run = RunFolder.start(tmp_path, header())
    run.add(play("vlbench/EZPoints-v0", 2, expert))
    run.close()
    assert main([str(tmp_path)]) == 0
    assert capsys.readouterr().out == "2 episodes replayed, 0 differ\n"
