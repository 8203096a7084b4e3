"""Which baseline learns faster? `python -m agents.train.credit.learning`.

Trains a bundled checkpoint with each baseline and seed, everything else being equal, and appends
one JSON line for each finished run: the exact regret of its rollouts, which are sampled on training
instances. Called again, it runs what is missing. A page with a table is written beside the lines.
"""

import json
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from vlbench.cli import exit_without

if __name__ == "__main__":
    exit_without(("torch", "transformers", "peft", "accelerate"), "learning", extra="train")

from agents.results.study_lines import (
    Line,
    append_lines,
    digest_of,
    log_line,
    markdown_table,
    read_lines,
)
from agents.results.study_page import write_page
from agents.train import ppo
from agents.train.distributed import Processes
from agents.train.ppo_config import Config as PPOConfig
from agents.vlm.bundled import CHECKPOINTS
from vlbench import intervals
from vlbench.cli import Options, option, parse_options, run_main, writable_file


@dataclass(frozen=True)
class Arm:
    """A way of training."""

    title: str
    options: dict[str, Any]
    """Options of `ppo` that differ from the plan's."""


@dataclass(frozen=True)
class Plan:
    """The comparison, fixed before anything is measured."""

    model: str
    """The start: a bundled checkpoint, `stage/task`."""
    options: dict[str, Any]
    """Options of `ppo`."""
    arms: dict[str, Arm]
    """The first is what the others are compared with."""
    seeds: int = 5
    version: int = 3
    """It increases whenever the trainer changes what is learned."""

    def config(self, arm: str, seed: int, out: Path) -> PPOConfig:
        """Return the whole configuration of a run."""
        options = {**self.options, **self.arms[arm].options}
        model = str(CHECKPOINTS / self.model)
        return PPOConfig(model=model, out=out, seed=seed, **options)

    def recipe(self, arm: str) -> str:
        """Return a hash of everything that determines an arm's results, except the seed."""
        config = asdict(self.config(arm, 0, Path()))
        local = ("model", "out", "log", "save_every", "estimate_memory")
        resolved = {name: value for name, value in config.items() if name not in local}
        return digest_of([self.version, self.model, resolved])


PLAN = Plan(
    # Sampled at temperature 1, this start loses 2 of 10 points a turn: there is much to learn.
    model="llava-sft/ez_points",
    options={
        "env": "EZPoints",
        "theme": "classic",
        "iterations": 7,
        "num_envs": 32,
        "num_steps": 1,
        "group": 8,
        "whole_episodes": True,
        "gamma": 1.0,
        "gae_lambda": 0.95,
        "critic_iterations": 0,
        "max_new_tokens": 64,
        "lr": 1e-4,
        "end_lr": 1e-4,
        "eval_every": 0,
        "save_every": 7,
        "log": "json",
    },
    arms={
        "value": Arm("critic", {}),
        "turn": Arm("by turn", {"baseline": "turn"}),
        "group": Arm("by group", {"baseline": "group"}),
        "state": Arm("by equal state", {"baseline": "state"}),
        "exact": Arm("exact regret (an oracle)", {"baseline": "exact"}),
    },
)


@dataclass(frozen=True)
class Config(Options):
    """Options of `learning`."""

    out: Path = option(Path("runs/baselines"), "folder of the runs; existing ones are resumed")
    results: Path | None = option(
        None,
        "JSON lines to append to; the page is written beside them; by default in --out",
        check=writable_file,
    )
    seeds: int = option(0, "seeds 0, 1, … of each arm; 0 for the plan's own", ge=0, limit=10_000)
    only_page: bool = option(False, "train nothing; write the page from the existing lines")


def run_arm(plan: Plan, arm: str, seed: int, out: Path) -> Line:
    """Train an arm with a seed; return its line."""
    start = time.process_time()
    config = plan.config(arm, seed, out / f"{arm}-{plan.recipe(arm)}" / f"seed-{seed}")
    ppo.train(config, Processes())
    texts = (config.out / "metrics.jsonl").read_text("utf-8").splitlines()
    rows = [row for row in map(json.loads, texts) if row["step"]]
    line = {
        "arm": arm,
        "seed": seed,
        "plan": plan.recipe(arm),
        "oracle": config.baseline == "exact",
        "regret": [round(row["rollout/regret"], 4) for row in rows],
        "optimal": [round(row["rollout/optimal"], 4) for row in rows],
        "turns": rows[-1]["charts/env_steps"],
        "cpu_seconds": round(time.process_time() - start),
    }
    if config.has_critic:
        line["explained"] = [round(row["losses/explained_variance"], 4) for row in rows]
    return line


def values(plan: Plan, lines: Sequence[Line]) -> dict[str, str]:
    """Return the table: regrets of rollouts, and differences in pairs of one seed."""
    by_arm = {name: {ln["seed"]: ln for ln in lines if ln["arm"] == name} for name in plan.arms}
    first, *_ = by_arm.values()
    rows = []
    for name, arm in plan.arms.items():
        own = by_arm[name]
        if not own:
            continue
        pairs = [seed for seed in own if seed in first] if own is not first else []
        rows.append(
            [
                arm.title,
                str(len(own)),
                *(_mean([of(line) for line in own.values()]) for of in (_start, _mean_of, _end)),
                *(
                    _difference([of(own[seed]) - of(first[seed]) for seed in pairs])
                    for of in (_mean_of, _end)
                ),
                _mean([ln["explained"][-1] for ln in own.values() if "explained" in ln]),
            ]
        )
    head = ["baseline", "seeds", "first rollout", "mean of rollouts 2 on", "last two rollouts"]
    head += ["difference of the means (95 %)", "difference of the last two (95 %)"]
    head += ["explained variance, last rollout"]
    return {"tables": "\n".join(markdown_table(head, rows))}


def _start(line: Line) -> float:
    return float(line["regret"][0])


def _mean_of(line: Line) -> float:
    later = line["regret"][1:]
    return float(sum(later) / len(later))


def _end(line: Line) -> float:
    return float(sum(line["regret"][-2:]) / 2)


def _mean(values: Sequence[float]) -> str:
    return f"{sum(values) / len(values):.3f}" if values else ""


def _difference(values: Sequence[float]) -> str:
    if len(values) < 2:
        return ""
    interval = intervals.student(values)
    return f"{interval.value:+.3f} ({interval.low:+.3f} to {interval.high:+.3f})"


def compare(plan: Plan, config: Config) -> Path:
    """Run the missing arms and seeds; return the page.

    Raises:
        ValueError: An option or a file is wrong.
        OSError: A file can't be written.
    """
    results = config.results or config.out / "baselines.jsonl"
    recipes = {name: plan.recipe(name) for name in plan.arms}
    lines = read_lines(results, lambda line: recipes.get(line["arm"]) == line["plan"])
    done = {(line["arm"], line["seed"]) for line in lines}
    for seed in range(config.seeds or plan.seeds) if not config.only_page else ():
        for name in plan.arms:
            if (name, seed) in done:
                continue
            log_line("learning", f"seed {seed}: {name}")
            lines.append(run_arm(plan, name, seed, config.out))
            append_lines(results, lines[-1:])
            write_page(results, values(plan, lines))
    return write_page(results, values(plan, lines))


def main(argv: Sequence[str] | None = None) -> int:
    """Run; return 0 on success, 2 on a wrong call, 1 on a failed run, 130 on Ctrl-C."""
    stopped = "stopped; run the same command again to resume"
    return run_main("learning", lambda: _main(argv), stopped=stopped, failure=1)


def _main(argv: Sequence[str] | None) -> None:
    prog = "python -m agents.train.credit.learning"
    config = parse_options(Config, argv, prog=prog, description=__doc__)
    print(compare(PLAN, config))


if __name__ == "__main__":
    sys.exit(main())
