"""Critics of the study: the trainer's value head, fitted by the trainer's loss and step."""

from dataclasses import replace

import torch
from torch import Tensor

from agents.train import objective
from agents.train.advantages.estimators import Discounts, estimate_advantages
from agents.train.advantages.facts import TurnFacts
from agents.train.advantages.value_head import ValueHead
from agents.train.credit.plan import Critic
from agents.train.credit.sample import Sample
from agents.train.ppo_config import Config
from agents.train.trainer import take_step


def fit_critic(critic: Critic, sample: Sample, config: Config) -> ValueHead:
    """Return a value head after as many steps as the critic has.

    As in `ppo` with a policy that stays, a rollout's targets are made with the values before its
    update, and its turns are passed over `epochs` times in minibatches.

    Args:
        critic: Its input and learning rate.
        sample: The turns that it learns from.
        config: Options of the trainer: γ, λ, epochs, minibatch, clipping.
    """
    torch.manual_seed(config.seed)
    width = sample.hidden.shape[-1]
    head = ValueHead(width, (width,), detach=True, standardise=critic.standardise)
    inputs = sample.hidden[sample.facts.played]
    if critic.standardise:
        with torch.no_grad():
            head(inputs)
        head.standardise(head.input_sums())
    optimizer = torch.optim.Adam(head.parameters(), lr=critic.lr, eps=config.adam_eps)
    shuffler = torch.Generator().manual_seed(config.seed)
    discounts = Discounts(config.gamma, config.gae_lambda)
    steps = 0
    while True:
        facts = judged(head, sample)
        old = facts.values[facts.played]
        returns = old + estimate_advantages("value", facts, discounts)[facts.played]
        for _ in range(config.epochs):
            for part in torch.randperm(len(inputs), generator=shuffler).split(config.minibatch):
                if steps == critic.steps:
                    return head
                loss = objective.value_loss(
                    head(inputs[part]), old[part], returns[part], config.value_clip
                )
                loss = config.value_coef * loss / len(part)
                loss.backward()
                take_step(optimizer, max_norm=config.max_grad_norm, loss=float(loss.detach()))
                steps += 1


@torch.no_grad()
def judged(head: ValueHead | None, sample: Sample) -> TurnFacts:
    """Return a sample's facts with the values of a critic; None says 0."""
    facts = sample.facts
    if head is None:
        nothing = torch.zeros_like(facts.rewards)
        return replace(facts, values=nothing, next_values=nothing)
    values = head(sample.hidden) * facts.played
    last: Tensor = head(sample.last_hidden) * (facts.ended & ~facts.terminated)
    later = torch.cat([values[1:], torch.zeros_like(values[:1])])
    return replace(facts, values=values, next_values=torch.where(facts.ended, last, later))
