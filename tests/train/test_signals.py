"""SIGTERM stops a trainer as Ctrl-C does: with a checkpoint, and a line on how to go on."""

import signal
import time

import pytest
from support.cli_process import start

from agents.train import sft_data
from agents.train.checkpoint import Checkpoints

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("default")]

PPO = ("--iterations", 5000, "--num-envs", 2, "--num-steps", 2, "--max-new-tokens", 4)
CNN = ("--turns", 10**6, "--num-envs", 2, "--num-steps", 16, "--minibatch", 16, "--size", 36)
SFT = ("--steps", 5000, "--batch", 2)
RESUME = {
    "ppo": "stopped; run the same command again to resume from the last checkpoint",
    "sft": "stopped; run the same command again to resume from the last checkpoint",
    "cnn": "stopped after a checkpoint; run the same command again to resume",
}


def wait_for_steps(process, log, seconds=120):
    """Wait until a trainer has logged two steps."""
    end = time.monotonic() + seconds
    while not log.exists() or log.read_text().count("\n") < 2:
        if process.poll() is not None or time.monotonic() > end:
            process.kill()
            pytest.fail(f"no steps: {process.communicate()[1]}")
        time.sleep(0.05)


@pytest.mark.parametrize("trainer", RESUME)
def test_a_trainer_that_is_stopped_leaves_a_checkpoint_and_says_how_to_go_on(
    checkpoint, tmp_path, trainer
):
    options = {"ppo": PPO, "cnn": CNN, "sft": SFT}[trainer]
    if trainer != "cnn":
        options += ("--model", checkpoint, "--eval-every", 0)
    if trainer == "sft":
        data = tmp_path / "data.jsonl"
        assert sft_data.main(["--out", str(data), "--episodes", "4"]) == 0
        options += ("--data", data)
    out = tmp_path / "run"
    process = start(
        tmp_path,
        f"agents.train.{trainer}",
        *options,
        "--out",
        out,
        "--save-every",
        10**5,
        "--log",
        "json",
    )
    wait_for_steps(process, out / "metrics.jsonl")
    process.send_signal(signal.SIGTERM)
    lines = process.communicate(timeout=60)[1].splitlines(keepends=True)
    assert process.returncode == 130, "".join(lines)
    assert lines[-1] == f"{trainer}: {RESUME[trainer]}\n" and "Traceback" not in "".join(lines)
    assert Checkpoints(out).latest() is not None
