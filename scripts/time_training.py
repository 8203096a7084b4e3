"""Run and time README's training commands: the lines behind `docs/results/readme-training.md`.

    python -m scripts.time_training runs/readme

Each command runs in a new folder as printed, and is a line with its times; then the last one plays
PPO's start. A line's load is the machine's when its command begins. Lines of an earlier call go.
"""

import argparse
import json
import os
import re
import resource
import shlex
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
RESULTS = ROOT / "docs" / "results" / "readme-training.jsonl"
TRAINED, START = "runs/ppo/latest", "runs/weak/latest"


def commands() -> list[str]:
    """Return README's training commands, and the last one with PPO's start.

    Raises:
        ValueError: README's section "Train" doesn't end its commands with playing TRAINED.
    """
    part = (ROOT / "README.md").read_text("utf-8").partition("\n## Train\n")[2]
    printed = re.findall(r"^python -m .*$", part.partition("```\n")[0], re.MULTILINE)
    if not printed or TRAINED not in printed[-1]:
        raise ValueError(f"README's training commands must end with playing {TRAINED}")
    return [*printed, printed[-1].replace(TRAINED, START)]


def run(command: str, folder: Path) -> dict[str, Any]:
    """Run a command in a folder; return its line."""
    _, *arguments = shlex.split(command)
    evaluates = "agents.evaluate" in arguments
    call = [sys.executable, *arguments, *(["--json"] if evaluates else [])]
    before, begin = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    load = round(os.getloadavg()[0], 1)
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(call, cwd=folder, env=environment, check=True, stdout=subprocess.PIPE)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    line: dict[str, Any] = {
        "command": command,
        "wall": round(time.perf_counter() - begin, 1),
        "cpu": round(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, 1),
        "load": load,
        "model": None,
        "success": None,
    }
    if evaluates:
        (card,) = json.loads(done.stdout)["scorecards"]
        line["model"] = arguments[arguments.index("--model") + 1]
        low, high = card["success_low"], card["success_high"]
        line["success"] = {"value": card["success"], "low": low, "high": high}
    return line


def main() -> None:
    """Run all commands, and write the lines when all have run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="folder to make")
    folder = parser.parse_args().folder
    folder.mkdir(parents=True)
    lines = [run(command, folder) for command in commands()]
    RESULTS.write_text("".join(json.dumps(line) + "\n" for line in lines), "utf-8")


if __name__ == "__main__":
    main()
