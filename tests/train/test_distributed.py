"""Training in two processes does what one does with everything; what can't be so is refused."""

import dataclasses
import json
import os
import pickle
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from support.cli_process import heed_ctrl_c
from support.update_in_processes import update_rollout
from torch.distributed.run import get_args_parser

from agents.train import ppo, sft, sft_data
from agents.train.advantages import playing
from agents.train.checkpoint import Checkpoints
from agents.train.distributed import Processes
from agents.train.environments import RolloutEnvs, make_envs
from agents.train.trainer import Interruption
from vlbench.cli import parse_options
from vlbench.cli.options import option_fields
from vlbench.diagnose.report import diagnose

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("default")]

ROOT = Path(__file__).parents[2]
RUN = [
    "--num-envs",
    "4",
    "--num-steps",
    "3",
    "--minibatch",
    "6",
    "--micro-batch",
    "2",
    "--max-new-tokens",
    "12",
    "--eval-every",
    "2",
    "--eval-episodes",
    "5",
    "--loggers",
    "json",
    "--critic-iterations",
    "0",
    "--lr",
    "1e-3",
    "--end-lr",
    "1e-3",
    "--save-every",
    "2",
    "--rollouts-every",
    "2",
]
TIMED = (
    "seconds",
    "cpu_seconds",
    "time/rollout",
    "time/rescoring",
    "time/update",
    "charts/SPS",
)


def started(
    *arguments,
    launcher=("torch.distributed.run", "--standalone", "--nproc-per-node", "2"),
    **environment,
):
    return subprocess.Popen(
        [sys.executable, "-m", *launcher, *map(str, arguments)],
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=heed_ctrl_c,
        start_new_session=True,
    )


def torchrun(*arguments):
    run = started(*arguments)
    try:
        out, err = run.communicate(timeout=300)
    except subprocess.TimeoutExpired:
        os.killpg(run.pid, signal.SIGKILL)
        raise
    assert run.returncode == 0, err
    return out.strip()


def metrics(run):
    lines = (run / "metrics.jsonl").read_text("utf-8").splitlines()
    return [{k: v for k, v in json.loads(line).items() if k not in TIMED} for line in lines]


@pytest.mark.parametrize(
    "changes",
    [{"micro_batch": 3}, {"lora": True, "lora_rank": 4, "kl_coef": 0.1, "train_vision": "none"}],
    ids=["full", "lora-with-kl"],
)
def test_two_processes_make_the_same_update_as_one_with_the_whole_rollout(
    checkpoint, tmp_path, changes
):
    config = ppo.Config(
        model=str(checkpoint),
        num_envs=6,
        num_steps=3,
        minibatch=7,
        max_new_tokens=12,
        entropy_coef=0.01,
        value_detach=False,
        max_grad_norm=0.1,
        **changes,
    )
    policy = ppo.build_policy(config, config.model)
    vector = make_envs("vlbench/NumberLine-v0", 6, {})
    envs = RolloutEnvs(vector, range(6), Processes())
    envs.reset(range(6))
    buffer = playing.rollout(policy, envs, config, torch.Generator().manual_seed(0), len)
    playing.assess(buffer, config, Processes())
    buffer.advantages += torch.randn(3, 6, generator=torch.Generator().manual_seed(1))
    (tmp_path / "rollout.pickle").write_bytes(pickle.dumps(buffer))
    options = dataclasses.asdict(config) | {"out": ""}
    (tmp_path / "config.json").write_text(json.dumps(options), "utf-8")

    alone, metrics_alone = update_rollout(tmp_path, Processes())
    torchrun(ROOT / "tests" / "support" / "update_in_processes.py", tmp_path)
    together, metrics_together = torch.load(tmp_path / "result.pt")
    assert len(together) == 2 and len(alone) > 4
    for single, *pair in zip(alone, *together, strict=True):
        assert all(torch.allclose(single, weight, atol=1e-5) for weight in pair)
        assert torch.equal(*pair)
    assert metrics_together.keys() == metrics_alone.keys()
    for name, value in metrics_alone.items():
        same = pytest.approx(value, abs=1e-5, rel=1e-4)
        assert name in TIMED or metrics_together[name] == same, name


def test_runs_in_two_processes_repeat_resume_and_change_their_number(checkpoint, tmp_path):
    module = ("-m", "agents.train.ppo", "--model", checkpoint, *RUN)
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    last = torchrun(*module, "--out", whole, "--iterations", 4)
    assert last == str(whole / "step-000004")  # printed once
    torchrun(*module, "--out", parts, "--iterations", 2)
    assert metrics(parts) == metrics(whole)[:3]  # the same seeds, the same run; one row a step
    for number in (1, 2):
        shutil.copytree(parts, tmp_path / f"to-{number}")

    again = torchrun(*module, "--out", parts, "--iterations", 4)
    assert metrics(parts) == metrics(whole)
    rollouts = [(out / "rollouts" / "000004.jsonl").read_text("utf-8") for out in (parts, whole)]
    assert rollouts[0] == rollouts[1] and rollouts[0].count("\n") == 4 * 3
    assert diagnose(whole).report.tasks[0].turns == 2 * 4 * 3
    resumed, undisturbed = (load_file(Path(end, "model.safetensors")) for end in (again, last))
    assert all(torch.equal(resumed[name], undisturbed[name]) for name in resumed)

    config = parse_options(
        ppo.Config,
        [*map(str, module[2:]), "--out", str(tmp_path / "to-1"), "--iterations", "4"],
        prog="",
        description="",
    )
    end = ppo.train(config, Processes())  # 2 → 1
    state = torch.load(end / "trainer.pt", weights_only=True)
    assert len(json.loads(state["environments"]["running"])) == 4
    one = dataclasses.replace(config, out=tmp_path / "one", iterations=2)
    ppo.train(one, Processes())
    torchrun(*module, "--out", one.out, "--iterations", 4)  # 1 → 2
    for out in (config.out, one.out):
        rows = metrics(out)
        assert [row["step"] for row in rows] == [0, 1, 2, 3, 4]
        assert rows[-1]["charts/env_steps"] == 4 * 4 * 3
        assert all(row["losses/ratio_error"] < 1e-4 for row in rows[1:])
    assert [row["eval/return"] for row in metrics(one.out)[:1]] == [
        row["eval/return"] for row in metrics(whole)[:1]
    ]  # the rows that two processes divide are those that one plays


def test_fine_tuning_in_two_processes_equals_that_in_one(checkpoint, tmp_path):
    data = tmp_path / "data.jsonl"
    assert (
        sft_data.main(["--out", str(data), "--episodes", "60", "--random-action-prob", "0.2"]) == 0
    )
    config = sft.Config(
        model=str(checkpoint),
        data=data,
        out=tmp_path / "one",
        steps=6,
        batch=7,
        micro_batch=3,
        lr=1e-4,
        weight_decay=0.1,
        eval_every=3,
        holdout=0.2,
    )
    alone = sft.train(config, Processes())
    together = torchrun(
        "-m",
        "agents.train.sft",
        "--model",
        checkpoint,
        "--data",
        data,
        "--out",
        tmp_path / "two",
        "--steps",
        6,
        "--batch",
        7,
        "--micro-batch",
        3,
        "--lr",
        1e-4,
        "--weight-decay",
        0.1,
        "--eval-every",
        3,
        "--holdout",
        0.2,
    )
    one, two = (load_file(Path(end, "model.safetensors")) for end in (alone, together))
    assert all(torch.allclose(one[name], two[name], atol=1e-5) for name in one)
    for a, b in zip(metrics(tmp_path / "one"), metrics(tmp_path / "two"), strict=True):
        assert a == pytest.approx(b, rel=1e-4)


def test_what_diverges_in_one_process_ends_both(checkpoint, tmp_path):
    program = ROOT / "tests" / "support" / "diverge_in_one_process.py"
    run = started(program, "--model", checkpoint, "--out", tmp_path / "run", *RUN)
    err = run.communicate(timeout=120)[1]
    line = "step 1: a logit of the model isn't finite; there is no checkpoint yet; try a lower --lr"
    for process in ("ppo", "ppo (process 1)"):
        assert any(text.startswith(f"{process}: {line}") for text in err.splitlines()), err
    assert re.search(r"exit ?code *:? *1|exit status 1", err)


def test_ctrl_c_ends_two_processes_with_a_checkpoint(checkpoint, tmp_path):
    run = started(
        "-m",
        "agents.train.ppo",
        "--model",
        checkpoint,
        "--out",
        tmp_path,
        *RUN,
        "--iterations",
        500,
        "--save-every",
        1000,
    )
    lines = []
    for line in run.stderr:
        lines.append(line)
        if line.startswith("2/500"):
            os.killpg(run.pid, signal.SIGINT)  # as a terminal does: everyone hears it
            break
    lines += run.communicate(timeout=60)[1].splitlines()
    assert run.returncode != 0
    assert "ppo: stopped; run the same command again to resume from the last checkpoint" in lines
    last = Checkpoints(tmp_path).latest()
    assert last is not None and len(metrics(tmp_path)) == int(last.name[5:]) + 1


@pytest.mark.skipif(os.name == "nt", reason="signals")
def test_under_a_launcher_which_repeats_them_signals_never_break_an_iteration_off():
    with Interruption(launched=True) as interruption:
        for _ in range(3):
            signal.raise_signal(signal.SIGINT)
        assert interruption.requested
    with Interruption() as interruption:
        signal.raise_signal(signal.SIGINT)
        assert interruption.requested
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)


@pytest.mark.parametrize(
    ("launcher", "environment", "message"),
    [
        (
            ("accelerate.commands.launch", "--cpu", "--num_processes", "2", "-m"),
            {},
            "accelerate launch started one process",
        ),
        ((), {"ACCELERATE_USE_FSDP": "true"}, "the launcher wants FSDP"),
        ((), {"ACCELERATE_USE_DEEPSPEED": "true"}, "the launcher wants DeepSpeed"),
        ((), {"OMPI_COMM_WORLD_SIZE": "2"}, "OMPI_COMM_WORLD_SIZE says 2 processes"),
        (
            ("torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m"),
            {"ACCELERATE_USE_FSDP": "true"},
            "the launcher wants FSDP",
        ),
    ],
    ids=["accelerate", "fsdp", "deepspeed", "mpi", "torchrun-fsdp"],
)
def test_a_launcher_that_does_something_else_is_refused_in_one_line(
    checkpoint, tmp_path, launcher, environment, message
):
    run = started(
        "agents.train.ppo",
        "--model",
        checkpoint,
        "--out",
        tmp_path / "run",
        launcher=launcher,
        **environment,
    )
    err = run.communicate(timeout=120)[1]
    (line,) = [line for line in err.splitlines() if line.startswith("ppo")]
    assert message in line and "start with torchrun --nproc-per-node N" in line
    assert run.returncode == (1 if launcher else 2)  # launchers have codes of their own
    assert not (tmp_path / "run").exists()
    if launcher:
        assert re.search(r"exit ?code *:? *2|exit status 2", err)


def test_environments_that_can_t_be_divided_are_refused(checkpoint, monkeypatch):
    processes = Processes()
    processes.count = 3
    with pytest.raises(ValueError, match="num_envs 32 can't be divided among 3 processes"):
        ppo.train(ppo.Config(model=str(checkpoint)), processes)


def test_torchrun_leaves_all_our_options_alone():
    for module, config in (("ppo", ppo.Config), ("sft", sft.Config)):
        flags = [field.option.alias or field.flag for field in option_fields(config)]
        read = get_args_parser().parse_args(
            ["--nproc-per-node", "2", "-m", f"agents.train.{module}", *flags]
        )
        assert read.training_script_args == flags
