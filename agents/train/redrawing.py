"""The pictures of transcripts, drawn anew: files of transcripts have none."""

import json
import zlib
from collections.abc import Iterator, Sequence
from typing import Any

import gymnasium
import numpy as np

import vlbench
from agents.train.environments import make_env
from agents.train.sft_data import Example
from vlbench.task import SIZE, Frame

Start = tuple[str, str, str, int]
"""Environment, its keyword arguments, instance and presentation."""


class ExampleRenderer:
    """Draws the pictures of examples, in environments that it keeps.

    Args:
        examples: Those that will be asked for. When one is, its whole episode is played and drawn,
            and the pictures are kept (compressed): to start a game again may take long.
    """

    def __init__(self, examples: Sequence[Example] = ()) -> None:
        self._envs: dict[tuple[str, str], gymnasium.Env[Any, str]] = {}
        self._episodes: dict[Start, list[Example]] = {}
        self._kept: dict[tuple[Start, tuple[str, ...]], bytes] = {}
        for example in examples:
            self._episodes.setdefault(_start(example), []).append(example)

    def observation(self, example: Example) -> dict[str, Any]:
        """Return the observation of an example: `image` (300, 300, 3) uint8, and `text`.

        One without an environment is text alone.

        Raises:
            ValueError: The environment doesn't say what the example says.
        """
        if not example.env_id:
            return {"text": example.prompt}
        return {"image": self.image(example), "text": example.prompt}

    def image(self, example: Example) -> Frame:
        """Return the picture of an example, read-only."""
        start = _start(example)
        place = start, tuple(example.played)
        if place not in self._kept:
            examples = [*self._episodes.pop(start, ()), example]
            for played, image in self._drawn(examples):
                self._kept[start, played] = zlib.compress(image.tobytes(), 1)
        pixels = zlib.decompress(self._kept[place])
        return np.frombuffer(pixels, np.uint8).reshape(SIZE, SIZE, 3)

    def _drawn(self, examples: Sequence[Example]) -> Iterator[tuple[tuple[str, ...], Frame]]:
        """Play an episode, and what of it goes other ways; yield the pictures of its examples."""
        env_id, kwargs, instance, presentation = _start(examples[0])
        if (env_id, kwargs) not in self._envs:
            self._envs[env_id, kwargs] = make_env(env_id, json.loads(kwargs))
        env = self._envs[env_id, kwargs]
        options = {"instance": instance, "presentation": presentation}
        shown: Any = env.reset(options=options)[0]
        now: list[str] = []
        for example in sorted(examples, key=lambda example: len(example.played)):
            if example.played[: len(now)] != now:
                shown, now = env.reset(options=options)[0], []
            for action in example.played[len(now) :]:
                shown = env.step(vlbench.reply(action))[0]
            now = example.played
            if example.prompt not in ("", shown["text"]):
                raise ValueError(
                    f"{instance}: the example's prompt isn't the environment's; "
                    "write the data anew with this version"
                )
            yield tuple(now), shown["image"]


def _start(example: Example) -> Start:
    return example.env_id, example.kwargs, example.instance, example.presentation
