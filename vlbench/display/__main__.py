"""Render an episode as an animated GIF: `python -m vlbench.display RUN EPISODE --out x.gif`.

Each turn shows the picture with the prompt and the reply beside it. EPISODE is a key as records
have it (`vlbench/Points24-v0#3/0`), a short one (`Points24#3`), or a number: the first episode
of the run is 0.
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from vlbench.cli import Options, option, output_file, parse_options, required, run_main
from vlbench.display.film import write_gif
from vlbench.errors import unknown_name
from vlbench.records import Episode
from vlbench.registry import ENV_HELP, import_environments, short_name
from vlbench.run_folder import RunFolder

SHOWN = 5
"""Keys that a message lists."""


@dataclass(frozen=True, kw_only=True)
class Config(Options):
    """Options of `render`."""

    run: Path = required("a run's folder", positional=True)
    episode: str = required(
        "a key such as Points24#3, or a number from 0", positional=True, metavar="EPISODE"
    )
    out: Path = required(
        "the GIF file to write", check=output_file("a GIF", b"gif8"), metavar="FILE.gif"
    )
    seconds: float = option(1.5, "how long a turn is shown", gt=0, limit=60.0)
    env: tuple[str, ...] = option((), ENV_HELP, metavar="MODULE:ID")

    def check(self) -> None:
        """Check the ending."""
        if self.out.suffix.casefold() != ".gif":
            raise ValueError(f"--out: {self.out} must end in .gif")


def find_episode(episodes: Sequence[Episode], name: str) -> Episode:
    """Return the episode of a run that has a key, a short key or a number.

    Raises:
        ValueError: There is none; lists some that are there.
    """
    if name.isdecimal() and int(name) < len(episodes):
        return episodes[int(name)]
    for episode in episodes:
        first = episode.key.removesuffix(f"/{episode.repeat}")
        short = f"{short_name(episode.env_id)}#{episode.row}"
        if name in (episode.key, first, short, f"{short}/{episode.repeat}"):
            return episode
    known = [f"{short_name(e.env_id)}#{e.row}/{e.repeat}" for e in episodes]
    more = [f"… ({len(known)} in all)"] if len(known) > SHOWN else []
    raise ValueError(unknown_name("episode", name, [*known[:SHOWN], *more]))


def main(argv: Sequence[str] | None = None) -> int:
    """Render; exit 0 when done, 2 on a wrong call."""
    return run_main("render", lambda: _render(argv))


def _render(argv: Sequence[str] | None) -> None:
    config = parse_options(Config, argv, prog="python -m vlbench.display", description=__doc__)
    folder = RunFolder.open(config.run)
    import_environments(config.env, folder.header.env_ids)
    episode = find_episode(folder.episodes(), config.episode)
    count = write_gif(episode, config.out, config.seconds)
    print(f"{config.out}: {episode.key}, {count} pictures")


if __name__ == "__main__":
    sys.exit(main())
