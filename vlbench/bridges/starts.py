"""Starts of episodes as a data set of another engine, which plays them turn by turn.

    python -m vlbench.bridges.starts --engine verl --env Points24 --episodes 2000 --out points24

writes `train.parquet` and `val.parquet`, each row the start of an episode, and what the engine
needs besides to find the bridge.
"""

import json
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gymnasium

from vlbench.cli import MAX_SEED, Options, option, parse_options, print_error, required, run_main
from vlbench.cli.folders import new_folder
from vlbench.errors import user_code
from vlbench.records import from_json, to_json
from vlbench.registry import has_splits, registered_id, resolve_env_id
from vlbench.suites import Row

NAME = "vlbench"
"""Name of the bridge in an engine: verl's `agent_name`, SkyRL's `env_class`."""
ROW = "row"
"""Field of a row that holds the start, as JSON."""

AGENT_LOOP = f"""\
- name: {NAME}
  _target_: vlbench.bridges.verl_loop.TaskLoop
  max_reply_tokens: 256
  record: ""
"""
"""verl's `agent_loop_config_path`."""


def deal(
    env_id: str, episodes: int, *, seed: int = 0, split: str = "train", **kwargs: Any
) -> Iterator[Row]:
    """Yield starts of episodes.

    Args:
        env_id: An id or short name.
        episodes: Number of starts.
        seed: Seed of the deals.
        split: Split of the instances; an environment without splits deals all.
        **kwargs: Keyword arguments of the environment.

    Raises:
        ValueError: There is no such environment, or it refuses its arguments.
    """
    name = registered_id(resolve_env_id(env_id))
    with user_code(f"{name} can't be made"):
        splits: dict[str, Any] = {"split": split} if has_splits(name) else {}
        env = gymnasium.make(name, **splits, **kwargs)
    for number in range(episodes):
        _, info = env.reset(seed=seed if number == 0 else None)
        yield Row(name, kwargs, str(info["instance"]), int(info["presentation"]))
    env.close()


def read_start(text: str) -> Row:
    """Return the start in a row's field.

    Raises:
        ValueError: It isn't one.
    """
    row = from_json(Row, json.loads(text))
    registered_id(row.env_id)
    return row


def verl_example(row: Row, number: int) -> dict[str, Any]:
    """Return a row of verl's data set. The agent loop writes the prompts itself."""
    return {
        "data_source": f"vlbench/{row.env_id}",
        "agent_name": NAME,
        "prompt": _placeholder(row),
        "ability": "vlbench",
        "reward_model": {"style": "rule", "ground_truth": ""},
        "extra_info": {"index": number, ROW: json.dumps(to_json(row))},
    }


def skyrl_example(row: Row, number: int) -> dict[str, Any]:
    """Return a row of SkyRL's data set. The environment writes the prompts itself."""
    return {
        "data_source": f"vlbench/{row.env_id}",
        "env_class": NAME,
        "prompt": _placeholder(row),
        ROW: json.dumps(to_json(row)),
    }


def _placeholder(row: Row) -> list[dict[str, str]]:
    return [{"role": "user", "content": f"{row.env_id} {row.instance} {row.presentation}"}]


EXAMPLES: dict[str, Callable[[Row, int], dict[str, Any]]] = {
    "verl": verl_example,
    "skyrl": skyrl_example,
}


def export(engine: str, splits: dict[str, Sequence[Row]], folder: Path) -> list[Path]:
    """Write the starts of each split; return the files.

    Args:
        engine: A key of `EXAMPLES`.
        splits: Name of a file → its starts; one without starts is left out.
        folder: A new or empty folder.
    """
    import pyarrow.parquet  # the trainers install it; vlbench doesn't

    folder.mkdir(parents=True, exist_ok=True)
    files = []
    for name, rows in splits.items():
        if rows:
            files.append(folder / f"{name}.parquet")
            examples = [EXAMPLES[engine](row, number) for number, row in enumerate(rows)]
            pyarrow.parquet.write_table(pyarrow.Table.from_pylist(examples), files[-1])
    if engine == "verl":
        files.append(folder / "agent_loop.yaml")
        files[-1].write_text(AGENT_LOOP, "utf-8")
    return files


@dataclass(frozen=True, kw_only=True)
class Config(Options):
    """Options of `starts`."""

    engine: str = required("engine that reads the files", choices=tuple(EXAMPLES))
    env: str = required("environment, by id or short name")
    episodes: int = option(1000, "starts of the split train", ge=1, limit=10_000_000)
    val_episodes: int = option(64, "starts of the split val", ge=0, limit=10_000_000)
    env_kwargs: dict[str, Any] = option({}, "further keyword arguments of the environment")
    seed: int = option(0, "seed of the deals", ge=0, le=MAX_SEED)
    out: Path = required("new folder", check=new_folder)


def main(argv: Sequence[str] | None = None) -> int:
    """Write the files; exit 0 when done, 2 on a wrong call."""

    def run() -> int:
        config = parse_options(
            Config, argv, prog="python -m vlbench.bridges.starts", description=__doc__
        )
        counts = {"train": config.episodes, "val": config.val_episodes}
        splits: dict[str, Sequence[Row]] = {
            split: list(deal(config.env, count, seed=config.seed, split=split, **config.env_kwargs))
            for split, count in counts.items()
        }
        try:
            files = export(config.engine, splits, config.out)
        except ImportError as error:
            print_error("starts", ValueError(f"{error}; install it with: pip install pyarrow"))
            return 2
        for file in files:
            print(file)
        return 0

    return run_main("starts", run)


if __name__ == "__main__":
    sys.exit(main())
