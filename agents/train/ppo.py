"""PPO for a vision-language model that acts by writing: `python -m agents.train.ppo --model DIR …`.

As in RL4VLM (Zhai et al. 2024): the action is the whole reply, log π of a turn is λ times the
log-probability of the tokens before the action plus that of the action's, with one clipped ratio a
turn; the value is read off the last prompt token. Reads top to bottom: rollout, update, the loop;
the options stand in `ppo_config`. Called again with the same `--out`, it goes on where it stopped.
"""

import contextlib
import dataclasses
import json
import math
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vlbench.cli import exit_without

if __name__ == "__main__":
    exit_without(("torch", "transformers", "peft", "accelerate"), "ppo", extra="train")

import torch
from torch import Tensor

from agents.train import losses
from agents.train.checkpoint import Checkpoints, Interruption, load_state, step_of
from agents.train.distributed import Processes, run_in_processes
from agents.train.environments import Journal, make_envs
from agents.train.evaluation import eval_rows, evaluate_policy
from agents.train.logbook import Logbook, Metrics
from agents.train.memory import plan
from agents.train.monitors import EpisodeMonitor, RolloutMonitor
from agents.train.ppo_config import PRESETS, Config
from agents.train.rollout_buffer import Minibatch, RolloutBuffer
from agents.train.start import Reference, build_policy, build_reference
from agents.train.token_weights import token_weights
from agents.vlm.policy import Policy
from vlbench.cli import parse_options
from vlbench.registry import resolve_env_id

SHOWN = {
    "return": "rollout/return",
    "optimal": "rollout/optimal",
    "parsed": "rollout/parse_rate",
    "seen": "rollout/perceived",
    "kl": "losses/approx_kl",
    "clip": "losses/clipfrac",
    "entropy": "losses/entropy",
    "EVAL success": "eval/success",
}
"""What people are told of an iteration."""


@dataclass(slots=True)
class Actors:
    """A process's environments with what is followed from turn to turn."""

    share: range
    """Their numbers, of 0..N − 1."""
    envs: Any
    journal: Journal
    episodes: EpisodeMonitor
    observations: list[dict[str, Any]]


def split_observations(batch: Any) -> list[dict[str, Any]]:
    """Return a batch of observations one by one; the pictures are views."""
    pairs = zip(batch["image"], batch["text"], strict=True)
    return [{"image": image, "text": text} for image, text in pairs]


def rollout(
    policy: Policy,
    actors: Actors,
    config: Config,
    generator: torch.Generator,
    told: Callable[[str], None],
) -> tuple[RolloutBuffer, RolloutMonitor]:
    """Let the policy play T turns in all environments."""
    buffer, monitor = RolloutBuffer(actors.share, config.num_envs), RolloutMonitor()
    envs, size = actors.envs, len(actors.share)
    for step in range(config.num_steps):
        told(f"rollout {step * config.num_envs}/{config.num_steps * config.num_envs} turns")
        prompts = [policy.encoder.encode(observation) for observation in actors.observations]
        replies = policy.generate(prompts, generator)
        weights: list[Tensor] = []
        for env, reply in zip(envs.envs, replies, strict=True):
            parsed = env.read(reply.text)
            monitor.look(env, reply.text, parsed, len(reply.ids), reply.finished)
            weights.append(
                token_weights(
                    reply.ids.tolist(),
                    reply.text,
                    parsed.span,
                    config.thought_weight,
                    policy.decode,
                )
            )
        texts = [reply.text for reply in replies]
        batch, rewards, terminated, truncated, info = envs.step(texts)
        ended = terminated | truncated

        # A truncated episode would have gone on: its last observation has a value.
        cut = [i for i in range(size) if truncated[i]]
        last_values = torch.zeros(size)
        if cut:
            shown = [policy.encoder.encode(info["final_obs"][i]) for i in cut]
            last_values[cut] = torch.tensor(policy.values(shown))

        success = info["final_info"]["success"] if ended.any() else ended
        over = actors.episodes.step(rewards.tolist(), ended.tolist(), success.tolist())
        monitor.ended += over
        actors.journal.add(texts, ended)
        actors.observations = split_observations(batch)
        buffer.add(
            prompts,
            replies,
            weights,
            torch.from_numpy(rewards),
            torch.from_numpy(terminated),
            torch.from_numpy(truncated),
            last_values,
        )
    prompts = [policy.encoder.encode(observation) for observation in actors.observations]
    buffer.finish(torch.tensor(policy.values(prompts)), config.gamma, config.gae_lambda)
    return buffer, monitor


def terms_of(
    policy: Policy, reference: Reference | None, batch: Minibatch, config: Config, actor: bool
) -> dict[str, Tensor]:
    """Return the loss and its terms, summed over the turns; of the ratio's error, the largest.

    Args:
        policy: Scores the turns, with gradient.
        reference: For the KL penalty.
        batch: The turns.
        config: The run's options.
        actor: Whether the model is trained, or its value head alone.
    """
    scores = policy(batch.prompts, batch.replies)
    lengths = scores.mask.sum(-1)
    new = losses.turn_log_prob(scores.log_probs, batch.weights)
    ratio = losses.ratio_of(new, batch.log_probs)
    terms = {
        "policy_loss": losses.surrogate(ratio, batch.advantages, config.clip),
        "value_loss": losses.value_loss(
            scores.values, batch.values, batch.returns, config.value_clip
        ),
        "entropy": (scores.entropy.sum(-1) / lengths).sum(),
        "approx_kl": losses.approximate_kl(ratio),
        "clipfrac": ((ratio - 1).abs() > config.clip).sum(),
        "largest_ratio_error": (ratio - 1).abs().max(),
    }
    loss = config.value_coef * terms["value_loss"]
    if actor:
        loss = loss + terms["policy_loss"] - config.entropy_coef * terms["entropy"]
    if actor and reference is not None:
        start_log = reference.distributions(batch.prompts, batch.replies)
        kl = losses.token_kl(scores.distributions, start_log) * scores.mask
        terms["kl_to_start"] = (kl.sum(-1) / lengths).sum()
        loss = loss + config.kl_coef * terms["kl_to_start"]
    return {"loss": loss, **terms}


def update(
    policy: Policy,
    reference: Reference | None,
    optimizer: torch.optim.Optimizer,
    buffer: RolloutBuffer,
    config: Config,
    shuffler: torch.Generator,
    actor: bool,
    processes: Processes,
) -> Metrics:
    """Improve the policy on a rollout.

    Args:
        policy: Is changed, in the same way in every process.
        reference: For the KL penalty.
        optimizer: Of the policy's trained weights.
        buffer: The rollout, with advantages.
        config: The run's options.
        shuffler: Source of the order, the same in every process.
        actor: Whether the model is trained, or its value head alone.
        processes: Who has the rest of the rollout.

    Raises:
        FloatingPointError: The loss is no number; the weights are those before.
    """
    if config.normalise_advantages:
        buffer.normalise(processes.columns(buffer.advantages))
    weights = [weight for group in optimizer.param_groups for weight in group["params"]]
    names = ["loss", "policy_loss", "value_loss", "entropy", "approx_kl", "clipfrac"]
    names += ["kl_to_start"] if actor and reference is not None else []
    sums = dict.fromkeys([*names, "grad_norm"], 0.0)
    seen = steps = 0
    ratio_error = 0.0
    policy.train()
    for _ in range(config.epochs):
        epoch_kl = epoch_seen = 0.0
        for numbers in buffer.minibatches(config.minibatch, shuffler):
            mine, total = buffer.own(numbers), dict.fromkeys(names, 0.0)
            for start in range(0, len(mine), config.micro_batch):
                batch = buffer.take(mine[start : start + config.micro_batch], policy.device)
                terms = terms_of(policy, reference, batch, config, actor)
                if not steps:  # nothing has been updated: the ratio is 1
                    ratio_error = max(ratio_error, float(terms["largest_ratio_error"].detach()))
                (terms["loss"] / len(numbers)).backward()
                for name in names:
                    total[name] += float(terms[name].detach())
            total = processes.sum(total)
            if not math.isfinite(total["loss"]):
                raise FloatingPointError("the loss is no number any more; lower the lr")
            processes.sum_gradients(weights)
            norm = torch.nn.utils.clip_grad_norm_(weights, config.max_grad_norm)
            optimizer.step()
            optimizer.zero_grad()
            total["grad_norm"] = len(numbers) * float(norm)
            steps += 1
            seen += len(numbers)
            epoch_seen += len(numbers)
            epoch_kl += total["approx_kl"]
            for name, value in total.items():
                sums[name] += value
        if config.target_kl and epoch_kl / epoch_seen > config.target_kl:
            break
    metrics = {f"losses/{name}": value / seen for name, value in sums.items()}
    metrics["losses/explained_variance"] = losses.explained_variance(
        processes.columns(buffer.values), processes.columns(buffer.returns)
    )
    metrics["losses/ratio_error"] = max(processes.gather(ratio_error))
    metrics["losses/optimizer_steps"] = steps
    return metrics


def train(config: Config, processes: Processes) -> Path:
    """Train; return the last checkpoint.

    Raises:
        ValueError: An argument or a file is wrong.
        OSError: A checkpoint can't be written.
        FloatingPointError: The loss is no number any more.
        KeyboardInterrupt: Stopped, after a checkpoint.
    """
    env_id = resolve_env_id(config.env)
    rules = {"prompt": config.prompt, "theme": config.theme, **config.env_kwargs}
    share = processes.share(config.num_envs)
    checkpoints = Checkpoints(config.out)
    resumed = processes.on_main(checkpoints.latest)
    done = step_of(resumed) if resumed else 0
    seed = processes.seed(config.seed, done)
    torch.manual_seed(seed)  # of dropout and new weights, to which torch gives no generator
    policy = build_policy(config, str(resumed or config.model), processes.device)
    reference = build_reference(config, policy)
    head = list(policy.value_head.parameters()) if policy.value_head else []
    body = [weight for weight in policy.model.parameters() if weight.requires_grad]
    processes.align([*body, *head])
    groups = [{"params": body, "lr": config.lr}, {"params": head, "lr": config.value_lr}]
    optimizer = torch.optim.Adam(groups, eps=config.adam_eps)

    dealt = {"split": config.split, "jitter": config.jitter, **rules}
    envs = make_envs(env_id, len(share), dealt)
    sampler = torch.Generator(policy.device).manual_seed(seed)
    shuffler = torch.Generator().manual_seed(config.seed)
    first = envs.reset(seed=config.seed * config.num_envs + share.start)[0]
    shown = split_observations(first)
    actors = Actors(share, envs, Journal(envs), EpisodeMonitor(len(share)), shown)
    if resumed:
        state = load_state(resumed)
        assert policy.value_head is not None
        policy.value_head.load_state_dict(state["value_head"])
        optimizer.load_state_dict(state["optimizer"])
        shuffler.set_state(state["shuffler"])
        if len(state["random"]) == processes.count:  # else other processes have draws of their own
            torch.set_rng_state(state["random"][processes.number])
            sampler.set_state(state["sampler"][processes.number])
        played = json.loads(state["environments"])[share.start : share.stop]
        actors.observations = actors.journal.restore([row["journal"] for row in played])
        actors.episodes.restore([row["episode"] for row in played], state["episodes"])

    def save(iteration: int) -> Path:
        assert policy.value_head is not None
        rows = zip(actors.journal.state(), actors.episodes.running(), strict=True)
        played = [{"journal": journal, "episode": episode} for journal, episode in rows]
        state = {
            "value_head": policy.value_head.state_dict(),
            "optimizer": optimizer.state_dict(),
            "random": processes.gather(torch.get_rng_state()),
            "sampler": processes.gather(sampler.get_state()),
            "shuffler": shuffler.get_state(),
            # As text: 128-bit integers are in it.
            "environments": json.dumps([row for rows in processes.gather(played) for row in rows]),
            "episodes": actors.episodes.ended(),
        }
        return processes.on_main(lambda: checkpoints.save(iteration, policy.save, state))

    told = dataclasses.asdict(config) | {"out": str(config.out)}
    processes.on_main(lambda: note(config.out, told))
    log = Logbook(
        config.out,
        step=done,
        tensorboard=config.tensorboard,
        stream=sys.stderr,
        silent=not processes.main,
    )
    rows = eval_rows(env_id, config.eval_episodes if config.eval_every else 0, rules)
    stopped = Interruption(launched=processes.count > 1)
    with stopped as interruption, contextlib.closing(log):
        if rows and not done:
            log.write(0, evaluate_policy(policy, rows, processes, told=log.doing).metrics())
        kept = resumed
        for iteration in range(done + 1, config.iterations + 1):
            optimizer.param_groups[0]["lr"] = learning_rate(iteration, config)
            begun = time.monotonic()
            buffer, monitor = rollout(policy, actors, config, sampler, log.doing)
            monitor = RolloutMonitor.joined(processes.gather(monitor))
            actors.episodes.count(monitor.ended)
            rolled = time.monotonic()
            log.doing(f"iteration {iteration}/{config.iterations}: update")
            metrics = update(
                policy,
                reference,
                optimizer,
                buffer,
                config,
                shuffler,
                iteration > config.critic_iterations,
                processes,
            )
            updated, turns = time.monotonic(), len(buffer)
            del buffer  # else its pictures' features are there through the next rollout
            metrics |= monitor.metrics() | actors.episodes.metrics()
            metrics["charts/learning_rate"] = optimizer.param_groups[0]["lr"]
            metrics["charts/env_steps"] = iteration * config.num_envs * config.num_steps
            metrics["charts/SPS"] = turns / (updated - begun)
            metrics["time/rollout"], metrics["time/update"] = rolled - begun, updated - rolled
            stopping = processes.any(interruption.asked)
            last = iteration == config.iterations or stopping
            if rows and (last or iteration % config.eval_every == 0):
                metrics |= evaluate_policy(policy, rows, processes, told=log.doing).metrics()
            log.write(iteration, metrics)
            log.sum_up(iteration, config.iterations, SHOWN, metrics)
            for warning in monitor.warnings():
                log.say(f"  warning: {warning}")
            if last or iteration % config.save_every == 0:
                kept = save(iteration)
            if stopping and iteration < config.iterations:
                raise KeyboardInterrupt
    assert kept is not None
    return kept


def note(run: Path, told: dict[str, Any]) -> None:
    """Write a run's options into its folder."""
    run.mkdir(parents=True, exist_ok=True)
    (run / "config.json").write_text(json.dumps(told, indent=2) + "\n", "utf-8")


def learning_rate(iteration: int, config: Config) -> float:
    """Return the model's learning rate in an iteration, 1..iterations: a cosine."""
    share = (iteration - 1) / max(1, config.iterations - 1)
    return config.end_lr + (config.lr - config.end_lr) * 0.5 * (1 + math.cos(math.pi * share))


def main(argv: Sequence[str] | None = None) -> int:
    """Train; exit 0 when done, 2 on a wrong call, 1 on a failed run, 130 on Ctrl-C."""
    argv = sys.argv[1:] if argv is None else argv

    def read() -> Config:
        prog = "python -m agents.train.ppo"
        return parse_options(Config, argv, prog=prog, description=__doc__, presets=PRESETS)

    def run(config: Config, processes: Processes) -> object:
        return plan(config.plan, config) if config.plan else train(config, processes)

    return run_in_processes("ppo", read, run)


if __name__ == "__main__":
    sys.exit(main())
