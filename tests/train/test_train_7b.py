"""Every command of docs/train-7b.md runs in the page's order, on small models of the classes."""

import json
import os
import shlex
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest
import torch
from support.fault_server import FaultServer
from support.loopback_hub import put_in_cache, use_hub
from support.page_commands import DOCS, OTHERS, commands, main_of
from support.rollout_server import RolloutServer, serving

from scripts import make_train_page
from scripts.gpu_check.models import make
from scripts.gpu_check.served import FLAGS

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("default")]

PAGE = "train-7b.md"
ELSEWHERE = ("--estimate-memory", "--env ALFWorld", "scripts.gpu_check")
"""Commands that other tests run: test_training_pages, test_alfworld_training, test_gpu_check."""
HUB = "llava-hf/llava-v1.6-mistral-7b-hf"
LORA = "--lora-rank 4 --lora-alpha 8 "
FEWER = {
    "agents.train.sft_data": "--episodes 4",
    "agents.train.sft": f"{LORA} --steps 2 --batch 4 --save-every 2 --eval-every 2 --holdout 0.3",
    "vlbench.bridges.starts": "--episodes 4",
    "agents.train.ppo": f"{LORA} --iterations 1 --num-envs 2 --num-steps 1 --minibatch 2 "
    "--epochs 1 --max-new-tokens 8 --eval-episodes 2",
}
"""What is smaller than on the page, by command; the last of two equal options counts."""
OWN_AGENT = "--episodes 2 --set max_tokens=8"
"""What is smaller in an evaluation of our own agent. A server plays all rows, as an entry needs."""
REPLY = '{"action": "="}'
"""It ends an episode of EZPoints, which evaluations play here."""


def torchrun(words):
    """Start a command of the page in two processes instead of eight."""
    words = [{"8": "2"}.get(word, word) for word in words]
    environment = {**os.environ, "PYTHONPATH": str(DOCS.parent), "OMP_NUM_THREADS": "1"}
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    ran = subprocess.run([*launcher, *words[1:]], env=environment, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr[-2000:]


def test_every_command_runs_in_order(tmp_path, monkeypatch, capsys):
    model, processor = make("llava-1.6-mistral-7b", True, torch.device("cpu"), torch.float32)
    model.save_pretrained(tmp_path / "base")
    processor.save_pretrained(tmp_path / "base")
    put_in_cache(tmp_path / "hub", HUB, tmp_path / "base")
    use_hub(monkeypatch, "http://127.0.0.1:9", tmp_path / "hub", offline=True)
    monkeypatch.chdir(tmp_path)
    own = [
        line
        for line in commands(PAGE)
        if not line.startswith(OTHERS) and not any(other in line for other in ELSEWHERE)
    ]
    assert len(own) == 15
    rollouts = serving(RolloutServer(tmp_path / "base"))
    with FaultServer() as looks, FaultServer(reply=REPLY) as plays, rollouts as writes:
        for line in own:
            server = looks.v1 if "doctor" in line else writes if "rollouts" in line else plays.v1
            line = line.replace("http://127.0.0.1:8000/v1", server)
            line = line.replace("--env NumberLine --out runs", "--env EZPoints --out runs")
            words = shlex.split(line)
            command = next(word for word in words if "." in word and word.islower())
            words += shlex.split(FEWER.get(command, ""))
            words += shlex.split(OWN_AGENT) if "--agent llava" in line else []
            if words[0] == "torchrun":
                torchrun(words)
            else:
                assert main_of(command)(words[3:]) == 0, (line, capsys.readouterr().err)
    for run in ("sft", "sft-8", "ppo", "ppo-8", "ppo-served"):
        adapter = json.loads((tmp_path / f"runs/7b/{run}/latest/adapter_config.json").read_text())
        assert adapter["base_model_name_or_path"] == HUB and adapter["r"] == 4
        assert not any("vision" in name for name in adapter["target_modules"])


def test_vllm_serves_the_base_with_the_adapter_that_the_page_trains():
    (line,) = [line for line in commands(PAGE) if line.startswith("vllm/bin/vllm serve")]
    (writer,) = [line for line in commands(PAGE) if line.startswith("VLLM_")]
    flags = {*shlex.split(writer)} - {"VLLM_ALLOW_RUNTIME_LORA_UPDATING=True"}
    assert HUB in flags and {*FLAGS[:7]} <= flags
    words = shlex.split(line)
    assert words[2] == HUB and "--enable-lora" in words
    preset = import_module("agents.train.ppo_config").PRESETS["rl4vlm-numberline"]
    assert words[words.index("--max-lora-rank") + 1] == str(preset["lora_rank"])
    name, folder = words[words.index("--lora-modules") + 1].split("=")
    assert any(f"openai:{name} " in line for line in commands(PAGE) if "doctor" in line)
    assert any(f"--out {folder.removesuffix('/chosen')} " in line for line in commands(PAGE))


def test_the_estimates_on_the_page_are_what_the_commands_print():
    text = (DOCS / PAGE).read_text("utf-8")
    assert len(make_train_page.BLOCK.findall(text)) == 6
    assert make_train_page.filled(text) == text
    assert Path(make_train_page.PAGE) == DOCS / PAGE
