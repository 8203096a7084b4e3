"""The paper's comparisons in miniature: `python -m agents.train.reproduce --preset miniature`.

Trains every arm with every seed (a tiny LLaVA, SFT to a weak start, PPO), appends one JSON line per
finished arm and seed, and writes a page with a table and the learning curves. Called again, it runs
what is missing. `agents.train.reproduce.study` defines the arms.
"""

import dataclasses
import json
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vlbench.cli import exit_without

if __name__ == "__main__":
    exit_without(("torch", "transformers", "peft", "accelerate"), "reproduce", extra="train")

import torch

from agents.train import TRAINER, ppo, sft, sft_data, tiny
from agents.train.checkpoint import Checkpoints, step_of
from agents.train.distributed import Processes
from agents.train.evaluation import EvalResult, distinct_val_rows, evaluate_policy
from agents.train.reproduce.report import make_page
from agents.train.reproduce.study import STUDIES, SUCCESS_TOLERANCE, Study, Values
from agents.vlm.loading import load
from agents.vlm.policy import Policy
from agents.vlm.sampling import Sampling
from vlbench.cli import (
    Options,
    option,
    output_folder,
    parse_options,
    run_kind,
    run_main,
    writable_file,
)
from vlbench.cli.settings import Call, RunSettings
from vlbench.errors import unknown_name
from vlbench.registry import resolve_env_id
from vlbench.suites import Row

START_FILE = "start.json"
"""File of the `StartResult`, beside the checkpoints of a finished start."""
SAMPLED_EPISODES = 120
"""Approximate number of episodes to play at temperature 1."""
MAX_NEW_TOKENS = 96
"""Maximum length of a reply in evaluations."""
CHANGEABLE = frozenset({"out", "results", "arms", "seeds", "only_page"})
"""Options that may differ when a study is resumed."""


@dataclass(frozen=True)
class Config(Options):
    """Options of `reproduce`."""

    preset: str = option("miniature", "study to run", choices=tuple(STUDIES))
    out: Path = option(
        Path("runs/miniature"),
        "folder of the checkpoints; an existing run is resumed",
        check=output_folder(run_kind("reproduce")),
    )
    results: Path | None = option(
        None,
        "JSON lines to append to; page and picture are written beside them; by default in the "
        "folder of the checkpoints",
        check=writable_file,
    )
    arms: str = option("", 'arms, comma-separated; "" for all')
    seeds: int = option(
        0, "number of seeds 0, 1, … per arm; 0 for the preset's own", ge=0, limit=10_000
    )
    only_page: bool = option(False, "train nothing; write the page from the existing lines")


@dataclass(frozen=True)
class StartResult:
    """The checkpoint that arms start from, and its results."""

    checkpoint: str
    step: int
    """Step of SFT."""
    success: float
    """Results are of greedy play."""
    optimal: float
    perceived: float
    won: tuple[bool, ...]
    tried: dict[str, float]
    """Step → success of the candidate checkpoints."""
    missed_by: float
    """Distance of its success from the tolerance around the target."""


@dataclass(frozen=True)
class Target:
    """Target results of a start; None for no target."""

    success: float | None = None
    optimal: float | None = None


def evaluate_checkpoint(checkpoint: Path, rows: Sequence[Row], seed: int | None) -> EvalResult:
    """Play rows with a checkpoint: greedily, or with a seed at temperature 1."""
    loaded = load(str(checkpoint))
    policy = Policy(loaded.model, loaded.processor, Sampling(max_new_tokens=MAX_NEW_TOKENS)).eval()
    generator = None if seed is None else torch.Generator(policy.device).manual_seed(seed)
    return evaluate_policy(policy, rows, generator=generator)


def make_start(study: Study, name: str, seed: int, out: Path) -> StartResult:
    """Fine-tune a new tiny LLaVA, and choose the checkpoint that arms start from."""
    folder = out / f"seed-{seed}" / f"start-{name}-{study.start_recipe(name)}"
    result_file = folder / START_FILE
    if result_file.is_file():
        result = json.loads(result_file.read_text("utf-8"))
        return StartResult(**{**result, "won": tuple(result["won"])})
    start = study.starts[name]
    other = make_start(study, start.equal_to, seed, out) if start.equal_to else None
    target = Target(other.success, other.optimal) if other else Target(start.success)
    folder.mkdir(parents=True, exist_ok=True)
    log_line(f"seed {seed}: start {name}")
    checkpoint = folder / "tiny"
    tiny.build(tiny.Config(out=checkpoint, seed=seed, **start.tiny))
    for number, stage in enumerate(start.stages, 1):
        run_folder = folder / f"stage-{number}"
        transcripts_file = folder / f"stage-{number}.jsonl"
        data_config = sft_data.Config(out=transcripts_file, seed=seed, **stage.data)
        sft_data.write(transcripts_file, sft_data.transcripts(data_config))
        sft_config = sft.Config(
            model=str(checkpoint), data=transcripts_file, out=run_folder, seed=seed, **stage.sft
        )
        checkpoint = sft.train(sft_config, Processes())
    result = choose_checkpoint(stage.data, Checkpoints(run_folder).all(), target)
    result_file.write_text(json.dumps(dataclasses.asdict(result)), "utf-8")
    return result


def choose_checkpoint(data: Values, checkpoints: Sequence[Path], target: Target) -> StartResult:
    """Return the checkpoint closest to the target (see `InitialCheckpoint`), or the last."""
    rules = {name: data[name] for name in ("theme", "prompt") if name in data}
    rows = distinct_val_rows(resolve_env_id(data["env"]), rules | data.get("env_kwargs", {}))
    candidates = checkpoints[-1:] if target.success is None else checkpoints
    results = {path: evaluate_checkpoint(path, rows, None) for path in candidates}

    def missed(path: Path) -> float:
        if target.success is None:
            return 0.0
        return max(0.0, abs(results[path].success.value - target.success) - SUCCESS_TOLERANCE)

    def rank(path: Path) -> tuple[float, float]:
        if target.optimal is None:
            return missed(path), abs(results[path].success.value - (target.success or 0.0))
        return missed(path), abs((results[path].optimal or 0.0) - target.optimal)

    best = min(results, key=rank)
    return StartResult(
        checkpoint=str(best),
        step=step_of(best),
        success=results[best].success.value,
        optimal=results[best].optimal or 0.0,
        perceived=results[best].perceived,
        won=results[best].won,
        tried={str(step_of(path)): result.success.value for path, result in results.items()},
        missed_by=missed(best),
    )


def run_arm(study: Study, name: str, seed: int, out: Path) -> dict[str, Any]:
    """Train an arm with a seed; return its result line."""
    arm = study.arms[name]
    start = make_start(study, arm.start, seed, out)
    log_line(f"seed {seed}: arm {name}")
    start_time = time.process_time()
    folder = out / f"seed-{seed}" / f"arm-{name}-{study.recipe(name)}"
    config = study.config(name, model=start.checkpoint, seed=seed, out=folder)
    last = ppo.train(config, Processes())
    rules = {"theme": config.theme, "prompt": config.prompt, **config.env_kwargs}
    rows = distinct_val_rows(resolve_env_id(config.env), rules)
    logged = (config.out / "metrics.jsonl").read_text("utf-8").splitlines()
    metrics = [json.loads(line) for line in logged]
    greedy = evaluate_checkpoint(last, rows, None)
    many = rows * max(1, SAMPLED_EPISODES // len(rows))
    return {
        "arm": name,
        "seed": seed,
        "trainer": TRAINER,
        "recipe": study.recipe(name),
        "env": resolve_env_id(config.env),
        "rules": rules,
        "instances": [row.instance for row in rows],
        "turns": config.iterations * config.num_envs * config.num_steps,
        "start": {
            **dataclasses.asdict(start),
            "checkpoint": Path(start.checkpoint).name,
            "won": [int(won) for won in start.won],
        },
        "curve": [
            {
                "turns": row["step"] * config.num_envs * config.num_steps,
                "success": row["eval/success"],
            }
            for row in metrics
            if "eval/success" in row
        ],
        "rollouts": [round(row["rollout/optimal"], 4) for row in metrics if row["step"]],
        "end": _numbers(greedy) | {"won": [int(won) for won in greedy.won]},
        "sampled_end": _numbers(evaluate_checkpoint(last, many, seed)),
        "cpu_seconds": round(time.process_time() - start_time),
    }


def _numbers(result: EvalResult) -> dict[str, float]:
    numbers = result.metrics().items()
    return {
        k.removeprefix("eval/"): round(v, 4) for k, v in numbers if not k.endswith(("low", "high"))
    }


def log_line(line: str) -> None:
    """Print a line of progress."""
    print(f"reproduce: {line}", file=sys.stderr, flush=True)


def read_lines(path: Path, study: Study) -> list[dict[str, Any]]:
    """Return the result lines.

    Raises:
        ValueError: A line is damaged, or of another recipe.
    """
    lines = []
    for number, text in enumerate(
        path.read_text("utf-8").splitlines() if path.is_file() else [], 1
    ):
        try:
            line = json.loads(text)
            known = line["arm"] in study.arms and line["recipe"] == study.recipe(line["arm"])
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(f"{path}:{number} isn't a result of an arm: {error!r}") from error
        if (version := line.get("trainer", 1)) != TRAINER:
            raise ValueError(
                f"{path}:{number} is a result of version {version} of the trainer, not of "
                f"{TRAINER}; choose another --results and --out"
            )
        if not known:
            raise ValueError(
                f"{path}:{number} is a result of another recipe (arm {line['arm']}); remove the "
                "line, or choose another --results and --out"
            )
        lines.append(line)
    return lines


def reproduce(study: Study, config: Config) -> Path:
    """Run the missing arms and seeds; return the page.

    Raises:
        ValueError: An option or a file is wrong.
    """
    results = config.results or config.out / f"{config.preset}.jsonl"
    names = [name.strip() for name in config.arms.split(",")] if config.arms else list(study.arms)
    for name in names:
        if name not in study.arms:
            raise ValueError(unknown_name("arm", name, study.arms))
    seeds = range(config.seeds or study.seeds)
    lines = read_lines(results, study)
    done = {(line["arm"], line["seed"]) for line in lines}
    results.parent.mkdir(parents=True, exist_ok=True)
    if not config.only_page and any((name, seed) not in done for seed in seeds for name in names):
        settings = RunSettings(config.out, CHANGEABLE)
        call = Call.of("reproduce", config, {}, processes=1)
        settings.differences(call)
        settings.append(call)
    for seed in seeds if not config.only_page else ():
        for name in names:
            if (name, seed) in done:
                continue
            lines.append(run_arm(study, name, seed, config.out))
            with results.open("a", encoding="utf-8") as file:
                file.write(json.dumps(lines[-1], ensure_ascii=False) + "\n")
            make_page(study, lines, results)
    return make_page(study, lines, results)


def main(argv: Sequence[str] | None = None) -> int:
    """Run; return 0 on success, 2 on a wrong call, 1 on a failed run, 130 on Ctrl-C."""
    stopped = "stopped; run the same command again to resume"
    return run_main("reproduce", lambda: _main(argv), stopped=stopped, failure=1)


def _main(argv: Sequence[str] | None) -> None:
    prog = "python -m agents.train.reproduce"
    config = parse_options(Config, argv, prog=prog, description=__doc__)
    print(reproduce(STUDIES[config.preset], config))


if __name__ == "__main__":
    sys.exit(main())
