"""Episodes that a model plays on training instances, with the expert's reply in every turn."""

import json
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch

from agents.train.environments import make_env
from agents.train.sft_data import Example
from agents.vlm.policy import Policy

BATCH = 64
"""Episodes at once."""


@dataclass(slots=True)
class PlayedEpisode:
    """An episode of a model."""

    seed: int
    """Seed of its reset; episodes of one seed have one instance."""
    kwargs: str
    """Keyword arguments of the environment, as JSON."""
    env: Any
    observation: Any
    info: Any
    own: list[Example] = field(default_factory=list)
    """Its turns, with the model's replies."""
    taught: list[Example] = field(default_factory=list)
    """The same turns, with the expert's replies; without those where nothing leads to the goal."""
    played: list[str] = field(default_factory=list)
    """The actions that were taken."""
    episode_return: float = 0.0
    success: bool = False

    def step(self, text: str) -> bool:
        """Add a turn and play its reply; return whether the episode ended."""
        env = self.env.unwrapped
        parsed = env.read(text)
        demonstration = env.demonstrate()
        turn: dict[str, Any] = {
            "env_id": env.spec.id,
            "kwargs": self.kwargs,
            "instance": self.info["instance"],
            "presentation": self.info["presentation"],
            "played": list(self.played),
            "prompt": self.observation["text"],
            "expert": env.expert(),
        }
        if demonstration is not None:
            reply = env.write_reply(demonstration.action, demonstration.fields)
            self.taught.append(Example(**turn, reply=reply, action=demonstration.action))
        self.own.append(Example(**turn, reply=text, action=parsed.action or ""))
        self.observation, reward, terminated, truncated, self.info = self.env.step(text)
        if self.info["action"] is not None and not self.info["illegal"]:
            self.played.append(self.info["action"])
        self.episode_return += float(reward)
        self.success = bool(self.info["success"])
        return bool(terminated or truncated)


def play_episodes(
    policy: Policy,
    env_id: str,
    kwargs: Callable[[int], dict[str, Any]],
    seeds: Sequence[int],
    generator: torch.Generator,
    *,
    turns: int | None = None,
    status: Callable[[str], None] = lambda line: None,
) -> list[PlayedEpisode]:
    """Play an episode of each seed, sampled.

    Args:
        policy: The model.
        env_id: The environment.
        kwargs: Its keyword arguments for a seed.
        seeds: Seeds of the resets.
        generator: Source of the draws, owned by the caller.
        turns: No episode starts after this many turns; None for no limit.
        status: Called with one line about the progress.
    """
    waiting = list(reversed(seeds))
    idle: dict[str, list[Any]] = defaultdict(list)
    playing: list[PlayedEpisode] = []
    done: list[PlayedEpisode] = []
    count = 0
    while waiting or playing:
        while waiting and len(playing) < BATCH and (turns is None or count < turns):
            seed = waiting.pop()
            text = json.dumps(kwargs(seed))
            env = idle[text].pop() if idle[text] else make_env(env_id, kwargs(seed))
            playing.append(PlayedEpisode(seed, text, env, *env.reset(seed=seed)))
        if not playing:
            return done
        prompts = [policy.encoder.encode(episode.observation) for episode in playing]
        replies = policy.generate(prompts, generator)
        count += len(playing)
        running = []
        for episode, reply in zip(playing, replies, strict=True):
            if episode.step(reply.text):
                idle[episode.kwargs].append(episode.env)
                done.append(episode)
            else:
                running.append(episode)
        playing = running
        status(f"{len(done)} episodes, {count} turns")
    return done
