"""What thoughts do, and their weight λ in PPO: `python -m agents.train.cot EZPoints`.

From one start that answers with and without thoughts, PPO runs with λ 0, 0.2, 0.5 and 1, and on
the action alone. Pilots choose each arm's learning rate by `val`; ten seeds then play unseen rows.
One JSON line is appended for each finished unit, and a finished unit isn't run again.
`agents.train.cot.plan` fixes everything before it is measured.
"""

import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from vlbench.cli import exit_without

if __name__ == "__main__":
    exit_without(("torch", "transformers", "peft", "accelerate"), "cot", extra="train")

from agents.results.study_lines import Line, read_lines
from agents.train.cot.page import make_page
from agents.train.cot.plan import ARMS, PILOTS, RATES, REFERENCE, SEEDS, TASKS, Arm, make_plan
from agents.train.gains.study import Study
from agents.vlm.loading import load
from agents.vlm.policy import Policy
from agents.vlm.questions import measure_effects, read_questions
from agents.vlm.sampling import Sampling
from agents.vlm.thoughts import policy_score
from vlbench.cli import Options, option, parse_options, required, run_main, writable_file
from vlbench.registry import resolve_env_id

WITHOUT_THOUGHTS = "action_only"
"""Prompt whose replies have no thoughts."""
QUESTIONS = 200
"""Turns of an examination that are asked again with other thoughts."""


@dataclass(frozen=True, kw_only=True)
class Config(Options):
    """Options of `cot`."""

    task: str = required("the task", positional=True, metavar="TASK", choices=tuple(TASKS))
    out: Path = option(Path("runs/cot"), "folder of the checkpoints; finished parts are used")
    results: Path = option(
        Path("docs/results/cot.jsonl"),
        "JSON lines to append to; page and figures are written beside them",
        check=writable_file,
    )
    base: Path | None = option(
        None,
        "checkpoint that the lessons before the study continue; see `agents.train.gains --base`",
    )
    start: Path | None = option(
        None, "checkpoint of the finished start, which answers both prompts; by default in --out"
    )
    only_page: bool = option(False, "train nothing; write the page from the lines")


def run(config: Config) -> Path:
    """Run what is missing: pilots, then seeds, then unseen rows; return the page.

    Raises:
        ValueError: A file is of another plan, or damaged.
        OSError: A file can't be written.
    """
    pilots = config.results.with_name(f"{config.results.stem}-pilots.jsonl")
    lines = [*read_lines(config.results, _is_known), *read_lines(pilots, _is_known)]
    if not config.only_page:
        _run(config, lines)
    return make_page(lines, config.results)


def _run(config: Config, lines: list[Line]) -> None:
    start = config.start or _study(config, Arm(REFERENCE, RATES[0]), (0,), lines, None).start()
    for arm in (Arm(name, rate) for name in ARMS for rate in RATES):
        pilot = _study(config, arm, PILOTS, lines, start)
        for seed in PILOTS:
            pilot.train("ppo", seed)
    studies = [
        _study(config, choose_rate(lines, config.task, name), tuple(range(SEEDS)), lines, start)
        for name in ARMS
    ]
    for seed in range(SEEDS):
        for study in studies:
            study.train("ppo", seed)
    for study in studies:
        study.test()
        if study.task.ppo_config().prompt != WITHOUT_THOUGHTS:
            for name, seed, checkpoint in study.checkpoints():
                if seed == 0:
                    _ask_again(study, name, checkpoint)


def _ask_again(study: Study, name: str, checkpoint: Path) -> None:
    """Add what a change of its thoughts does to a model's actions; see `agents.vlm.thoughts`."""
    if study.has(unit="thoughts", of=name, seed=0):
        return
    env_id = resolve_env_id(study.task.env)
    questions = read_questions(study.exam_folder(study.task.exam.label, name, 0), QUESTIONS)
    if env_id not in questions:
        study.say(f"{name}: no turn has thoughts before a readable action")
        return
    loaded = load(str(checkpoint))
    score = policy_score(Policy(loaded.model, loaded.processor, Sampling(1.0, 1.0, 1)).eval(), 16)
    result = asdict(measure_effects(env_id, questions[env_id], score))
    study.add(unit="thoughts", of=name, seed=0, **result)


def _study(
    config: Config, arm: Arm, seeds: tuple[int, ...], lines: list[Line], start: Path | None
) -> Study:
    return Study(
        plan=make_plan(config.task, arm),
        name=config.task,
        lines=lines,
        results=config.results,
        out=config.out,
        seeds=seeds,
        base=config.base,
        start_model=start,
        labels=arm.labels,
    )


def choose_rate(lines: Sequence[Line], task: str, name: str) -> Arm:
    """Return an arm with the rate whose pilots won most of `val`; the smaller one on a tie."""

    def success(rate: float) -> float:
        own = {"task": task, "arm": name, "rate": rate, "unit": "ppo"}
        runs = [
            line
            for line in lines
            if line["seed"] in PILOTS and all(line[key] == value for key, value in own.items())
        ]
        return sum(float(line["val"]["success"]) for line in runs)

    return Arm(name, max(sorted(RATES), key=success))


def _is_known(line: Line) -> bool:
    plan = make_plan(line["task"], Arm(line["arm"], line["rate"]))
    return bool(line["plan"] == plan.digest(line["task"]))


def main(argv: Sequence[str] | None = None) -> int:
    """Run; return 0 on success, 2 on a wrong call, 1 on a failed run, 130 on Ctrl-C."""
    stopped = "stopped; run the same command again to resume"
    return run_main("cot", lambda: _main(argv), stopped=stopped, failure=1)


def _main(argv: Sequence[str] | None) -> None:
    prog = "python -m agents.train.cot"
    print(run(parse_options(Config, argv, prog=prog, description=__doc__)))


if __name__ == "__main__":
    sys.exit(main())
