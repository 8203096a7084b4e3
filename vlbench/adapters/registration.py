"""`adapt`: make a task of another environment, and register it for the harness."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import gymnasium

from vlbench.adapters.adapted_env import AdaptedEnv, Ending, Interface, no_facts, succeeded
from vlbench.errors import user_code
from vlbench.prompts import VARIANTS, Prompt, select_variant
from vlbench.registry import short_name
from vlbench.task import Fact

MAX_TURNS = 100
"""Turns of an environment that states no limit of its own."""

Source = gymnasium.Env[Any, Any] | str | Callable[[], gymnasium.Env[Any, Any]]
"""An environment, its id (with its module before it, if need be), or a function that makes one."""


def adapt(
    env: Source,
    actions: Mapping[str, Any] | Sequence[str],
    prompt: str,
    *,
    id: str = "",
    facts: Callable[[Any, Mapping[str, Any]], Mapping[str, Fact]] = no_facts,
    success: Callable[[Ending], bool] = succeeded,
    max_turns: int = 0,
) -> AdaptedEnv:
    """Make a vlbench task of an environment with pixels and discrete actions.

    Args:
        env: The environment, its id, or a function that makes one. An id is made with
            `render_mode="rgb_array"`; another must be made so, unless it observes pixels.
        actions: Action text → the environment's action; or the texts of its actions 0, 1, 2, ….
        prompt: The prompt, in the form of a task's `prompt.txt`: it may mark lines of variants
            ("[cot] …") and name facts ("$mission").
        id: Register the task under this id, e.g. "my/Empty-v0", so that the harness, replay and
            other processes can make it. The module that calls `adapt` names it on a command line:
            `--env my_module:my/Empty-v0`.
        facts: From the environment's observation and info, the facts of its state.
        success: Whether an episode's goal is reached; by default what the info says
            ("is_success", "success"), or else an end with a return above 0.
        max_turns: Turns after which an episode is truncated; by default the environment's own
            limit, or 100.

    Raises:
        ValueError: The environment can't be made, or an argument is wrong.
    """
    texts = dict(actions) if isinstance(actions, Mapping) else _numbered(env, actions)
    if not texts or not all(isinstance(text, str) and text.strip() for text in texts):
        raise ValueError(f"actions must be texts, got {list(texts)!r:.80}")
    folded = [" ".join(text.split()).casefold() for text in texts]
    if len(set(folded)) < len(folded):
        raise ValueError(
            f"actions must differ in more than case and space, got {list(texts)!r:.80}"
        )
    recipe: Any = Recipe(
        _maker(env, registered=bool(id)), texts, prompt, id, facts, success, max_turns
    )
    made: AdaptedEnv = recipe()
    if id:
        gymnasium.register(id=id, entry_point=recipe, order_enforce=False, disable_env_checker=True)
    return made


@dataclass(frozen=True, slots=True)
class Recipe:
    """Makes an adapted environment; the entry point of its id."""

    make: Callable[[], gymnasium.Env[Any, Any]]
    actions: Mapping[str, Any]
    source: str
    """Text of the prompt, with its variants."""
    id: str
    facts: Callable[[Any, Mapping[str, Any]], Mapping[str, Fact]]
    success: Callable[[Ending], bool]
    max_turns: int

    def __call__(
        self,
        *,
        prompt: str = VARIANTS[0],
        split: str = "all",
        picture: str = "true",
        render_mode: str | None = None,
    ) -> AdaptedEnv:
        """Make the environment; the arguments are those of a task of ours.

        Raises:
            ValueError: An argument is wrong, or the environment can't be made.
        """
        words = Prompt.from_text(select_variant(self.source, prompt), {})
        with user_code(f"{self.id or 'the environment'} can't be made"):
            env = self.make()
        interface = Interface(
            name=_instance_name(self.id, env),
            actions=self.actions,
            prompt=words,
            facts=self.facts,
            success=self.success,
            max_turns=self.max_turns or _own_limit(env),
        )
        return AdaptedEnv(env, interface, split=split, picture=picture, render_mode=render_mode)


def _maker(env: Source, *, registered: bool) -> Callable[[], gymnasium.Env[Any, Any]]:
    if isinstance(env, str):
        return lambda: gymnasium.make(env, render_mode="rgb_array")
    if not isinstance(env, gymnasium.Env):
        return env
    if not registered:
        return lambda: env
    if env.spec is None:
        raise ValueError(
            "an environment without a spec can't be made again; pass its id, or a function that "
            "makes it"
        )
    spec = env.spec
    return lambda: gymnasium.make(spec)


def _numbered(env: Source, texts: Sequence[str]) -> dict[str, int]:
    """Number the texts of actions from the first of the environment's discrete actions."""
    if isinstance(texts, str) or len(set(texts)) < len(texts):
        raise ValueError(f"actions must be different texts, got {texts!r:.80}")
    with user_code("the environment can't be made"):
        space = _maker(env, registered=False)().action_space
    if not isinstance(space, gymnasium.spaces.Discrete):
        raise ValueError(
            f"the environment's actions are {space}, not Discrete: give a mapping, action text → "
            "its action"
        )
    return {text: int(space.start) + number for number, text in enumerate(texts)}


def _instance_name(env_id: str, env: gymnasium.Env[Any, Any]) -> str:
    known = env_id or (env.spec.id if env.spec else type(env.unwrapped).__name__)
    return short_name(known).replace("/", "-").casefold()


def _own_limit(env: gymnasium.Env[Any, Any]) -> int:
    """Return the number of turns after which an environment truncates; MAX_TURNS if unknown."""
    limits = (
        env.spec.max_episode_steps if env.spec else None,
        getattr(env.unwrapped, "max_steps", 0),
    )
    return next((limit for limit in limits if isinstance(limit, int) and limit > 0), MAX_TURNS)
