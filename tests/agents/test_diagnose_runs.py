"""Runs of an API agent, and single turns as TRL trains on them, are diagnosed."""

import pytest
from support.fault_server import FaultServer
from support.rollouts import NUMBER_LINE, write

import vlbench
from agents.evaluate import evaluate
from agents.providers.openai_chat import OpenAIChat
from vlbench.diagnose.report import diagnose
from vlbench.recorder import EnvCache, EpisodeRecorder
from vlbench.records import Reply
from vlbench.suites import frozen_rows


@pytest.mark.slow
def test_a_run_of_an_api_agent_is_diagnosed(tmp_path):
    with FaultServer(reply='{"current number": 0, "target number": 5, "action": "+"}') as server:
        agent = OpenAIChat("m", base_url=server.v1)
        run = evaluate(agent, "NumberLine", suite="paper", episodes=24, out=tmp_path / "run")
    (task,) = diagnose(tmp_path / "run").report.tasks
    (card,) = run.scorecards
    assert task.turns == card.turns and task.episodes == 24 and task.differences == 0
    assert task.regret.value == pytest.approx(card.regret)
    assert task.variety.actions == {"+": card.turns}
    assert '"+"' in task.variety.signs[-1]
    assert task.first_errors["perception"] + task.first_errors["none"] == 24
    assert task.leaks.frozen["paper"] == 24


def group_advantages(rewards):
    """Return GRPO's advantages: rewards less their group's mean, in its deviations."""
    mean = sum(rewards) / len(rewards)
    deviation = (sum((r - mean) ** 2 for r in rewards) / (len(rewards) - 1)) ** 0.5
    return [(reward - mean) / (deviation + 1e-4) for reward in rewards]


def test_single_turns_of_groups_as_in_trl_are_diagnosed(tmp_path):
    # Each state gets four completions, rewarded by minus their regret, as a single-turn GRPO does.
    envs, lines = EnvCache(), []
    for number, row in enumerate(frozen_rows(NUMBER_LINE, "test")[:24:3]):
        completions = [vlbench.reply("+"), vlbench.reply("-"), "nonsense", vlbench.reply("+")]
        rewards = []
        for text in completions:
            regret = EpisodeRecorder(envs.of(row), row).play(Reply(text)).regret
            rewards.append(-regret)
        for i, advantage in enumerate(group_advantages(rewards)):
            lines.append(
                {
                    "schema": 1,
                    "env_id": row.env_id,
                    "kwargs": row.kwargs,
                    "instance": row.instance,
                    "presentation": row.presentation,
                    "episode": f"step 1/prompt {number}/completion {i}",
                    "turn": 0,
                    "reply": completions[i],
                    "advantage": advantage,
                    "iteration": 1,
                    "extra": {"trl": "1.16.0", "reward": rewards[i], "num_generations": 4},
                }
            )
    (task,) = diagnose(write(tmp_path / "trl.jsonl", lines)).report.tasks
    assert task.turns == task.episodes == 32 and task.instances == len(
        {x["instance"] for x in lines}
    )
    assert task.credit.sign_agreement.value == 1 and task.credit.pearson.value > 0.95
    assert task.credit.shares.turn == 0 and task.credit.shares.action > 0.9
    assert task.leaks.frozen["test"] == 8
