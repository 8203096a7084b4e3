"""Copy a trained checkpoint into the package: `python -m scripts.ship_checkpoint RUN/latest OUT`.

Weights are saved as float16 safetensors, without the trainer's state. After an evaluation,
`scripts/make_model_cards.py` writes the model card beside them.
"""

import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from agents.train.gains.card import count_parameters
from agents.train.gains.lessons import export_model
from vlbench.cli import Options, existing_folder, output_folder, parse_options, required, run_main
from vlbench.cli.folders import MODEL


@dataclass(frozen=True, kw_only=True)
class Config(Options):
    """Options of `ship_checkpoint`."""

    checkpoint: Path = required(
        "the checkpoint's folder", positional=True, metavar="CHECKPOINT", check=existing_folder
    )
    out: Path = required(
        "folder of the package; a model in it is replaced",
        positional=True,
        metavar="OUT",
        check=output_folder(MODEL),
    )


def ship(checkpoint: Path, out: Path) -> None:
    """Save a checkpoint in float16; a model that `out` holds is replaced."""
    new = out.with_name(f".new-{out.name}")
    shutil.rmtree(new, ignore_errors=True)
    export_model(checkpoint, new)
    shutil.rmtree(out, ignore_errors=True)
    new.rename(out)
    size = sum(file.stat().st_size for file in out.iterdir())
    print(f"{count_parameters(out):,} parameters, {size / 1e6:.2f} MB in {out}")


def main(argv: Sequence[str] | None = None) -> int:
    """Copy; return 0 on success, 2 on a wrong call."""
    return run_main("ship_checkpoint", lambda: _main(argv))


def _main(argv: Sequence[str] | None) -> None:
    config = parse_options(Config, argv, prog="scripts.ship_checkpoint", description=__doc__)
    ship(config.checkpoint.resolve(), config.out)


if __name__ == "__main__":
    sys.exit(main())
