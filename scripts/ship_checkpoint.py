"""Copy a trained checkpoint into the package: `python scripts/ship_checkpoint.py RUN/latest OUT`.

Weights are saved as float16 safetensors, without the trainer's state. After an evaluation,
`scripts/make_model_cards.py` writes the model card beside them.
"""

import argparse
import shutil
from pathlib import Path

import torch

from agents.vlm.loading import load


def ship(checkpoint: Path, out: Path) -> None:
    """Save a checkpoint in float16."""
    loaded = load(str(checkpoint), device=torch.device("cpu"), dtype=torch.float16)
    shutil.rmtree(out, ignore_errors=True)
    loaded.model.save_pretrained(out)
    loaded.processor.save_pretrained(out)
    size = sum(file.stat().st_size for file in out.iterdir())
    print(f"{loaded.model.num_parameters():,} parameters, {size / 1e6:.2f} MB in {out}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("out", type=Path)
    arguments = parser.parse_args()
    ship(arguments.checkpoint.resolve(), arguments.out)


if __name__ == "__main__":
    main()
