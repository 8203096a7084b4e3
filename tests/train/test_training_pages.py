"""The pages about training print commands that exist, and what they print."""

import re
import shlex
from importlib import import_module
from pathlib import Path

import pytest
import torch
from torch.distributed.run import get_args_parser

from agents.train import ppo, tiny
from agents.vlm import merge
from agents.vlm.loading import add_lora, load
from vlbench.cli import Options

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("default")]

DOCS = Path(__file__).parents[2] / "docs"
if not DOCS.is_dir():
    pytest.skip("the pages aren't in the wheel", allow_module_level=True)
OTHERS = ("nvidia-smi", "git", "python3 -m venv", "pip", "python -c", "vllm/bin/vllm")
"""The first words of commands that aren't ours."""


def commands(page):
    """Return the indented commands of a page, each on one line."""
    text = (DOCS / page).read_text("utf-8").replace("\\\n", " ")
    lines = re.findall(r"^    (\S.*)$", re.sub(r"```.*?```", "", text, flags=re.DOTALL), re.M)
    return [line.partition("  #")[0].strip() for line in lines if not line.startswith("log π")]


class Read(Exception):
    """The command line was understood."""


def main_of(name):
    """Return the main function behind `python -m name`."""
    module = import_module(name)
    return (import_module(f"{name}.__main__") if hasattr(module, "__path__") else module).main


@pytest.mark.parametrize("page", ["train-7b.md", "training.md"])
def test_every_command_of_the_page_is_understood_by_its_own_parser(page, monkeypatch):
    def stop(options):
        raise Read

    own = [line for line in commands(page) if not line.startswith(OTHERS)]
    assert len(own) >= 5
    for line in own:
        words = shlex.split(line)
        if words[0] == "torchrun":
            launched = get_args_parser().parse_args(words[1:])
            assert launched.module, line
            words = ["python", "-m", launched.training_script, *launched.training_script_args]
        assert words[:2] == ["python", "-m"], line
        with monkeypatch.context() as patched:
            patched.setattr(Options, "preflight", stop)
            with pytest.raises(Read):
                assert main_of(words[2])(words[3:]) is None, line


def test_the_estimates_that_the_page_prints_are_those_of_its_commands(capsys):
    text = (DOCS / "train-7b.md").read_text("utf-8")
    pattern = r"^    python -m agents\.train\.ppo ([^\n]*--estimate-memory [^\n]*)\n\n```\n(.*?)```"
    estimates = re.findall(pattern, text, re.MULTILINE | re.DOTALL)
    assert len(estimates) == 4
    for arguments, printed in estimates:
        assert ppo.main(shlex.split(arguments)) == 0
        assert capsys.readouterr().out == printed


def test_the_page_merges_an_adapter_into_a_model_that_plays_alike(tmp_path, monkeypatch):
    tiny.build(tiny.Config(out=tmp_path / "base", width=32, heads=2, image_size=48))
    trained = load(str(tmp_path / "base"))
    model = add_lora(trained.model, rank=4, alpha=8, dropout=0.0, vision="none")
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if "lora_B" in name:
                weight.fill_(0.05)
    model.save_pretrained(tmp_path / "runs/7b/ppo/latest")
    trained.processor.save_pretrained(tmp_path / "runs/7b/ppo/latest")
    monkeypatch.chdir(tmp_path)
    (command,) = [line for line in commands("train-7b.md") if "agents.vlm.merge" in line]
    assert merge.main(shlex.split(command)[3:]) == 0
    merged = load(str(tmp_path / "runs/7b/merged"))
    assert not hasattr(merged.model, "peft_config")
    inputs = {"input_ids": torch.tensor([[9, 10, 11]])}
    assert torch.allclose(merged.model(**inputs).logits, model.eval()(**inputs).logits, atol=1e-5)
