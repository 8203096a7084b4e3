"""Does a local model's action follow from its thoughts? Change the thoughts and ask again.

`python -m agents.vlm.thoughts ROLLOUTS --model CHECKPOINT` reads what `vlbench diagnose` reads. For
a sample of turns it keeps the prompt and the picture, changes the text before the action in three
ways, and scores every action of the task after it.

swapped: the thoughts of another turn, which led to another action.

corrupted: the reply's own thoughts, with other numbers.

removed: no thoughts.

The action that the model then prefers is compared with the one after its own thoughts.
"""

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from vlbench.cli import exit_without

if __name__ == "__main__":
    exit_without(("torch", "transformers"), "thoughts", extra="llava")

import torch

from agents.vlm.loading import load
from agents.vlm.policy import Policy
from agents.vlm.questions import Question, Score, TaskEffects, measure_effects, read_questions
from agents.vlm.sampling import Sampling
from vlbench.cli import Options, option, parse_options, required, run_main
from vlbench.display.formatting import percent, percent_interval
from vlbench.intervals import Interval
from vlbench.registry import resolve_env_id


def policy_score(policy: Policy, batch: int) -> Score:
    """Return a scorer of replies by a policy.

    Args:
        policy: Scores under temperature 1.
        batch: Replies scored at once.
    """

    def score(question: Question, replies: Sequence[str]) -> list[float]:
        prompt = policy.encoder.encode(question.observation)
        numbers: list[float] = []
        for start in range(0, len(replies), batch):
            part = [policy.encoder.encode_reply(text) for text in replies[start : start + batch]]
            with torch.no_grad():
                numbers += policy([prompt] * len(part), part).log_probs.sum(-1).tolist()
        return numbers

    return score


def effects_text(task: TaskEffects) -> str:
    """Return a task's effects as lines."""
    lines = [
        f"{task.env}: {task.turns} turns asked again; with its own thoughts the model prefers the "
        f"recorded action in {percent(task.agreement)}"
    ]
    for way, effect in task.effects.items():
        line = f"  {way.ljust(10)} another action in {_interval(effect.changed)}"
        if effect.followed is not None:
            line += f", the other turn's in {_interval(effect.followed)}"
        lines.append(f"{line}; distance {effect.distance.value:.3f}")
    return "\n".join(lines)


def _interval(share: Interval) -> str:
    return percent_interval(share.value, share.low, share.high)


@dataclass(frozen=True, kw_only=True)
class Config(Options):
    """Options of `thoughts`."""

    rollouts: Path = required(
        "a run folder, the folder of a training run, or a JSONL file of turns", positional=True
    )
    model: str = required("checkpoint to ask: a folder, or hf:<id>")
    base: str = option("", "base of an adapter, instead of the one in its config")
    turns: int = option(200, "most turns of a task that are asked again", ge=1)
    batch_size: int = option(16, "replies scored at once", ge=1)
    json: bool = option(False, "print one JSON object")
    trust_remote_code: bool = option(False, "run Python code shipped with the checkpoint")
    env: tuple[str, ...] = option(
        (),
        "environment whose module may be imported; may be given again",
        metavar="MODULE:ID",
        check=resolve_env_id,
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Print the effects; exit 0, or 2 on a wrong call."""
    return run_main("thoughts", lambda: _thoughts(argv))


def _thoughts(argv: Sequence[str] | None) -> None:
    config = parse_options(Config, argv, prog="python -m agents.vlm.thoughts", description=__doc__)
    questions = read_questions(config.rollouts, config.turns)
    if not questions:
        raise ValueError(f"{config.rollouts} has no turn with thoughts before a readable action")
    loaded = load(config.model, base=config.base, trust_remote_code=config.trust_remote_code)
    policy = Policy(loaded.model, loaded.processor, Sampling(1.0, 1.0, 1)).eval()
    score = policy_score(policy, config.batch_size)
    tasks = [measure_effects(env_id, of_env, score) for env_id, of_env in questions.items()]
    if config.json:
        print(json.dumps({"tasks": [asdict(task) for task in tasks]}))
    else:
        print("\n".join(map(effects_text, tasks)))


if __name__ == "__main__":
    sys.exit(main())
