"""The beginning of a conversation, as an agent is shown it."""

from collections.abc import Iterable, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

from vlbench.preamble.shots import draw_shot, shot_rows
from vlbench.prompts import Exchange
from vlbench.records import Preamble
from vlbench.records.run_spec import RunSpec


def make_preamble(
    env_ids: Iterable[str], spec: RunSpec, *, system_prompt: str = "", shots: int = 0
) -> Preamble:
    """Return the preamble of a run.

    Args:
        env_ids: The run's environments.
        spec: How they are played.
        system_prompt: Text of the system message; "" for none.
        shots: Examples of each environment.

    Raises:
        ValueError: An environment has no rows for examples, or they can't be shown.
    """
    rows = [row for env_id in env_ids for row in shot_rows(env_id, shots, spec.kwargs)]
    preamble = Preamble(system_prompt, rows)
    for env_id in env_ids if shots else ():
        Opening(preamble).shown(env_id)  # refuses, before anything is written, what can't be drawn
    return preamble


def read_prompt(path: str | Path) -> str:
    """Return the text of a file with a user's own prompt.

    Raises:
        ValueError: It can't be read.
    """
    try:
        return Path(path).read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"can't read the prompt {path}: {error}") from error


class Opening:
    """Draws a run's preamble.

    Args:
        preamble: As the run's header holds it.
    """

    def __init__(self, preamble: Preamble) -> None:
        self._preamble = preamble

    @cached_property
    def examples(self) -> dict[str, tuple[Exchange, ...]]:
        """Environment → its examples.

        Raises:
            ValueError: One can't be drawn.
        """
        found: dict[str, tuple[Exchange, ...]] = {}
        for row in self._preamble.shots:
            found[row.env_id] = (*found.get(row.env_id, ()), draw_shot(row))
        return found

    def shown(self, env_id: str) -> Mapping[str, Any]:
        """Return what an observation of an environment has besides: "system" and "shots"."""
        system, examples = self._preamble.system_prompt, self.examples.get(env_id, ())
        return ({"system": system} if system else {}) | ({"shots": examples} if examples else {})
