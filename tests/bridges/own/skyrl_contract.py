"""SkyRL's own generator plays, and its model and loss train; run by `test_skyrl_env.py`."""

import asyncio
import base64
import io
import shlex
import types
from pathlib import Path

import numpy as np
import pytest
import skyrl_gym
import torch
from PIL import Image
from skyrl.backends.skyrl_train.training_batch import TensorList
from skyrl.backends.skyrl_train.utils.ppo_utils import PolicyLossRegistry
from skyrl.backends.skyrl_train.workers.model_wrapper import HFModelWrapper
from skyrl.backends.skyrl_train.workers.worker import PolicyWorkerBase
from skyrl.train.config import GeneratorConfig, SkyRLGymConfig, SkyRLTrainConfig
from skyrl.train.config.config import AlgorithmConfig
from skyrl.train.generators.skyrl_vlm_generator import SkyRLVLMGymGenerator
from skyrl_stand_ins import RENDERED, Features
from support import small_models

import vlbench
from vlbench.bridges import skyrl_env, starts
from vlbench.recorder import EnvCache, sha256
from vlbench.replay import divergences
from vlbench.run_folder import RunFolder
from vlbench.suites import Row

ROOT = Path(__file__).parents[3]
SOLUTION = ("1", "*", "2", "*", "3", "*", "4", "=")
STARTS = [Row("vlbench/Points24-v0", {}, "points24/1-2-3-4", number) for number in (5, 6)]


class ScriptedServer:
    """Stands in for SkyRL's inference client: it renders chats, and writes given replies."""

    model_name = "model"

    def __init__(self, processor, actions):
        self.processor, self.actions = processor, actions
        self.pictures, self.inputs, self.ended = [], [], []

    async def render_chat_completion(self, request):
        images, chat = [], []
        for message in request["json"]["messages"]:
            content = message["content"]
            parts = [{"type": "text", "text": content}] if isinstance(content, str) else []
            for part in [] if isinstance(content, str) else content:
                if part["type"] == "image_url":
                    images.append(decode(part["image_url"]["url"]))
                    parts.append({"type": "image"})
                else:
                    parts.append(part)
            chat.append({"role": message["role"], "content": parts})
        text = self.processor.apply_chat_template(chat, tokenize=False, add_generation_prompt=True)
        inputs = self.processor(text=[text], images=images, return_tensors="pt")
        self.pictures.append([sha256(np.asarray(image).tobytes()) for image in images])
        sizes = inputs["image_grid_thw"].prod(1).tolist()
        names = []
        for pixels, grid in zip(
            inputs["pixel_values"].split(sizes), inputs["image_grid_thw"], strict=True
        ):
            names.append(f"picture-{len(RENDERED)}")
            RENDERED[names[-1]] = Features({"pixel_values": pixels, "image_grid_thw": grid})
        features = {"mm_hashes": {}, "mm_placeholders": {}, "kwargs_data": {"image": names}}
        return {"token_ids": inputs["input_ids"][0].tolist(), "features": features}

    async def generate(self, engine_input, model=None):
        self.inputs.append(engine_input)
        number = len(engine_input["mm_features"][0]["kwargs_data"]["image"]) - 1
        text = vlbench.reply(self.actions[number % len(self.actions)], thoughts="so")
        ids = self.processor.tokenizer(text + "<|im_end|>")["input_ids"]
        return {
            "responses": [text],
            "response_ids": [ids],
            "stop_reasons": ["stop"],
            "response_logprobs": [[-0.5] * len(ids)],
        }

    async def finish_session(self, session_id):
        self.ended.append(session_id)


def decode(url):
    data = base64.b64decode(url.removeprefix("data:image/png;base64,"))
    return Image.open(io.BytesIO(data)).convert("RGB")


@pytest.fixture(scope="module")
def processor():
    return small_models.qwen2_5_vl()[1]


def roll_out(processor, actions, rows=STARTS, max_turns=50):
    """Return what SkyRL makes of episodes, and the server."""
    server = ScriptedServer(processor, actions)
    config = GeneratorConfig(batched=False, max_turns=max_turns, max_input_length=8000)
    config.use_conversation_multi_turn = True
    config.step_wise_trajectories = False
    config.sampling_params.logprobs = 1
    tokenizer = processor.tokenizer
    tokenizer.chat_template = processor.chat_template
    generator = SkyRLVLMGymGenerator(config, SkyRLGymConfig(), server, tokenizer)
    examples = [starts.skyrl_example(row, number) for number, row in enumerate(rows)]
    batch = {
        "prompts": [example.pop("prompt") for example in examples],
        "env_classes": [example.pop("env_class") for example in examples],
        "env_extras": examples,
        "sampling_params": None,
        "trajectory_ids": None,
        "batch_metadata": None,
    }
    return asyncio.run(generator.generate(batch)), server


@pytest.fixture(scope="module")
def played(processor, tmp_path_factory):
    folder = tmp_path_factory.mktemp("skyrl")
    skyrl_env.register(record=folder)
    output, server = roll_out(processor, SOLUTION)
    (path,) = folder.iterdir()
    return output, server, RunFolder.open(path).episodes()


def frames(row, actions):
    """Return the environment's frame hash before each turn, and the rewards."""
    env = EnvCache().of(row)
    env.reset(options=row.options)
    hashes, rewards = [], []
    for action in actions:
        hashes.append(env.unwrapped.frame_hash())
        rewards.append(env.step(vlbench.reply(action, thoughts="so"))[1])
    return hashes, rewards


def test_every_option_of_the_documented_configuration_exists():
    page = (ROOT / "docs/bridges/skyrl.md").read_text("utf-8")
    options = shlex.split(page.split("python train.py")[1].split("```")[0])
    config = SkyRLTrainConfig.from_cli_overrides([option for option in options if option.strip()])
    assert config.generator.vision_language_generator and config.generator.max_turns == 22
    assert config.environment.env_class == starts.NAME


def test_the_pixels_of_each_turn_are_the_environments_frame(played):
    _, server, _ = played
    expected = [frames(row, SOLUTION)[0] for row in STARTS]
    assert sorted(shown for shown in server.pictures if len(shown) == 8) == sorted(expected)
    assert all(shown in [own[: len(shown)] for own in expected] for shown in server.pictures)


def test_tokens_of_pictures_are_features_of_pictures(played, processor):
    output, *_ = played
    for number in range(len(STARTS)):
        ids = output["prompt_token_ids"][number] + output["response_ids"][number]
        grids = output["image_grid_thw"][number]
        assert len(grids) == len(SOLUTION)
        assert ids.count(processor.image_token_id) == grids.prod(1).sum() // 4 > 0
        assert len(output["pixel_values"][number]) == grids.prod(1).sum()


def test_the_loss_sees_the_replies_and_nothing_else(played, processor):
    output, *_ = played
    for ids, mask in zip(output["response_ids"], output["loss_masks"], strict=True):
        own = [token for token, is_own in zip(ids, mask, strict=True) if is_own]
        expected = "".join(vlbench.reply(a, thoughts="so") + "<|im_end|>" for a in SOLUTION)
        assert processor.tokenizer.decode(own) == expected


def test_each_turn_keeps_its_own_reward_at_its_last_token_and_the_episode_ends(played):
    output, server, episodes = played
    for number, row in enumerate(STARTS):
        mask, rewards = output["loss_masks"][number], output["rewards"][number]
        ends = [i for i, own in enumerate(mask) if own and not (mask[i + 1 :] or [0])[0]]
        assert [rewards[i] for i in ends] == frames(row, SOLUTION)[1]
        assert sum(rewards) == 10
    assert all(episode.is_success and episode.end == "terminated" for episode in episodes)
    assert len(server.ended) == len(STARTS)
    assert [metrics["success"] for metrics in output["env_metrics"]] == [1.0, 1.0]


def test_what_was_played_replays_without_a_difference(played):
    *_, episodes = played
    assert len(episodes) == len(STARTS) and divergences(episodes) == []


def test_an_episode_that_skyrl_ends_early_pays_for_the_turns_it_did_not_take(played, processor):
    output, _ = roll_out(processor, ("1",), STARTS[:1], max_turns=3)
    # The first token is legal, the same number again isn't, and 19 of 22 turns aren't taken.
    own = [reward for reward in output["rewards"][0] if reward]
    assert own == [-1, -1 - 19]


def test_a_row_that_is_no_start_is_refused(played):
    with pytest.raises(ValueError, match="wanted a row of vlbench.bridges.starts"):
        skyrl_gym.make("vlbench", env_config={}, extras={"answer": "4"})


def test_one_step_of_skyrls_model_and_loss_sees_the_pictures_of_all_turns(played, tmp_path):
    output, *_ = played
    weights, processor = small_models.qwen2_5_vl()
    weights.save_pretrained(tmp_path)
    model = HFModelWrapper(str(tmp_path), bf16=False)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    seen = []
    model.model.register_forward_pre_hook(
        lambda _, __, named: seen.append(named["image_grid_thw"]), with_kwargs=True
    )
    ids = torch.tensor([output["prompt_token_ids"][0] + output["response_ids"][0]])
    count = len(output["response_ids"][0])
    log_probs = model(
        ids,
        count,
        attention_mask=torch.ones_like(ids),
        pixel_values=TensorList([output["pixel_values"][0]]),
        image_grid_thw=TensorList([output["image_grid_thw"][0]]),
    )
    mask = torch.tensor([output["loss_masks"][0]], dtype=torch.float32)
    rewards = torch.tensor([output["rewards"][0]])
    advantages = rewards.flip(1).cumsum(1).flip(1)
    loss, _ = PolicyLossRegistry.get("regular")(
        log_probs, log_probs.detach(), advantages, config=AlgorithmConfig(), loss_mask=mask
    )
    before = [weight.detach().clone() for weight in model.parameters()]
    loss.backward()
    optimizer.step()
    assert [len(grids) for grids in seen] == [len(SOLUTION)] and torch.isfinite(loss)
    assert any((old != new).any() for old, new in zip(before, model.parameters(), strict=True))


def test_skyrls_worker_trains_on_cuda_only():
    worker = types.SimpleNamespace(model=torch.nn.Identity())
    experience = types.SimpleNamespace(to_device=lambda device: None)
    with pytest.raises((AssertionError, RuntimeError), match="Torch not compiled with CUDA"):
        PolicyWorkerBase._forward_backward_micro(worker, experience, 1.0)
