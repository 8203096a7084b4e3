"""Run the trainer at 7B on this machine's GPU, with random weights.

    python -m scripts.gpu_check

LLaVA-1.6-7B and Qwen2.5-VL-7B make one PPO iteration each. Every part is printed when it is
finished: seconds, tokens a second, peak memory against `ppo --estimate-memory`, and how far
sampling's log-probabilities are from the update's. Each model runs in a process of its own, which
is stopped when the minutes are over. Nothing is downloaded. `--small` runs small models of the same
classes on a CPU.
"""

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from vlbench.cli import exit_without

if __name__ == "__main__":
    exit_without(("torch", "transformers", "peft", "accelerate"), "gpu_check", extra="train")

import torch

from scripts.gpu_check.measure import measure
from scripts.gpu_check.models import FAMILIES


def main(argv: Sequence[str] | None = None) -> int:
    """Run; return 0 if every model finished, 1 if one didn't, 2 on a wrong call."""
    argv = sys.argv[1:] if argv is None else list(argv)
    parser = argparse.ArgumentParser("python -m scripts.gpu_check", description=__doc__)
    parser.add_argument("--minutes", type=float, default=8, help="time for everything")
    parser.add_argument("--small", action="store_true", help="small models, on a CPU")
    parser.add_argument("--out", type=Path, help="file to append the figures to, as JSON lines")
    parser.add_argument("--model", choices=[*FAMILIES], help="only this one")
    options = parser.parse_args(argv)
    problem = ""
    if not options.small and not torch.cuda.is_available():
        problem = "no CUDA device was found; --small runs small models on a CPU"
    if not options.minutes > 0:
        problem = f"--minutes must be above 0, got {options.minutes:g}"
    if problem:
        print(f"gpu_check: {problem}", file=sys.stderr)
        return 2
    if options.model:
        try:
            line = measure(options.model, options.small, lambda text: print(text, flush=True))
        except torch.OutOfMemoryError as error:
            print(f"{options.model}: {str(error).splitlines()[0]}", flush=True)
            return 1
        if options.out:
            with options.out.open("a", encoding="utf-8") as file:
                file.write(json.dumps(line) + "\n")
        return 0
    deadline = time.monotonic() + 60 * options.minutes
    return max([run(name, argv, deadline) for name in FAMILIES])


def run(name: str, argv: Sequence[str], deadline: float) -> int:
    """Run a model in a process of its own; return 0 if it finished before the deadline, else 1."""
    command = [sys.executable, "-m", "scripts.gpu_check", *argv, "--model", name]
    left = deadline - time.monotonic()
    reason = "the minutes are over"
    if left > 0:
        try:
            code = subprocess.run(command, timeout=left, check=False).returncode
            reason = f"exit code {code}" if code else ""
        except subprocess.TimeoutExpired:
            pass
    if reason:
        print(f"{name}: not finished, {reason}", flush=True)
    return int(bool(reason))


if __name__ == "__main__":
    sys.exit(main())
