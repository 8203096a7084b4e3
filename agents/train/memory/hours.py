"""Calculate how long an iteration of PPO takes on a GPU, from the operations of its products.

Nothing here is measured. `python -m scripts.gpu_check` measures an iteration on a machine.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

EFFICIENCY = 0.4
"""Share of the peak that products reach."""
STEP = 0.05
"""Seconds of a decoding step: launching the kernels of some 30 layers from Python."""
LONGEST = 1.4
"""Decoding steps of a batch, which the longest reply decides, by the mean length of a reply."""


@dataclass(frozen=True, slots=True)
class Gpu:
    """Peaks of a GPU, dense, in operations a second."""

    half: float
    """In bfloat16."""
    tf32: float
    """In TensorFloat-32, in which an adapter's products are computed."""


GPUS: Mapping[str, Gpu] = {"A100": Gpu(312e12, 156e12), "H100": Gpu(989e12, 494.5e12)}
"""Name → data sheet."""


@dataclass(frozen=True, slots=True)
class Work:
    """An iteration."""

    body: int
    """Weights of the language model's products, without embedding and output head."""
    head: int
    """Weights of the output head, which runs on the replies alone."""
    adapter: int
    """Weights of the adapter; 0 if all weights are trained."""
    turns: int
    batches: int
    """Batches of replies, one a turn of the environments."""
    prompt: int
    """Tokens of a prompt, with its picture."""
    reply: int
    """Tokens of a reply."""
    epochs: int


def seconds(work: Work, gpu: Gpu) -> dict[str, float]:
    """Return the seconds of each part of an iteration.

    A product takes two operations a weight and token, its backward pass as many for the input, and
    as many again for the weight if it is trained. Attention's own products are left out, as is the
    vision tower, which sees each picture once.
    """

    def product(tokens: int, replies: int, body: int, adapter: int) -> float:
        """Return the seconds of products, by operations a weight and token."""
        half = body * (tokens * work.body + replies * work.head)
        return (half / gpu.half + adapter * tokens * work.adapter / gpu.tf32) / EFFICIENCY

    read, written = work.turns * work.prompt, work.turns * work.reply
    trained = 4 if work.adapter else 6
    return {
        "prompts read": product(read, 0, 2, 2),
        "replies written": work.batches * math.ceil(LONGEST * work.reply) * STEP,
        "replies scored again": product(read + written, written, 2, 2),
        "updates": work.epochs * product(read + written, written, trained, 6),
    }


def lines(work: Work, iterations: int) -> list[str]:
    """Return a table of the parts, and of the run."""
    parts = {name: seconds(work, gpu) for name, gpu in GPUS.items()}
    first = next(iter(parts.values()))
    rows = [
        f"seconds of an iteration, calculated: replies of {work.reply} tokens, "
        f"{EFFICIENCY:.0%} of the peak, {1000 * STEP:.0f} ms a decoding step",
        "".join(f"{name:>9}" for name in GPUS),
    ]
    for part in first:
        rows.append("".join(f"{own[part]:9,.0f}" for own in parts.values()) + f"  {part}")
    totals = [sum(own.values()) for own in parts.values()]
    rows.append("".join(f"{total:9,.0f}" for total in totals) + "  in all")
    hours = [total * iterations / 3600 for total in totals]
    rows.append("".join(f"{run:9.1f}" for run in hours) + "  hours of the run")
    return rows
