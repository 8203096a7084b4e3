"""The check of 7B models on a GPU runs on a CPU with small models of the same classes."""

import json
import subprocess
import sys
from pathlib import Path

import gymnasium
import pytest
import torch
from safetensors.torch import load_file
from support.rollout_server import RolloutServer, serving

from agents.train.memory.configurations import CONFIGURATIONS
from agents.vlm.encoding import Encoder
from scripts.gpu_check import __main__ as command
from scripts.gpu_check.measure import measure
from scripts.gpu_check.models import FAMILIES, make
from scripts.gpu_check.served import vllm_serve

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("default")]

ROOT = Path(__file__).parents[2]
CHECK = (sys.executable, "-m", "scripts.gpu_check")


@pytest.mark.parametrize("name", FAMILIES)
def test_the_large_model_is_the_published_one_and_sees_a_picture_in_as_many_tokens(name):
    published = CONFIGURATIONS[name]
    model, processor = make(name, False, torch.device("meta"), torch.bfloat16)
    count = sum(weight.numel() for weight in model.parameters())
    assert count == {"llava-1.6-mistral-7b": 7_566_747_648, "qwen2.5-vl-7b": 8_292_166_656}[name]
    encoder = Encoder(processor)
    prompt = encoder.encode(gymnasium.make("vlbench/NumberLine-v0").reset(seed=0)[0])
    ids = prompt.sequences["input_ids"]
    assert int((ids == model.config.image_token_id).sum()) == published.picture
    for key, expected in published.pixels().items():
        assert prompt.pictures[0].tensors[key].shape[-3:] == expected.shape[-3:], key


def test_small_models_make_an_iteration_and_every_part_is_printed(tmp_path):
    file = tmp_path / "gpu.jsonl"
    ran = subprocess.run(
        [*CHECK, "--small", "--out", str(file)], cwd=ROOT, capture_output=True, text=True
    )
    assert ran.returncode == 0, ran.stderr
    lines = [json.loads(text) for text in file.read_text("utf-8").splitlines()]
    assert [line["model"] for line in lines] == [*FAMILIES]
    for line in lines:
        assert line["turns"] == 4 and line["tokens_written"] == 4 * 16
        assert line["mismatch"] < 1e-5 and line["ratio_error"] < 1e-4
        assert line["update_peak"] == pytest.approx(line["estimate"], rel=0.2)
    for part in ("build", "rollout", "rescoring", "update", "ratio error", "mismatch", "memory"):
        assert ran.stdout.count(f"\n  {part} ") >= 2, part


def test_a_server_writes_the_replies_of_another_iteration_with_the_same_weights(tmp_path, capsys):
    def serve(base):
        return serving(RolloutServer(base))

    own, served = measure("llava-1.6-mistral-7b", True, print, tmp_path, serve)
    assert (own["served"], served["served"]) == (False, True)
    assert served["turns"] == 4 and served["mismatch"] < 1e-5
    names = load_file(tmp_path / "base" / "model.safetensors")
    assert any("vision_tower.vision_model.embeddings" in name for name in names)
    assert "vLLM" in capsys.readouterr().out


def test_a_server_that_ends_is_told_in_one_line(tmp_path):
    program = tmp_path / "vllm"
    program.write_text("#!/bin/sh\necho no GPU; exit 3\n")
    program.chmod(0o755)
    with pytest.raises(OSError, match="exit code 3: no GPU$"), vllm_serve(str(program), tmp_path):
        pass


def test_a_check_stops_when_its_minutes_are_over(capfd):
    assert command.main(["--small", "--minutes", "0.001"]) == 1
    out = capfd.readouterr().out.splitlines()
    assert out[-1] == "qwen2.5-vl-7b: not run, the minutes are over"
    assert out[0] == "llava-1.6-mistral-7b: stopped, the minutes are over"


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_without_a_gpu_the_large_check_is_refused_in_one_line(capsys):
    assert command.main([]) == 2
    assert capsys.readouterr().err.count("\n") == 1
