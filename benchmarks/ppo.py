"""Compare one PPO iteration with the original's method and with a lower bound.

    python benchmarks/ppo.py [--json] [--model DIR] [--rounds 3]

All three process the same turns of NumberLine with the same tiny LLaVA on one thread. The tower is
frozen, as in the original, whose tower runs without gradients. Figures are CPU seconds:

- `original`: one reply at a time through `generate`, which keeps scores and hidden states; a second
  forward over the prompt and a reply padded to twice the longest, for log-probabilities and value;
  updates one turn at a time over the same padded length; the tower at every call.
- `ours`: rollout and update of `agents.train.ppo`.
- `limit`: batched decoding without bookkeeping, for as many steps as the replies took, one forward
  pass over the turns that the update scores again, and one forward and backward pass per epoch over
  the same tokens, with precomputed features.

The default model is the shipped one of NumberLine; an untrained one would write replies of
`--tokens` tokens.
"""

import argparse
import json
import time
from typing import Any

import torch
from torch.profiler import ProfilerActivity, profile

from agents.train import objective, ppo
from agents.train.advantages import playing
from agents.train.distributed import Processes
from agents.train.environments import RolloutEnvs, make_envs
from agents.train.ppo_config import Config
from agents.train.update import Learner
from agents.train.update import update as update_policy
from agents.vlm.bundled import CHECKPOINTS
from agents.vlm.scoring import LEAST_LOG

MODEL = CHECKPOINTS / "llava-sft" / "number_line"


def seconds(act: Any) -> tuple[float, Any]:
    start = time.process_time()
    result = act()
    return time.process_time() - start, result


class Bench:
    """A policy and its environments, run in three ways."""

    def __init__(self, config: Config) -> None:
        torch.manual_seed(0)
        self.config = config
        self.policy = ppo.build_policy(config, config.model)
        self.optimizer = torch.optim.Adam(
            [weight for weight in self.policy.parameters() if weight.requires_grad], lr=0.0
        )
        self.processes = Processes()
        vector = make_envs("vlbench/NumberLine-v0", config.num_envs, {})
        self.envs = RolloutEnvs(vector, range(config.num_envs), self.processes)
        self.envs.reset(range(config.num_envs))

    def vlbench(self) -> tuple[dict[str, float], Any]:
        """Time rollout and update, with cold picture caches."""
        policy, config = self.policy, self.config
        policy.encoder = type(policy.encoder)(policy.encoder.processor)
        generator = torch.Generator().manual_seed(0)
        rollout, buffer = seconds(
            lambda: playing.rollout(policy, self.envs, config, generator, lambda line: None)
        )
        playing.assess(buffer, config, self.processes)
        self.envs.finish_rollout()
        shuffler = torch.Generator().manual_seed(0)
        learner = Learner(policy, None, self.optimizer, shuffler, self.processes)
        update, metrics = seconds(lambda: update_policy(learner, buffer, config, False))
        self.scored_again = round(metrics["losses/rescored"] * len(buffer))
        return {"rollout": rollout, "update": update}, buffer

    def limit(self, buffer: Any) -> dict[str, float]:
        """Time bare decoding and bare forward and backward passes over a rollout's tokens."""
        policy, config = self.policy, self.config
        samples = [sample for step in buffer.turns for sample in step]

        @torch.no_grad()
        def decode() -> None:
            for step in buffer.turns:
                batch = policy._batch([sample.prompt for sample in step], None)
                mask = batch["attention_mask"]
                logits, _, cache = policy._run(batch, keep=1)
                for _ in range(max(len(sample.ids) for sample in step) - 1):
                    mask = torch.cat([mask, mask.new_ones(len(step), 1)], dim=1)
                    token = logits[:, -1:].argmax(-1)
                    positions = mask.sum(-1, keepdim=True) - 1
                    inputs = {"input_ids": token, "attention_mask": mask, "position_ids": positions}
                    inputs["past_key_values"] = cache
                    logits, _, cache = policy._run(inputs, keep=1)

        def learn() -> None:
            with torch.no_grad():
                for start in range(0, self.scored_again, config.micro_batch):
                    part = samples[start : min(start + config.micro_batch, self.scored_again)]
                    replies = [sample.ids for sample in part]
                    batch = policy._batch([sample.prompt for sample in part], replies)
                    policy._run(batch, keep=max(map(len, replies)) + 1)
            for start in range(0, len(samples) * config.epochs, config.minibatch):
                part = [samples[i % len(samples)] for i in range(start, start + config.minibatch)]
                replies = [sample.ids for sample in part]
                longest = max(map(len, replies))
                batch = policy._batch([sample.prompt for sample in part], replies)
                logits, _, _ = policy._run(batch, keep=longest + 1)
                targets = batch["input_ids"][:, -longest:].reshape(-1)
                flat = logits[:, :-1].reshape(len(targets), -1)
                torch.nn.functional.cross_entropy(flat, targets).backward()
                self.optimizer.step()
                self.optimizer.zero_grad()

        return {"rollout": seconds(decode)[0], "update": seconds(learn)[0]}

    def original(self, buffer: Any, share: float) -> dict[str, float]:
        """Time the original's method on a share of the turns, scaled up to all."""
        policy, config = self.policy, self.config
        samples = [sample for step in buffer.turns for sample in step]
        samples = samples[: max(1, round(share * len(samples)))]
        padded = 2 * config.max_new_tokens
        model = policy.model

        def inputs_of(sample: Any) -> dict[str, Any]:
            return dict(policy.encoder.collate([sample.prompt]))

        def score(sample: Any) -> tuple[torch.Tensor, torch.Tensor]:
            batch = inputs_of(sample)
            reply = torch.zeros(1, padded, dtype=torch.int64)
            reply[0, : len(sample.ids)] = sample.ids
            batch["input_ids"] = torch.cat([batch["input_ids"], reply], dim=1)
            reply_mask = (reply != 0).long()
            batch["attention_mask"] = torch.cat([batch["attention_mask"], reply_mask], dim=1)
            out = model(**batch, output_hidden_states=True)
            log_probs = out.logits.float().log_softmax(-1)
            taken = log_probs[:, -padded - 1 : -1].gather(-1, reply[..., None])[..., 0]
            prompt_end = out.hidden_states[-1][:, -padded - 1]
            assert policy.value_head is not None
            log_prob = (taken.clamp_min(LEAST_LOG) * reply_mask).sum(-1)
            return log_prob, policy.value_head(prompt_end)

        @torch.no_grad()
        def act() -> list[torch.Tensor]:
            old = []
            for sample in samples:
                model.generate(
                    **inputs_of(sample),
                    do_sample=True,
                    max_new_tokens=len(sample.ids),
                    min_new_tokens=len(sample.ids),
                    return_dict_in_generate=True,
                    output_scores=True,
                    output_hidden_states=True,
                )
                old.append(score(sample)[0])
            return old

        def learn(old: list[torch.Tensor]) -> None:
            for epoch in range(config.epochs):
                for number, (sample, before) in enumerate(zip(samples, old, strict=True)):
                    new, value = score(sample)
                    ratio = objective.ratio_of(new, before)
                    clip = objective.Clip(config.clip, config.clip, 0.0)
                    loss = objective.surrogate(ratio, torch.ones(1), clip).sum()
                    (loss + value.square().sum()).backward()
                    if (epoch * len(samples) + number + 1) % config.minibatch == 0:
                        self.optimizer.step()
                        self.optimizer.zero_grad()
            self.optimizer.zero_grad()

        acted, old = seconds(act)
        learned = seconds(lambda: learn(old))[0]
        return {"rollout": acted / share, "update": learned / share}


def profile_update(bench: Bench) -> list[dict[str, Any]]:
    """Return the most expensive operators of one iteration."""
    with profile(activities=[ProfilerActivity.CPU]) as profiler:
        bench.vlbench()
    events = sorted(profiler.key_averages(), key=lambda event: -event.self_cpu_time_total)
    whole = sum(event.self_cpu_time_total for event in events)
    return [
        {"operator": e.key, "share": round(e.self_cpu_time_total / whole, 3), "calls": e.count}
        for e in events[:12]
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument(
        "--model", default=str(MODEL), help="a tiny LLaVA that has learned NumberLine"
    )
    parser.add_argument("--envs", type=int, default=32)
    parser.add_argument("--steps", type=int, default=4)
    parser.add_argument("--epochs", type=int, default=4, help="4 in the original")
    parser.add_argument("--tokens", type=int, default=256, help="maximum length of a reply")
    parser.add_argument(
        "--share", type=float, default=0.125, help="share of turns for the original's method"
    )
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--train-vision", default="none")
    parser.add_argument("--profile", action="store_true")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(1)
    config = Config(
        model=options.model,
        num_envs=options.envs,
        num_steps=options.steps,
        epochs=options.epochs,
        max_new_tokens=options.tokens,
        theme="classic",
        train_vision=options.train_vision,
        minibatch=64,
        micro_batch=64,
    )
    bench = Bench(config)
    bench.vlbench()  # the first pass pays for allocations
    rounds: list[dict[str, dict[str, float]]] = []
    for _ in range(options.rounds):
        own, buffer = bench.vlbench()
        limit = bench.limit(buffer)
        original = bench.original(buffer, options.share)
        rounds.append({"original": original, "ours": own, "limit": limit})
    best = {
        name: {part: min(r[name][part] for r in rounds) for part in ("rollout", "update")}
        for name in ("original", "ours", "limit")
    }
    whole = {name: sum(parts.values()) for name, parts in best.items()}
    result = {
        "turns": options.envs * options.steps,
        "epochs": options.epochs,
        "tokens_per_reply": sum(len(s.ids) for step in buffer.turns for s in step) / len(buffer),
        "seconds": best,
        "times_the_original": whole["original"] / whole["ours"],
        "times_the_limit": whole["ours"] / whole["limit"],
    }
    if options.profile:
        result["profile"] = profile_update(bench)
    if options.json:
        print(json.dumps(result))
        return
    print(f"{result['turns']} turns, {options.epochs} epochs, best of {options.rounds} rounds")
    for name, parts in best.items():
        times = "  ".join(f"{part} {value:7.2f} s" for part, value in parts.items())
        print(f"{name:9} {times}  total {whole[name]:7.2f} s")
    print(f"{result['times_the_original']:.1f} x the original's speed")
    print(f"{result['times_the_limit']:.2f} x the limit's time")
    for row in result.get("profile", []):
        print(f"  {row['share']:6.1%} {row['calls']:7} {row['operator']}")


if __name__ == "__main__":
    main()
