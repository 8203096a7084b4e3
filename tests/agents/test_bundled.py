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


def play(folder, tasks, **options):
    torch = pytest.importorskip("torch")
    pytest.importorskip("transformers")
    torch.set_num_threads(1)
    from agents.evaluate import evaluate
    from agents.registry import load_agent

    return evaluate(load_agent("llava-rl"), tasks, out=folder / "run", concurrency=32, **options)


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
def test_the_tasks_they_were_trained_on_are_played_and_others_are_skipped(tmp_path):
    run = play(tmp_path, "all", episodes=1)
    assert [card.env for card in run.scorecards] == list(TASKS)
    assert "only on these tasks" in run.scorecards[0].agent


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize(
    ("task", "suite", "least"),
    [
        ("NumberLine", "paper", 0.9),
        ("EZPoints", "paper", 0.8),
        ("Points24", "test", 1 / 12),
        ("Blackjack", "paper", 1 / 12),
    ],
)
def test_what_they_learned_is_seen_in_a_dozen_episodes_of_its_rules(task, suite, least, tmp_path):
    (card,) = play(tmp_path, task, suite=suite, episodes=12).scorecards
    assert card.success >= least and card.malformed_rate < 0.1


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
def test_a_setting_reaches_every_player():
    pytest.importorskip("transformers")
    from agents.registry import load_agent

    with pytest.raises(ValueError, match="temperature must be at least 0"):
        load_agent("llava-rl", temperature=-1.0)
    agent = load_agent("llava-sft", temperature=0.5)
    assert agent.settings["temperature"] == 0.5
