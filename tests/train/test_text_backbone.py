"""A pretrained language model with its own tokenizer inside a LLaVA: it writes, and it trains."""

import json

import pytest
import torch

from agents.players.text.gguf import check_gguf
from agents.train import ppo, sft, sft_data, tiny
from agents.vlm.loading import load
from agents.vlm.policy import Policy
from agents.vlm.sampling import Sampling

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("default")]


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    if reason := missing():
        pytest.skip(reason)
    folder = tmp_path_factory.mktemp("smollm2") / "model"
    assert tiny.main(["--text-backbone", "smollm2", "--out", str(folder)]) == 0
    return folder


def missing():
    """Return what isn't installed; "" if all is."""
    try:
        check_gguf("smollm2")
    except ValueError as error:
        return str(error)
    return ""


def test_it_knows_what_it_learned_and_its_prompt_is_that_of_its_own_template(model):
    loaded = load(str(model))
    policy = Policy(loaded.model, loaded.processor, Sampling(max_new_tokens=12))
    tokenizer = loaded.processor.tokenizer
    question = [{"role": "user", "content": "What is the capital of France?"}]
    text = loaded.processor.apply_chat_template(question, add_generation_prompt=True)
    assert text.startswith("<|im_start|>system\n") and text.endswith("<|im_start|>assistant\n")
    ids = tokenizer(text, add_special_tokens=False, return_tensors="pt")["input_ids"]
    written = loaded.model.generate(input_ids=ids, max_new_tokens=12, do_sample=False)
    assert "Paris" in tokenizer.decode(written[0, ids.shape[1] :])
    (end,) = tokenizer("<|im_end|>", add_special_tokens=False)["input_ids"]
    assert policy.end_ids.tolist() == [end]
    assert loaded.model.lm_head.weight is loaded.model.get_input_embeddings().weight


def test_a_step_of_fine_tuning_and_one_of_ppo_train_all_of_it(model, tmp_path):
    data = tmp_path / "data.jsonl"
    assert sft_data.main(["--env", "NumberLine", "--episodes", "4", "--out", str(data)]) == 0
    few = ["--minibatch", "2", "--micro-batch", "1", "--epochs", "1", "--critic-iterations", "0"]
    commands = {
        sft: ["--data", data, "--steps", "1", "--batch", "2", "--micro-batch", "1", "--lr", "1e-4"],
        ppo: ["--iterations", "1", "--num-envs", "2", "--num-steps", "1", "--lr", "1e-5", *few]
        + ["--max-new-tokens", "8", "--eval-every", "0", "--log", "json"]
        + ["--no-normalise-advantages"],  # both replies are malformed, and so equally bad
    }
    before = load(str(model)).model.state_dict()
    for command, options in commands.items():
        out = tmp_path / command.__name__
        options = ["--model", model, "--out", out, *options]
        assert command.main([str(option) for option in options]) == 0
        row = json.loads((out / "metrics.jsonl").read_text().splitlines()[-1])
        print(f"{command.__name__}: {row['seconds']} s")
        after = load(str(out / "latest")).model.state_dict()
        moved = [name for name in after if not torch.equal(after[name], before[name])]
        for part in ("vision_tower", "multi_modal_projector", "language_model"):
            assert any(part in name for name in moved), (command, part)


def test_what_else_is_named_as_a_backbone_is_refused_in_one_line(tmp_path, capsys):
    if reason := missing():
        pytest.skip(reason)
    damaged = tmp_path / "damaged.gguf"
    damaged.write_bytes(b"GGUF" + bytes(40))
    for name, reason in ((tmp_path / "none.gguf", "wanted"), (damaged, "can't be read")):
        out = tmp_path / "model"
        assert tiny.main(["--text-backbone", str(name), "--out", str(out)]) in (1, 2)
        error = capsys.readouterr().err.strip().splitlines()[-1]
        assert error.startswith("tiny: ") and reason in error
        assert not out.exists()
