"""Rollouts of the study: whole episodes in groups, with what a critic would read of each turn."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence

from agents.train.advantages.facts import TurnFacts
from agents.train.advantages.playing import assess, episode_seeds, rollout
from agents.train.advantages.recorder import TurnRecorder
from agents.train.credit.plan import Game, Plan
from agents.train.distributed import Processes
from agents.train.environments import RolloutEnvs, known_kwargs, make_envs, training_deals
from agents.train.ppo_config import Config
from agents.train.rollout_buffer import RolloutBuffer
from agents.vlm.loading import load
from agents.vlm.policy import Policy
from agents.vlm.sampling import Sampling
from vlbench.diagnose.rollouts import FOLDER

FACTS = "facts.pt"
"""File of a sample's facts and hidden states, beside its rollouts."""


@dataclass(frozen=True, slots=True, eq=False)
class Sample:
    """Whole episodes of one policy."""

    facts: TurnFacts
    hidden: Tensor
    """(T, N, width) float32, what a value head reads before each turn; 0 where idle."""
    last_hidden: Tensor
    """(T, N, width) float32, the same of the last observation of episodes truncated in a turn."""
    ids: Tensor
    """(M, R) int64, the sampled tokens of each played turn, left-aligned; −1 after them."""
    log_probs: Tensor
    """(M, R) float32, their log-probabilities at sampling; 0 after them."""
    weights: Tensor
    """(M, R) float32, their weights in log π; 0 after them."""


TENSORS = tuple(field.name for field in fields(Sample) if field.name != "facts")
"""Names of a sample's tensors beside its facts."""


class HiddenCollector(nn.Module):
    """A value head that says 0 and keeps what it reads."""

    def __init__(self) -> None:
        super().__init__()
        self.batches: list[Tensor] = []

    def forward(self, hidden: Tensor) -> Tensor:
        """Keep hidden states (B, width); return zeros (B,)."""
        self.batches.append(hidden.detach().float().cpu())
        return torch.zeros(len(hidden), device=hidden.device)


def config_of(plan: Plan, game: Game, checkpoint: Path) -> Config:
    """Return the trainer's options for a game: one episode in each environment."""
    return Config(
        model=str(checkpoint),
        env=game.env,
        env_kwargs=dict(game.kwargs),
        num_envs=game.episodes,
        num_steps=1,
        group=plan.group,
        whole_episodes=True,
        temperature=game.temperature,
        max_new_tokens=game.max_new_tokens,
        gae_lambda=plan.trace,
        seed=plan.seed,
    )


def play_sample(config: Config, number: int, folder: Path, log: Any) -> Sample:
    """Play a sample, or read it if it has been played.

    Args:
        config: The trainer's options for the game.
        number: Number of the sample, from 1; each has other starts and draws.
        folder: Its folder; `rollouts/` there can be diagnosed.
        log: Called with a line about the progress.
    """
    path = folder / FACTS
    if path.is_file():
        return _read(path)
    torch.manual_seed(config.seed)
    loaded = load(config.model)
    collector = HiddenCollector()
    sampling = Sampling(config.temperature, config.top_p, config.max_new_tokens)
    policy = Policy(loaded.model, loaded.processor, sampling, collector).eval()
    looks = {"prompt": config.prompt, "theme": config.theme}
    kwargs = {**training_deals(config.share), **known_kwargs(config.env, looks | config.env_kwargs)}
    share, processes = range(config.num_envs), Processes()
    recorder = TurnRecorder(config.env, [kwargs] * len(share), share, 1, "value")
    vector = make_envs(config.env, len(share), kwargs)
    envs = RolloutEnvs(vector, share, processes, recorder)
    envs.reset(episode_seeds(config, share, number))
    generator = torch.Generator(policy.device).manual_seed(config.seed * 1000 + number)
    buffer = rollout(policy, envs, config, generator, log)
    vector.close()
    assess(buffer, config, processes)
    folder.mkdir(parents=True, exist_ok=True)
    recorder.finish(number, buffer, folder, processes)
    sample = _sample(buffer, collector.batches)
    partial = path.with_suffix(".partial")
    tensors = {fact.name: getattr(sample.facts, fact.name) for fact in fields(TurnFacts)}
    torch.save({**tensors, **{name: getattr(sample, name) for name in TENSORS}}, partial)
    partial.replace(path)
    return sample


def keys_of(folder: Path) -> list[tuple[str, int]]:
    """Return episode and number of each recorded turn, in the order of `facts.played`."""
    (path,) = (folder / FOLDER).glob("*.jsonl")
    lines = map(json.loads, path.read_text("utf-8").splitlines())
    return [(line["episode"], line["turn"]) for line in lines]


def _sample(buffer: RolloutBuffer, batches: Sequence[Tensor]) -> Sample:
    """Return a rollout as a sample.

    Args:
        buffer: The rollout.
        batches: What the value head read in each step: the turns, and after them the last
            observations of truncated episodes, if there are any.
    """
    facts = buffer.facts
    steps, envs = facts.played.shape
    hidden = torch.zeros(steps, envs, batches[0].shape[1])
    last = torch.zeros_like(hidden)
    rest = iter(batches)
    cut = facts.played & facts.ended & ~facts.terminated
    for t in range(steps):
        hidden[t, facts.played[t]] = next(rest)
        if cut[t].any():
            last[t, cut[t]] = next(rest)
    assert next(rest, None) is None, "the value head was called more often than turns were played"
    turns = [turn for row in buffer.turns for turn in row if turn is not None]
    return Sample(
        facts,
        hidden,
        last,
        pad_sequence([turn.ids for turn in turns], batch_first=True, padding_value=-1),
        pad_sequence([turn.sampled_log_probs for turn in turns], batch_first=True),
        pad_sequence([turn.weights for turn in turns], batch_first=True),
    )


def _read(path: Path) -> Sample:
    tensors = torch.load(path, weights_only=True)
    facts = TurnFacts(**{fact.name: tensors[fact.name] for fact in fields(TurnFacts)})
    return Sample(facts, *(tensors[name] for name in TENSORS))
