"""Write states and replies as other trainers' files, with the pictures on disk.

    python -m agents.train.sft_data --env Points24 --out data.jsonl
    python -m vlbench.bridges.turns_export data.jsonl --format llamafactory --out points24

`trl`, `sharegpt` and `llamafactory` are for supervised fine-tuning; `verl` is a parquet file for
reinforcement learning with `vlbench.bridges.turns.verl_score`.
"""

import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from vlbench.bridges.turns import TurnRow, observations, read_rows
from vlbench.cli import (
    Options,
    existing_file,
    option,
    parse_options,
    print_error,
    required,
    run_main,
)
from vlbench.cli.folders import new_folder
from vlbench.observation import png

IMAGES = "images"
"""Subfolder of the pictures."""


def trl_example(row: TurnRow, text: str, picture: str) -> dict[str, Any]:
    """Return an example of TRL's `SFTTrainer` for vision models."""
    content = [{"type": "image"}, {"type": "text", "text": text}]
    reply = [{"type": "text", "text": row.reply}]
    return {
        "messages": [
            {"role": "user", "content": content},
            {"role": "assistant", "content": reply},
        ],
        "images": [picture],
    }


def sharegpt_example(row: TurnRow, text: str, picture: str) -> dict[str, Any]:
    """Return an example in ShareGPT's form, as LLaVA's trainer reads it."""
    return {
        "conversations": [
            {"from": "human", "value": f"<image>\n{text}"},
            {"from": "gpt", "value": row.reply},
        ],
        "images": [picture],
    }


def llamafactory_example(row: TurnRow, text: str, picture: str) -> dict[str, Any]:
    """Return an example in the form that `LLAMAFACTORY_INFO` describes."""
    return {
        "messages": [
            {"role": "user", "content": f"<image>{text}"},
            {"role": "assistant", "content": row.reply},
        ],
        "images": [picture],
    }


LLAMAFACTORY_INFO = {
    "vlbench": {
        "file_name": "train.json",
        "formatting": "sharegpt",
        "columns": {"messages": "messages", "images": "images"},
        "tags": {
            "role_tag": "role",
            "content_tag": "content",
            "user_tag": "user",
            "assistant_tag": "assistant",
        },
    }
}
"""Content of LlamaFactory's `dataset_info.json`."""

EXAMPLES: dict[str, Callable[[TurnRow, str, str], dict[str, Any]]] = {
    "trl": trl_example,
    "sharegpt": sharegpt_example,
    "llamafactory": llamafactory_example,
}


def export(rows: Sequence[TurnRow], form: str, folder: Path) -> Path:
    """Write rows; return the file of the examples.

    Args:
        rows: The states, each with a reply unless the form is "verl".
        form: "trl" (JSONL), "sharegpt" (JSON), "llamafactory" (JSON, with `dataset_info.json`), or
            "verl" (parquet with the pictures inside; needs the package `datasets`).
        folder: A new or empty folder.

    Raises:
        ValueError: A row has no reply to learn, or can't be played.
    """
    if form == "verl":
        return _export_verl(rows, folder)
    if missing := [number for number, row in enumerate(rows, 1) if not row.reply]:
        raise ValueError(f"row {missing[0]} has no reply to learn")
    (folder / IMAGES).mkdir(parents=True, exist_ok=True)
    examples = []
    for number, (row, seen) in enumerate(zip(rows, observations(rows), strict=True)):
        picture = f"{IMAGES}/{number:06}.png"
        (folder / picture).write_bytes(png(seen["image"]))
        examples.append(EXAMPLES[form](row, seen["text"], picture))
    if form == "trl":
        file = folder / "train.jsonl"
        lines = (json.dumps(example, ensure_ascii=False) + "\n" for example in examples)
        file.write_text("".join(lines), "utf-8")
        return file
    file = folder / "train.json"
    file.write_text(json.dumps(examples, ensure_ascii=False, indent=1) + "\n", "utf-8")
    if form == "llamafactory":
        info = json.dumps(LLAMAFACTORY_INFO, indent=2) + "\n"
        (folder / "dataset_info.json").write_text(info, "utf-8")
    return file


def _export_verl(rows: Sequence[TurnRow], folder: Path) -> Path:
    import datasets  # only this form needs it

    columns = [
        {
            "data_source": f"vlbench/{row.env_id}",
            "prompt": [{"role": "user", "content": f"<image>{seen['text']}"}],
            "images": [{"bytes": png(seen["image"]), "path": None}],
            "ability": "vlbench",
            "reward_model": {"style": "rule", "ground_truth": json.dumps(asdict(row))},
            "extra_info": {"index": number},
        }
        for number, (row, seen) in enumerate(zip(rows, observations(rows), strict=True))
    ]
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "train.parquet"
    datasets.Dataset.from_list(columns).to_parquet(str(file))
    return file


@dataclass(frozen=True, kw_only=True)
class Config(Options):
    """Options of `turns_export`."""

    data: Path = required(
        "file that agents.train.sft_data wrote", positional=True, check=existing_file
    )
    format: str = option("trl", "form of the examples", choices=(*EXAMPLES, "verl"))
    out: Path = required("new folder", check=new_folder)


def main(argv: Sequence[str] | None = None) -> int:
    """Export a file; exit 0 when done, 2 on a wrong call."""

    def run() -> int:
        config = parse_options(
            Config, argv, prog="python -m vlbench.bridges.turns_export", description=__doc__
        )
        rows = read_rows(config.data)
        try:
            file = export(rows, config.format, config.out)
        except ImportError as error:
            reason = f"{error}; install it with: pip install datasets"
            print_error("turns_export", ValueError(reason))
            return 2
        print(f"{file}: {len(rows)} examples")
        return 0

    return run_main("turns_export", run)


if __name__ == "__main__":
    sys.exit(main())
