"""Which rows a run plays: those of a suite, dealt ones, or those of an entry's challenge."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Annotated, Any

import gymnasium

from vlbench.errors import user_code
from vlbench.limits import SHA256, OneOf, PlainText, Range, Size
from vlbench.observation import PICTURES
from vlbench.prompts import VARIANTS
from vlbench.registry import LOOKS, has_splits
from vlbench.suites import NUM_SEEDS, SEEDS, Row, frozen_rows, rules_difference

CHALLENGE_ROWS = 100
"""Rows of each environment in a challenge."""


@dataclass(frozen=True, slots=True)
class Challenge:
    """The source of rows that are derived from an entry after its submission."""

    digest: Annotated[str, SHA256]
    """Digest of the entry."""
    nonce: Annotated[str, Size(128, 1), PlainText(128)]
    """Nonce, published after the submission."""

    def rows(self, env_id: str) -> tuple[Row, ...]:
        """Return CHALLENGE_ROWS new rows under the rules of `test`.

        Row i is what the environment deals, from its test split, for a seed out of the
        sha256 of "<digest>|<nonce>|<env id>|<i>".

        Raises:
            ValueError: The environment has no set `test`, or can't be made.
        """
        frozen = frozen_rows(env_id, "test")
        envs: dict[str, gymnasium.Env[Any, Any]] = {}
        rows = []
        for number in range(CHALLENGE_ROWS):
            model = frozen[number % len(frozen)]
            if model.env_key not in envs:
                with user_code(f"{env_id} can't be made"):
                    envs[model.env_key] = gymnasium.make(env_id, **model.kwargs, split="test")
            key = f"{self.digest}|{self.nonce}|{env_id}|{number}"
            seed = int.from_bytes(hashlib.sha256(key.encode()).digest()[:4], "big")
            _, info = envs[model.env_key].reset(seed=seed)
            rows.append(Row(env_id, model.kwargs, info["instance"], info["presentation"]))
        for env in envs.values():
            env.close()
        return tuple(rows)


@dataclass(frozen=True, slots=True)
class RunSpec:
    """Which rows a run plays, and how the agent sees them."""

    suite: Annotated[str, PlainText(100)]
    """Name of a set that the task ships or the user has frozen, e.g. "test"; or "seeds"."""
    prompt: Annotated[str, PlainText(100)]
    """Variant of the prompt: "cot", "action_only" or "cot_facts"."""
    theme: Annotated[str, PlainText(100)] = ""
    """Theme or group of themes; "" for the suite's own."""
    episodes: Annotated[int | None, Range(1, 10**9)] = None
    """Number of rows of each suite, from its first; None for all."""
    repeats: Annotated[int, Range(1, 10**6)] = 1
    """How often each row is played."""
    history: Annotated[int, Range(0, 10**6)] = 0
    """Number of past turns that the agent sees."""
    env_kwargs: dict[str, Any] = field(default_factory=dict)
    """Keyword arguments that the user set for all environments."""
    challenge: Challenge | None = None
    """The source of the rows; None for those of the suite."""
    picture: Annotated[str, OneOf(PICTURES)] = PICTURES[0]
    """What the agent's pictures show: "true", or "blank", "shuffled" or "stale" in a control; see
    `vlbench.observation.PICTURES`."""

    @property
    def part(self) -> str:
        """Name of the rows with what their pictures show, e.g. "test" or "test-blank"."""
        return self.suite if self.picture == PICTURES[0] else f"{self.suite}-{self.picture}"

    @property
    def kwargs(self) -> dict[str, Any]:
        """Keyword arguments that the run sets in its environments."""
        prompt = {} if self.prompt == VARIANTS[0] else {"prompt": self.prompt}
        picture = {} if self.picture == PICTURES[0] else {"picture": self.picture}
        return prompt | ({"theme": self.theme} if self.theme else {}) | picture | self.env_kwargs

    def rows(self, env_id: str) -> tuple[Row, ...]:
        """Return the whole suite, or the challenge's rows, as the run plays them.

        With another look the rows have no frame hash, because their frames differ.

        Raises:
            ValueError: The environment has no such set under the run's rules, or the set is
                damaged.
        """
        if self.suite == SEEDS:
            return self.seed_rows(env_id, range(self.episodes or NUM_SEEDS))
        if difference := rules_difference(env_id, self.env_kwargs):
            raise ValueError(f"the frozen sets of {env_id} are for other rules: {difference}")
        changes = self.kwargs
        rows = self.challenge.rows(env_id) if self.challenge else frozen_rows(env_id, self.suite)
        for name in self.env_kwargs.keys() - LOOKS:
            if any(name in row.kwargs for row in rows):
                raise ValueError(f"the suite {self.suite} of {env_id} sets {name} itself")
        return tuple(
            replace(
                row,
                kwargs=row.kwargs | changes,
                frame_hash="" if self.theme or self.env_kwargs else row.frame_hash,
            )
            for row in rows
        )

    def seed_rows(self, env_id: str, seeds: Iterable[int]) -> tuple[Row, ...]:
        """Return one row a seed, of the `test` split if the environment has splits."""
        kwargs = self.kwargs | ({"split": "test"} if has_splits(env_id) else {})
        return tuple(Row(env_id, kwargs, instance="", presentation=0, seed=seed) for seed in seeds)
