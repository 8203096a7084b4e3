"""Transcripts as training data: prompts with pictures, replies, and token weights."""

import json
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import gymnasium
import numpy as np
import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

import vlbench
from agents.train.environments import make_env
from agents.train.sft_data import Example
from agents.train.token_weights import span_of_thoughts, span_weights
from agents.vlm.encoding import EncodedPrompt
from agents.vlm.policy import Policy
from vlbench.prompts import Exchange
from vlbench.registry import env_class
from vlbench.task import Frame, perception_names

EpisodeKey = tuple[str, str, str, int]
"""Environment, its keyword arguments, instance and presentation."""
Shape = tuple[int, ...]
"""Of a picture."""


class ExampleRenderer:
    """Redraws the pictures of examples, which transcript files don't store.

    Args:
        examples: Examples to expect. The first request plays and draws the whole episode, and
            stores its pictures compressed, because starting a game may be slow.
        history: Number of past turns of the episode that an observation includes.
    """

    def __init__(self, examples: Sequence[Example] = (), history: int = 0) -> None:
        self._history = history
        self._turns = {_turn_of(example): example for example in examples} if history else {}
        self._envs: dict[tuple[str, str], gymnasium.Env[Any, str]] = {}
        self._episodes: dict[EpisodeKey, list[Example]] = {}
        self._pictures: dict[tuple[EpisodeKey, tuple[str, ...]], tuple[bytes, Shape]] = {}
        for example in examples:
            self._episodes.setdefault(_episode_of(example), []).append(example)

    def observation(self, example: Example) -> dict[str, Any]:
        """Return the observation of an example: `image` (s, s, 3) uint8, and `text`.

        An example without an environment has only `text`. With a history, there is `history`, too.

        Raises:
            ValueError: The environment's prompt differs from the example's, or a past turn isn't
                among the examples.
        """
        if not example.env_id:
            return {"text": example.prompt}
        observation = {"image": self.image(example), "text": example.prompt}
        return observation | ({"history": self._past(example)} if self._history else {})

    def _past(self, example: Example) -> tuple[Exchange, ...]:
        """Return the turns before an example, with the replies that led to it."""
        exchanges = []
        first = max(0, len(example.played) - self._history)
        for number in range(first, len(example.played)):
            past = self._turns.get((_episode_of(example), tuple(example.played[:number])))
            if past is None:
                raise ValueError(
                    f"{example.instance}: turn {number + 1} of the episode isn't in the data, so "
                    "it has no history"
                )
            observation = {"image": self.image(past), "text": past.prompt}
            exchanges.append(Exchange(observation, _reply_with(past, example.played[number])))
        return tuple(exchanges)

    def image(self, example: Example) -> Frame:
        """Return the picture of an example, read-only."""
        episode = _episode_of(example)
        key = episode, tuple(example.played)
        if key not in self._pictures:
            examples = [*self._episodes.pop(episode, ()), example]
            for actions, image in self._pictures_of(examples):
                self._pictures[episode, actions] = zlib.compress(image.tobytes(), 1), image.shape
        pixels, shape = self._pictures[key]
        return np.frombuffer(zlib.decompress(pixels), np.uint8).reshape(shape)

    def _pictures_of(self, examples: Sequence[Example]) -> Iterator[tuple[tuple[str, ...], Frame]]:
        """Play an episode and its branches; yield the actions and picture of each example."""
        env_id, kwargs, instance, presentation = _episode_of(examples[0])
        if (env_id, kwargs) not in self._envs:
            self._envs[env_id, kwargs] = make_env(env_id, json.loads(kwargs))
        env = self._envs[env_id, kwargs]
        options = {"instance": instance, "presentation": presentation}
        observation: Any = env.reset(options=options)[0]
        actions: list[str] = []
        for example in sorted(examples, key=lambda example: len(example.played)):
            if example.played[: len(actions)] != actions:
                observation, actions = env.reset(options=options)[0], []
            for action in example.played[len(actions) :]:
                observation = env.step(vlbench.reply(action))[0]
            actions = example.played
            if example.prompt not in ("", observation["text"]):
                raise ValueError(
                    f"{instance}: the example's prompt differs from the environment's; write the "
                    "data again with this version"
                )
            yield tuple(actions), observation["image"]


def _reply_with(example: Example, action: str) -> str:
    """Return an example's reply, with the action that was played instead of the one to learn."""
    if action == example.action:
        return example.reply
    return json.dumps(json.loads(example.reply) | {"action": action}, ensure_ascii=False)


def _turn_of(example: Example) -> tuple[EpisodeKey, tuple[str, ...]]:
    return _episode_of(example), tuple(example.played)


def _episode_of(example: Example) -> EpisodeKey:
    return example.env_id, example.kwargs, example.instance, example.presentation


@dataclass(frozen=True, slots=True)
class TargetReply:
    """A reply of n tokens, end token included."""

    ids: Tensor
    """(n,) int64."""
    weights: Tensor
    """(n,) float32."""


@cache
def perception_of(env_id: str) -> frozenset[str]:
    """Return the names of the fields with statements about an environment's pictures.

    Text without an environment ("") may have the fields of any task.
    """
    env_ids = (env_id,) if env_id else vlbench.ENV_IDS
    classes = map(env_class, env_ids)
    return frozenset[str]().union(*[perception_names(owner.fields) for owner in classes])


class Examples:
    """Transcripts, encoded on first use.

    Args:
        examples: The transcripts.
        policy: Its processor encodes them.
        thought_weight: λ, weight of the tokens between statements about the picture and action.
        history: Number of past turns of the episode that precede an example.
    """

    def __init__(
        self,
        examples: Sequence[Example],
        policy: Policy,
        thought_weight: float = 1.0,
        history: int = 0,
    ) -> None:
        self._examples = examples
        self._encoder = policy.encoder
        self._decode = policy.decode
        self._renderer = ExampleRenderer(examples, history)
        self._thought_weight = thought_weight
        self._replies: dict[tuple[str, str], TargetReply] = {}

    def __len__(self) -> int:
        """Return the number of examples."""
        return len(self._examples)

    def weight(self, indices: Sequence[int]) -> float:
        """Return the total token weight of these examples' replies."""
        return sum(float(self._reply(i).weights.sum()) for i in indices)

    def by_length(self, indices: Sequence[int]) -> list[int]:
        """Return the indices sorted by length of reply, to reduce padding."""
        return sorted(indices, key=lambda i: len(self._reply(i).ids))

    def batch(self, indices: Sequence[int]) -> tuple[list[EncodedPrompt], list[Tensor]]:
        """Return prompts and the replies to learn."""
        observations = [self._renderer.observation(self._examples[i]) for i in indices]
        prompts = [self._encoder.encode(observation) for observation in observations]
        return prompts, [self._reply(i).ids for i in indices]

    def weights(self, indices: Sequence[int]) -> Tensor:
        """Return the token weights of replies, (B, R) float32, right-aligned."""
        weights = [self._reply(i).weights for i in indices]
        return pad_sequence(weights, batch_first=True, padding_side="left")

    def _reply(self, index: int) -> TargetReply:
        example = self._examples[index]
        key = example.env_id, example.reply
        if key not in self._replies:
            ids = self._encoder.encode_reply(example.reply)
            self._replies[key] = TargetReply(ids, self._token_weights(example, ids.tolist()))
        return self._replies[key]

    def _token_weights(self, example: Example, ids: list[int]) -> Tensor:
        if self._thought_weight == 1:
            return torch.ones(len(ids))
        text = self._decode(ids)
        # A template may add space around a reply.
        first = max(text.find(example.reply), 0)
        span = span_of_thoughts(example.reply, perception_of(example.env_id))
        span = slice(first + span.start, first + span.stop)
        return span_weights(ids, text, span, self._thought_weight, self._decode)
