"""Run the trainer at 7B on this machine's GPU, with random weights.

    python -m scripts.gpu_check

LLaVA-1.6-7B and Qwen2.5-VL-7B make one PPO iteration each. Every part is printed when it is
finished: seconds, tokens a second, peak memory against `ppo --estimate-memory`, and how far
sampling's log-probabilities are from the update's. Each model runs in a process of its own, which
is stopped when the minutes are over. Nothing is downloaded. If vLLM is installed, in this
environment or as `--vllm PROGRAM`, it then writes the replies of another iteration on the same GPU.
`--small` runs small models of the same classes on a CPU.
"""

import argparse
import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from vlbench.cli import exit_without

if __name__ == "__main__":
    exit_without(("torch", "transformers", "peft", "accelerate"), "gpu_check", extra="train")

import torch

from agents.vlm.trial import one_line
from scripts.gpu_check.measure import measure
from scripts.gpu_check.models import FAMILIES
from scripts.gpu_check.served import vllm_serve


def main(argv: Sequence[str] | None = None) -> int:
    """Run; return 0 if every model finished, 1 if one didn't, 2 on a wrong call."""
    argv = sys.argv[1:] if argv is None else list(argv)
    parser = argparse.ArgumentParser("python -m scripts.gpu_check", description=__doc__)
    parser.add_argument("--minutes", type=float, default=8, help="time for everything")
    parser.add_argument("--small", action="store_true", help="small models, on a CPU")
    parser.add_argument("--out", type=Path, help="file to append the figures to, as JSON lines")
    parser.add_argument("--vllm", default="vllm", help="program that serves models")
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
        return run_here(options)
    deadline = time.monotonic() + 60 * options.minutes
    codes: list[int] = []
    while len(codes) < len(FAMILIES) and 130 not in codes:
        codes.append(run([*FAMILIES][len(codes)], argv, deadline))
    return max(codes)


def run_here(options: argparse.Namespace) -> int:
    """Run one model in this process; return 0 if it finished, else 1."""
    program = shutil.which(options.vllm)
    serve = partial(vllm_serve, program) if program else None
    if not serve:
        show(f"{options.model}: {options.vllm} isn't installed, so no iteration is served")
    with tempfile.TemporaryDirectory() as folder:
        try:
            for line in measure(options.model, options.small, show, Path(folder), serve):
                if options.out:
                    with options.out.open("a", encoding="utf-8") as file:
                        file.write(json.dumps(line) + "\n")
        except (torch.OutOfMemoryError, OSError, ValueError) as error:
            show(f"{options.model}: {one_line(error)}")
            return 1
    return 0


def show(line: str) -> None:
    """Print a line at once."""
    print(line, flush=True)


def run(name: str, argv: Sequence[str], deadline: float) -> int:
    """Run a model in a process of its own; return 0 if it finished in time, 1 or 130 if not."""
    command = [sys.executable, "-m", "scripts.gpu_check", *argv, "--model", name]
    left = deadline - time.monotonic()
    if left <= 0:
        show(f"{name}: not run, the minutes are over")
        return 1
    with tempfile.TemporaryDirectory() as folder:
        # A group of its own, so that a server ends with it; its files go with the folder.
        environment = {**os.environ, "TMPDIR": folder}
        process = subprocess.Popen(command, start_new_session=True, env=environment)
        try:
            code = int(process.wait(left) != 0)
        except subprocess.TimeoutExpired:
            show(f"{name}: stopped, the minutes are over")
            code = 1
        except KeyboardInterrupt:
            code = 130
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    return code


if __name__ == "__main__":
    sys.exit(main())
