"""The checkpoints that come with the package: small, documented, and they play."""

import pytest

from agents.registry import AGENTS
from agents.vlm.bundled import CHECKPOINTS, TASKS

MOST = 12_000_000
"""Bytes of all weights together."""

STAGES = ("llava-sft", "llava-rl")


def test_the_weights_are_small_together():
    files = list(CHECKPOINTS.rglob("*.safetensors"))
    assert len(files) == len(STAGES) * len(TASKS)
    assert sum(file.stat().st_size for file in files) <= MOST


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("task", TASKS.values())
def test_every_checkpoint_has_a_card_and_no_pickle(stage, task):
    folder = CHECKPOINTS / stage / task
    card = (folder / "README.md").read_text("utf-8")
    assert f"# {stage}" in card
    assert "checkpoints.sh" in card
    assert {file.suffix for file in folder.iterdir()} <= {".safetensors", ".json", ".jinja", ".md"}


def test_both_are_agents():
    assert set(STAGES) <= set(AGENTS)


@pytest.fixture(scope="module")
def evaluated(tmp_path_factory):
    torch = pytest.importorskip("torch")
    pytest.importorskip("transformers")
    torch.set_num_threads(1)
    from agents.evaluate import evaluate
    from agents.registry import load_agent

    return evaluate(
        load_agent("llava-rl"),
        "all",
        episodes=12,
        out=tmp_path_factory.mktemp("run") / "shipped",
        concurrency=32,
    )


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
def test_the_tasks_they_were_trained_on_are_played_and_others_are_skipped(evaluated):
    assert [card.env for card in evaluated.scorecards] == list(TASKS)
    assert "only on these tasks" in evaluated.scorecards[0].agent


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
def test_what_they_learned_is_seen_in_a_dozen_episodes(evaluated):
    success = {card.env: card.success for card in evaluated.scorecards}
    assert success["vlbench/NumberLine-v0"] >= 0.9
    assert success["vlbench/EZPoints-v0"] >= 0.8
    assert success["vlbench/Points24-v0"] > 0
    assert success["vlbench/Blackjack-v0"] > 0
    assert all(card.malformed_rate < 0.1 for card in evaluated.scorecards)


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
def test_a_setting_reaches_every_player():
    pytest.importorskip("transformers")
    from agents.registry import load_agent

    with pytest.raises(ValueError, match="temperature must be at least 0"):
        load_agent("llava-rl", temperature=-1.0)
    agent = load_agent("llava-sft", temperature=0.5)
    assert agent.settings["temperature"] == 0.5
