"""ALFWorld's official games, from a folder in their format with games of our own."""

import json
import subprocess
import sys

import gymnasium
import pytest
from support.alfworld_games import needs_engine
from support.env_ids import ALFWORLD

from agents.evaluate import evaluate
from vlbench.recorder import EpisodeRecorder
from vlbench.suites import Row, frozen_rows, label, shipped_suites, suites
from vlbench.tasks.alfworld import suites_official
from vlbench.tasks.alfworld.games import official
from vlbench.tasks.alfworld.games.generator import KINDS, generate, scenes


@pytest.fixture
def official_data(tmp_path, monkeypatch):
    """A folder in the official format, with games of our own."""
    data = tmp_path / "removable"  # the path contains "movable"
    for number, kind in enumerate(KINDS):
        game = generate(kind, scenes(kind)[number], number)
        goal = game.goal
        params = {
            "object_target": goal.target.capitalize(),
            "parent_target": goal.parent.capitalize(),
            "toggle_target": goal.toggle.capitalize(),
            "mrecep_target": "",
            "object_sliced": False,
        }
        split = ("valid_seen", "valid_unseen")[number % 2]
        name = f"{kind}-{goal.target}-None-{goal.parent or goal.toggle}-{game.scene}"
        folder = data / "json_2.1.1" / split / name / f"trial_T2019_{number}"
        folder.mkdir(parents=True)
        texts = {
            "pddl_domain": game.domain,
            "grammar": game.grammar,
            "pddl_problem": game.problem,
        }
        (folder / "game.tw-pddl").write_text(json.dumps({**texts, "solvable": True}))
        trial = {"task_type": kind, "pddl_params": params}
        (folder / "traj_data.json").write_text(json.dumps(trial))
    monkeypatch.setenv("ALFWORLD_DATA", str(data))
    official._trials.cache_clear()
    official.frozen_hashes.cache_clear()
    return data


@needs_engine
def test_official_games_are_suites_of_their_own(official_data, tmp_path, monkeypatch):
    from leaderboard.pack import pack  # the bare wheel can't import it

    assert suites(ALFWORLD) == shipped_suites(ALFWORLD)
    assert suites_official.main() == 0
    assert suites(ALFWORLD) == (*shipped_suites(ALFWORLD), "official_seen", "official_unseen")
    run = evaluate("expert", "all", suite="official_seen", out=tmp_path / "run")
    (card,) = run.scorecards
    assert card.success == 1 and card.episodes == 3 and card.suite == "official_seen"
    assert card.notes == ("official games, schematic pictures",)
    assert label(ALFWORLD, "test") == "generated games, schematic pictures"
    monkeypatch.delenv("ALFWORLD_DATA")  # a run can be read on another machine
    assert label(ALFWORLD, "official_seen") == "official games, schematic pictures"
    with pytest.raises(ValueError, match='unknown suite "official_seen"'):
        pack([tmp_path / "run"], {})
    assert len(run.skipped) == 4 and "unknown suite" in run.skipped[0].reason
    assert len(run.header.frozen_hashes[ALFWORLD]) == 64 and card.normalized is None


@needs_engine
def test_damaged_or_missing_official_games_are_told_in_one_line(official_data, capsys, monkeypatch):
    assert suites_official.main() == 0
    row = frozen_rows(ALFWORLD, "official_seen")[0]
    place = official._trials(official.games_folder())[row.instance]
    game, trial = place / "game.tw-pddl", place / "traj_data.json"
    text = game.read_text()
    changed = text.replace("Your task is to: ", "Your task is to: please ")
    for path, damage, message in (
        (game, changed, "has changed since it was frozen"),
        (game, "{", "can't be read"),
        (game, "{}", "is damaged: no 'pddl_domain'"),
        (trial, "{}", "its task is None, not "),
    ):
        path.write_text(damage)
        with pytest.raises(ValueError) as error:
            EpisodeRecorder(gymnasium.make(ALFWORLD), Row(ALFWORLD, {}, row.instance, 0))
        assert message in str(error.value) and "\n" not in str(error.value)
    (official_data / "vlbench" / "official_seen.jsonl").write_text("{")
    with pytest.raises(ValueError, match="official_seen of vlbench/ALFWorld-v0 is damaged"):
        frozen_rows(ALFWORLD, "official_seen")
    monkeypatch.delenv("ALFWORLD_DATA")
    capsys.readouterr()
    assert suites_official.main() == 2
    assert "no official games: $ALFWORLD_DATA isn't set" in capsys.readouterr().err


@needs_engine
def test_a_game_that_the_engine_cannot_read_is_named_in_one_line(official_data):
    instance, place = min(official._trials(official.games_folder()).items())
    game = place / "game.tw-pddl"
    whole = json.loads(game.read_text())
    game.write_text(json.dumps({**whole, "grammar": whole["grammar"][:1000]}))
    command = [sys.executable, "-W", "error", "-m", "vlbench.tasks.alfworld.suites_official"]
    done = subprocess.run(command, capture_output=True, text=True)
    *_, last = done.stderr.splitlines()
    assert done.returncode == 2 and len(done.stderr.splitlines()) <= 2
    assert last.startswith(f"suites_official: \"{instance}\" can't be started: ALFWorld's engine ")
