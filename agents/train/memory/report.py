"""Estimate parameters, memory and tokens of a run without loading weights."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gymnasium
import torch
from torch import Tensor
from transformers import AutoConfig, AutoModelForImageTextToText, AutoProcessor

from agents.train.advantages.value_head import ValueHead
from agents.train.environments import make_env
from agents.train.memory import hours
from agents.train.memory.configurations import CONFIGURATIONS
from agents.train.memory.hours import Work
from agents.train.memory.passes import PassBytes, Shape, measure_pass
from agents.train.ppo_config import Config
from agents.vlm.checkpoint_files import check_config
from agents.vlm.encoding import Encoder, pixels
from agents.vlm.loading import (
    add_lora,
    autocast_dtype,
    checkpoint_layers,
    train_parts,
    trainable_dtype,
    vision_modules,
)
from agents.vlm.sampling import Sampling
from agents.vlm.trial import reason_to_refuse
from vlbench.display.formatting import counted
from vlbench.errors import unknown_name
from vlbench.prompts import CHARACTERS_PER_TOKEN
from vlbench.registry import resolve_env_id

GPU = torch.device("cuda")
"""Estimates are for a GPU, wherever they are made."""
FULL = 4
"""Bytes of a float32."""


@dataclass(frozen=True, slots=True)
class Turn:
    """What a model reads in a turn."""

    text: int
    """Tokens of the prompt, without its picture."""
    picture: int
    """Tokens of the picture."""
    pixels: Mapping[str, Tensor]
    """The processor's tensors of the picture."""


@dataclass(frozen=True, slots=True)
class Size:
    """Parameter counts of a model."""

    parameters: int
    vision: int
    """Parameters of vision tower and projector."""
    trained: int
    value_head: int
    embedding: int
    """Parameters of the input embedding."""
    head: int
    """Parameters of the output head."""
    tied: bool
    """Whether they are the embedding's."""


def build(config: Any, options: Config) -> tuple[Any, Size]:
    """Return a configuration's model on the meta device, ready to train, and its size.

    Args:
        config: A transformers configuration.
        options: Whether and how to add a LoRA adapter.
    """
    dtype = trainable_dtype(GPU, options.lora)
    with torch.device("meta"):
        model: Any = AutoModelForImageTextToText.from_config(config, dtype=dtype)
        parameters = _count(model)
        vision = sum(map(_count, vision_modules(model).values()))
        embedding, output = model.get_input_embeddings(), model.get_output_embeddings()
        ends = {"embedding": _count(embedding), "head": _count(output)}
        tied = output.weight is embedding.weight
        if options.lora:
            model = add_lora(
                model,
                rank=options.lora_rank,
                alpha=options.lora_alpha,
                dropout=0.0,
                vision=options.vision,
            )
        else:
            train_parts(model, options.vision)
        if options.gradient_checkpointing:
            checkpoint_layers(model)
        width = config.get_text_config().hidden_size
        hidden = (options.value_width or width,)
        head = ValueHead(width, hidden, options.value_detach, options.value_standardise)
    trained = sum(weight.numel() for weight in model.parameters() if weight.requires_grad)
    value_head = _count(head) * options.has_critic
    return model.train(), Size(parameters, vision, trained, value_head, **ends, tied=tied)


def _count(module: torch.nn.Module) -> int:
    return sum(weight.numel() for weight in module.parameters())


def estimate_memory(name: str, options: Config) -> str:
    """Return a report of a run's parameters, memory by part, and tokens.

    Args:
        name: One of CONFIGURATIONS, or a checkpoint's folder, whose processor is asked.
        options: The run's options.

    Raises:
        ValueError: There is no such configuration or folder, or the folder's files are wrong.
    """
    if name in CONFIGURATIONS:
        known = CONFIGURATIONS[name]
        text = round(len(_first_observation(options)["text"]) / CHARACTERS_PER_TOKEN)
        return _report(name, known.make(), Turn(text, known.picture, known.pixels()), options)
    if not Path(name, "config.json").is_file():
        raise ValueError(unknown_name("configuration", name, CONFIGURATIONS) + " or a folder")
    check_config(Path(name))

    def report_of_folder() -> str:
        config = AutoConfig.from_pretrained(name)
        return _report(name, config, _turn(name, options), options)

    if reason := reason_to_refuse(report_of_folder):
        raise ValueError(f"{name} can't be measured: {reason}")
    return report_of_folder()


def _turn(folder: str, options: Config) -> Turn:
    """Ask a checkpoint's processor what it makes of the first turn."""
    encoder = Encoder(AutoProcessor.from_pretrained(folder))
    prompt = encoder.encode(_first_observation(options))
    ids = prompt.sequences["input_ids"]
    special = [i for i in encoder.tokenizer.all_special_ids if i != encoder.tokenizer.pad_token_id]
    # The picture's tokens are the special token that is repeated most, if any is.
    picture = max((int((ids == index).sum()) for index in special), default=0)
    picture = picture if picture > 1 else 0
    images = prompt.pictures if encoder.composes else ()
    return Turn(len(ids) - picture, picture, pixels(images))


def _report(name: str, config: Any, turn: Turn, options: Config) -> str:
    model, size = build(config, options)
    env_id = resolve_env_id(options.env)
    shape = _micro_batch(turn, options)
    sampling = Sampling(options.temperature, options.top_p, options.max_new_tokens)
    frozen = options.vision == "none"
    autocast = autocast_dtype(GPU, model.dtype)
    measured = measure_pass(model, shape, sampling, None if frozen else turn.pixels, autocast)
    lasting = lasting_parts(size, config, turn, options)
    cache = cache_bytes(config, turn, options)
    total = sum(lasting.values()) + max(cache, measured.peak)
    disk = size.trained * FULL if options.lora else size.parameters * FULL
    return "\n".join(
        [
            f"{name} on {env_id}, measured on the meta device; tokens are those of a first turn",
            f"parameters         {size.parameters:>16,}",
            f"  vision           {size.vision:>16,}",
            f"  trained          {size.trained:>16,}{' (LoRA)' if options.lora else ''}",
            f"{'adapter' if options.lora else 'model'} on disk: {disk / 2**20:,.0f} MiB",
            *(_line(part, amount) for part, amount in lasting.items()),
            _line(f"in rollouts: KV cache of {options.num_envs} replies", cache),
            *_pass_lines(shape, measured, options),
            _line("total, with the larger of the two", total),
            *_token_lines(turn, options),
            *hours.lines(_work(size, turn, options), options.iterations),
        ]
    )


def _line(part: str, amount: float) -> str:
    return f"{amount / 2**30:8.2f} GiB  {part}"


def _pass_lines(shape: Shape, measured: PassBytes, options: Config) -> list[str]:
    how = "each layer's input" if options.gradient_checkpointing else "no recomputation"
    turns = f"{counted(shape.rows, 'turn')} of {shape.width:,} tokens"
    return [
        _line(f"in updates: a micro-batch of {turns}", measured.peak),
        _line(f"  of which autograd keeps, {how}", measured.kept),
    ]


def _token_lines(turn: Turn, options: Config) -> list[str]:
    turns = options.num_envs * options.num_steps
    prompt, row = turn.picture + turn.text, turn.picture + turn.text + options.max_new_tokens
    steps = options.epochs * -(-turns // options.minibatch)
    return [
        f"per turn: {turn.picture} picture + {turn.text} prompt + at most "
        f"{options.max_new_tokens} reply tokens",
        f"per iteration: {turns} turns, {turns * prompt:,} prompt tokens read, at most "
        f"{turns * options.max_new_tokens:,} written, at most {turns * row * options.epochs:,} "
        f"trained on, {steps} optimizer steps",
        f"run: {options.iterations} iterations, {turns * options.iterations:,} turns",
    ]


def _work(size: Size, turn: Turn, options: Config) -> Work:
    """Return the work of an iteration, with replies as long as the expert's first one."""
    ends = size.embedding + size.head * (not size.tied)
    return Work(
        body=size.parameters - size.vision - ends,
        head=size.head,
        adapter=size.trained if options.lora else 0,
        turns=options.num_envs * options.num_steps,
        batches=options.num_steps,
        prompt=turn.picture + turn.text,
        reply=min(options.max_new_tokens, _expert_tokens(options)),
        epochs=options.epochs,
    )


def _micro_batch(turn: Turn, options: Config) -> Shape:
    """Return the largest micro-batch of turns of this length."""
    prompt = turn.picture + turn.text
    turns = min(options.micro_batch, options.minibatch, options.num_envs * options.num_steps)
    if options.micro_tokens:
        turns = min(turns, max(1, options.micro_tokens // (prompt + options.max_new_tokens)))
    return Shape(turns, prompt, options.max_new_tokens)


def lasting_parts(size: Size, config: Any, turn: Turn, options: Config) -> dict[str, int]:
    """Return bytes of memory that a run needs all the time, by part.

    Args:
        size: The model's parameter counts.
        config: Its configuration.
        turn: What it reads in a turn.
        options: The run's options.
    """
    half = torch.bfloat16.itemsize
    trained = size.trained + size.value_head
    if options.lora:
        # peft keeps adapters in float32.
        parts = {
            "weights (bfloat16)": size.parameters * half,
            "adapter and value head, gradients, Adam state (float32)": trained * 4 * FULL,
        }
    else:
        parts = {
            "weights and value head (float32)": (size.parameters + size.value_head) * FULL,
            "gradients, Adam state (float32)": trained * 3 * FULL,
        }
        if options.kl_coef:
            parts["the frozen start (bfloat16)"] = size.parameters * half
    turns = options.num_envs * options.num_steps
    if options.vision == "none":
        width = config.get_text_config().hidden_size
        parts[f"features of {turns} pictures"] = turns * turn.picture * width * half
    return parts


def cache_bytes(config: Any, turn: Turn, options: Config) -> int:
    """Return the bytes of the cache of keys and values, in bfloat16."""
    text = config.get_text_config()
    heads = text.num_attention_heads
    size = getattr(text, "head_dim", None) or text.hidden_size // heads
    keys = (getattr(text, "num_key_value_heads", None) or heads) * size
    row = turn.picture + turn.text + options.max_new_tokens
    cells = options.num_envs * row * text.num_hidden_layers
    return int(cells * 2 * keys * torch.bfloat16.itemsize)


def _first_observation(options: Config) -> Any:
    return _first_turn(options)[1]


def _expert_tokens(options: Config) -> int:
    """Return the tokens of the expert's first reply; of the longest reply if there is no expert."""
    env = _first_turn(options)[0]
    demonstrate = getattr(env, "demonstrate", lambda: None)
    demonstration = demonstrate()
    if demonstration is None:
        return options.max_new_tokens
    reply = env.write_reply(demonstration.action, demonstration.fields)
    return round(len(reply) / CHARACTERS_PER_TOKEN)


def _first_turn(options: Config) -> tuple[Any, Any]:
    """Return an environment in its first state, and what it shows."""
    rules = {"prompt": options.prompt, "theme": options.theme, **options.env_kwargs}
    env: gymnasium.Env[Any, str] = make_env(resolve_env_id(options.env), rules)
    observation, _ = env.reset(seed=0)
    return env.unwrapped, observation
