"""Episodes for the site's viewer: replayed once more, with their pictures as PNG files."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from leaderboard.verify import Verified
from vlbench.display.episode_view import EpisodeRenderer
from vlbench.records import Episode

SHARED = 6
"""Rows of each task and suite, from its beginning, that are shown of every entry."""

FAILURES = 4
"""First failures of each task and suite, after those rows, that are shown too."""

MAX_BYTES = 5_000_000
"""Largest sum of an entry's pictures and episodes on the site."""


@dataclass(slots=True)
class RenderedEntry:
    """An entry's data for the viewer."""

    episodes: list[dict[str, Any]] = field(default_factory=list)
    prompts: dict[str, str] = field(default_factory=dict)
    """Hash → text."""
    frames: set[str] = field(default_factory=set)
    """Names of pictures."""
    left_out: int = 0
    """Episodes to show that MAX_BYTES leaves no room for."""


def episodes_to_show(episodes: Sequence[Episode]) -> list[Episode]:
    """Return the first rows of each task, and its first failures after them."""
    selection = []
    for env_id in dict.fromkeys(episode.env_id for episode in episodes):
        of_env = [episode for episode in episodes if episode.env_id == env_id]
        failures = [episode for episode in of_env[SHARED:] if not episode.success]
        selection += of_env[:SHARED] + failures[:FAILURES]
    return selection


class EntryRenderer(EpisodeRenderer):
    """Renders entries; pictures are compressed as far as PNG allows, and have short names."""

    def __init__(self) -> None:
        super().__init__(compress_level=9, frame_digits=20, prompt_digits=16)

    def entry(self, entry: Verified) -> RenderedEntry:
        """Render the episodes of an entry that are to be shown, as many as there is room for."""
        view, size = RenderedEntry(), 0
        for suite, episodes in entry.episodes.items():
            for episode in episodes_to_show(episodes):
                data = self.episode(episode) | {"suite": suite}
                turns = data["turns"]
                view.prompts |= {turn["prompt"]: self.prompts[turn["prompt"]] for turn in turns}
                new = {*(turn["frame"] for turn in turns), data["end"]} - view.frames - {""}
                size += sum(len(self.frames[name]) for name in new)
                size += sum(len("".join(turn["reply"])) for turn in turns)
                if size > MAX_BYTES:
                    view.left_out += 1
                    continue
                view.frames |= new
                view.episodes.append(data)
        return view
