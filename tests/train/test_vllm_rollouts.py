"""A real vLLM server, in an environment of its own, writes PPO's replies."""

import json

import pytest
from support.small_checkpoint import small_checkpoint
from support.vllm_on_cpu import FLAGS, PROCESSED, served_copy, vllm_serve

from agents.train import ppo
from agents.train.distributed import Processes

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("default"),
]
UPDATING = {"VLLM_ALLOW_RUNTIME_LORA_UPDATING": "True"}
# Attention on a CPU wants heads of 32 numbers.
WIDE = {"width": 128, "heads": 4, "image_size": 96, "text_layers": 2, "vision_layers": 2}


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    folder = tmp_path_factory.mktemp("base")
    small_checkpoint(folder / "own", **WIDE)
    return folder / "own", served_copy(folder / "own", folder / "served")


def configuration(model, out, url):
    return ppo.Config(
        model=str(model),
        out=out,
        rollouts=url,
        lora=True,
        lora_rank=8,
        lora_alpha=16,
        iterations=4,
        num_envs=8,
        num_steps=4,
        minibatch=16,
        micro_batch=16,
        max_new_tokens=24,
        eval_every=0,
        rollouts_every=0,
        critic_iterations=0,
        lr=1e-2,
        temperature=0.7,
        top_p=0.95,
        log="json",
    )


def test_ppo_trains_on_what_vllm_writes_and_the_ratio_stays_near_one(base, tmp_path):
    own, served = base
    with vllm_serve(served, tmp_path / "server", *FLAGS, *PROCESSED, **UPDATING) as url:
        ppo.train(configuration(own, tmp_path / "run", url), Processes())
        other = small_checkpoint(tmp_path / "other", **WIDE, seed=1)
        with pytest.raises(ValueError, match="other log-probabilities than --model"):
            ppo.train(configuration(other, tmp_path / "other-run", url), Processes())
    lines = [json.loads(line) for line in (tmp_path / "run/metrics.jsonl").open()]
    errors = [line["losses/served_ratio_error"] for line in lines]
    assert len(errors) == 4 and 0 < max(errors) < 0.01
    assert max(abs(line["losses/approx_kl"]) for line in lines) > 0.1, "the policy has moved"


@pytest.mark.parametrize(
    ("flags", "environment", "message"),
    [
        (FLAGS, UPDATING, "start it with --logprobs-mode processed_logprobs"),
        ((*FLAGS, *PROCESSED), {}, "VLLM_ALLOW_RUNTIME_LORA_UPDATING=True"),
        (PROCESSED, UPDATING, "--enable-lora"),
    ],
    ids=["raw-log-probs", "no-updating", "no-lora"],
)
def test_a_vllm_server_without_a_flag_is_refused_by_its_name(
    flags, environment, message, base, tmp_path
):
    own, served = base
    with vllm_serve(served, tmp_path / "server", *flags, **environment) as url:
        with pytest.raises(ValueError, match=message):
            ppo.train(configuration(own, tmp_path / "run", url), Processes())
