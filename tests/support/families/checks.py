"""What is checked of a family: it plays, trains and scores, by the real commands on real files."""

import contextlib
import io
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import gymnasium
import torch
from PIL import Image
from support import model_families

from agents import evaluate
from agents.train import ppo, sft, sft_data
from agents.vlm.loading import adapter_summary, add_lora, load
from agents.vlm.policy import Policy
from agents.vlm.sampling import Sampling
from vlbench.prompts import Exchange, messages

TOKENS = 16
"""Length of the replies that are compared."""
TOLERANCE = 1e-4
"""Largest difference of log-probabilities that passes."""
LORA = ("--lora", "--lora-rank", "4", "--lora-alpha", "8", "--train-vision", "none")


@dataclass(frozen=True)
class Result:
    """What a family did."""

    family: str
    architecture: str
    """`model_type` of its configuration."""
    play: str
    """"ok", or the first line of what went wrong; likewise below."""
    sft: str
    sft_lora: str
    ppo: str
    ppo_lora: str
    log_prob: float
    """Largest difference of a token's log-probability in a left-padded batch of prompts of several
    lengths from that in a plain forward pass of one prompt."""
    greedy: bool
    """Whether greedy replies of a batch are those of the model's `generate` on one prompt."""
    adapters: str
    """Where LoRA's adapters are, and where not."""
    seconds: float

    @property
    def passes(self) -> bool:
        """Whether everything works and agrees."""
        ran = {self.play, self.sft, self.sft_lora, self.ppo, self.ppo_lora}
        return ran == {"ok"} and self.log_prob <= TOLERANCE and self.greedy


def check(family: str, folder: Path) -> Result:
    """Build a family's model in an empty folder and check it."""
    start = time.monotonic()
    model, processor = model_families.build(family)
    base, data = folder / "base", folder / "data.jsonl"
    model.save_pretrained(base)
    processor.save_pretrained(base)
    _run(sft_data, "--env", "NumberLine", "--episodes", 8, "--theme", "classic", "--out", data)
    steps = {
        "play": _play(base),
        "sft": _sft(base, data, folder / "sft"),
        "sft_lora": _sft(base, data, folder / "sft-lora", *LORA),
        "ppo": _ppo(base, folder / "ppo"),
        "ppo_lora": _ppo(base, folder / "ppo-lora", *LORA),
    }
    observations = _observations()
    loaded = load(str(base))
    difference = log_prob_difference(loaded.model, loaded.processor, observations)
    agree = greedy_replies_agree(loaded.model, loaded.processor, observations)
    adapted = add_lora(loaded.model, rank=4, alpha=8, dropout=0.0, vision="none")
    return Result(
        family,
        model.config.model_type,
        **steps,
        log_prob=difference,
        greedy=agree,
        adapters=adapter_summary(adapted),
        seconds=round(time.monotonic() - start, 1),
    )


def _run(command, *options) -> str:
    """Run a command; return "ok" or the first line of its error."""
    errors = io.StringIO()
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(errors):
        code = command.main([str(option) for option in options])
    lines = [
        line for line in errors.getvalue().splitlines() if line.startswith(("sft", "ppo", "e"))
    ]
    return "ok" if code == 0 else " ".join(lines)[-300:] or f"exit {code}"


def _play(model: Path) -> str:
    return _run(
        evaluate,
        *("--agent", "llava", "--model", model, "--env", "Blackjack", "--episodes", 2),
        *("--set", f"max_tokens={TOKENS}", "--json"),
    )


def _sft(model: Path, data: Path, out: Path, *options: str) -> str:
    return _run(
        sft,
        *("--model", model, "--data", data, "--out", out, "--steps", 2),
        *("--batch", 4, "--micro-batch", 2, "--eval-every", 2, "--holdout", 0.2, *options),
    )


def _ppo(model: Path, out: Path, *options: str) -> str:
    ran = _run(
        ppo,
        *("--model", model, "--out", out, "--iterations", 1, "--num-envs", 2, "--num-steps", 2),
        *("--minibatch", 4, "--micro-batch", 2, "--epochs", 1, "--max-new-tokens", TOKENS),
        *("--eval-every", 0, "--critic-iterations", 0, "--kl-coef", 0.1, "--log", "json"),
        *options,
    )
    if ran == "ok":
        (row,) = map(json.loads, (out / "metrics.jsonl").read_text().splitlines())
        error = row["losses/ratio_error"]
        return "ok" if error < 1e-3 else f"ratio error {error:.1g}"
    return ran


def _observations() -> list[dict]:
    """Return prompts of two lengths; the last comes after an exchange, so it has two pictures."""
    first = [
        gymnasium.make(f"vlbench/{name}-v0", theme="train").reset(seed=seed)[0]
        for name in ("NumberLine", "EZPoints")
        for seed in range(2)
    ]
    return [*first, {**first[0], "history": (Exchange(first[2], '{"action": "+"}'),)}]


def reference_inputs(processor, observation):
    """Return a prompt as the processor's own `apply_chat_template` tokenizes it."""
    chat = messages(observation)
    for message in chat:
        for part in message["content"]:
            if part["type"] == "image":
                part["image"] = Image.fromarray(part["image"])
    inputs = processor.apply_chat_template(
        chat, tokenize=True, add_generation_prompt=True, return_dict=True, return_tensors="pt"
    )
    # Llama 4's pictures come in bfloat16, whatever the model's precision is.
    return inputs.to(torch.float32)


def reference_log_probs(model, inputs, reply, forbidden):
    """Return the log-probabilities of a reply's tokens by a plain forward pass of one prompt."""
    more = {
        name: torch.cat([tensor, tensor[:, -1:].repeat_interleave(len(reply), 1)], 1)
        for name, tensor in inputs.items()
        if tensor.shape[:2] == inputs["input_ids"].shape
    }
    more["input_ids"][0, -len(reply) :] = reply
    rest = dict(inputs)
    if more.pop("labels", None) is not None:  # PaliGemma's type of what follows a prompt
        more["token_type_ids"][0, -len(reply) :] = 1
        rest.pop("labels")
    logits = model(**{**rest, **more}).logits[0, -len(reply) - 1 : -1]
    scores = logits.masked_fill(forbidden, -torch.inf).log_softmax(-1)
    return scores.gather(-1, reply[:, None])[:, 0]


@torch.no_grad()
def log_prob_difference(model, processor, observations: Sequence[dict]) -> float:
    """Return the largest difference of sampled tokens' log-probabilities from the reference."""
    policy = Policy(model.eval(), processor, Sampling(temperature=1.0, max_new_tokens=TOKENS))
    prompts = [policy.encoder.encode(observation) for observation in observations]
    drawn = policy.generate(prompts, torch.Generator().manual_seed(0))
    scores = policy(prompts, [reply.ids for reply in drawn])
    differences = []
    for row, mask, reply, observation in zip(
        scores.log_probs, scores.mask, drawn, observations, strict=True
    ):
        inputs = reference_inputs(processor, observation)
        expected = reference_log_probs(model, inputs, reply.ids, policy.forbidden)
        differences += [
            (row[mask] - expected).abs().max(),
            (reply.log_probs - expected).abs().max(),
        ]
    return float(f"{max(map(float, differences)):.1g}")


def greedy_replies_agree(model, processor, observations: Sequence[dict]) -> bool:
    """Return whether greedy replies of a batch are those of `generate`, one prompt at a time."""
    policy = Policy(model.eval(), processor, Sampling(max_new_tokens=TOKENS))
    drawn = policy.generate([policy.encoder.encode(observation) for observation in observations])
    forbidden = policy.forbidden.nonzero()[:, 0].tolist()
    ends = policy.end_ids.tolist()
    for mine, observation in zip(drawn, observations, strict=True):
        inputs = reference_inputs(processor, observation)
        written = model.generate(
            **inputs,
            max_new_tokens=TOKENS,
            do_sample=False,
            suppress_tokens=forbidden,
            eos_token_id=ends,
        )[0, inputs["input_ids"].shape[1] :]
        if not torch.equal(mine.ids, written[: len(mine.ids)]):
            return False
    return True
