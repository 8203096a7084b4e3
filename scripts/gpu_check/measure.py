"""One PPO iteration of a model with random weights: seconds, memory, tokens a second, ratio error.

The iteration is that of `ppo --preset rl4vlm-numberline` with fewer turns and one epoch. Rollout,
rescoring and update are the trainer's own code.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import torch

from agents.train.advantages.playing import episode_seeds, new_value_head, play
from agents.train.distributed import Processes
from agents.train.environments import RolloutEnvs, make_envs, training_deals
from agents.train.memory.configurations import CONFIGURATIONS
from agents.train.memory.live_bytes import LiveBytes
from agents.train.memory.passes import Shape, measure_pass
from agents.train.memory.report import Turn, build, cache_bytes, lasting_parts
from agents.train.ppo_config import PRESETS, Config
from agents.train.rollout_buffer import RolloutBuffer
from agents.train.rollouts import InProcess, Writer
from agents.train.rollouts.served import Served
from agents.train.update import build_learner, update
from agents.vlm.loading import (
    add_lora,
    allow_tensor_cores,
    autocast_dtype,
    limit_threads,
)
from agents.vlm.policy import Policy
from agents.vlm.sampling import Sampling
from scripts.gpu_check.models import make
from scripts.gpu_check.served import save_base
from vlbench.registry import resolve_env_id

MIB = 2**20
PRESET = "rl4vlm-numberline"
FEW: dict[str, Any] = {"num_steps": 1, "epochs": 1, "minibatch": 32, "theme": "train"}
"""What is changed of the preset."""
SMALL: dict[str, Any] = {"num_envs": 4, "max_new_tokens": 16, "lora_rank": 8, "lora_alpha": 16}
"""What a CPU changes besides."""

Show = Callable[[str], None]
"""Prints a line."""
Serve = Callable[[Path], AbstractContextManager[str]]
"""Serves the model in a folder; the context has the address."""
Line = dict[str, Any]
"""Figures of a model; see `docs/train-7b.md`."""


class Memory:
    """Measures peaks: torch's own on a GPU, counted tensors and the weights on a CPU."""

    def __init__(self, policy: Policy) -> None:
        self._on_gpu = policy.device.type == "cuda"
        self.weights = sum(w.numel() * w.element_size() for w in policy.parameters())
        """Bytes of the weights."""
        self.peak = 0
        """Bytes, of the last piece of code that was watched."""

    @contextmanager
    def watch(self) -> Iterator[None]:
        """Within it, the peak is measured."""
        if self._on_gpu:
            torch.cuda.reset_peak_memory_stats()
            yield
            self.peak = torch.cuda.max_memory_allocated()
        else:
            with LiveBytes() as live:
                yield
            self.peak = self.weights + live.peak


def measure(
    name: str, small: bool, show: Show, folder: Path, serve: Serve | None = None
) -> Iterator[Line]:
    """Run one iteration, and another whose replies a server writes; yield the figures of each.

    Args:
        name: A published model.
        small: Build a small model of the same classes, on a CPU.
        show: Called with a line as soon as a part is finished.
        folder: An empty folder, for what a server loads.
        serve: Starts a server of the base in a folder; None for no server.
    """
    options = Config(**{**PRESETS[PRESET], **FEW, **(SMALL if small else {})})
    start, base = time.monotonic(), folder / "base"
    policy = build_policy(name, small, options, base if serve else None)
    count = sum(weight.numel() for weight in policy.model.parameters())
    dtype = str(policy.model.dtype).removeprefix("torch.")
    where = "a CPU" if small else torch.cuda.get_device_name()
    line: Line = {"model": name, "small": small, "served": False, "device": where}
    line |= {"weights": count, "dtype": dtype}
    line |= {"torch": torch.__version__, "build_seconds": round(time.monotonic() - start, 2)}
    show(f"{name}{' (small)' if small else ''}: {count:,} weights, {dtype}, {where}")
    show(f"  build        {line['build_seconds']:8.1f} s")
    memory = Memory(policy)
    with memory.watch():
        buffer = _play(policy, options, line, show, InProcess(policy))
    line["rollout_peak"] = memory.peak
    with memory.watch():
        _learn(policy, options, buffer, line, show)
    line["update_peak"] = memory.peak
    line["estimate"] = estimate_bytes(name, policy, options, buffer, memory.weights)
    peak, most = line["update_peak"], line["estimate"]
    show(f"  memory       {line['rollout_peak'] / MIB:8,.0f} MiB in the rollout")
    show(
        f"  memory       {peak / MIB:8,.0f} MiB in the update; estimate {most / MIB:,.0f} "
        f"({peak / most - 1:+.0%})"
    )
    if not small:
        line["iteration_seconds"] = round(iteration_seconds(line), 1)
        show(f"  by these, {line['iteration_seconds']:.0f} s an iteration of --preset {PRESET}")
    yield line
    if serve:
        yield {**line, **_measure_served(policy, options, folder, serve, show)}


def _measure_served(
    policy: Policy, options: Config, folder: Path, serve: Serve, show: Show
) -> Line:
    """Run an iteration whose replies a server writes; return its figures."""
    torch.cuda.empty_cache()
    line: Line = {"served": True}
    start = time.monotonic()
    with serve(folder / "base") as url:
        line["server_seconds"] = round(time.monotonic() - start, 1)
        show(f"  vLLM         {line['server_seconds']:8.1f} s  to its first answer")
        writer = Served([url], policy, folder, Processes())
        buffer = _play(policy, options, line, show, writer)
    _learn(policy, options, buffer, line, show)
    return line


def build_policy(name: str, small: bool, options: Config, base: Path | None) -> Policy:
    """Return a policy with random weights and a new adapter, as `ppo` makes it of a checkpoint.

    Args:
        name: A published model.
        small: Whether to build a small model of the same classes.
        options: The adapter's and the sampling's.
        base: Folder to save the base in; None to save nothing.
    """
    device = torch.device("cpu" if small else "cuda")
    torch.manual_seed(0)
    allow_tensor_cores(device)
    model, processor = adapted(name, small, device, options, base)
    limit_threads(model)
    sampling = Sampling(options.temperature, options.top_p, options.max_new_tokens)
    head, autocast = new_value_head(options, model), autocast_dtype(device, model.dtype)
    return Policy(model, processor, sampling, head, autocast=autocast)


def adapted(
    name: str, small: bool, device: torch.device, options: Config, base: Path | None = None
) -> tuple[Any, Any]:
    """Return a model with a new adapter, and its processor; save the base in a folder, if any."""
    dtype = torch.bfloat16 if device.type == "cuda" else torch.float32
    model, processor = make(name, small, device, dtype)
    if base:
        save_base(model, processor, base)
    rank, alpha = options.lora_rank, options.lora_alpha
    with device:
        model = add_lora(model, rank=rank, alpha=alpha, dropout=0.0, vision="none")
    return model, processor


def _play(policy: Policy, options: Config, line: Line, show: Show, writer: Writer) -> RolloutBuffer:
    """Return a rollout; add its figures to the line."""
    deals = {**training_deals(""), "prompt": options.prompt, "theme": options.theme}
    share, processes = range(options.num_envs), Processes()
    envs = RolloutEnvs(make_envs(resolve_env_id(options.env), len(share), deals), share, processes)
    envs.reset(episode_seeds(options, share, 0))
    sampler = torch.Generator(policy.device).manual_seed(0)
    took, buffer = _timed(
        lambda: play(policy, envs, options, sampler, processes, lambda text: None, writer)
    )
    turns = len(buffer)
    read, written = _tokens(buffer)
    line |= {"turns": turns, "tokens_read": read, "tokens_written": written}
    line["rollout_seconds"] = round(took, 2)
    show(
        f"  rollout      {took:8.1f} s  {turns} turns of {read / turns:.0f} + "
        f"{written / turns:.0f} tokens: {written / took:.0f} tokens/s written"
    )
    return buffer


def _learn(policy: Policy, options: Config, buffer: RolloutBuffer, line: Line, show: Show) -> None:
    """Update the policy; add the figures to the line."""
    learner = build_learner(options, policy, Processes())
    took, metrics = _timed(lambda: update(learner, buffer, options, False))
    again = metrics["time/rescoring"]
    once, tokens = took - again, sum(_tokens(buffer))
    line |= {"rescoring_seconds": round(again, 2), "update_seconds": round(once, 2)}
    line |= {name: metrics[f"losses/{name}"] for name in ("rescored", "mismatch", "ratio_error")}
    show(f"  rescoring    {again:8.1f} s  {line['rescored']:.0%} of the turns")
    show(f"  update       {once:8.1f} s  one epoch: {tokens / once:.0f} tokens/s trained on")
    show(f"  ratio error  {line['ratio_error']:8.0e}    after rescoring, before the first step")
    show(
        f"  mismatch     {line['mismatch']:8.0e}    mean |Δ log p| of a token, sampling and update"
    )


def _timed(act: Callable[[], Any]) -> tuple[float, Any]:
    """Return the wall time of a call, to the end of what it started on a GPU, and its result."""
    start = time.monotonic()
    result = act()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.monotonic() - start, result


def _tokens(buffer: RolloutBuffer) -> tuple[int, int]:
    """Return the tokens of all prompts and of all replies."""
    turns = [turn for row in buffer.turns for turn in row if turn is not None]
    return sum(len(turn.prompt) for turn in turns), sum(len(turn.ids) for turn in turns)


def iteration_seconds(line: Line) -> float:
    """Return the seconds of a whole iteration of the preset, at the pace of what was measured."""
    preset = PRESETS[PRESET]
    rounds = preset["num_envs"] * preset["num_steps"] / line["turns"]
    once = line["rollout_seconds"] + line["rescoring_seconds"]
    return float(rounds * (once + preset["epochs"] * line["update_seconds"]))


def estimate_bytes(
    name: str, policy: Policy, options: Config, buffer: RolloutBuffer, weights: int
) -> int:
    """Return the bytes that `ppo --estimate-memory` expects, at the lengths of this rollout.

    On a CPU, where it expects none, it is the weights, the gradients and the estimated pass.
    """
    read, written = _tokens(buffer)
    prompt, reply = round(read / len(buffer)), round(written / len(buffer))
    picture, config = CONFIGURATIONS[name].picture, policy.model.config
    fits = max(1, options.micro_tokens // (prompt + reply))
    shape = Shape(min(options.micro_batch, options.num_envs, fits), prompt, reply)
    if policy.device.type == "cuda":
        model, size = build(config, options)
        turn = Turn(prompt - picture, picture, {})
        lasting = sum(lasting_parts(size, config, turn, options).values())
        cache = cache_bytes(config, turn, options)
    else:
        trained = [weight for weight in policy.parameters() if weight.requires_grad]
        lasting = weights + sum(weight.numel() * weight.element_size() for weight in trained)
        model, cache = adapted(name, True, torch.device("meta"), options)[0], 0
    passed = measure_pass(model.train(), shape, policy.sampling, None, policy.autocast)
    return lasting + max(cache, passed.peak)
