"""Report what turns were worth, and whether a trainer's advantages saw it.

`python -m vlbench.diagnose ROLLOUTS` reads a run folder, the folder of a training run with
`rollouts/` (ppo writes it with --rollouts-every), or a JSONL file of turns from any engine. It
replays the turns and prints, for each task, how far the recorded advantages agree with the exact
ones, where replies go wrong, whether thoughts are true, signs of a collapse, and which test rows
were played. docs/diagnose.md has the format of the lines and the meaning of the numbers.
"""

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from vlbench.cli import Options, option, parse_options, required, run_main
from vlbench.cli.paths import output_file
from vlbench.diagnose.page import diagnosis_page
from vlbench.diagnose.report import diagnose
from vlbench.diagnose.text import report_text
from vlbench.registry import ENV_HELP, resolve_env_id


@dataclass(frozen=True, kw_only=True)
class Config(Options):
    """Options of `diagnose`."""

    rollouts: Path = required(
        "a run folder, the folder of a training run, or a JSONL file of turns", positional=True
    )
    out: Path | None = option(
        None,
        "page with plots to write, as HTML",
        check=output_file("an HTML page", b"<!doctype html"),
    )
    json: bool = option(False, "print the report as one JSON object")
    env: tuple[str, ...] = option(
        (),
        ENV_HELP,
        metavar="MODULE:ID",
        check=resolve_env_id,
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Print the report; exit 0, or 2 if the rollouts can't be read or played."""
    return run_main("diagnose", lambda: _diagnose(argv))


def _diagnose(argv: Sequence[str] | None) -> None:
    config = parse_options(Config, argv, prog="python -m vlbench.diagnose", description=__doc__)
    diagnosis = diagnose(config.rollouts)
    if config.out is not None:
        config.out.parent.mkdir(parents=True, exist_ok=True)
        config.out.write_bytes(diagnosis_page(diagnosis).encode("utf-8", "replace"))
    if config.json:
        print(json.dumps(asdict(diagnosis.report), ensure_ascii=False))
    else:
        print(report_text(diagnosis.report))


if __name__ == "__main__":
    sys.exit(main())
