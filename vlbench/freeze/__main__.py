"""Write the frozen sets of tasks, and what random and best play earn on them.

`python -m vlbench.freeze` rewrites each task's `sets/<suite>.jsonl`, their outcomes and
`bounds.json`; `python -m vlbench.freeze my_package:my/Task-v0` writes those of a task of yours into
the folder of its package. Run it once per version of a task: a changed set is a different set.
`--suite` writes only some sets. `--keep` keeps the sets and writes all else; `--outcomes` writes
only the outcomes and the rules, `--visual-gain` only what the pictures are worth, `--shots` only
the rows of the split `train` that `evaluate --shots` shows as examples. `--hashes` prints
the sha256 of every set of the benchmark and writes nothing. Each task defines its own part in
`suites.py`; see `vlbench.freeze.TaskSuites`.
"""

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import gymnasium

import vlbench
from vlbench.cli import Options, option, parse_options, run_main, writable_folder
from vlbench.display.formatting import percent
from vlbench.env import VLEnv
from vlbench.errors import unknown_name, user_code
from vlbench.freeze import (
    RowSpec,
    TaskSuites,
    frame_of,
    interleave_groups,
    planned_rows,
    task_suites,
    write_rows,
)
from vlbench.freeze.players import reference_results, visual_gain
from vlbench.freeze.shots import plan_shots
from vlbench.outcomes import write_outcomes
from vlbench.preamble import SHOTS
from vlbench.registry import LOOKS, resolve_env_id, rules_of, task_folder
from vlbench.suites import (
    PAPER,
    SETS,
    SuiteFacts,
    frozen_hash,
    frozen_rows,
    ordered_suites,
    shipped_suites,
)
from vlbench.task import split_in


def freeze(env_id: str, suites: Sequence[str] = (), *, keep: bool = False) -> None:
    """Write a task's sets, outcomes, bounds and rules; the rest of `bounds.json` stays as it is.

    Args:
        env_id: The environment.
        suites: The sets to write; all by default, and then sets that the task no longer names are
            removed.
        keep: Whether the rows stay as they are.

    Raises:
        ValueError: The task has no such set.
    """
    folder, task = _folder(env_id), task_suites(env_id)
    for suite in suites:
        if suite not in task.NAMES:
            raise ValueError(unknown_name(f"suite of {env_id}", suite, task.NAMES))
    planned = {} if keep else planned_rows(env_id, task, suites or task.NAMES)
    (folder / SETS).mkdir(exist_ok=True)
    for suite in () if suites else set(shipped_suites(env_id)) - set(task.NAMES):
        (folder / SETS / f"{suite}.jsonl").unlink()
        (folder / SETS / "outcomes" / f"{suite}.jsonl").unlink(missing_ok=True)
    _update(folder / "bounds.json", {"rules": asdict(rules_of(env_id))})
    about = _about(folder)
    facts = {name: about.get("suites", {}).get(name) for name in task.NAMES}
    for suite in suites or task.NAMES:
        if keep:
            frozen = frozen_rows(env_id, suite)
            rows = [RowSpec(row.kwargs, row.instance, row.presentation) for row in frozen]
            write_outcomes(folder / SETS / "outcomes" / f"{suite}.jsonl", frozen)
        else:
            rows = interleave_groups(planned[suite])
            write_rows(folder / SETS / f"{suite}.jsonl", env_id, rows)
        measured = suite_facts(env_id, task, suite, rows)
        facts[suite] = asdict(measured)
        print(f"{env_id} {suite}: {len(rows)} rows, {_summary(measured)}", file=sys.stderr)
    suites_facts = {name: facts[name] for name in ordered_suites(facts) if facts[name]}
    if not suites and not keep:
        freeze_shots(env_id)
    holds_out = bool(_usual_env(env_id).game.test_share)
    _update(folder / "bounds.json", {"suites": suites_facts, "held_out": holds_out})
    print(f"{env_id}: {folder / 'bounds.json'}, sets in {folder / SETS}", file=sys.stderr)


def _summary(facts: SuiteFacts) -> str:
    players = [f"{name} {percent(player.success)}" for name, player in facts.references.items()]
    bounds = [f"floor {percent(facts.floor)}", f"ceiling {percent(facts.ceiling)}"]
    return ", ".join([f"{facts.instances} instances", *bounds, *players])


def suite_facts(env_id: str, task: TaskSuites, suite: str, rows: Sequence[RowSpec]) -> SuiteFacts:
    """Return what `bounds.json` says of a suite: floor, ceiling, instances and players."""
    limits = task.bounds(rows)
    game = _usual_env(env_id).game
    distinct = {
        (row.instance, json.dumps({k: v for k, v in row.kwargs.items() if k not in LOOKS}))
        for row in rows
    }
    trained = [name for name, _ in distinct if split_in(game, name) in ("", "train")]
    return SuiteFacts(
        limits.floor,
        limits.ceiling,
        len(distinct),
        len(trained) if suite == PAPER or not game.test_share else 0,
        reference_results(env_id, task, suite, rows),
        visual_gain(env_id, task, rows),
    )


def freeze_shots(env_id: str) -> None:
    """Write the rows of a task's examples; none where its expert writes no replies."""
    path = _folder(env_id) / SHOTS
    lines = [
        json.dumps({**asdict(row), "frame": frame_of(env_id, row)}) for row in plan_shots(env_id)
    ]
    if lines:
        path.write_text("".join(f"{line}\n" for line in lines), "utf-8")
    print(f"{env_id}: {len(lines)} rows for examples", file=sys.stderr)


def freeze_outcomes(env_id: str) -> None:
    """Write the outcomes of a task's frozen rows, and the rules for which they hold."""
    folder = _folder(env_id)
    _update(folder / "bounds.json", {"rules": asdict(rules_of(env_id))})
    for suite in shipped_suites(env_id):
        path = folder / SETS / "outcomes" / f"{suite}.jsonl"
        write_outcomes(path, frozen_rows(env_id, suite))
        print(f"{env_id} {suite}: outcomes of its rows", file=sys.stderr)


def freeze_visual_gain(env_id: str, suites: Sequence[str] = ()) -> None:
    """Write what the pictures of a task's sets are worth; all sets by default."""
    folder = _folder(env_id)
    facts = _about(folder).get("suites", {})
    for suite in suites or shipped_suites(env_id):
        frozen = frozen_rows(env_id, suite)
        rows = [RowSpec(row.kwargs, row.instance, row.presentation) for row in frozen]
        gain = visual_gain(env_id, task_suites(env_id), rows)
        facts[suite]["visual_gain"] = None if gain is None else asdict(gain)
        print(f"{env_id} {suite}: {len(rows)} rows, visual gain {gain}", file=sys.stderr)
        _update(folder / "bounds.json", {"suites": facts})


def set_hashes() -> dict[str, dict[str, str]]:
    """Return env id → suite → sha256 of the set, for all sets that the benchmark ships."""
    return {
        env_id: {suite: frozen_hash(env_id, suite) for suite in shipped_suites(env_id)}
        for env_id in vlbench.ENV_IDS
    }


def _folder(env_id: str) -> Path:
    """Return the folder of an environment's task.

    Raises:
        ValueError: Its module isn't a package, which alone has a folder of its own.
    """
    folder = task_folder(env_id)
    if folder is None:
        raise ValueError(
            f"{env_id} isn't the task of a package, whose folder could hold its sets; move its "
            "module NAME.py to NAME/__init__.py, or see `vlbench new-task`"
        )
    return Path(str(folder))


def _usual_env(env_id: str) -> VLEnv[Any, Any]:
    with user_code(f"{env_id} can't be made"):
        env = gymnasium.make(env_id).unwrapped
    if not isinstance(env, VLEnv):
        raise ValueError(f"{env_id} is no VLEnv, which alone has instances to freeze")
    return env


def _about(folder: Path) -> dict[str, Any]:
    path = folder / "bounds.json"
    about: dict[str, Any] = json.loads(path.read_text("utf-8")) if path.exists() else {}
    return about


def _update(path: Path, values: dict[str, Any]) -> None:
    """Replace values of a JSON file; what else it says stays as it is."""
    written = _about(path.parent)
    path.write_text(
        json.dumps(
            values | {name: value for name, value in written.items() if name not in values},
            indent=2,
        )
        + "\n",
        "utf-8",
    )


@dataclass(frozen=True, kw_only=True)
class Config(Options):
    """Options of `freeze`."""

    tasks: tuple[str, ...] = option(
        (), "ids, short names or MODULE:ID; all by default", positional=True
    )
    suite: tuple[str, ...] = option(
        (), "set to write; may be given again; all by default", metavar="SUITE"
    )
    keep: bool = option(False, "keep the sets; write their outcomes, bounds, players and rules")
    outcomes: bool = option(False, "keep the sets and bounds; write outcomes and rules alone")
    visual_gain: bool = option(False, "keep all else; write what each set's pictures are worth")
    shots: bool = option(False, "keep all else; write the rows of the examples of a prompt")
    hashes: bool = option(False, "print the sha256 of all sets as JSON and write nothing")


def main(argv: Sequence[str] | None = None) -> int:
    """Freeze tasks; exit 0 when done, 2 on a wrong call."""
    return run_main("freeze", lambda: _freeze(argv))


def _freeze(argv: Sequence[str] | None) -> None:
    config = parse_options(Config, argv, prog="python -m vlbench.freeze", description=__doc__)
    if config.hashes:
        print(json.dumps(set_hashes(), indent=2))
        return
    env_ids = [resolve_env_id(name) for name in config.tasks] or vlbench.ENV_IDS
    for env_id in env_ids:
        writable_folder(_folder(env_id))
    for env_id in env_ids:
        with user_code(env_id):  # the task's code, and what it needs to be installed
            if config.outcomes:
                freeze_outcomes(env_id)
            elif config.shots:
                freeze_shots(env_id)
            elif config.visual_gain:
                freeze_visual_gain(env_id, config.suite)
            else:
                freeze(env_id, config.suite, keep=config.keep)


if __name__ == "__main__":
    sys.exit(main())
