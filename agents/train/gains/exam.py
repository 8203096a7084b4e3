"""The final examination: a checkpoint plays unseen rows by `agents.evaluate`."""

from pathlib import Path
from typing import Any

from agents.evaluate import evaluate
from agents.registry import load_agent
from agents.results.study_lines import digest_of
from agents.train.gains.plan import Exam, Task
from vlbench.registry import resolve_env_id

CONCURRENCY = 64
"""Episodes at once."""


def examine(task: Task, checkpoint: Path, exam: Exam, out: Path) -> dict[str, Any]:
    """Play an examination; return the part of a result line that it gives.

    Args:
        task: The task; its rollouts' prompt and sampling of replies are used.
        checkpoint: Folder of the model.
        exam: What to play.
        out: Folder of the run, which goes on if it exists.
    """
    config = task.ppo_config()
    agent = load_agent(
        "llava",
        model=str(checkpoint),
        max_tokens=config.max_new_tokens,
        temperature=config.temperature if exam.sampled else 0.0,
        top_p=config.top_p,
    )
    run = evaluate(
        agent,
        resolve_env_id(task.env),
        suite=exam.suite,
        env_kwargs=exam.rules,
        prompt=config.prompt,
        episodes=exam.episodes,
        concurrency=CONCURRENCY,
        out=out,
    )
    card = run.scorecards[0]
    episodes = sorted(run.episodes, key=lambda episode: episode.row)
    return {
        "suite": exam.label,
        "rows": digest_of([[episode.instance, episode.presentation] for episode in episodes]),
        "won": "".join(str(int(episode.success)) for episode in episodes),
        "success": round(card.success, 6),
        "regret": round(card.regret, 6) if card.regret is not None else None,
        "malformed": round(card.malformed_rate, 6),
    }
