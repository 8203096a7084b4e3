"""verl's own agent-loop worker and trainer play and train; run by `test_verl_loop.py`."""

import asyncio
import contextlib
import functools
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from hydra import compose, initialize_config_module
from PIL import Image
from support import small_models
from transformers import AutoProcessor
from verl.experimental.agent_loop.agent_loop import AgentLoopWorker
from verl.protocol import DataProto
from verl.utils import tensordict_utils
from verl.utils.config import omega_conf_to_dataclass
from verl.workers.engine import EngineRegistry
from verl.workers.rollout.replica import TokenOutput
from verl.workers.utils.losses import ppo_loss
from verl.workers.utils.padding import left_right_2_no_padding

import vlbench
from vlbench.bridges import starts
from vlbench.recorder import EnvCache, sha256
from vlbench.replay import divergences
from vlbench.run_folder import RunFolder
from vlbench.suites import Row

ROOT = Path(__file__).parents[3]
SOLUTION = ("1", "*", "2", "*", "3", "*", "4", "=")
STARTS = [Row("vlbench/Points24-v0", {}, "points24/1-2-3-4", number) for number in (5, 6)]


class ScriptedServer:
    """Stands in for verl's inference server: it writes given replies, and keeps each call."""

    def __init__(self, tokenizer, actions):
        self.tokenizer, self.actions, self.calls = tokenizer, actions, {}

    async def generate(self, request_id, prompt_ids, sampling_params, image_data):
        calls = self.calls.setdefault(request_id, [])
        calls.append((list(prompt_ids), dict(sampling_params), list(image_data)))
        text = vlbench.reply(self.actions[(len(calls) - 1) % len(self.actions)], thoughts="so")
        ids = self.tokenizer(text + "<|im_end|>")["input_ids"][: sampling_params["max_tokens"]]
        return TokenOutput(token_ids=ids, log_probs=[-0.5] * len(ids))


@contextlib.contextmanager
def saved_model(folder):
    """Write a small Qwen2.5-VL; within it, its processor is what verl loads."""
    weights, processor = small_models.qwen2_5_vl()
    weights.save_pretrained(folder)
    processor.save_pretrained(folder)
    # The real one also reads videos, for which transformers needs torchvision.
    type(processor).__name__ = "Qwen2_5_VLProcessor"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(AutoProcessor, "from_pretrained", lambda *_, **__: processor)
        yield folder


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    with saved_model(tmp_path_factory.mktemp("model")) as folder:
        yield folder


def configure(model, folder, response_length=3000):
    folder.mkdir(exist_ok=True)
    (folder / "agent_loop.yaml").write_text(
        starts.AGENT_LOOP.replace('record: ""', f"record: {folder / 'record'}")
    )
    options = {
        "actor_rollout_ref.model.path": model,
        "actor_rollout_ref.rollout.name": "vllm",
        "actor_rollout_ref.rollout.agent.agent_loop_config_path": folder / "agent_loop.yaml",
        "actor_rollout_ref.actor.strategy": "fsdp2",
        "actor_rollout_ref.actor.ppo_micro_batch_size_per_gpu": 1,
        "actor_rollout_ref.actor.use_dynamic_bsz": False,
        "actor_rollout_ref.model.use_remove_padding": False,
        "+actor_rollout_ref.model.override_config.attn_implementation": "sdpa",
        "data.max_prompt_length": 400,
        "data.max_response_length": response_length,
    }
    with initialize_config_module("verl.trainer.config", version_base=None):
        return compose("ppo_trainer", [f"{key}={value}" for key, value in options.items()])


def test_every_option_of_the_documented_configuration_exists():
    page = (ROOT / "docs/bridges/verl.md").read_text("utf-8")
    command = page.split("python3 -m verl.trainer.main_ppo")[1].split("```")[0]
    options = command.replace("\\\n", " ").split()
    with initialize_config_module("verl.trainer.config", version_base=None):
        config = compose("ppo_trainer", options)
    assert omega_conf_to_dataclass(config.actor_rollout_ref.rollout).limit_images == 22
    assert omega_conf_to_dataclass(config.actor_rollout_ref.actor).strategy == "fsdp2"


def roll_out(config, actions, rows=STARTS):
    """Return the batch that verl makes of episodes, and the server."""
    worker = AgentLoopWorker(config, None)
    worker.llm_client = server = ScriptedServer(worker.tokenizer, actions)
    examples = [starts.verl_example(row, number) for number, row in enumerate(rows)]
    columns = {
        "agent_name": [example["agent_name"] for example in examples],
        "raw_prompt": [example["prompt"] for example in examples],
        "extra_info": [example["extra_info"] for example in examples],
    }
    arrays = {}
    for name, values in columns.items():
        arrays[name] = np.empty(len(values), dtype=object)
        arrays[name][:] = values
    batch = DataProto(non_tensor_batch=arrays, meta_info={"global_steps": 1})
    return (
        worker,
        asyncio.get_event_loop().run_until_complete(worker.generate_sequences(batch)),
        server,
    )


@pytest.fixture(scope="module")
def played(model, tmp_path_factory):
    folder = tmp_path_factory.mktemp("verl")
    config = configure(model, folder)
    worker, batch, server = roll_out(config, SOLUTION)
    (path,) = (folder / "record").iterdir()
    return config, worker, batch, server, RunFolder.open(path).episodes()


def frames(row, actions):
    """Return the environment's frame hash before each turn, and the rewards."""
    env = EnvCache().of(row)
    env.reset(options=row.options)
    hashes, rewards = [], []
    for action in actions:
        hashes.append(env.unwrapped.frame_hash())
        rewards.append(env.step(vlbench.reply(action, thoughts="so"))[1])
    return hashes, rewards


def test_the_pixels_of_each_turn_are_the_environments_frame(played):
    *_, server, _ = played
    shown = [
        [sha256(np.asarray(image).tobytes()) for image in calls[-1][2]]
        for calls in server.calls.values()
    ]
    assert sorted(shown) == sorted(frames(row, SOLUTION)[0] for row in STARTS)
    assert all(
        [len(call[2]) for call in calls] == list(range(1, 9)) for calls in server.calls.values()
    )
    assert all(isinstance(image, Image.Image) for c in server.calls.values() for image in c[-1][2])


def test_tokens_of_pictures_are_features_of_pictures(played):
    _, worker, batch, server, _ = played
    mark = worker.processor.image_token_id
    for ids, inputs in zip(
        batch.batch["input_ids"], batch.non_tensor_batch["multi_modal_inputs"], strict=True
    ):
        grids = inputs["image_grid_thw"]
        assert len(grids) == len(SOLUTION)
        assert (ids == mark).sum() == (grids.prod(1) // 4).sum() > 0
        assert len(inputs["pixel_values"]) == grids.prod(1).sum()


def test_the_loss_sees_the_replies_and_nothing_else(played):
    _, worker, batch, *_ = played
    for row in range(len(STARTS)):
        mask = batch.batch["response_mask"][row].bool()
        text = worker.tokenizer.decode(batch.batch["responses"][row][mask])
        assert text == "".join(vlbench.reply(a, thoughts="so") + "<|im_end|>" for a in SOLUTION)
        assert (batch.batch["rollout_log_probs"][row][mask] == -0.5).all()
        assert (batch.batch["rollout_log_probs"][row][~mask] == 0).all()


def test_the_chat_that_verl_builds_is_what_the_processor_writes_for_it(played):
    _, worker, _, server, _ = played
    for calls in server.calls.values():
        text = worker.tokenizer.decode(calls[-1][0])
        assert text.count("<|im_start|>user\n") == len(SOLUTION)
        assert text.count("<|im_start|>assistant\n") == len(SOLUTION)
        assert text.endswith("<|im_start|>assistant\n")


def test_rewards_are_the_environments_and_the_episode_ends(played):
    *_, batch, _, episodes = played
    for row in range(len(STARTS)):
        _, rewards = frames(STARTS[row], SOLUTION)
        assert batch.non_tensor_batch["turn_scores"][row] == rewards
        scores = batch.batch["rm_scores"][row]
        assert scores.sum() == sum(rewards) == 10
        last = int(batch.batch["response_mask"][row].nonzero()[-1])
        assert scores[last] == 10
    assert all(episode.is_success and episode.end == "terminated" for episode in episodes)


def test_what_was_played_replays_without_a_difference(played):
    episodes = played[-1]
    assert len(episodes) == len(STARTS) and divergences(episodes) == []


def test_an_episode_without_room_ends_before_a_picture_is_cut_and_pays_for_its_turns(
    model, tmp_path
):
    row = STARTS[0]
    worker, batch, server = roll_out(configure(model, tmp_path, 700), ("1",), [row])
    (calls,) = server.calls.values()
    grids = batch.non_tensor_batch["multi_modal_inputs"][0]["image_grid_thw"]
    marks = (batch.batch["input_ids"] == worker.processor.image_token_id).sum()
    assert 1 < len(calls) == len(grids) < 22 and marks == (grids.prod(1) // 4).sum()
    # The first token is legal, the same number again isn't; turns not taken cost 1 each.
    assert batch.batch["rm_scores"].sum() == -21
    (path,) = (tmp_path / "record").iterdir()
    episodes = RunFolder.open(path).episodes()
    assert episodes[0].is_errored and divergences(episodes) == []


def test_a_reply_may_not_name_a_picture(played):
    _, worker, _, server, _ = played
    bias = {worker.processor.image_token_id: -100.0}
    for calls in server.calls.values():
        assert all(bias.items() <= call[1]["logit_bias"].items() for call in calls)
        assert all(call[1]["max_tokens"] == 256 for call in calls)


def test_a_row_that_is_no_start_is_refused(model, tmp_path):
    with pytest.raises(ValueError, match="Nothing"):
        roll_out(configure(model, tmp_path), ("1",), [Row("vlbench/Nothing-v0", {}, "x", 1)])


def test_one_step_of_verls_trainer_sees_the_pictures_of_all_turns(played):
    config, _, batch, *_ = played
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "29511", "RANK": "0"}
    os.environ |= {"WORLD_SIZE": "1", "LOCAL_RANK": "0"}
    torch.distributed.init_process_group("gloo", rank=0, world_size=1)
    actor = omega_conf_to_dataclass(config.actor_rollout_ref.actor)
    engine = EngineRegistry.new(
        model_type="language_model",
        backend=actor.engine.strategy,
        model_config=omega_conf_to_dataclass(config.actor_rollout_ref.model),
        engine_config=actor.engine,
        optimizer_config=actor.optim,
        checkpoint_config=actor.checkpoint,
    )
    engine.initialize()
    seen = []
    engine.module.register_forward_pre_hook(
        lambda _, __, named: seen.append(named.get("image_grid_thw")), with_kwargs=True
    )
    batch.batch["old_log_probs"] = batch.batch["rollout_log_probs"]
    batch.batch["advantages"] = batch.batch["response_mask"].float()
    batch.batch["loss_mask"] = batch.batch["response_mask"]
    batch.meta_info["temperature"] = 1.0
    data = left_right_2_no_padding(batch.to_tensordict())
    tensordict_utils.assign_non_tensor(
        data,
        global_batch_size=2,
        calculate_entropy=True,
        micro_batch_size_per_gpu=1,
        use_dynamic_bsz=False,
        use_remove_padding=False,
        use_fused_kernels=False,
    )
    before = [weight.detach().clone() for weight in engine.module.parameters()]
    with engine.train_mode():
        output = engine.train_batch(data, functools.partial(ppo_loss, config=actor))
    assert all(len(grids) == len(SOLUTION) >= 2 for grids in seen) and len(seen) == 2
    changed = [
        bool((a != b).any()) for a, b in zip(before, engine.module.parameters(), strict=True)
    ]
    assert any(changed) and np.isfinite(output["loss"]).all()
