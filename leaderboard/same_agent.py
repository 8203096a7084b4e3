"""Whether the runs of an entry are of one agent, played in one way."""

from collections.abc import Sequence

from leaderboard.schema import ENTRY_PICTURES
from vlbench.records import RunHeader
from vlbench.suites import shipped_suites

SAME = (
    *("agent", "settings", "privileged", "env_kwargs"),
    *("prompt", "theme", "history", "preamble"),
)
"""Header fields that must be equal in all runs of an entry."""


def _check_same_environments(headers: Sequence[RunHeader]) -> None:
    """Check that each run plays all of the runs' environments that have its suite."""
    every = dict.fromkeys(env_id for header in headers for env_id in header.env_ids)
    for header in headers:
        expected = [env_id for env_id in every if header.suite in shipped_suites(env_id)]
        if sorted(header.env_ids) != sorted(expected):
            raise ValueError(
                f"the runs of an entry must play the same environments: env_ids on {header.suite} "
                f"is {header.env_ids!r:.80}, wanted {expected!r:.80}"
            )


def check_same_agent(headers: Sequence[RunHeader], *, same_suite: bool = False) -> None:
    """Check that runs are of the same agent with the same settings.

    Args:
        headers: Headers of the runs.
        same_suite: Whether they may be of one suite; the runs of an entry are of different ones.

    Raises:
        ValueError: They aren't; names the first field that differs.
    """
    names = [header.part for header in headers]
    for header in headers:
        if header.picture not in ENTRY_PICTURES:
            raise ValueError(
                f"an entry holds runs whose picture is {' or '.join(ENTRY_PICTURES)}, "
                f"found {header.picture} on {header.suite}"
            )
        if header.picture != ENTRY_PICTURES[0] and header.suite not in names:
            raise ValueError(f"{header.part} needs the run on {header.suite} beside it")
    if not same_suite and len(set(names)) < len(names):
        raise ValueError(f"wanted one run a suite, found {', '.join(names)}")
    _check_same_environments(headers)
    for header in headers[1:]:
        for field in SAME:
            first, other = getattr(headers[0], field), getattr(header, field)
            if first != other:
                raise ValueError(
                    f"the runs of an entry must be of one agent in one way: {field} is "
                    f"{first!r:.80} on {headers[0].suite}, {other!r:.80} on {header.suite}"
                )
        for env_id in header.models.keys() & headers[0].models.keys():
            hashes = [model.models[env_id].weights_hash for model in (headers[0], header)]
            if all(hashes) and len(set(hashes)) > 1:
                raise ValueError(
                    "the runs of an entry must be of one model: its weights are "
                    f"{hashes[0][:12]}… on {headers[0].suite}, {hashes[1][:12]}… on {header.suite}"
                )
