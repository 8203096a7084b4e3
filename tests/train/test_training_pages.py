"""The pages about training print commands that exist, and what they print."""

import shlex

import pytest
import torch
from support.page_commands import DOCS, OTHERS, commands, main_of
from torch.distributed.run import get_args_parser

from agents.train import tiny
from agents.vlm import merge
from agents.vlm.loading import add_lora, load
from vlbench.cli import Options

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("default")]

if not DOCS.is_dir():
    pytest.skip("the pages aren't in the wheel", allow_module_level=True)


class Read(Exception):
    """The command line was understood."""


@pytest.mark.parametrize("page", ["train-7b.md", "training.md"])
def test_every_command_of_the_page_is_understood_by_its_own_parser(page, monkeypatch):
    def stop(options):
        raise Read

    others = (*OTHERS, "python -m scripts.")
    own = [line for line in commands(page) if not line.startswith(others)]
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
    (command,) = [line for line in commands("training.md") if "agents.vlm.merge" in line]
    assert merge.main(shlex.split(command)[3:]) == 0
    merged = load(str(tmp_path / "runs/7b/merged"))
    assert not hasattr(merged.model, "peft_config")
    inputs = {"input_ids": torch.tensor([[9, 10, 11]])}
    assert torch.allclose(merged.model(**inputs).logits, model.eval()(**inputs).logits, atol=1e-5)
