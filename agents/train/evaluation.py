"""Play frozen rows while training: how well does the policy do on what it never learned?"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import gymnasium
import torch

from agents.train.distributed import Processes
from agents.train.environments import make_env
from agents.train.monitors import RolloutMonitor
from agents.vlm.encoding import EncodedPrompt
from agents.vlm.policy import Policy
from vlbench import intervals
from vlbench.instances import group_of
from vlbench.suites import Row, frozen_rows


@dataclass(frozen=True, slots=True)
class EvalResult:
    """How the policy did."""

    episodes: int
    success: intervals.Interval
    mean_return: float
    optimal: float
    """Share of the turns whose action is as good as any."""
    perceived: float
    """Share of the turns whose reply says of the picture nothing but the truth; of those that say
    anything. 0 where none does."""
    parsed: float
    """Share of the turns whose reply names an action."""
    won: tuple[bool, ...]
    """Of each row, in the rows' order, whether its goal was reached."""

    def metrics(self) -> dict[str, float]:
        """Return the numbers under their logged names."""
        return {
            "eval/success": self.success.value,
            "eval/success_low": self.success.low,
            "eval/success_high": self.success.high,
            "eval/return": self.mean_return,
            "eval/optimal": self.optimal,
            "eval/perceived": self.perceived,
            "eval/parse_rate": self.parsed,
            "eval/episodes": self.episodes,
        }


def eval_rows(env_id: str, episodes: int, kwargs: dict[str, Any]) -> tuple[Row, ...]:
    """Return the first rows of an environment's frozen test set, under changed keyword arguments.

    Args:
        env_id: The environment.
        episodes: How many; 0 for none.
        kwargs: Keyword arguments that replace the rows' own; a `group` leaves its rows alone.
            `split` and `jitter` have no effect on a row that names its instance and presentation,
            and are left out.
    """
    if not episodes:
        return ()
    rules = {name: value for name, value in kwargs.items() if name not in ("split", "jitter")}
    group = rules.get("group") or ""
    return tuple(
        Row(row.env_id, {**row.kwargs, **rules}, row.instance, row.presentation)
        for row in frozen_rows(env_id, "test")
        if group in ("", group_of(row.instance))
    )[:episodes]


def distinct_rows(env_id: str, kwargs: dict[str, Any]) -> tuple[Row, ...]:
    """Return the whole frozen test set under changed keyword arguments, each look once.

    Under a fixed theme, several rows may show one instance in the same pictures.
    """
    kept: dict[tuple[str, bytes], Row] = {}
    env: gymnasium.Env[Any, str] | None = None
    for row in eval_rows(env_id, len(frozen_rows(env_id, "test")), kwargs):
        env = env or make_env(row.env_id, row.kwargs)
        options = {"instance": row.instance, "presentation": row.presentation}
        observation: Any = env.reset(options=options)[0]
        kept.setdefault((row.instance, observation["image"].tobytes()), row)
    return tuple(kept.values())


@dataclass(slots=True)
class _Game:
    """An episode in play."""

    number: int
    """Of its row."""
    env: gymnasium.Env[Any, str]
    row: Row
    observation: Any
    gain: float = 0.0


@dataclass(frozen=True, slots=True)
class _Ended:
    """An episode that was played."""

    number: int
    instance: str
    gain: float
    success: bool


@dataclass(frozen=True, slots=True)
class _Played:
    """What one process played."""

    turns: RolloutMonitor
    ended: list[_Ended]


def evaluate_policy(
    policy: Policy,
    rows: Sequence[Row],
    processes: Processes | None = None,
    *,
    batch: int = 64,
    generator: torch.Generator | None = None,
    told: Callable[[str], None] = lambda line: None,
) -> EvalResult:
    """Play rows, many at once.

    Args:
        policy: Who plays.
        rows: What is played; at least one.
        processes: Among whom the rows are divided.
        batch: Episodes at once.
        generator: Source of the draws; None is greedy.
        told: Told how far it is.
    """
    numbered = list(enumerate(rows))
    if processes is None:
        parts = [_play(policy, numbered, batch, generator, told)]
    else:
        mine = numbered[processes.number :: processes.count]
        parts = processes.gather(_play(policy, mine, batch, generator, told))
    turns = RolloutMonitor.joined([part.turns for part in parts])
    ended = sorted((e for part in parts for e in part.ended), key=lambda e: e.number)
    return EvalResult(
        episodes=len(ended),
        success=intervals.rate([e.success for e in ended], [e.instance for e in ended]),
        mean_return=sum(e.gain for e in ended) / len(ended),
        optimal=turns.optimal / turns.turns,
        perceived=turns.true_statements / turns.statements if turns.statements else 0.0,
        parsed=turns.parsed / turns.turns,
        won=tuple(e.success for e in ended),
    )


def _play(
    policy: Policy,
    rows: Sequence[tuple[int, Row]],
    batch: int,
    generator: torch.Generator | None,
    told: Callable[[str], None],
) -> _Played:
    waiting = list(reversed(rows))
    playing: list[_Game] = []
    monitor, ended = RolloutMonitor(), list[_Ended]()
    spare: dict[str, list[gymnasium.Env[Any, str]]] = {}
    while waiting or playing:
        while waiting and len(playing) < batch:
            playing.append(_start(*waiting.pop(), spare))
        prompts: list[EncodedPrompt] = [policy.encoder.encode(g.observation) for g in playing]
        replies = policy.generate(prompts, generator)
        still: list[_Game] = []
        for game, reply in zip(playing, replies, strict=True):
            env: Any = game.env.unwrapped
            read = env.read(reply.text)
            monitor.look(env, reply.text, read, len(reply.ids), reply.finished)
            game.observation, reward, terminated, truncated, info = game.env.step(reply.text)
            game.gain += float(reward)
            if terminated or truncated:
                ended.append(_Ended(game.number, game.row.instance, game.gain, info["success"]))
                spare.setdefault(game.row.env_key, []).append(game.env)
            else:
                still.append(game)
        playing = still
        told(f"evaluation {len(ended)}/{len(rows)} episodes")
    return _Played(monitor, ended)


def _start(number: int, row: Row, spare: dict[str, list[gymnasium.Env[Any, str]]]) -> _Game:
    free = spare.get(row.env_key)
    env = free.pop() if free else make_env(row.env_id, row.kwargs)
    options = {"instance": row.instance, "presentation": row.presentation}
    return _Game(number, env, row, env.reset(options=options)[0])
