"""An update of PPO on a small model: what is scored, weighed, trained and kept in memory."""

import pytest
import torch
from safetensors.torch import load_file
from torch.autograd.graph import saved_tensors_hooks

from agents.train import ppo
from agents.train.advantages import playing
from agents.train.distributed import Processes
from agents.train.environments import RolloutEnvs, make_envs
from agents.train.ppo_config import PRESETS, Config
from agents.train.update import Learner, build_learner, update
from agents.train.update.loss import loss_terms
from agents.train.update.rescoring import rescore
from agents.vlm import loading, scoring
from agents.vlm.loading import add_lora, load, trainable_dtype
from agents.vlm.plain_lora import plain_lora
from agents.vlm.policy import Policy
from agents.vlm.sampling import Sampling

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("default")]

FAST = {
    "num_envs": 4,
    "num_steps": 2,
    "minibatch": 8,
    "micro_batch": 3,
    "max_new_tokens": 10,
    "epochs": 1,
    "value_detach": False,
}


def configuration(checkpoint, **changes):
    return Config(model=str(checkpoint), **{**FAST, **changes})


def prepare(config):
    """Return a learner and a rollout with advantages of 1, -1, 1, …"""
    torch.manual_seed(0)
    policy = ppo.build_policy(config, config.model)
    learner = build_learner(config, policy, Processes())
    envs = RolloutEnvs(make_envs("vlbench/NumberLine-v0", 4, {}), range(4), Processes())
    envs.reset(range(4))
    buffer = playing.rollout(
        policy, envs, config, torch.Generator().manual_seed(0), lambda line: None
    )
    buffer.advantages = torch.tensor([[1.0, -1.0, 1.0, -1.0]] * 2)
    buffer.returns = buffer.values + 1
    return learner, buffer


def gradients(learner: Learner, buffer, config):
    learner.optimizer.zero_grad()
    batch = buffer.take(range(8), learner.policy.device)
    terms = loss_terms(learner, batch, config)
    terms["loss"].backward()
    return terms, [w.grad.clone() for w in learner.weights if w.grad is not None]


def log_probs(buffer):
    return torch.cat([turn.log_probs for row in buffer.turns for turn in row])


def trained_names(learner):
    named = learner.policy.model.named_parameters()
    return {name for name, weight in named if weight.requires_grad}


def add_rows(folder, checkpoint, value=0.02):
    """Write an adapter of the checkpoint, with weights that matter."""
    model = add_lora(load(str(checkpoint)).model, rank=4, alpha=8, dropout=0.0, vision="none")
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if "lora_B" in name:
                torch.nn.init.normal_(weight, std=value)
    model.save_pretrained(folder)
    return folder


def test_logits_in_parts_give_the_same_scores_and_gradients(checkpoint, monkeypatch):
    config = configuration(checkpoint, entropy_coef=0.1, top_p=0.9)
    learner, buffer = prepare(config)
    whole, whole_gradients = gradients(learner, buffer, config)
    vocabulary = len(learner.policy.forbidden)
    monkeypatch.setattr(scoring, "PART_BYTES", 4 * vocabulary * 7)
    parts, part_gradients = gradients(learner, buffer, config)
    for name, value in whole.items():
        assert torch.allclose(parts[name], value, atol=1e-5), name
    for one, other in zip(part_gradients, whole_gradients, strict=True):
        assert torch.allclose(one, other, atol=1e-6)


def test_no_logits_beyond_a_part_are_kept_or_made(checkpoint, monkeypatch):
    config = configuration(checkpoint)
    learner, buffer = prepare(config)
    learner.policy([buffer.turns[0][0].prompt], [buffer.turns[0][0].ids])  # compares the head once
    vocabulary = len(learner.policy.forbidden)
    monkeypatch.setattr(scoring, "PART_BYTES", 4 * vocabulary * 7)
    rows = []
    head = learner.policy.model.get_output_embeddings()
    head.register_forward_hook(lambda module, inputs, output: rows.append(len(output)))
    kept = []

    def keep(tensor):
        kept.append(tensor.numel() if tensor.shape[-1:] == (vocabulary,) else 0)
        return tensor

    with saved_tensors_hooks(keep, lambda tensor: tensor):
        gradients(learner, buffer, config)
    assert len(rows) > 10 and max(rows) <= 10 * 8
    assert sum(row <= 7 for row in rows) >= len(rows) - 1, "but for the pass that skips the head"
    assert max(kept) <= 7 * vocabulary


def test_a_model_that_bounds_its_logits_is_scored_by_its_own_forward(checkpoint, monkeypatch):
    loaded = load(str(checkpoint), device=torch.device("cpu"))
    policy = Policy(loaded.model, loaded.processor, Sampling(max_new_tokens=10))
    plain = policy.model.forward

    def bounded(*args, **kwargs):
        output = plain(*args, **kwargs)
        output.logits = 2.0 * torch.tanh(output.logits / 2.0)
        return output

    monkeypatch.setattr(policy.model, "forward", bounded)
    env = make_envs("vlbench/NumberLine-v0", 1, {})
    observations = env.reset(seed=[0])[0]
    prompt = policy.encoder.encode({k: v[0] for k, v in observations.items()})
    (reply,) = policy.generate([prompt], torch.Generator().manual_seed(0))
    scores = policy([prompt], [reply.ids])
    assert torch.allclose(scores.log_probs[0], reply.log_probs, atol=1e-5)


def test_the_entropy_has_a_gradient_only_where_it_counts(checkpoint):
    for coefficient in (0.0, 0.1):
        config = configuration(checkpoint, entropy_coef=coefficient)
        learner, buffer = prepare(config)
        terms = loss_terms(learner, buffer.take(range(8), learner.policy.device), config)
        assert terms["entropy"].requires_grad is bool(coefficient)
        assert terms["entropy"] > 0


def test_what_sampling_and_scoring_agree_on_is_kept(checkpoint):
    config = configuration(checkpoint)
    learner, buffer = prepare(config)
    before = log_probs(buffer)
    mismatch = rescore(learner, buffer, config)
    assert mismatch.share == 3 / 8, "one micro-batch proves it"
    assert mismatch.mean < 1e-5
    assert torch.allclose(log_probs(buffer), before, atol=2e-5)


def test_a_sampler_of_other_numbers_is_corrected_and_measured(checkpoint):
    config = configuration(checkpoint)
    learner, buffer = prepare(config)
    true = log_probs(buffer)
    for row in buffer.turns:
        for turn in row:  # as if it had been drawn with more confidence than the policy has
            turn.sampled_log_probs = turn.log_probs = turn.log_probs + 0.01
    mismatch = rescore(learner, buffer, config)
    assert mismatch.share == 1 and mismatch.mean == pytest.approx(0.01, abs=1e-4)
    assert torch.allclose(log_probs(buffer), true, atol=1e-5)
    batch = buffer.take(range(8), learner.policy.device)
    terms = loss_terms(learner, batch, config)
    assert terms["ratio_error"] < 1e-4, "against the policy before the update, not the sampler"
    # each turn weighs exp(−.01 Σ w); all ratios are 1, so the loss is −Σ weight · A
    weight = torch.exp(-0.01 * batch.weights.sum(-1))
    expected = -(weight * batch.advantages).sum()
    assert terms["policy_loss"].item() == pytest.approx(expected.item(), abs=1e-3)
    batch.sampled_log_probs.sub_(1.0)  # now much less likely than under the policy: weights of 2
    capped = loss_terms(learner, batch, config)["policy_loss"]
    assert capped.item() == pytest.approx(-2 * batch.advantages.sum().item(), abs=1e-3)


@pytest.mark.parametrize("ratio", ["turn", "length", "token"])
def test_the_loss_raises_what_paid_and_lowers_what_did_not(checkpoint, ratio):
    config = configuration(checkpoint, ratio=ratio, lr=1e-3, end_lr=1e-3, epochs=3)
    learner, buffer = prepare(config)
    paid = torch.cat(
        [
            t.log_probs.new_full((1,), float(a))
            for row, line in zip(buffer.turns, buffer.advantages.tolist(), strict=True)
            for t, a in zip(row, line, strict=True)
        ]
    )
    metrics = update(learner, buffer, config, critic_only=False)
    assert metrics["losses/ratio_error"] < 1e-3 and metrics["losses/approx_kl"] > 0
    prompts = [turn.prompt for row in buffer.turns for turn in row]
    replies = [turn.ids for row in buffer.turns for turn in row]
    with torch.no_grad():
        after = learner.policy.eval()(prompts, replies).log_probs.sum(-1)
    before = torch.stack([turn.log_probs.sum() for row in buffer.turns for turn in row])
    gain = ((after - before) * paid).mean()
    assert gain > 0.01, ratio


def test_the_value_head_alone_is_trained_alone(checkpoint):
    config = configuration(checkpoint)
    learner, buffer = prepare(config)
    body = [weight.detach().clone() for weight in learner.policy.model.parameters()]
    assert learner.policy.value_head is not None
    head = [weight.detach().clone() for weight in learner.policy.value_head.parameters()]
    metrics = update(learner, buffer, config, critic_only=True)
    assert all(map(torch.equal, body, learner.policy.model.parameters()))
    assert not all(map(torch.equal, head, learner.policy.value_head.parameters()))
    assert metrics["losses/grad_norm"] == 0 and metrics["losses/value_grad_norm"] > 0


def test_the_start_of_an_adapter_is_a_second_adapter_on_the_same_base(checkpoint, tmp_path):
    adapter = add_rows(tmp_path / "adapter", checkpoint)
    load(str(checkpoint)).processor.save_pretrained(adapter)
    config = configuration(adapter, kl_coef=0.1, train_vision="none", epochs=3)
    learner, buffer = prepare(config)
    assert learner.reference is not None and learner.reference.policy is learner.policy
    names = {
        name for name, weight in learner.policy.model.named_parameters() if weight.requires_grad
    }
    assert names and all(".default." in name for name in names)
    with torch.no_grad():
        for weight in learner.weights[:4]:
            weight.add_(0.05)
    rescore(learner, buffer, config)
    turns = [turn for row in buffer.turns for turn in row]
    start = ppo.build_policy(config, config.model).eval()
    with torch.no_grad():
        expected = start([turn.prompt for turn in turns], [turn.ids for turn in turns])
    found = torch.cat([turn.start_log_probs for turn in turns])
    assert torch.allclose(found, expected.whole_log_probs[expected.mask], atol=1e-5)
    assert not torch.allclose(found, log_probs(buffer), atol=1e-3)
    again = {
        name for name, weight in learner.policy.model.named_parameters() if weight.requires_grad
    }
    assert again == names
    learner.policy.save(tmp_path / "saved")
    assert not (tmp_path / "saved" / "start").exists()
    trained = learner.policy.model.state_dict()
    for name, weight in load_file(tmp_path / "saved" / "adapter_model.safetensors").items():
        stem = name.removesuffix(".weight")
        assert torch.equal(weight, trained[f"{stem}.default.weight"])


def test_the_start_scores_a_rollout_once(checkpoint, monkeypatch):
    config = configuration(checkpoint, kl_coef=0.1, epochs=3)
    learner, buffer = prepare(config)
    update(learner, buffer, config, critic_only=False)  # looks once at what the model can do
    calls = []
    learner.reference.policy.model.register_forward_hook(lambda *_: calls.append(1))
    metrics = update(learner, buffer, config, critic_only=False)
    assert len(calls) == 3, "three micro-batches, and three epochs of them"
    assert metrics["losses/kl_to_start"] >= 0


def test_checkpointed_layers_have_the_same_gradients_and_keep_less(checkpoint):
    kept, all_gradients = [], []
    for on in (False, True):
        config = configuration(checkpoint, gradient_checkpointing=on)
        learner, buffer = prepare(config)
        learner.policy.train()
        sizes = {}

        def keep(tensor, sizes=sizes):
            sizes[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
            return tensor

        with saved_tensors_hooks(keep, lambda tensor: tensor):
            all_gradients.append(gradients(learner, buffer, config)[1])
        kept.append(sum(sizes.values()))
    assert kept[1] < 0.7 * kept[0]
    for one, other in zip(*all_gradients, strict=True):
        assert torch.allclose(one, other, atol=1e-6)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_an_adapter_decodes_without_peft_s_code_and_gives_the_same_logits(
    checkpoint, tmp_path, dtype, monkeypatch
):
    from peft.tuners.lora import Linear

    adapter = add_rows(tmp_path / "adapter", checkpoint, value=0.05)
    load(str(checkpoint)).processor.save_pretrained(adapter)
    model = load(str(adapter), dtype=dtype, trainable=True).model.eval()
    inputs = {"input_ids": torch.tensor([[9, 10, 11]])}
    with torch.no_grad():
        with model.disable_adapter():
            base = model(**inputs).logits
        expected = model(**inputs).logits

        def refuse(*_):
            raise AssertionError("peft's code ran")

        with monkeypatch.context() as patch:
            patch.setattr(Linear, "forward", refuse)
            with plain_lora(model):
                plain = model(**inputs).logits
        assert torch.equal(model(**inputs).logits, expected), "and all is as it was"
    assert torch.allclose(plain, expected, atol=1e-5 if dtype == torch.float32 else 0.02)
    assert not torch.allclose(plain, base, atol=0.05)


def test_weights_of_full_training_are_float32_and_small_steps_change_them(checkpoint):
    cuda = torch.device("cuda")
    assert trainable_dtype(cuda, adapter=False) == torch.float32
    assert loading.autocast_dtype(cuda, torch.float32) == torch.bfloat16
    assert trainable_dtype(cuda, adapter=True) == torch.bfloat16
    assert loading.autocast_dtype(cuda, torch.bfloat16) is None
    assert loading.autocast_dtype(torch.device("cpu"), torch.float32) is None
    changed = []
    for dtype, autocast in ((torch.float32, torch.bfloat16), (torch.bfloat16, None)):
        loaded = load(str(checkpoint), dtype=dtype, trainable=True)
        policy = Policy(loaded.model, loaded.processor, Sampling(), autocast=autocast)
        env = make_envs("vlbench/NumberLine-v0", 1, {})
        observation = {k: v[0] for k, v in env.reset(seed=[0])[0].items()}
        prompt = policy.encoder.encode(observation)
        before = [weight.detach().clone() for weight in policy.parameters()]
        optimizer = torch.optim.Adam(policy.parameters(), lr=1e-5)
        products = []
        policy.model.get_output_embeddings().register_forward_hook(
            lambda *args, products=products: products.append(args[-1].dtype)
        )
        for _ in range(3):
            optimizer.zero_grad()
            (-policy([prompt], [torch.tensor([7, 8, 9])]).log_probs.sum()).backward()
            optimizer.step()
        assert torch.bfloat16 in products
        moved = [
            (a != b)[w.grad != 0]
            for a, b, w in zip(policy.parameters(), before, policy.parameters(), strict=True)
            if w.grad is not None
        ]
        changed.append(float(torch.cat(moved).float().mean()))
    assert changed[0] > 0.95 and changed[1] < 0.3


def test_float32_products_run_on_tensor_cores_only_where_there_are_some():
    matmul = torch.backends.cuda.matmul
    usual = matmul.allow_tf32
    try:
        loading.allow_tensor_cores(torch.device("cpu"))
        assert matmul.allow_tf32 == usual
        loading.allow_tensor_cores(torch.device("cuda"))
        assert matmul.allow_tf32
    finally:
        matmul.allow_tf32 = usual


def test_no_preset_of_ppo_has_dropout():
    for name, preset in PRESETS.items():
        assert Config(**{"model": "x", **preset}).lora_dropout == 0, name
