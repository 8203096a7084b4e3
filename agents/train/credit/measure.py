"""Measure a game: its rollouts, its critics, its estimators and ratios, as result lines."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from torch import Tensor

from agents.results.study_lines import Line
from agents.train import objective
from agents.train.advantages.estimators import (
    Discounts,
    estimate_advantages,
    mean_of_others,
    returns_from,
)
from agents.train.advantages.value_head import ValueHead
from agents.train.credit.critics import fit_critic, judged
from agents.train.credit.plan import Estimator, Plan
from agents.train.credit.ratios import credit_per_token, updated_log_probs
from agents.train.credit.sample import Sample, config_of, keys_of, play_sample
from agents.train.ppo_config import Config
from agents.vlm.checkpoint_files import weights_hash
from vlbench.diagnose.credit import assess_credit
from vlbench.diagnose.replayed import ReplayedTurn, replay_turns
from vlbench.diagnose.rollouts import read_rollouts

CRITIC_STEPS = (32, 96, 400)
"""After how many steps a critic's values are compared with the returns."""

"""A result: what it is about ("game", "kind", "name") and its numbers."""


def measure(
    plan: Plan, name: str, checkpoint: Path, out: Path, log: Callable[[str], None]
) -> list[Line]:
    """Return the result lines of a game.

    Args:
        plan: The plan.
        name: The game.
        checkpoint: Its policy.
        out: Folder of the rollouts; those that exist aren't played again.
        log: Called with a line about the progress.
    """
    game = plan.games[name]
    weights = weights_hash(checkpoint)
    folder = out / f"{name}-{plan.sample_digest(name, weights)}"
    folders = folder / "1", folder / "2"
    config = config_of(plan, game, checkpoint)
    fit, sample = (
        play_sample(config, number, place, log) for number, place in enumerate(folders, 1)
    )
    replayed = {(t.record.episode, t.record.turn): t for t in _replay(folders[1])}
    turns = [replayed[key] for key in keys_of(folders[1])]
    lines = [{**_game_line(sample, turns), "weights": weights}]
    lines += _critic_lines(plan, fit, sample, config)
    advantages = {}
    for title, estimator in plan.estimators.items():
        advantages[title] = _advantages(plan, estimator, fit, sample, config)
        lines.append(_credit_line("estimator", title, advantages[title], turns))
    new = updated_log_probs(config, plan.update_turns, (fit, sample), folders, log)
    for title, ratio in plan.ratios.items():
        worth = advantages[ratio.estimator]
        worth = (worth - worth.mean()) / (worth.std(correction=0) + 1e-8)
        credit = credit_per_token(ratio.kind, new, sample, worth, config)
        lines.append(_credit_line("ratio", title, credit, turns))
    return [{"plan": plan.digest, "game": name, **line} for line in lines]


def _replay(folder: Path) -> list[ReplayedTurn]:
    turns = replay_turns(read_rollouts(folder).episodes)
    wrong = sum(turn.differs for turn in turns)
    if wrong:
        raise ValueError(f"{folder}: replay gives other rewards than {wrong} turns have")
    return turns


def _game_line(sample: Sample, turns: Sequence[ReplayedTurn]) -> Line:
    facts = sample.facts
    played = facts.played
    others = mean_of_others(
        facts.rewards[played], facts.states[played], facts.episodes[played]
    ).isfinite()
    exact = [-(turn.exact or 0.0) for turn in turns]
    return {
        "kind": "game",
        "name": "",
        "turns": len(turns),
        "episodes": len({turn.record.episode for turn in turns}),
        "starts": len({(turn.record.instance, turn.record.presentation) for turn in turns}),
        "optimal": sum(loss == 0 for loss in exact) / len(exact),
        "regret": sum(exact) / len(exact),
        "shared_states": float(others.float().mean()),
    }


def _critic_lines(plan: Plan, fit: Sample, sample: Sample, config: Config) -> list[Line]:
    """Return how much each critic explains of the returns that it learned from, and of others."""
    lines: list[Line] = []
    for name, critic in plan.critics.items():
        explained: dict[str, list[float]] = {}
        for steps in CRITIC_STEPS:
            head = fit_critic(replace(critic, steps=steps), fit, config)
            explained[str(steps)] = [_explained(head, part, config.gamma) for part in (fit, sample)]
        lines.append(
            {"kind": "critic", "name": name, "gamma": config.gamma, "explained": explained}
        )
    return lines


def _explained(head: ValueHead, sample: Sample, gamma: float) -> float:
    played = sample.facts.played
    values = judged(head, sample).values[played]
    returns = returns_from(sample.facts, gamma)[played]
    return round(objective.explained_variance(values, returns), 4)


def _advantages(
    plan: Plan, estimator: Estimator, fit: Sample, sample: Sample, config: Config
) -> Tensor:
    """Return an estimator's advantages of the measured turns, (M,)."""
    played = sample.facts.played
    if estimator.baseline == "number":
        return sample.facts.numbers[played].float()
    head = None
    if estimator.critic:
        gamma = replace(config, gamma=estimator.gamma)
        head = fit_critic(plan.critics[estimator.critic], fit, gamma)
    discounts = Discounts(estimator.gamma, config.gae_lambda)
    return estimate_advantages(estimator.baseline, judged(head, sample), discounts)[played]


def _credit_line(kind: str, name: str, advantages: Tensor, turns: Sequence[ReplayedTurn]) -> Line:
    credit = assess_credit(
        advantages.tolist(),
        [turn.exact or 0.0 for turn in turns],
        [turn.record.turn for turn in turns],
        [turn.record.instance for turn in turns],
        [turn.record.episode for turn in turns],
        [turn.turn.state_hash for turn in turns],
    )
    return {"kind": kind, "name": name, **_rounded(asdict(credit))}


def _rounded(data: Any) -> Any:
    if isinstance(data, dict):
        return {key: _rounded(value) for key, value in data.items()}
    return round(data, 4) if isinstance(data, float) else data
