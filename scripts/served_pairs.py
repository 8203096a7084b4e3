"""PPO with served rollouts against PPO in process, in pairs of seeds, on NumberLine.

    python -m scripts.served_pairs --out runs/served --results served.jsonl

Both arms train an adapter from the same weak start, whose teacher's actions are coin flips. The
server is a real vLLM on a CPU, as in `tests/support/vllm_on_cpu.py`. Each seed and arm adds a line
to `--results`; what has a line isn't run again.
"""

import argparse
import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from importlib import import_module
from itertools import product
from pathlib import Path
from typing import Any

from agents.train.rollouts.vllm_server import VllmServer

TESTS = Path(__file__).parents[1] / "tests"
ARMS = ("in process", "served")
# Attention of vLLM on a CPU wants heads of 32 numbers.
START = {
    "tiny": ("agents.train.tiny", "--width", "128"),
    "weak.jsonl": (
        *("agents.train.sft_data", "--env", "NumberLine", "--theme", "classic"),
        *("--action-noise", "0.5", "--random-action-prob", "0.3", "--episodes", "1500"),
    ),
    "weak": ("agents.train.sft", "--steps", "300", "--lr", "2e-3", "--log", "json"),
}
"""Name in `--out` → the command that makes it."""
TRAINING = (
    *("--preset", "tiny-numberline", "--theme", "classic", "--lora", "--train-vision", "none"),
    *("--lora-rank", "16", "--lora-alpha", "32", "--lr", "1.5e-3", "--end-lr", "5e-4"),
    *("--iterations", "6", "--minibatch", "32", "--micro-batch", "32", "--rollouts-every", "0"),
    *("--eval-every", "6", "--eval-episodes", "60", "--log", "json"),
)


def run(*command: str) -> None:
    """Run a module in a process of its own."""
    if subprocess.run([sys.executable, "-m", *command]).returncode:
        raise SystemExit(f"{command[0]} failed")


def start(out: Path) -> Path:
    """Return the weak start, which is made once."""
    inputs = {"weak": ("--model", str(out / "tiny"), "--data", str(out / "weak.jsonl"))}
    for name, command in START.items():
        if not (out / name).exists():
            run(*command, *inputs.get(name, ()), "--out", str(out / name))
    return (out / "weak" / "latest").resolve()


@contextmanager
def vllm(model: Path, out: Path) -> Iterator[str]:
    """Serve a model during the block; give the address."""
    sys.path.insert(0, str(TESTS))
    support = import_module("support.vllm_on_cpu")
    copy = out / "copy"
    if not copy.exists():
        support.served_copy(model, copy)
    number = sum(1 for _ in out.glob("server-*"))
    flags = (*support.FLAGS, *support.PROCESSED)
    updating = {"VLLM_ALLOW_RUNTIME_LORA_UPDATING": "True"}
    with support.vllm_serve(copy, out / f"server-{number}", *flags, **updating) as url:
        yield url


def train(model: Path, seed: int, arm: str, url: str, out: Path) -> dict[str, Any]:
    """Train an arm; return its line."""
    folder = out / f"{arm.replace(' ', '-')}-{seed}"
    served = ("--rollouts", url) if url else ()
    options = ("--model", str(model), "--seed", str(seed), "--out", str(folder))
    run("agents.train.ppo", *TRAINING, *options, *served)
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").open()]
    success = [line["eval/success"] for line in lines if "eval/success" in line]
    name = "losses/served_ratio_error"
    errors = [line[name] for line in lines if name in line]
    return {
        "what": "served-pairs",
        "seed": seed,
        "arm": arm,
        "start": round(success[0], 4),
        "end": round(success[-1], 4),
        "cpu_seconds": round(lines[-1]["cpu_seconds"]),
        **({"most_ratio_error": round(max(errors), 5)} if url else {}),
        **({"engine": f"vllm {VllmServer(url).version()}"} if url else {}),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--results", type=Path, required=True)
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    model = start(options.out)
    lines = options.results.read_text().splitlines() if options.results.exists() else []
    done = {(line["seed"], line["arm"]) for line in map(json.loads, lines) if "arm" in line}
    missing = [pair for pair in product(range(options.seeds), ARMS) if pair not in done]
    with ExitStack() as stack:
        url = ""
        for seed, arm in missing:
            if arm == "served" and not url:
                url = stack.enter_context(vllm(model, options.out))
            line = train(model, seed, arm, url if arm == "served" else "", options.out)
            with options.results.open("a") as file:
                file.write(json.dumps(line) + "\n")
            print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main()
