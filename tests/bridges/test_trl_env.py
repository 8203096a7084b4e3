"""TRL's GRPOTrainer plays and trains on the tasks, with a picture in every turn."""

import pickle

import gymnasium
import numpy as np
import pytest
import torch
from datasets import Dataset
from support import model_families, small_models
from support.families.llava import llava
from trl import GRPOConfig, GRPOTrainer
from trl.chat_template_utils import parse_response

import vlbench
from vlbench.bridges import trl_env, turns
from vlbench.recorder import sha256
from vlbench.replay import main as replay_command
from vlbench.run_folder import RunFolder

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::FutureWarning"),  # TRL's, about transformers' names
    pytest.mark.filterwarnings("ignore:You are using 'environment_factory'"),
]
QWENS = ("qwen2_5_vl", "qwen3_vl", "qwen3_5")
SINGLE_TURN = ("llava", "llava_next", "qwen2_5_vl", "qwen3_vl", "gemma3", "idefics3")


def config(folder, **options):
    common = {"use_cpu": True, "bf16": False, "report_to": [], "save_strategy": "no", "seed": 0}
    sizes = {"num_generations": 2, "per_device_train_batch_size": 2, "max_steps": 2}
    return GRPOConfig(output_dir=str(folder), **{**common, **sizes, "logging_steps": 1, **options})


def build(family):
    """Return a small model with random weights, and its processor."""
    return llava() if family == "llava" else model_families.build(family)


class SeeingModel:
    """Keeps the inputs of each forward pass whose gradients are taken."""

    def __init__(self, model):
        self.inputs = []
        model.register_forward_pre_hook(self.keep, with_kwargs=True)

    def keep(self, module, arguments, named):
        if torch.is_grad_enabled():
            self.inputs.append(named)


@pytest.mark.parametrize("family", QWENS)
def test_grpo_trains_on_episodes_with_a_picture_a_turn_and_they_replay(family, tmp_path, capsys):
    model, processor = getattr(small_models, family)()
    processor = trl_env.prepare(processor)
    seeing = SeeingModel(model)
    trainer = GRPOTrainer(
        model=model,
        processing_class=processor,
        train_dataset=trl_env.dataset("Blackjack", 8),
        environment_factory=trl_env.environment("Blackjack", record=tmp_path / "record"),
        args=config(
            tmp_path,
            max_completion_length=3000,
            max_tool_calling_iterations=3,
            generation_kwargs=trl_env.generation_kwargs(processor, 12),
        ),
    )
    trainer.train()
    run = RunFolder.open(tmp_path / "record/process-0")
    episodes = run.episodes()
    assert len(episodes) == 4 and all(len(e.turns) >= 3 for e in episodes)
    assert len({e.instance for e in episodes}) == 2, "a group shares its start"
    log = trainer.state.log_history[0]
    most = gymnasium.make("vlbench/Blackjack-v0").unwrapped.game.max_turns
    rewards = [e.total - (most - len(e.turns)) * (e.end == "errored") for e in episodes[:2]]
    assert log["rewards/TaskEnvironment/mean"] == pytest.approx(np.mean(rewards))
    # The loss sees as many pictures as turns were prompted, and each one's tokens.
    grids = seeing.inputs[0]["image_grid_thw"]
    marks = (seeing.inputs[0]["input_ids"] == model.config.image_token_id).sum()
    assert len(grids) >= 4 and marks == (grids.prod(1) // 4).sum()
    assert replay_command([str(run.path)]) == 0
    assert "4 episodes replayed, 0 differ" in capsys.readouterr().out


@pytest.fixture
def scripted():
    """A prepared processor, and an environment after `reset`."""
    processor = trl_env.prepare(small_models.qwen2_5_vl()[1])
    factory = pickle.loads(pickle.dumps(trl_env.environment("Points24")))
    return processor, factory()


def test_prompts_and_pictures_are_the_environments_in_every_turn(scripted):
    processor, environment = scripted
    env = gymnasium.make("vlbench/Points24-v0")
    options = {"instance": "points24/1-2-3-4", "presentation": 5}
    observation, _ = env.reset(options=options)
    blocks = environment.reset(**options)
    chat = [{"role": "user", "content": blocks}]
    plain = small_models.qwen2_5_vl()[1]
    past = [{"role": "user", "content": blocks}]
    while True:
        picture, text = blocks
        assert sha256(np.asarray(picture["image"]).tobytes()) == env.unwrapped.frame_hash()
        assert text["text"] == observation["text"]
        # What the model reads is what the processor's own template writes for that chat.
        written = processor.apply_chat_template(chat, tokenize=False, add_generation_prompt=True)
        assert written == plain.apply_chat_template(
            past, tokenize=False, add_generation_prompt=True
        )
        reply = vlbench.reply(env.unwrapped.expert(), thoughts="so {content} it is <b>")
        ids = processor.tokenizer(reply + "<|im_end|>")["input_ids"]
        prefix = processor.tokenizer(written)["input_ids"]
        message = parse_response(processor.tokenizer, ids, prefix=prefix)
        (call,) = message["tool_calls"]
        assert call["function"] == {"name": "step", "arguments": {"reply": reply}}
        observation, _, terminated, truncated, _ = env.step(reply)
        blocks = environment.step(**call["function"]["arguments"])
        if terminated or truncated:
            break
        chat += [message, {"role": "tool", "name": "step", "content": blocks}]
        past += [{"role": "assistant", "content": [{"type": "text", "text": reply}]}]
        past += [{"role": "user", "content": blocks}]
    assert blocks == trl_env.TOO_LONG and environment.get_reward() == 10


def test_turns_that_were_not_taken_cost_what_unreadable_ones_cost(scripted):
    _, environment = scripted
    environment.reset(instance="points24/1-2-3-4", presentation=5)
    turns_left = gymnasium.make("vlbench/Points24-v0").unwrapped.game.max_turns
    environment.step("?")
    assert environment.get_reward() == -1 - (turns_left - 1)


def test_a_row_of_the_data_set_is_a_start_of_the_train_split():
    data = trl_env.dataset("Points24", 20, seed=3)
    env = gymnasium.make("vlbench/Points24-v0", split="train")
    env.reset(seed=3)
    assert data[0]["instance"] == env.unwrapped.presentation.instance
    assert len(set(data["instance"])) > 10
    assert trl_env.dataset("Points24", 20, seed=3)["instance"] == data["instance"]


@pytest.mark.parametrize("family", ["llava", "llava_next", "idefics3", "gemma3", "mllama"])
def test_a_family_that_trl_cannot_train_so_is_refused_in_one_line(family):
    _, processor = build(family)
    with pytest.raises(ValueError, match="with a picture in every turn; use a Qwen2.5-VL") as error:
        trl_env.prepare(processor)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("family", SINGLE_TURN)
def test_a_turn_is_an_example_for_grpo_on_any_family(family, tmp_path):
    model, processor = build(family)
    rows = turns.frozen_rows("vlbench/NumberLine-v0", "paper", 4)
    data: Dataset = turns.dataset(rows)
    trainer = GRPOTrainer(
        model=model,
        processing_class=processor,
        train_dataset=data,
        reward_funcs=turns.trl_reward,
        args=config(tmp_path, max_steps=1, max_completion_length=8),
    )
    before = [weight.detach().clone() for weight in model.parameters()]
    trainer.train()
    log = trainer.state.log_history[0]
    assert log["reward"] == -1.0 and torch.isfinite(torch.tensor(log["loss"]))
    assert before[0].shape == next(model.parameters()).shape
