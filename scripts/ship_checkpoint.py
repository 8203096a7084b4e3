"""Put a trained checkpoint into the package: `python scripts/ship_checkpoint.py RUN/latest OUT`.

Weights become float16 safetensors; the trainer's own state stays behind. The model card beside them
is written by `scripts/make_model_cards.py`, when the checkpoint has been evaluated.
"""

import argparse
import shutil
from pathlib import Path

import torch

from agents.vlm.loading import load


def ship(checkpoint: Path, out: Path) -> None:
    """Write a checkpoint anew, in float16."""
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
    given = parser.parse_args()
    ship(given.checkpoint.resolve(), given.out)


if __name__ == "__main__":
    main()
