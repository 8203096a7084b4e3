"""Find out whether an agent's model, or an environment, can be used.

`python -m agents.doctor --agent gpt4v`: an answer with status 200 proves nothing, some servers take
a picture and drop it. So a red picture and a blue one are shown, and a text without any, before a
real turn of a game is played.

`python -m agents.doctor --env Points24`: what the environment needs is looked for, line by line;
where all of it is there, an episode is started.
"""

import asyncio
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from time import monotonic
from typing import Any

import gymnasium
import numpy as np
from gymnasium.envs.registration import load_env_creator

from agents.agent import Agent, ProviderError
from agents.agent_options import AGENT_HELP, AgentSettings
from agents.providers.reply_schema import reply_schema
from agents.registry import load_agent
from agents.retry import RetryingCaller, RetryPolicy
from vlbench.cli import (
    option,
    parse_options,
    run_main,
)
from vlbench.errors import user_code
from vlbench.recorder import reply_advice
from vlbench.records import Reply
from vlbench.registry import resolve_env_id
from vlbench.suites import label

QUESTION = "Which colour fills the picture? Answer with one word."
COLOURS = {"red": (220, 20, 20), "blue": (20, 20, 220)}
PATIENCE = RetryPolicy(timeout=60.0, retries=1)


@dataclass(frozen=True, slots=True)
class Finding:
    """The result of one check."""

    check: str
    ok: bool
    message: str

    def line(self) -> str:
        """Return it as a line."""
        return f"{'ok  ' if self.ok else 'FAIL'}  {self.check:<9}  {self.message}"


def examine(agent: Agent, tell: Callable[[Finding], None]) -> bool:
    """Check an agent and report each finding as soon as it is known.

    Returns:
        Whether every check passed.
    """
    well = True

    def report(check: str, ok: bool, message: str) -> None:
        nonlocal well
        well = well and ok
        tell(Finding(check, ok, " ".join(message.split())))

    asyncio.run(_examine(agent, report))
    return well


def examine_env(env_id: str, tell: Callable[[Finding], None]) -> bool:
    """Check an environment and report each finding as soon as it is known.

    Args:
        env_id: A registered id. Its class may have `requirements()`, which returns what it needs
            as records with `name`, `ok` and `message`.
        tell: Called with each finding.

    Returns:
        Whether every check passed.
    """
    requirements = getattr(_class_of(env_id), "requirements", tuple)
    requirement_findings = [
        Finding(requirement.name, requirement.ok, requirement.message)
        for requirement in requirements()
    ]
    for finding in requirement_findings:
        tell(finding)
    if not all(finding.ok for finding in requirement_findings):
        return False
    start = monotonic()
    try:
        with user_code():
            env = gymnasium.make(env_id)
            env.reset(seed=0)
            env.close()
    except ValueError as error:
        tell(Finding("episode", False, " ".join(str(error).split())))
        return False
    tell(Finding("episode", True, f"starts, in {monotonic() - start:.1f} s"))
    return True


def _class_of(env_id: str) -> Any:
    """Return an environment's class, or what else makes it.

    Raises:
        ValueError: It can't be imported.
    """
    entry_point = gymnasium.registry[env_id.rpartition(":")[2]].entry_point
    with user_code(f"{env_id} can't be imported", importing=True):
        return load_env_creator(entry_point) if isinstance(entry_point, str) else entry_point


async def _examine(agent: Agent, report: Callable[[str, bool, str], None]) -> None:
    settings = agent.settings
    where = settings.get("base_url") or "the provider's own"
    if agent.has_key is not None:
        report("key", True, "set" if agent.has_key else "none is set; the server may need none")
    try:
        observations = {
            name: {"image": np.full((300, 300, 3), colour, np.uint8), "text": QUESTION}
            for name, colour in COLOURS.items()
        }
        if not agent.privileged:
            replies = {}
            for name, observation in observations.items():
                replies[name] = await _ask(agent.act, observation)
                if len(replies) == 1:
                    took = f"answered in {replies[name].seconds:.1f} s"
                    report("endpoint", True, f"{where} {took}")
                    report("model", True, str(settings.get("model", agent.name)))
            report("picture", *_picture(replies, await _text_tokens(agent)))
        report("reply", *await _reply(agent))
    except ProviderError as error:
        report(*_trouble(error))
    finally:
        await agent.close()
    if agent.dropped:
        names = ", ".join(agent.dropped)
        report("settings", False, f"the model doesn't take {names}; leave that out")


async def _ask(call: Callable[..., Any], *arguments: Any) -> Reply:
    return await RetryingCaller(PATIENCE).ask(lambda: call(*arguments))


async def _text_tokens(agent: Agent) -> int | None:
    """Return the tokens of the question alone; None where the agent needs a picture."""
    if not agent.answers_text:
        return None
    return (await _ask(agent.act, {"text": QUESTION})).prompt_tokens


def _picture(replies: dict[str, Reply], without: int | None) -> tuple[bool, str]:
    """Decide whether the picture reached the model."""
    red, blue = (replies[name].text.strip() for name in COLOURS)
    said = f"red: {red[:40]!r}, blue: {blue[:40]!r}"
    counted = replies["red"].prompt_tokens
    tokens = ""
    if counted is not None and without is not None:
        tokens = f", {counted} prompt tokens with it and {without} without"
        if counted <= without:
            advice = "use a model that sees, or look at what the gateway does with pictures"
            return False, f"didn't arrive: no more tokens than without it{tokens}; {said}; {advice}"
    if red == blue:
        message = (
            f"red and blue get the same reply ({red[:40]!r}){tokens}; is it a model that sees?"
        )
        return False, message
    right = all(name in replies[name].text.casefold() for name in COLOURS)
    result = "the colours are named" if right else "the replies differ, without naming the colours"
    return True, f"arrives: {result} ({said}){tokens}"


async def _reply(agent: Agent) -> tuple[bool, str]:
    """Play a turn and read the reply."""
    env = gymnasium.make("vlbench/NumberLine-v0")
    observation, _ = env.reset(seed=0)
    turn = dict(observation)
    if agent.uses_reply_schema:
        turn["reply_schema"] = reply_schema(env)
    reply = await _ask(agent.act, *((turn, env) if agent.privileged else (turn,)))
    inner: Any = env.unwrapped
    parsed = inner.read(reply.text)
    env.close()
    if parsed.status == "ok":
        mended = " after mending its JSON" if parsed.recovered else ""
        return True, f'read as "{parsed.action}"{mended}, {reply.completion_tokens} tokens'
    advice = reply_advice(parsed.status, reply.stop_reason)
    end = f", ended by {reply.stop_reason}" if reply.stop_reason != "stop" else ""
    return False, f"{parsed.status}{end}: {reply.text[:60]!r}; {advice}"


def _trouble(error: ProviderError) -> tuple[str, bool, str]:
    check, advice = {
        401: ("key", "the provider refuses the key; set the right one"),
        403: ("key", "the key may not use this model; ask for access"),
        404: (
            "model",
            "no such model or path there; check --model, and that --base-url ends as "
            "the server's documentation says (/v1)",
        ),
        400: ("model", "the server refuses the request; check --model and the settings"),
        429: ("endpoint", "the quota is used up; wait, or use --rpm"),
    }.get(error.status or 0, ("endpoint", "is the server up, and its URL right?"))
    return check, False, f"{error}; {advice}"


@dataclass(frozen=True, kw_only=True)
class Config(AgentSettings):
    """Options of `doctor`."""

    agent: str | None = option(None, AGENT_HELP)
    env: str | None = option(
        None, "id or short name of an environment, instead of an agent", metavar="ENV"
    )

    def check(self) -> None:
        """Check that there is an agent or an environment."""
        super().check()
        if self.env and (self.agent or self.settings()):
            raise ValueError("wanted an agent with its settings, or --env alone; got both")
        if not (self.env or self.agent):
            raise ValueError("wanted --agent or --env (see --help)")


def main(argv: Sequence[str] | None = None) -> int:
    """Examine an agent or an environment.

    Returns:
        0 if every check passed, 1 if one failed, 2 on a wrong call, 130 on Ctrl-C.
    """
    return run_main("doctor", lambda: _doctor(argv))


def _doctor(argv: Sequence[str] | None) -> int:
    config = parse_options(Config, argv, prog="python -m agents.doctor", description=__doc__)
    if config.env:
        env_id = resolve_env_id(config.env)
        if warning := label(env_id):
            print(f"{env_id}: {warning}")
        return 0 if examine_env(env_id, _print) else 1
    assert config.agent  # or there is an environment
    agent = load_agent(config.agent, **config.settings())
    if agent.note:
        print(agent.note)
    return 0 if examine(agent, _print) else 1


def _print(finding: Finding) -> None:
    print(finding.line(), flush=True)


if __name__ == "__main__":
    sys.exit(main())
