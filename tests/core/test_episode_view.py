"""`EpisodeRenderer` renders the frames and prompts of the record."""

import dataclasses
import io

import numpy as np
from PIL import Image

from vlbench.display.episode_view import EpisodeRenderer
from vlbench.recorder import sha256


def test_each_picture_and_text_is_stored_once_under_its_hash(some_episodes):
    redrawing = EpisodeRenderer()
    for episode in some_episodes:
        data = redrawing.episode(episode)
        hashes = [(turn["frame"], turn["prompt"]) for turn in data["turns"]]
        assert hashes == [(turn.frame_hash, turn.prompt_hash) for turn in episode.turns]
        assert data["end"] == episode.final_frame_hash
    for name, png in redrawing.frames.items():
        assert sha256(np.asarray(Image.open(io.BytesIO(png))).tobytes()) == name
    assert all(sha256(text.encode()) == name for name, text in redrawing.prompts.items())


def test_turns_after_the_end_of_an_episode_are_not_rendered(some_episodes):
    for episode in some_episodes:
        longer = dataclasses.replace(episode, turns=(*episode.turns, episode.turns[-1]))
        assert EpisodeRenderer().episode(longer) == EpisodeRenderer().episode(episode) | {
            "total": round(longer.total, 4),
            "as_recorded": False,
        }
