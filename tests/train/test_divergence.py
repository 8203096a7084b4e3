"""A number that isn't finite ends a training run in one line, code 1, and is never saved."""

import json
import math

import gymnasium
import pytest
import torch
from safetensors.torch import load_file, save_file

from agents.train import cnn, ppo, sft, sft_data
from agents.train.checkpoint import Checkpoints
from agents.train.distributed import Processes
from agents.vlm.sampling import Generation, nucleus
from vlbench.tasks.number_line import NumberLine, NumberLineVector

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("default")]

PPO = "--num-envs 4 --num-steps 3 --minibatch 6 --max-new-tokens 8 --eval-every 0 --log json"
PPO += " --critic-iterations 0 --iterations 4 --save-every 1"
CNN = "--num-envs 2 --num-steps 16 --minibatch 16 --epochs 1 --size 36 --turns 128 --save-every 1"
SFT = "--steps 6 --batch 4 --eval-every 0 --save-every 1"


class Unpayable(NumberLine):
    """Pays nan where NumberLine pays 1."""

    def advance(self, reply):
        outcome = super().advance(reply)
        return outcome._replace(reward=math.nan) if outcome.reward > 0 else outcome


class UnpayableVector(NumberLineVector):
    env_class = Unpayable


@pytest.fixture(scope="module")
def unpayable():
    env_id = "tests/Unpayable-v0"
    gymnasium.register(env_id, entry_point=Unpayable, vector_entry_point=UnpayableVector)
    yield env_id
    del gymnasium.registry[env_id]


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    path = tmp_path_factory.mktemp("data") / "data.jsonl"
    assert sft_data.main(["--out", str(path), "--episodes", "12"]) == 0
    return path


def calls_of(checkpoint, data):
    """Return method → module and a call without `--out`."""
    return {
        "ppo": (ppo, ["--model", str(checkpoint), *PPO.split()]),
        "sft": (sft, ["--model", str(checkpoint), "--data", str(data), *SFT.split()]),
        "cnn": (cnn, CNN.split()),
    }


def failure(module, argv, run, capsys):
    """Run a command that must fail; return its last line on stderr."""
    assert module.main([*argv, "--out", str(run)]) == 1
    out, err = capsys.readouterr()
    assert out == "" and "Traceback" not in err
    return err.splitlines()[-1]


def all_finite(folder):
    (weights,) = folder.glob("*.safetensors")
    return all(bool(tensor.isfinite().all()) for tensor in load_file(weights).values())


@pytest.mark.parametrize("lr", ["1e10", "1e25", "1e30"])
@pytest.mark.parametrize("method", ["ppo", "sft", "cnn"])
def test_a_learning_rate_that_is_far_too_high_ends_in_one_line(
    method, lr, checkpoint, data, tmp_path, capsys
):
    module, argv = calls_of(checkpoint, data)[method]
    more = ["--end-lr", lr, "--value-lr", lr] if method == "ppo" else []
    line = failure(module, [*argv, "--lr", lr, *more], tmp_path / "run", capsys)
    assert line.startswith(f"{method}: step ") and "try a lower --lr in a new --out" in line
    assert all(map(all_finite, Checkpoints(tmp_path / "run").all()))


@pytest.mark.parametrize(("method", "groups"), [("ppo", 2), ("sft", 1), ("cnn", 1)])
def test_a_bad_gradient_ends_the_run_which_then_goes_on_from_its_last_good_step(
    method, groups, checkpoint, data, tmp_path, capsys, monkeypatch
):
    module, argv = calls_of(checkpoint, data)[method]
    whole, run = tmp_path / "whole", tmp_path / "run"
    assert module.main([*argv, "--out", str(whole)]) == 0
    capsys.readouterr()
    norm = torch.nn.utils.clip_grad_norm_
    calls = iter(range(100))

    def spoil(weights, *args, **kwargs):
        weights = list(weights)
        # ppo and cnn take several steps in an iteration; ppo clips model and value head apart
        if next(calls) == 5 * groups:
            next(w for w in weights if w.grad is not None).grad.view(-1)[0] = math.nan
        return norm(weights, *args, **kwargs)

    monkeypatch.setattr(torch.nn.utils, "clip_grad_norm_", spoil)
    line = failure(module, argv, run, capsys)
    monkeypatch.undo()
    last = Checkpoints(run).latest()
    assert f"the last good checkpoint is {last};" in line and "gradient" in line
    assert all(map(all_finite, Checkpoints(run).all()))
    assert module.main([*argv, "--out", str(run)]) == 0
    ends = [Checkpoints(folder).latest() for folder in (whole, run)]
    first, second = (load_file(next(end.glob("*.safetensors"))) for end in ends)
    assert all(torch.equal(first[name], second[name]) for name in first)


@pytest.mark.parametrize("method", ["ppo", "cnn"])
def test_a_reward_that_is_no_number_ends_in_one_line(
    method, unpayable, checkpoint, data, tmp_path, capsys
):
    module, argv = calls_of(checkpoint, data)[method]
    argv = [*argv, "--env", unpayable]
    if method == "ppo":  # an untrained model wins nothing
        config = ppo.Config(model=str(checkpoint), env=unpayable)
        policy = ppo.build_policy(config, config.model)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(type(policy), "generate", lambda self, prompts, _: winning(self, prompts))
            line = failure(module, argv, tmp_path / "run", capsys)
        assert "ppo: step 1: a reward isn't finite; mend the environment; there is no ch" in line
    else:
        line = failure(module, argv, tmp_path / "run", capsys)
        assert "cnn: step " in line and "isn't finite" in line
    assert all(map(all_finite, Checkpoints(tmp_path / "run").all()))


def winning(policy, prompts):
    """Return replies that play "+" and "-" by turns."""
    replies = []
    for place, _ in enumerate(prompts):
        text = json.dumps({"action": "+-"[place % 2]})
        ids = policy.encoder.encode_reply(text)
        replies.append(Generation(ids, torch.zeros(len(ids)), 0.0, text, True))
    return replies


@pytest.mark.parametrize("method", ["ppo", "sft"])
@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_checkpoint_with_a_bad_weight_is_refused(method, bad, checkpoint, data, tmp_path, capsys):
    broken = tmp_path / "broken"
    broken.mkdir()
    for file in checkpoint.iterdir():
        (broken / file.name).write_bytes(file.read_bytes())
    weights = load_file(broken / "model.safetensors")
    next(iter(weights.values())).view(-1)[0] = bad
    save_file(weights, broken / "model.safetensors", metadata={"format": "pt"})
    module, argv = calls_of(broken, data)[method]
    line = failure(module, argv, tmp_path / "run", capsys)
    assert line == f"{method}: a weight of the checkpoint to start from isn't finite"
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("kind", [FloatingPointError, OSError])
def test_every_process_raises_what_went_wrong_in_one(kind):
    class Pair(Processes):
        def gather(self, own):
            return [own, kind("the other's fault")]

    pair = Pair()
    pair.count = 2
    with pytest.raises(kind, match="the other's fault"):
        pair.together(lambda: 3)


def test_the_likeliest_token_stays_in_the_smallest_nucleus():
    log_probs = torch.tensor([[0.5, 0.3, 0.2]]).log()
    assert nucleus(log_probs, 1e-300).exp().tolist() == [[1.0, 0.0, 0.0]]
