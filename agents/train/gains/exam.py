"""The final examination: a checkpoint plays unseen rows by `agents.evaluate`."""

from pathlib import Path
from typing import Any

from agents.evaluate import evaluate
from agents.registry import load_agent
from agents.results.study_lines import digest_of
from agents.train.gains.plan import Exam
from vlbench.registry import resolve_env_id

CONCURRENCY = 64
"""Episodes at once."""


def examine(
    env: str, checkpoint: Path, exam: Exam, out: Path, max_new_tokens: int, picture: str = "true"
) -> dict[str, Any]:
    """Play an examination greedily; return the part of a result line that it gives.

    Args:
        env: The task.
        checkpoint: Folder of the model.
        exam: What to play.
        out: Folder of the run, which goes on if it exists.
        max_new_tokens: Longest reply.
        picture: What the pictures show.
    """
    agent = load_agent("llava", model=str(checkpoint), max_tokens=max_new_tokens)
    run = evaluate(
        agent,
        resolve_env_id(env),
        suite=exam.suite,
        env_kwargs=exam.rules,
        picture=picture,
        episodes=exam.episodes,
        concurrency=CONCURRENCY,
        out=out,
    )
    card = run.scorecards[0]
    episodes = sorted(run.episodes, key=lambda episode: episode.row)
    return {
        "suite": exam.suite,
        "rows": digest_of([[episode.instance, episode.presentation] for episode in episodes]),
        "picture": picture,
        "won": "".join(str(int(episode.success)) for episode in episodes),
        "success": round(card.success, 6),
        "regret": round(card.regret, 6) if card.regret is not None else None,
        "malformed": round(card.malformed_rate, 6),
    }
