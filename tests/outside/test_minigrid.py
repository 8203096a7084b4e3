"""Minigrid's own environments, adapted; they come from PyPI."""

import json
import sys
from pathlib import Path

import gymnasium
import numpy as np
import pytest

import vlbench
from agents.evaluate import evaluate
from vlbench.replay import divergences

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples" / "minigrid_tasks"
TASKS = ("Empty", "DoorKey", "LavaCrossing")


@pytest.fixture(autouse=True)
def example(monkeypatch):
    if not EXAMPLE.is_dir():
        pytest.skip("needs a checkout")
    monkeypatch.syspath_prepend(EXAMPLE)
    yield
    sys.modules.pop("minigrid_tasks", None)
    for name in TASKS:
        gymnasium.registry.pop(f"minigrid/{name}-v0", None)


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize("name", TASKS)
def test_a_run_on_minigrid_replays_without_a_difference(tmp_path, name):
    run = evaluate("random", f"minigrid_tasks:minigrid/{name}-v0", episodes=3, out=tmp_path)
    assert run.header.not_replayable == [] and len(run.episodes) == 3
    assert divergences(run.episodes) == []


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
def test_a_model_that_reads_the_mission_and_walks_to_the_goal_wins(monkeypatch):
    import minigrid_tasks  # noqa: F401  # registers the tasks

    env = gymnasium.make("minigrid/Empty-v0")
    observation, info = env.reset(options={"instance": "empty/17"})
    assert "Your task: get to the green goal square." in observation["text"]
    assert observation["image"].shape == (300, 300, 3)
    grid = env.unwrapped.env.unwrapped
    turns = 0
    while not env.unwrapped.is_over:
        x, direction = grid.agent_pos[0], grid.agent_dir
        wanted = 0 if x < grid.width - 2 else 1  # to the right, then down: there is the goal
        action = "forward" if direction == wanted else "right"
        _, reward, _, _, info = env.step(vlbench.reply(action))
        turns += 1
    assert info["success"] and np.isclose(reward, 1 - 0.9 * turns / grid.max_steps)


def test_the_page_s_numbers_are_those_that_were_measured():
    results = ROOT / "docs" / "results"
    measured = {
        env_id: row
        for name in ("minigrid", "other_games")
        for env_id, row in json.loads((results / f"{name}.json").read_text("utf-8")).items()
    }
    page = (ROOT / "docs" / "adapters.md").read_text("utf-8")
    for env_id, row in measured.items():
        low, high = 100 * row["success_low"], 100 * row["success_high"]
        rate = f"{100 * row['success']:.1f} % ({low:.1f}–{high:.1f} %)"
        its_id = row.get("minigrid") or row["its_id"]
        line = f"| `{env_id}` | `{its_id}` | {rate} | {row['episodes']} | {row['differ']} |"
        assert line in page
