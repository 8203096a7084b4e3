"""Rollouts: the policy plays T turns, or whole episodes, and each turn gets its advantage."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from agents.train.advantages.estimators import Discounts, estimate_advantages
from agents.train.advantages.value_head import ValueHead
from agents.train.distributed import Processes
from agents.train.environments import RolloutEnvs
from agents.train.ppo_config import Config
from agents.train.rollout_buffer import RolloutBuffer, weights_of
from agents.train.rollouts import InProcess, Writer
from agents.vlm.policy import Policy


def episode_seeds(config: Config, share: range, iteration: int) -> list[int]:
    """Return the seeds of a process's environments; those of a group are equal.

    Args:
        config: The run's options.
        share: Indices of the environments, in 0..N − 1.
        iteration: The rollout's number, from 1; with whole episodes, each rollout has new seeds.
    """
    groups = [number // config.group for number in share]
    if not config.plays_whole_episodes:
        return [config.seed * config.num_envs + group for group in groups]
    seeds = (np.random.SeedSequence((config.seed, iteration, group)) for group in groups)
    return [int(seed.generate_state(1)[0]) for seed in seeds]


def new_value_head(config: Config, model: Any) -> ValueHead | None:
    """Return an untrained value head on a model's device; None if the baseline reads none."""
    if not config.has_critic:
        return None
    width = model.get_output_embeddings().weight.shape[1]
    hidden = (config.value_width or width,)
    head = ValueHead(width, hidden, config.value_detach, config.value_standardise)
    return head.to(model.device)


def new_writer(config: Config, policy: Policy, processes: Processes) -> Writer:
    """Return who writes a run's replies.

    Raises:
        ValueError: Servers can't write with all of the policy's weights.
    """
    if not config.rollouts:
        return InProcess(policy)
    from agents.train.rollouts.served import Served  # only served rollouts need it

    return Served(config.rollout_urls, policy, config.out, processes)


def play(
    policy: Policy,
    envs: RolloutEnvs,
    config: Config,
    generator: torch.Generator,
    processes: Processes,
    show_status: Callable[[str], None],
    writer: Writer,
) -> RolloutBuffer:
    """Return a rollout with its advantages; the processes call it together.

    Raises:
        FloatingPointError: A logit, a reward or an advantage isn't finite, in any process.
        OSError: A server that writes the replies failed, in any process.
        ValueError: A server can't write the policy's replies.
    """
    writer.publish(envs.observations[0])
    buffer = processes.together(
        lambda: rollout(policy, envs, config, generator, show_status, writer)
    )
    head = policy.value_head
    if isinstance(head, ValueHead) and not head.is_fixed:
        head.standardise(torch.stack(processes.gather(head.input_sums())).sum(0))
    assess(buffer, config, processes)
    return buffer


def rollout(
    policy: Policy,
    envs: RolloutEnvs,
    config: Config,
    generator: torch.Generator,
    show_status: Callable[[str], None],
    writer: Writer | None = None,
) -> RolloutBuffer:
    """Let the policy play T turns in all environments.

    With whole episodes, an environment plays on until its episode ends, and is idle then. Without a
    writer, the policy writes its replies itself.
    """
    writer = writer or InProcess(policy)
    buffer = RolloutBuffer(config.num_steps, envs.share, config.num_envs)
    whole, has_critic = config.plays_whole_episodes, policy.value_head is not None
    everyone = range(len(envs.share))
    active = list(everyone)
    while active:
        turn = len(buffer.turns)
        place = f"turn {turn + 1}" + ("" if whole else f" of {config.num_steps}")
        show_status(f"rollout, {place}: {len(active)} of {len(everyone)} environments play")
        prompts = {i: policy.encoder.encode(envs.observations[i]) for i in active}
        observations = [envs.observations[i] for i in active]
        written = writer.write(observations, list(prompts.values()), generator)
        by_env = dict(zip(active, written, strict=True))
        replies = [by_env.get(i) for i in everyone]
        outcome = envs.step(replies)
        weights = weights_of(replies, outcome, config.thought_weight, policy.decode)
        # A truncated episode would have continued: its last observation has a value.
        last_values = torch.zeros(len(everyone))
        if has_critic and outcome.last_observations:
            last = outcome.last_observations
            last_prompts = [policy.encoder.encode(observation) for observation in last.values()]
            last_values[list(last)] = torch.tensor(policy.values(last_prompts))
        buffer.add([prompts.get(i) for i in everyone], replies, weights, outcome, last_values)
        if turn + 1 >= config.num_steps:
            over = outcome.terminated | outcome.truncated
            active = [i for i in active if whole and not over[i]]
    values = torch.zeros(len(everyone))
    if has_critic and not whole:
        prompts_after = [policy.encoder.encode(observation) for observation in envs.observations]
        values = torch.tensor(policy.values(prompts_after))
    buffer.finish(values)
    return buffer


def assess(buffer: RolloutBuffer, config: Config, processes: Processes) -> None:
    """Set the advantages of a rollout's turns; the processes call it together.

    Raises:
        FloatingPointError: A reward or an advantage isn't finite, in any process.
    """
    buffer.pad(max(processes.gather(len(buffer.turns))))
    facts = buffer.facts.of_everyone(processes)
    if not bool(facts.rewards.isfinite().all()):
        raise FloatingPointError("a reward isn't finite; mend the environment")
    discounts = Discounts(config.gamma, config.gae_lambda)
    advantages = estimate_advantages(config.baseline, facts, discounts)
    if not bool(advantages.isfinite().all()):
        raise FloatingPointError("an advantage isn't finite")
    own = slice(buffer.share.start, buffer.share.stop)
    buffer.set_advantages(advantages[:, own], facts.played)
