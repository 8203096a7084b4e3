"""Episodes for the site's viewer: replayed once more, with their pictures as PNG files."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from leaderboard.verify import Verified
from vlbench.display.episode_view import EpisodeRenderer
from vlbench.records import Episode

SHARED = 6
"""Number of first rows of each task and suite that are drawn for every entry."""

FAILURES = 4
"""Number of further failures of each task and suite that are drawn."""

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
    """Number of selected episodes left out because of MAX_BYTES."""


def select_episodes(episodes: Sequence[Episode]) -> list[Episode]:
    """Return the episodes that are drawn: the first rows of each task, and its first failures."""
    picked = []
    for env_id in dict.fromkeys(episode.env_id for episode in episodes):
        of_env = [episode for episode in episodes if episode.env_id == env_id]
        failures = [episode for episode in of_env[SHARED:] if not episode.success]
        picked += of_env[:SHARED] + failures[:FAILURES]
    return picked


class EntryRenderer(EpisodeRenderer):
    """Draws entries; pictures are packed as tightly as PNG can, and have short names."""

    def __init__(self) -> None:
        super().__init__(compress_level=9, frame_digits=20, prompt_digits=16)

    def entry(self, entry: Verified) -> RenderedEntry:
        """Draw an entry's selected episodes, as many as MAX_BYTES allows."""
        drawn, size = RenderedEntry(), 0
        for suite, episodes in entry.episodes.items():
            for episode in select_episodes(episodes):
                data = self.episode(episode) | {"suite": suite}
                turns = data["turns"]
                drawn.prompts |= {turn["prompt"]: self.prompts[turn["prompt"]] for turn in turns}
                new = {*(turn["frame"] for turn in turns), data["end"]} - drawn.frames - {""}
                size += sum(len(self.frames[name]) for name in new)
                size += sum(len("".join(turn["reply"])) for turn in turns)
                if size > MAX_BYTES:
                    drawn.left_out += 1
                    continue
                drawn.frames |= new
                drawn.episodes.append(data)
        return drawn
