"""Write the model cards of the shipped checkpoints and their page of results.

    python -m scripts.make_model_cards RUNS

RUNS holds the output of `docs/results/checkpoints.sh`: `llava-rl-test.json` and the like by
`agents.evaluate --json`, `test.json` and the like by `agents.compare --json`.
"""

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agents.vlm.bundled import CHECKPOINTS, TASKS
from vlbench.cli import Options, existing_folder, parse_options, required, run_main

RESULTS = Path(__file__).parent.parent / "docs" / "results"
BEGIN, END = "<!-- made by scripts.make_model_cards -->", "<!-- end of what is made -->"
STAGES = {
    "llava-sft": "after fine-tuning on transcripts of the expert; PPO started from it",
    "llava-rl": "after PPO, which started from `llava-sft`",
}
SUITES = {
    "test": "held-out instances, in themes that training showed",
    "ood-looks": "the same instances, in themes that no training shows",
    "ood-rules": "changed rules, in themes that training showed",
    "ood-both": "changed rules, in themes that no training shows",
}
COLUMNS = (
    "env",
    "suite",
    "episodes",
    "distinct",
    "success",
    "success_low",
    "success_high",
    "mean_return",
    "normalized",
    "regret",
    "illegal_rate",
    "malformed_rate",
    "attribution",
)
TRAINER = 1
"""Version of the trainer (`agents.train.TRAINER`) that the shipped checkpoints are of."""
TRAINED_BY = f"Trained with version {TRAINER} of the trainer (`agents.train.TRAINER`)."
CARD = """\
---
license: mit
library_name: transformers
pipeline_tag: image-text-to-text
---
# {stage}, {env}

A tiny LLaVA (LLaVA's architecture and processor, {parameters:,} parameters, float16 safetensors)
{what}. It was trained from nothing, on this task alone, on a CPU: an example of the
whole way from transcripts to a policy, and no general model.

- Trained on the `train` split and the `train` themes, with jitter; seeds and every command stand in
  [checkpoints.sh](https://github.com/vlbench/vlbench/blob/main/docs/results/checkpoints.sh).
- {trained_by}
- Played with `python -m agents.evaluate --agent {stage} --env {env}`, or as any checkpoint with
  `--agent llava --model` and this folder.

| set | episodes | success (95 %) | return |
|---|---|---|---|
{rows}

{suites}. Greedy replies.
"""


def percents(row: dict[str, Any]) -> str:
    """Return a success rate in percent, with its interval."""
    low, high = 100 * row["success_low"], 100 * row["success_high"]
    return f"{100 * row['success']:.1f} % ({low:.1f}–{high:.1f})"


def points(change: dict[str, float]) -> str:
    """Return a difference in percentage points, with its interval."""
    low, value, high = (100 * change[name] for name in ("low", "value", "high"))
    return f"{value:+.1f} ({low:+.1f} to {high:+.1f})"


def card(stage: str, env: str, rows: list[dict[str, Any]]) -> str:
    """Return a model card."""
    from agents.train.gains.card import count_parameters  # needs torch

    table = [
        f"| `{row['suite']}` | {row['episodes']} | {percents(row)} | {row['mean_return']:.3f} |"
        for row in rows
    ]
    return CARD.format(
        stage=stage,
        env=env.split("/")[1],
        what=STAGES[stage],
        trained_by=TRAINED_BY,
        parameters=count_parameters(CHECKPOINTS / stage / TASKS[env]),
        rows="\n".join(table),
        suites="; ".join(f"`{name}`: {text}" for name, text in SUITES.items()),
    )


def page(rows: list[dict[str, Any]], changes: dict[str, list[dict[str, Any]]]) -> str:
    """Return the trainer's version and the tables of the results page."""
    lines = [TRAINED_BY, ""]
    for suite, description in SUITES.items():
        lines += [
            f"`{suite}`: {description}",
            "",
            "| task | `llava-sft` | `llava-rl` | difference in pairs, points |",
        ]
        lines.append("|---|---|---|---|")
        for env in TASKS:
            of = {r["agent"]: r for r in rows if (r["suite"], r["env"]) == (suite, env)}
            change = next(c for c in changes[suite] if c["env"] == env)
            cells = [env.split("/")[1], *(percents(of[stage]) for stage in STAGES)]
            lines.append(f"| {' | '.join([*cells, points(change['success'])])} |")
        lines.append("")
    return "\n".join(lines)


@dataclass(frozen=True, kw_only=True)
class Config(Options):
    """Options of `make_model_cards`."""

    runs: Path = required(
        "folder with the results of evaluate and compare",
        positional=True,
        metavar="RUNS",
        check=existing_folder,
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Write the cards; return 0 on success, 2 on a wrong call."""
    return run_main("make_model_cards", lambda: _main(argv))


def _main(argv: Sequence[str] | None) -> None:
    prog = "python -m scripts.make_model_cards"
    runs = parse_options(Config, argv, prog=prog, description=__doc__).runs
    rows = []
    for stage in STAGES:
        for suite in SUITES:
            report = json.loads((runs / f"{stage}-{suite}.json").read_text("utf-8"))
            for scores in report["scorecards"]:
                rows.append({"agent": stage, **{name: scores[name] for name in COLUMNS}})
    compared = {s: json.loads((runs / f"{s}.json").read_text("utf-8"))["envs"] for s in SUITES}
    (RESULTS / "checkpoints.jsonl").write_text(
        "".join(json.dumps(row) + "\n" for row in rows), "utf-8"
    )
    for stage in STAGES:
        for env, folder in TASKS.items():
            results = [row for row in rows if (row["agent"], row["env"]) == (stage, env)]
            text = card(stage, env, results)
            (CHECKPOINTS / stage / folder / "README.md").write_text(text, "utf-8")
    path = RESULTS / "checkpoints.md"
    before, _, rest = path.read_text("utf-8").partition(BEGIN)
    section = f"{BEGIN}\n\n{page(rows, compared)}\n{END}"
    path.write_text(before + section + rest.partition(END)[2], "utf-8")


if __name__ == "__main__":
    sys.exit(main())
