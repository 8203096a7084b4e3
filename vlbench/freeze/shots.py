"""Rows of the split `train` whose expert's replies are shown as examples."""

from contextlib import closing
from typing import Any

import gymnasium

from vlbench.errors import user_code
from vlbench.freeze import RowSpec
from vlbench.instances import TRAINING_PRESENTATIONS, hashed
from vlbench.preamble import MOST_SHOTS
from vlbench.registry import accepted_parameters, env_class
from vlbench.solved_env import SolvedEnv
from vlbench.task import split_in

DEALS = 400
"""Deals among which different instances are looked for."""


def plan_shots(env_id: str) -> list[RowSpec]:
    """Return rows of different training instances, as far as there are so many.

    Returns:
        [] if the task's expert doesn't write the fields that its prompt asks for.
    """
    has_themes = "theme" in accepted_parameters(env_class(env_id))
    kwargs: dict[str, Any] = {"theme": "train"} if has_themes else {}
    with user_code(f"{env_id} can't be made"):
        env = gymnasium.make(env_id, split="train", **kwargs)
    with closing(env):
        inner = env.unwrapped
        if not isinstance(inner, SolvedEnv) or not _writes_fields(inner):
            return []
        dealt = _deals(inner)
    chosen = (list(dict.fromkeys(dealt)) + dealt)[:MOST_SHOTS]
    return [RowSpec(kwargs, name, _presentation(name, place)) for place, name in enumerate(chosen)]


def _deals(env: SolvedEnv[Any, Any]) -> list[str]:
    """Return training instances that the expert can win, until MOST_SHOTS of them differ."""
    dealt: list[str] = []
    for seed in range(DEALS):
        instance = str(env.reset(seed=seed)[1]["instance"])
        if split_in(env.game, instance) in ("", "train") and env.demonstrate() is not None:
            dealt.append(instance)
        if len(set(dealt)) == MOST_SHOTS:
            break
    return dealt


def _writes_fields(env: SolvedEnv[Any, Any]) -> bool:
    is_own = type(env).demonstrate is not SolvedEnv.demonstrate
    return is_own or env.prompt.reply_fields == ("action",)


def _presentation(instance: str, place: int) -> int:
    """Return a presentation that training deals, too."""
    return hashed(f"shot|{instance}|{place}") % TRAINING_PRESENTATIONS
