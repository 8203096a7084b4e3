"""Published numbers of others: shown separately with their source, never ranked."""

import json
from collections.abc import Sequence
from importlib.resources import files
from typing import Annotated, Literal

from pydantic import Field

from leaderboard.schema import Record

Kind = Literal["training peak", "training cut", "training", "prompted", "cited", "other"]

KINDS: dict[Kind, str] = {
    "training peak": "peak of training-time success; no yardstick",
    "training cut": "training-time success, episodes cut at the first −1; no yardstick",
    "training": "training-time success; no yardstick",
    "prompted": "a prompted model, protocol not published",
    "cited": "cited from earlier work",
    "other": "another setting, see the note",
}
"""What a published number is a rate of, in words."""


class Reported(Record):
    """A row of a published table that nobody can replay."""

    name: str
    kind: Kind
    """What the numbers are rates of."""
    source: str
    """Paper and table."""
    url: Annotated[str, Field(pattern=r"^(https://[!-~]+)?$")] = ""
    note: str = ""
    """Why the numbers aren't comparable with ours."""
    success: dict[str, float | None]
    """Environment id → success rate, 0..1."""


def reported_rows() -> list[Reported]:
    """Return the rows of `published.json`; none if the file doesn't exist."""
    path = files("leaderboard").joinpath("published.json")
    if not path.is_file():
        return []
    data = json.loads(path.read_text("utf-8"))
    return [Reported.model_validate(row) for row in data["rows"]]


def reported_ids(rows: Sequence[Reported]) -> list[str]:
    """Return the environments that rows report, whole ones only, in the order of the file."""
    env_ids = dict.fromkeys(env_id for row in rows for env_id in row.success)
    whole = [env_id for env_id in env_ids if env_id.count("/") == 1]
    return sorted(whole, key=lambda env_id: "-v" not in env_id)
