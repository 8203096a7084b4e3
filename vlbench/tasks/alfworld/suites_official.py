"""Freeze the official games: `python -m vlbench.tasks.alfworld.suites_official`.

This writes the suites `official_seen` and `official_unseen` into `$ALFWORLD_DATA/vlbench`; play one
with `--suite official_unseen`. Tables never mix them with generated games.
"""

import json
import sys

from vlbench.cli import plain_output, print_error
from vlbench.freeze import RowSpec, interleave_groups, presentation, write_rows
from vlbench.tasks.alfworld.games.official import (
    HASHES,
    frozen_hashes,
    game,
    games_folder,
    instances,
)

SUITES = {"official_seen": "valid_seen", "official_unseen": "valid_unseen"}
"""Suite → split of the data."""


def freeze() -> None:
    """Write the official sets.

    Raises:
        ValueError: The games are missing, or a game is damaged.
    """
    folder = games_folder().parent / "vlbench"
    folder.mkdir(exist_ok=True)
    hashes: dict[str, str] = {}
    for suite, split in SUITES.items():
        names = instances(split)
        rows = [
            RowSpec({"theme": "train"}, instance, presentation(suite, number))
            for number, instance in enumerate(names)
        ]
        write_rows(folder / f"{suite}.jsonl", "vlbench/ALFWorld-v0", interleave_groups(rows))
        hashes |= {instance: game(instance).sha256 for instance in names}
        print(f"{folder / suite}.jsonl: {len(names)} games", file=sys.stderr)
    (folder / HASHES).write_text(json.dumps(hashes, indent=1), "utf-8")
    frozen_hashes.cache_clear()


def main() -> int:
    """Freeze; return 0 when done, 2 if there is nothing to freeze."""
    with plain_output():
        try:
            freeze()
        except (ValueError, ImportError, OSError) as error:
            print_error("suites_official", error)
            return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
