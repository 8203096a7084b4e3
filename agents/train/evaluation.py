"""Evaluate a policy during training, on rows of the split `val`.

Training never plays the set `test`; `agents.evaluate` does.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice, zip_longest
from typing import Any

import gymnasium
import torch

from agents.train.distributed import Processes
from agents.train.environments import make_env
from agents.train.metrics import Metrics, RolloutMonitor
from agents.train.mixture import Mixture
from agents.vlm.encoding import EncodedPrompt
from agents.vlm.policy import Policy
from vlbench import intervals
from vlbench.registry import accepted_parameters, env_class
from vlbench.solved_env import SolvedEnv
from vlbench.suites import Row


@dataclass(frozen=True, slots=True)
class EvalResult:
    """The results of a policy on some rows."""

    episodes: int
    success: intervals.Interval
    mean_return: float
    optimal: float | None
    """Share of turns with an optimal action; None if the exact values aren't known."""
    perceived: float
    """Share of replies without a false statement about the picture, among those that make any; 0 if
    none does."""
    parsed: float
    """Share of turns whose reply names an action."""
    regret: float | None
    """Mean exact regret of a turn; None if the exact values aren't known."""
    won: tuple[bool, ...]
    """For each row, in order: whether its goal was reached."""

    def metrics(self) -> Metrics:
        """Return the metrics to log."""
        exact = {"eval/optimal": self.optimal, "eval/regret": self.regret}
        return {
            "eval/success": self.success.value,
            "eval/success_low": self.success.low,
            "eval/success_high": self.success.high,
            "eval/return": self.mean_return,
            **{name: value for name, value in exact.items() if value is not None},
            "eval/perceived": self.perceived,
            "eval/parse_rate": self.parsed,
            "eval/episodes": self.episodes,
        }


DEALING = ("split", "share", "jitter")
"""Keyword arguments that choose what is dealt; val rows have their own."""

MOST_REPEATS = 20
"""`val_rows` ends when this many deals in a row gave no new row."""


def val_rows(env_id: str, episodes: int, kwargs: dict[str, Any]) -> tuple[Row, ...]:
    """Return rows that the split `val` deals for the seeds 0, 1, 2, …; the same in every run.

    Args:
        env_id: The environment. If it has no splits, all of its instances are dealt.
        episodes: Number of rows; 0 for none. There are fewer if the split has fewer.
        kwargs: Keyword arguments, as in training. `split`, `share` and `jitter` are ignored. The
            theme is "train" unless they say otherwise.
    """
    known = accepted_parameters(env_class(env_id))
    usual = {name: value for name, value in {"theme": "train"}.items() if name in known}
    rules = usual | {name: value for name, value in kwargs.items() if name not in DEALING}
    rows: dict[tuple[str, int], Row] = {}
    repeats = seed = 0
    if not episodes:
        return ()
    env = make_env(env_id, rules | ({"split": "val"} if "split" in known else {}))
    while len(rows) < episodes and repeats < MOST_REPEATS:
        info = env.reset(seed=seed)[1]
        row = Row(env_id, rules, info["instance"], info["presentation"])
        repeats = repeats + 1 if (row.instance, row.presentation) in rows else 0
        rows.setdefault((row.instance, row.presentation), row)
        seed += 1
    env.close()
    return tuple(rows.values())


def mixed_val_rows(
    env_id: str, episodes: int, kwargs: dict[str, Any], mixture: Mixture
) -> tuple[Row, ...]:
    """Return rows as `val_rows` does, of a mixture's values in turn."""
    count = -(-episodes // len(mixture.all_rules()))
    parts = [val_rows(env_id, count, kwargs | rules) for rules in mixture.all_rules()]
    rows = (row for turn in zip_longest(*parts) for row in turn if row is not None)
    return tuple(islice(rows, episodes))


DISTINCT_DEALS = 200
"""Rows among which `distinct_val_rows` looks for different pictures."""


def distinct_val_rows(env_id: str, kwargs: dict[str, Any]) -> tuple[Row, ...]:
    """Return rows of the split `val`, each instance once in each picture.

    Under a fixed theme, several rows may show the same instance in the same picture.
    """
    rows: dict[tuple[str, bytes], Row] = {}
    env: gymnasium.Env[Any, str] | None = None
    for row in val_rows(env_id, DISTINCT_DEALS, kwargs):
        env = env or make_env(row.env_id, row.kwargs)
        observation: Any = env.reset(options=row.options)[0]
        rows.setdefault((row.instance, observation["image"].tobytes()), row)
    return tuple(rows.values())


@dataclass(slots=True)
class _Episode:
    """An episode in play."""

    number: int
    """Index of its row."""
    env: gymnasium.Env[Any, str]
    row: Row
    observation: Any
    episode_return: float = 0.0


@dataclass(frozen=True, slots=True)
class _Outcome:
    """A finished episode."""

    number: int
    instance: str
    episode_return: float
    success: bool


@dataclass(frozen=True, slots=True)
class _Part:
    """What one process played."""

    turns: RolloutMonitor
    outcomes: list[_Outcome]
    regret: float
    """Sum over the turns."""


def evaluate_policy(
    policy: Policy,
    rows: Sequence[Row],
    processes: Processes | None = None,
    *,
    batch: int = 64,
    generator: torch.Generator | None = None,
    status: Callable[[str], None] = lambda line: None,
) -> EvalResult:
    """Play rows in batches.

    Args:
        policy: The policy that plays.
        rows: The rows; at least one.
        processes: The processes that share the rows; None for a single one.
        batch: Number of episodes to play at once.
        generator: Source of the draws, owned by the caller; None is greedy.
        status: Called with one line about the progress.

    Raises:
        FloatingPointError: The policy's logits are no longer finite.
    """
    numbered = list(enumerate(rows))
    if processes is None:
        parts = [_play(policy, numbered, batch, generator, status)]
    else:
        own = numbered[processes.number :: processes.count]
        part = processes.together(lambda: _play(policy, own, batch, generator, status))
        parts = processes.gather(part)
    turns = RolloutMonitor.sum_of([part.turns for part in parts])
    outcomes = sorted(
        (outcome for part in parts for outcome in part.outcomes), key=lambda o: o.number
    )
    return EvalResult(
        episodes=len(outcomes),
        success=intervals.rate([o.success for o in outcomes], [o.instance for o in outcomes]),
        mean_return=sum(o.episode_return for o in outcomes) / len(outcomes),
        optimal=None if turns.unsolved else turns.optimal / turns.turns,
        perceived=turns.true_statements / turns.statements if turns.statements else 0.0,
        parsed=turns.parsed / turns.turns,
        regret=(None if turns.unsolved else math.fsum(part.regret for part in parts) / turns.turns),
        won=tuple(o.success for o in outcomes),
    )


def _play(
    policy: Policy,
    rows: Sequence[tuple[int, Row]],
    batch: int,
    generator: torch.Generator | None,
    status: Callable[[str], None],
) -> _Part:
    waiting = list(reversed(rows))
    playing: list[_Episode] = []
    monitor, outcomes, regret = RolloutMonitor(), list[_Outcome](), 0.0
    idle: dict[str, list[gymnasium.Env[Any, str]]] = {}
    while waiting or playing:
        while waiting and len(playing) < batch:
            playing.append(_start(*waiting.pop(), idle))
        prompts: list[EncodedPrompt] = [policy.encoder.encode(e.observation) for e in playing]
        replies = policy.generate(prompts, generator)
        running: list[_Episode] = []
        for episode, reply in zip(playing, replies, strict=True):
            env: Any = episode.env.unwrapped
            parsed = env.read(reply.text)
            monitor.update(env, reply.text, parsed, len(reply.ids), reply.finished)
            values = env.values() if isinstance(env, SolvedEnv) else {}
            step = episode.env.step(reply.text)
            episode.observation, reward, terminated, truncated, info = step
            regret += max(values.values()) - _worth(values, step, env) if values else 0.0
            episode.episode_return += float(reward)
            if terminated or truncated:
                outcomes.append(
                    _Outcome(
                        episode.number,
                        episode.row.instance,
                        episode.episode_return,
                        info["success"],
                    )
                )
                idle.setdefault(episode.row.env_key, []).append(episode.env)
            else:
                running.append(episode)
        playing = running
        status(f"evaluation {len(outcomes)}/{len(rows)} episodes")
    return _Part(monitor, outcomes, regret)


def _worth(values: Mapping[str, float], step: Any, env: Any) -> float:
    """Return the best return that was still possible with a turn.

    Args:
        values: The optimal return after each legal action, before the turn.
        step: What the environment's `step` returned.
        env: The environment after the turn.
    """
    _, reward, terminated, truncated, info = step
    if info["action"] in values and not info["illegal"]:
        return values[info["action"]]
    rest = 0.0 if terminated or truncated else max(env.values().values())
    return float(reward) + rest


def _start(number: int, row: Row, idle: dict[str, list[gymnasium.Env[Any, str]]]) -> _Episode:
    envs = idle.get(row.env_key)
    env = envs.pop() if envs else make_env(row.env_id, row.kwargs)
    return _Episode(number, env, row, env.reset(options=row.options)[0])
