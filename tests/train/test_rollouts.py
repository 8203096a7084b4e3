"""Replies that servers write over HTTP train as the policy's own do."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import torch
from safetensors.torch import load_file
from support.rollout_server import RolloutServer, serving
from support.small_checkpoint import small_checkpoint

from agents.train import ppo
from agents.train.distributed import Processes
from agents.train.rollouts import served
from agents.train.rollouts.vllm_server import VllmServer

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("default")]

FAST = {
    "num_envs": 4,
    "num_steps": 3,
    "minibatch": 6,
    "micro_batch": 3,
    "max_new_tokens": 12,
    "eval_every": 0,
    "rollouts_every": 0,
    "log": "json",
    "critic_iterations": 0,
    "lora": True,
    "lora_rank": 4,
    "lora_alpha": 8,
    "iterations": 3,
    "lr": 1e-2,
    "temperature": 0.5,
    "top_p": 0.9,
}


@pytest.fixture(autouse=True)
def no_pause(monkeypatch):
    monkeypatch.setattr("agents.train.rollouts.vllm_server.PAUSE", 0.0)


def configuration(checkpoint, out, *urls, **changes):
    options = {**FAST, "model": str(checkpoint), "out": out, "rollouts": ",".join(urls)}
    return ppo.Config(**{**options, **changes})


def metrics(run):
    lines = (run / "metrics.jsonl").read_text("utf-8").splitlines()
    return [json.loads(line) for line in lines]


def test_ppo_trains_on_what_two_servers_write_with_a_new_adapter_in_each_iteration(
    checkpoint, tmp_path
):
    servers = RolloutServer(checkpoint), RolloutServer(checkpoint)
    with serving(servers[0]) as first, serving(servers[1]) as second:
        end = ppo.train(configuration(checkpoint, tmp_path, f"{first}/v1", second), Processes())
    for line in metrics(tmp_path):
        assert line["losses/served_ratio_error"] < 1e-4 and line["losses/ratio_error"] < 1e-4
    adapter = load_file(end / "adapter_model.safetensors")
    assert any(weight.abs().max() > 0 for name, weight in adapter.items() if "lora_B" in name)
    assert not any("vision" in name or "projector" in name for name in adapter)
    for server in servers:
        # Three iterations, each under a name of its own; only the last is kept.
        assert len(server.names) == len(set(server.names)) == 3
        assert list(server.models) == server.names[-1:]
        assert len(server.bodies) == 1 + 3 * 12 // 2
    assert len(list((tmp_path / served.FOLDER).iterdir())) == 1
    seeds = [body["seed"] for server in servers for body in server.bodies[1:]]
    assert len(set(seeds)) == len(seeds)


def test_a_served_rollout_is_what_the_policy_would_have_written(checkpoint, tmp_path):
    policy = ppo.build_policy(configuration(checkpoint, tmp_path), str(checkpoint))
    with torch.no_grad():
        for name, weight in policy.model.named_parameters():
            if "lora_B" in name:
                weight.normal_(std=0.5)
    server = RolloutServer(checkpoint)
    observation = {"image": torch.full((300, 300, 3), 9, dtype=torch.uint8).numpy(), "text": "Go"}
    prompt = policy.encoder.encode(observation)
    with serving(server) as url:
        writer = served.Served([url], policy, tmp_path, Processes())
        writer.publish(observation)
        seed = int(torch.randint(2**31, (1,), generator=torch.Generator().manual_seed(3)))
        (written,) = writer.write([observation], [prompt], torch.Generator().manual_seed(3))
    (own,) = policy.generate([prompt], torch.Generator().manual_seed(seed))
    assert torch.equal(written.ids, own.ids) and written.text == own.text
    assert torch.allclose(written.log_probs, own.log_probs, atol=1e-4)
    assert written.value == pytest.approx(own.value, abs=1e-4)
    assert written.finished == own.finished
    forbidden = set(policy.forbidden.nonzero().flatten().tolist())
    assert {int(index) for index in server.bodies[0]["logit_bias"]} == forbidden


@pytest.mark.parametrize(
    ("flags", "changes", "message"),
    [
        ({"processed": False}, {}, "start it with --logprobs-mode processed_logprobs"),
        ({"adapters": False}, {}, "VLLM_ALLOW_RUNTIME_LORA_UPDATING=True"),
        ({"lora": False}, {}, "is it started with --enable-lora"),
        ({"version": "0.40.1"}, {}, "vllm 0.40.1 is installed; this bridge needs >=0.32,<0.33"),
        ({"token_ids": False}, {}, "it needs vLLM 0.10.2 or newer"),
        ({"longest": 20}, {}, "start it with --max-model-len"),
        ({"rank": 2}, {}, "start it with --max-lora-rank 4"),
        ({}, {"train_vision": "all"}, "can't go with --train-vision all"),
        ({}, {"lora": False}, "can't go with --train-vision all"),
        ({}, {"lora": False, "train_vision": "none"}, "add --lora"),
    ],
)
def test_what_a_server_lacks_is_named_in_one_line(
    flags, changes, message, checkpoint, tmp_path, capsys
):
    with serving(RolloutServer(checkpoint, **flags)) as url:
        options = {**FAST, "model": checkpoint, "out": tmp_path / "run", "rollouts": url, **changes}
        assert run(options) in (1, 2)
    (line,) = errors(capsys)
    assert message in line


def run(options):
    flags = [f"--{name.replace('_', '-')}={value}" for name, value in options.items()]
    flags = [flag.removesuffix("=True") for flag in flags if not flag.endswith("=False")]
    return ppo.main(flags)


def errors(capsys):
    lines = capsys.readouterr().err.splitlines()
    assert not any("Traceback" in line for line in lines)
    return [line for line in lines if line.startswith("ppo: ")]


def test_a_server_that_is_missing_or_another_program_is_refused(checkpoint, tmp_path, capsys):
    options = {**FAST, "model": checkpoint, "out": tmp_path / "run"}
    assert run({**options, "rollouts": "http://127.0.0.1:9"}) in (1, 2)
    assert "start vLLM there" in errors(capsys)[0]

    class Other(RolloutServer):
        def answer(self, path, body):
            return 404, {"detail": "Not Found"}

    with serving(Other(checkpoint)) as url:
        assert run({**options, "rollouts": url}) in (1, 2)
    assert "is not vLLM's" in errors(capsys)[0]
    assert run({**options, "rollouts": "localhost:8000"}) == 2
    assert "wanted addresses like http://127.0.0.1:8000/v1" in errors(capsys)[0]


def test_a_server_with_another_model_is_refused(checkpoint, tmp_path, capsys):
    other = small_checkpoint(tmp_path / "other", seed=1)
    with serving(RolloutServer(other)) as url:
        assert run({**FAST, "model": checkpoint, "out": tmp_path / "run", "rollouts": url})
    assert "other log-probabilities than --model" in errors(capsys)[0]


def test_a_server_that_keeps_an_older_adapter_ends_the_run(checkpoint, tmp_path, capsys):
    server = RolloutServer(checkpoint, stale=True)
    options = {**FAST, "lr": 0.1, "end_lr": 0.1, "iterations": 6}
    with serving(server) as url:
        code = run({**options, "model": checkpoint, "out": tmp_path / "run", "rollouts": url})
    assert code == 1
    assert "the servers' replies aren't the policy's" in errors(capsys)[0]


def test_a_server_that_stops_ends_the_run_in_one_line(checkpoint, tmp_path, capsys):
    server = RolloutServer(checkpoint)
    answer = server.answer

    def overloaded(path, body):
        if len(server.bodies) > 5:
            return 503, {"error": {"message": "overloaded"}}
        return answer(path, body)

    server.answer = overloaded
    with serving(server) as url:
        code = run({**FAST, "model": checkpoint, "out": tmp_path / "run", "rollouts": url})
    assert code == 1 and "answers 503: overloaded" in errors(capsys)[0]


def test_a_key_is_sent_whole_or_refused_and_goes_to_no_other_server(monkeypatch):
    monkeypatch.setenv("VLLM_API_KEY", "sk-secret-one\n")
    keys = []

    class Listener(BaseHTTPRequestHandler):
        def do_GET(self):  # noqa: N802
            keys.append((self.path, self.headers["Authorization"]))
            self.send_response(302)
            self.send_header("Location", f"http://127.0.0.1:{self.server.server_port}/elsewhere")
            self.end_headers()

        def log_message(self, *_):
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Listener) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        with pytest.raises(ValueError, match=r"is not vLLM's$"):
            VllmServer(f"http://127.0.0.1:{server.server_port}").version()
        server.shutdown()
    assert keys == [("/version", "Bearer sk-secret-one")]
    monkeypatch.setenv("VLLM_API_KEY", "sk-sec\nret")
    with pytest.raises(ValueError, match="the key in VLLM_API_KEY can't be sent") as caught:
        VllmServer("http://127.0.0.1:9")
    assert "ret" not in str(caught.value).replace("secret", "")
