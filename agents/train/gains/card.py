"""The model card of a bundled agent's model, written from result lines."""

from collections.abc import Sequence
from pathlib import Path

from safetensors import safe_open

from agents.results.study_lines import Line
from agents.train.gains.lessons import START_SHARE
from agents.train.gains.plan import GAIN_SHARE
from agents.vlm.checkpoint_files import weights_hash
from vlbench.intervals import wilson

STAGES = {
    "start": "after fine-tuning on transcripts (`llava-sft`); PPO starts from it",
    "ppo": "after PPO on the environment's reward (`llava-rl`); it started from `llava-sft`",
}
SHARES = {"start": START_SHARE, "ppo": GAIN_SHARE}

CARD = """\
---
license: mit
library_name: transformers
pipeline_tag: image-text-to-text
---
# {stage}, {task}

A tiny LLaVA (LLaVA's architecture and processor, {parameters:,} parameters, float16 safetensors)
{what}. It was trained from nothing, for this task, on a CPU:
an example of the whole way from transcripts to a policy, and no general model.

- Made by `python -m agents.train.gains {task}`, plan `{plan}`, seed {seed}, with version
  {trainer} of the trainer, and copied by `--ship`. `agents/train/gains` has every option.
- It learned from share {share} of the split `train`; `val` chose the checkpoint.
- {cost}
- Hash, as in the header of a run: `{hash}`.{start}
- Played with `python -m agents.evaluate --agent {agent} --env {task}`, or as any checkpoint with
  `--agent llava --model` and this folder.

| set | rows | success (95 %) | mean regret of a turn |
|---|---|---|---|
{rows}

Greedy replies. All seeds:
[gains.md](https://github.com/vlbench/vlbench/blob/main/docs/results/gains.md).
"""


def write_card(folder: Path, agent: str, unit: str, lines: Sequence[Line]) -> None:
    """Write the card of a model beside it.

    Args:
        folder: The model.
        agent: Name of the bundled agent.
        unit: What made the model: start or ppo, with seed 0.
        lines: The result lines of its task.
    """
    own = next(line for line in lines if (line["unit"], line["seed"]) == (unit, 0))
    start = next(line for line in lines if (line["unit"], line["seed"]) == ("start", 0))
    exams = [line for line in lines if (line["unit"], line["seed"]) == ("test", 0)]
    text = CARD.format(
        task=own["task"],
        stage=agent,
        parameters=count_parameters(folder),
        what=STAGES[unit],
        share=SHARES[unit],
        cost=_cost(own),
        hash=weights_hash(folder),
        start=f" Its start: `{start['weights']}`." if own is not start else "",
        agent=agent,
        rows="\n".join(_row(line) for line in exams if line["of"] == unit),
        **{name: own[name] for name in ("plan", "seed", "trainer")},
    )
    (folder / "README.md").write_text(text, "utf-8")


def count_parameters(folder: Path) -> int:
    """Return the number of a model's weights."""
    with safe_open(folder / "model.safetensors", "np") as weights:
        return sum(weights.get_tensor(name).size for name in weights.keys())  # noqa: SIM118


def _cost(line: Line) -> str:
    if "examples" not in line:
        return "Its lessons and their steps stand in the plan."
    return f"{line['examples']:,} examples, {line['cpu_seconds'] / 60:.0f} CPU minutes."


def _row(line: Line) -> str:
    won = line["won"]
    success = wilson(won.count("1"), len(won))
    percent = f"{100 * success.value:.1f} % ({100 * success.low:.1f}–{100 * success.high:.1f})"
    return f"| `{line['suite']}` | {len(won)} | {percent} | {line['regret']:.4f} |"
