"""Merge a LoRA adapter into its base: `python -m agents.vlm.merge ADAPTER --out FOLDER`.

The folder is a full model with the adapter's processor, for engines that take no adapter, and for
publishing.
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from vlbench.cli import exit_without

if __name__ == "__main__":
    exit_without(("torch", "transformers", "peft"), "merge", extra="llava")

import torch
import transformers
from peft import PeftModel

from agents.vlm.loading import load
from agents.vlm.reading import Loaded
from agents.vlm.trainable import check_model
from vlbench.cli import Options, option, parse_options, required, run_main
from vlbench.cli.folders import new_folder


@dataclass(frozen=True, kw_only=True)
class Config(Options):
    """Options of `merge`."""

    adapter: str = required("the adapter: a folder, or hf:<id>", positional=True, check=check_model)
    out: Path = required("new folder for the full model", check=new_folder)
    base: str = option("", "base of the adapter, instead of the one in its config")
    dtype: str | None = option(
        None,
        "dtype of the weights; by default float32 on a CPU, bfloat16 elsewhere",
        choices=("float32", "bfloat16", "float16"),
    )
    trust_remote_code: bool = option(False, "run Python code shipped with the checkpoint")


def merge(loaded: Loaded, out: Path) -> int:
    """Write a model with its adapter merged into its weights; return the number of parameters.

    Args:
        loaded: An adapter on its base. The model is changed in place.
        out: The folder to write.

    Raises:
        OSError: The folder can't be written.
    """
    transformers.utils.logging.disable_progress_bar()
    model = loaded.model.merge_and_unload()
    if model.get_output_embeddings().weight is not model.get_input_embeddings().weight:
        for config in (model.config, model.config.get_text_config()):
            config.tie_word_embeddings = False
    model.save_pretrained(out)
    loaded.processor.save_pretrained(out)
    return int(model.num_parameters())


def main(argv: Sequence[str] | None = None) -> int:
    """Merge; return 0 on success, 1 if the folder can't be written, 2 on a wrong call."""
    return run_main("merge", lambda: _merge(argv), failure=1)


def _merge(argv: Sequence[str] | None) -> None:
    config = parse_options(Config, argv, prog="python -m agents.vlm.merge", description=__doc__)
    loaded = load(
        config.adapter,
        base=config.base,
        dtype=getattr(torch, config.dtype) if config.dtype else None,
        trust_remote_code=config.trust_remote_code,
    )
    if not isinstance(loaded.model, PeftModel):
        raise ValueError(f"{config.adapter} isn't an adapter, so there is nothing to merge")
    count = merge(loaded, config.out)
    print(f"{count:,} parameters in {config.out}: {loaded.base} with {config.adapter}")


if __name__ == "__main__":
    sys.exit(main())
