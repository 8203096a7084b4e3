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

import torch
from torch import Tensor

from agents.arguments import refuse
from agents.train import losses
from agents.train.checkpoint import Checkpoints, Interruption, load_state, step_of
from agents.train.dataclass_arguments import parse_dataclass
from agents.train.drawing import Sampling
from agents.train.environments import Journal, full_id, make_envs
from agents.train.evaluation import examine, held_out_rows
from agents.train.loading import add_lora, load, train_parts
from agents.train.logbook import Logbook, Metrics
from agents.train.monitors import EpisodeMonitor, RolloutMonitor
from agents.train.plan import plan
from agents.train.policy import Policy, ValueHead
from agents.train.ppo_config import PRESETS, Config
from agents.train.rollout_buffer import RolloutBuffer
from agents.train.token_weights import token_weights
from vlbench.parsing import parse


@dataclass(slots=True)
class Actors:
    """The environments with what is followed from turn to turn."""

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
    buffer, monitor = RolloutBuffer(), RolloutMonitor()
    envs = actors.envs
    for step in range(config.num_steps):
        told(f"rollout {step * config.num_envs}/{config.num_steps * config.num_envs} turns")
        prompts = [policy.encoder.encode(observation) for observation in actors.observations]
        replies = policy.generate(prompts, generator)
        weights: list[Tensor] = []
        for env, reply in zip(envs.envs, replies, strict=True):
            parsed = parse(reply.text, env.vocabulary)
            monitor.look(env, reply.text, parsed, len(reply.ids), reply.finished)
            weights.append(token_weights(
                reply.ids.tolist(), reply.text, parsed.span, config.thought_weight, policy.decode
            ))  # fmt: skip
        texts = [reply.text for reply in replies]
        batch, rewards, terminated, truncated, info = envs.step(texts)
        ended = terminated | truncated

        # A truncated episode would have gone on: its last observation has a value.
        cut = [i for i in range(config.num_envs) if truncated[i]]
        last_values = torch.zeros(config.num_envs)
        if cut:
            shown = [policy.encoder.encode(info["final_obs"][i]) for i in cut]
            last_values[cut] = torch.tensor(policy.values(shown))

        success = info["final_info"]["success"] if ended.any() else ended
        actors.episodes.step(rewards.tolist(), ended.tolist(), success.tolist())
        actors.journal.add(texts, ended)
        actors.observations = split_observations(batch)
        buffer.add(
            prompts, replies, weights, torch.from_numpy(rewards), torch.from_numpy(terminated),
            torch.from_numpy(truncated), last_values,
        )  # fmt: skip
    prompts = [policy.encoder.encode(observation) for observation in actors.observations]
    buffer.finish(torch.tensor(policy.values(prompts)), config.gamma, config.gae_lambda)
    return buffer, monitor


@dataclass(frozen=True)
class Reference:
    """The frozen start policy, for the KL penalty."""

    policy: Policy
    """A copy, or the policy itself where its adapter can be switched off."""
    own_adapter: bool

    @torch.no_grad()
    def distributions(self, prompts: Sequence[Any], replies: Sequence[Tensor]) -> Tensor:
        """Return the start policy's log-probabilities (B, R, V)."""
        if not self.own_adapter:
            return self.policy(prompts, replies).distributions
        with self.policy.model.disable_adapter():
            return self.policy(prompts, replies).distributions


def update(
    policy: Policy,
    reference: Reference | None,
    optimizer: torch.optim.Optimizer,
    buffer: RolloutBuffer,
    config: Config,
    shuffler: torch.Generator,
    actor: bool,
) -> Metrics:
    """Improve the policy on a rollout.

    Args:
        policy: Is changed.
        reference: For the KL penalty.
        optimizer: Of the policy's trained weights.
        buffer: The rollout, with advantages.
        config: The run's options.
        shuffler: Source of the order.
        actor: Whether the model is trained, or its value head alone.

    Raises:
        FloatingPointError: The loss is no number; the weights are those before.
    """
    if config.normalise_advantages:
        buffer.normalise(buffer.advantages.mean(), buffer.advantages.std(correction=0))
    weights = [weight for group in optimizer.param_groups for weight in group["params"]]
    sums: dict[str, float] = {}
    seen = steps = 0
    ratio_error = None
    policy.train()
    for _ in range(config.epochs):
        epoch_kl = epoch_seen = 0.0
        for numbers in buffer.minibatches(config.minibatch, shuffler):
            total: Metrics = {}
            for start in range(0, len(numbers), config.micro_batch):
                batch = buffer.take(numbers[start : start + config.micro_batch], policy.device)
                scores = policy(batch.prompts, batch.replies)
                new = losses.turn_log_prob(scores.log_probs, batch.weights)
                ratio = losses.ratio_of(new, batch.log_probs)
                if ratio_error is None:  # nothing has been updated: the ratio is 1
                    ratio_error = float((ratio.detach() - 1).abs().max())
                lengths = scores.mask.sum(-1)
                terms = {
                    "policy_loss": losses.surrogate(ratio, batch.advantages, config.clip),
                    "value_loss": losses.value_loss(
                        scores.values, batch.values, batch.returns, config.value_clip
                    ),
                    "entropy": (scores.entropy.sum(-1) / lengths).sum(),
                }
                loss = config.value_coef * terms["value_loss"]
                if actor:
                    loss = loss + terms["policy_loss"] - config.entropy_coef * terms["entropy"]
                if actor and reference is not None:
                    start_log = reference.distributions(batch.prompts, batch.replies)
                    kl = losses.token_kl(scores.distributions, start_log) * scores.mask
                    terms["kl_to_start"] = (kl.sum(-1) / lengths).sum()
                    loss = loss + config.kl_coef * terms["kl_to_start"]
                if not torch.isfinite(loss):
                    raise FloatingPointError("the loss is no number any more; lower the lr")
                (loss / len(numbers)).backward()
                terms["approx_kl"] = losses.approximate_kl(ratio)
                terms["clipfrac"] = ((ratio - 1).abs() > config.clip).sum()
                for name, value in terms.items():
                    total[name] = total.get(name, 0.0) + float(value.detach())
            total["grad_norm"] = len(numbers) * float(
                torch.nn.utils.clip_grad_norm_(weights, config.max_grad_norm)
            )
            optimizer.step()
            optimizer.zero_grad()
            steps += 1
            seen += len(numbers)
            epoch_seen += len(numbers)
            epoch_kl += total["approx_kl"]
            for name, value in total.items():
                sums[name] = sums.get(name, 0.0) + value
        if config.target_kl and epoch_kl / epoch_seen > config.target_kl:
            break
    metrics = {f"losses/{name}": value / seen for name, value in sums.items()}
    metrics["losses/explained_variance"] = losses.explained_variance(buffer.values, buffer.returns)
    metrics["losses/ratio_error"] = ratio_error or 0.0
    metrics["losses/optimizer_steps"] = steps
    return metrics


def build_policy(config: Config, checkpoint: str, resumed: bool) -> tuple[Policy, Any]:
    """Return the policy and its processor, with a new value head."""
    loaded = load(
        checkpoint, trainable=True, lora_dropout=config.lora_dropout,
        trust_remote_code=config.trust_remote_code,
    )  # fmt: skip
    model, fresh = loaded.model, not hasattr(loaded.model, "peft_config")
    if config.lora and fresh:
        model = add_lora(
            model, rank=config.lora_rank, alpha=config.lora_alpha, dropout=config.lora_dropout,
            vision=config.train_vision,
        )  # fmt: skip
    elif fresh:
        train_parts(model, config.train_vision)
    width = model.get_output_embeddings().weight.shape[1]
    head = ValueHead(width, (config.value_width or width,), config.value_detach)
    sampling = Sampling(config.temperature, config.top_p, config.max_new_tokens)
    policy = Policy(model, loaded.processor, sampling, head.to(loaded.model.device))
    return policy, loaded.processor


def build_reference(config: Config, policy: Policy) -> Reference | None:
    """Return the start policy where the KL penalty needs it."""
    if not config.kl_coef:
        return None
    if config.lora and not Path(config.model, "adapter_config.json").is_file():
        return Reference(policy, own_adapter=True)
    start = load(config.model, trust_remote_code=config.trust_remote_code)
    start.model.requires_grad_(False)
    return Reference(Policy(start.model, start.processor, policy.sampling).eval(), False)


def train(config: Config) -> Path:
    """Train; return the last checkpoint.

    Raises:
        ValueError: An argument or a file is wrong.
        OSError: A checkpoint can't be written.
        FloatingPointError: The loss is no number any more.
        KeyboardInterrupt: Stopped, after a checkpoint.
    """
    env_id = full_id(config.env)
    rules = {"prompt": config.prompt, "theme": config.theme, **config.env_kwargs}
    config.out.mkdir(parents=True, exist_ok=True)
    checkpoints = Checkpoints(config.out)
    resumed = checkpoints.latest()
    done = step_of(resumed) if resumed else 0
    torch.manual_seed(config.seed)  # of dropout and new weights, to which torch gives no generator
    policy, processor = build_policy(config, str(resumed or config.model), resumed is not None)
    reference = build_reference(config, policy)
    head = list(policy.value_head.parameters()) if policy.value_head else []
    body = [weight for weight in policy.model.parameters() if weight.requires_grad]
    groups = [{"params": body, "lr": config.lr}, {"params": head, "lr": config.value_lr}]
    optimizer = torch.optim.Adam(groups, eps=config.adam_eps)

    envs = make_envs(
        env_id, config.num_envs, {"split": config.split, "jitter": config.jitter, **rules}
    )
    sampler = torch.Generator(policy.device).manual_seed(config.seed)
    shuffler = torch.Generator().manual_seed(config.seed)
    first = envs.reset(seed=config.seed * config.num_envs)[0]
    actors = Actors(envs, Journal(envs), EpisodeMonitor(config.num_envs), split_observations(first))
    if resumed:
        state = load_state(resumed)
        assert policy.value_head is not None
        policy.value_head.load_state_dict(state["value_head"])
        optimizer.load_state_dict(state["optimizer"])
        torch.set_rng_state(state["random"])
        sampler.set_state(state["sampler"])
        shuffler.set_state(state["shuffler"])
        actors.observations = actors.journal.restore(json.loads(state["environments"]))
        actors.episodes.restore(state["episodes"])

    def save(iteration: int) -> Path:
        def write(folder: Path) -> None:
            policy.model.save_pretrained(folder)
            processor.save_pretrained(folder)

        assert policy.value_head is not None
        return checkpoints.save(iteration, write, {
            "value_head": policy.value_head.state_dict(),
            "optimizer": optimizer.state_dict(),
            "random": torch.get_rng_state(),
            "sampler": sampler.get_state(),
            "shuffler": shuffler.get_state(),
            "environments": json.dumps(actors.journal.state()),  # 128-bit integers are in it
            "episodes": actors.episodes.state(),
        })  # fmt: skip

    told = dataclasses.asdict(config) | {"out": str(config.out)}
    (config.out / "config.json").write_text(json.dumps(told, indent=2) + "\n", "utf-8")
    log = Logbook(config.out, step=done, tensorboard=config.tensorboard, stream=sys.stderr)
    rows = held_out_rows(env_id, config.eval_episodes if config.eval_every else 0, rules)
    with Interruption() as interruption, contextlib.closing(log):
        if rows and not done:
            log.write(0, examine(policy, rows, told=log.doing).metrics())
        kept = resumed
        for iteration in range(done + 1, config.iterations + 1):
            optimizer.param_groups[0]["lr"] = learning_rate(iteration, config)
            begun = time.monotonic()
            buffer, monitor = rollout(policy, actors, config, sampler, log.doing)
            rolled = time.monotonic()
            log.doing(f"iteration {iteration}/{config.iterations}: update")
            actor = iteration > config.critic_iterations
            metrics = update(policy, reference, optimizer, buffer, config, shuffler, actor)
            updated = time.monotonic()
            metrics |= monitor.metrics() | actors.episodes.metrics()
            metrics["charts/learning_rate"] = optimizer.param_groups[0]["lr"]
            metrics["charts/env_steps"] = iteration * config.num_envs * config.num_steps
            metrics["charts/SPS"] = len(buffer) / (updated - begun)
            metrics["time/rollout"], metrics["time/update"] = rolled - begun, updated - rolled
            stopping = interruption.asked
            last = iteration == config.iterations or stopping
            if rows and (last or iteration % config.eval_every == 0):
                metrics |= examine(policy, rows, told=log.doing).metrics()
            log.write(iteration, metrics)
            log.say(line_of(iteration, config, log.seconds, metrics))
            for warning in monitor.warnings():
                log.say(f"  warning: {warning}")
            if last or iteration % config.save_every == 0:
                kept = save(iteration)
            if stopping and iteration < config.iterations:
                raise KeyboardInterrupt
    assert kept is not None
    return kept


def learning_rate(iteration: int, config: Config) -> float:
    """Return the model's learning rate in an iteration, 1..iterations: a cosine."""
    share = (iteration - 1) / max(1, config.iterations - 1)
    return config.end_lr + (config.lr - config.end_lr) * 0.5 * (1 + math.cos(math.pi * share))


def line_of(iteration: int, config: Config, seconds: float, metrics: Metrics) -> str:
    """Return what people are told of an iteration."""
    shown = {
        "return": "rollout/return", "optimal": "rollout/optimal", "parsed": "rollout/parse_rate",
        "seen": "rollout/perceived", "kl": "losses/approx_kl", "clip": "losses/clipfrac",
        "entropy": "losses/entropy", "EVAL success": "eval/success",
    }  # fmt: skip
    told = [f"{name} {metrics[key]:.3f}" for name, key in shown.items() if key in metrics]
    return f"{iteration}/{config.iterations} {seconds:.0f} s  " + "  ".join(told)


def main(argv: Sequence[str] | None = None) -> int:
    """Train; exit 0 when done, 2 on a wrong call, 1 on a failed run, 130 on Ctrl-C."""
    argv = sys.argv[1:] if argv is None else argv
    try:
        config = parse_dataclass(
            Config, argv, prog="python -m agents.train.ppo", description=__doc__ or "",
            presets=PRESETS,
        )  # fmt: skip
        print(plan(config.plan, config) if config.plan else train(config))
    except ValueError as error:
        return refuse("ppo", error)
    except (OSError, FloatingPointError) as error:
        refuse("ppo", error)
        return 1
    except KeyboardInterrupt:
        print("ppo: stopped; the same command goes on from the last checkpoint", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
