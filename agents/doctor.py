"""Find out whether an agent's model, or an environment, can be used.

`python -m agents.doctor --agent gpt4v`: an answer with status 200 proves nothing, some servers take
a picture and drop it. So a red picture and a blue one are shown, a text without any, and several
pictures at once, before a real turn of a game is played.

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
from vlbench.prompts import Exchange
from vlbench.recorder import reply_advice
from vlbench.records import Reply
from vlbench.registry import resolve_env_id
from vlbench.suites import label

QUESTION = "Which colour fills the picture? Answer with one word."
COLOURS = {"red": (220, 20, 20), "blue": (20, 20, 220)}
PATIENCE = RetryPolicy(timeout=60.0, retries=1)

NO_PATH = (
    "no such model or path there; check --model, and that --base-url ends as the server's "
    "documentation says (/v1)"
)
ADVICE = {
    400: ("model", "the server refuses the request; check --model and the settings"),
    401: ("key", "the provider refuses the key; set the right one"),
    402: ("key", "the account is empty; add credit"),
    403: ("key", "the key may not use this model; ask for access"),
    404: ("model", NO_PATH),
    405: ("model", NO_PATH),
    407: ("endpoint", "the proxy wants a user and a password, as in http://USER:PASSWORD@PROXY"),
    429: ("endpoint", "the quota is used up; wait, or use --rpm"),
}
"""HTTP status → what to look at, and what to do."""


@dataclass(frozen=True, slots=True)
class Finding:
    """The result of one check."""

    check: str
    ok: bool
    message: str

    def line(self) -> str:
        """Return it as a line."""
        return f"{'ok  ' if self.ok else 'FAIL'}  {self.check:<9}  {self.message}"


def examine(agent: Agent, tell: Callable[[Finding], None], history: int = 0) -> bool:
    """Check an agent and report each finding as soon as it is known.

    Args:
        agent: The agent.
        tell: Called with each finding.
        history: Past turns, each with its picture, that a run would show the agent.

    Returns:
        Whether every check passed.
    """
    well = True

    def report(check: str, ok: bool, message: str) -> None:
        nonlocal well
        well = well and ok
        tell(Finding(check, ok, " ".join(message.split())))

    asyncio.run(_examine(agent, history, report))
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


async def _examine(agent: Agent, history: int, report: Callable[[str, bool, str], None]) -> None:
    if agent.has_key is not None:
        report("key", True, "set" if agent.has_key else "none is set; the server may need none")
    try:
        if not agent.privileged:
            await _examine_pictures(agent, history, report)
        report("reply", *await _reply(agent))
    except ProviderError as error:
        report(*await _trouble(agent, error))
    finally:
        await agent.close()
    if agent.dropped:
        names = ", ".join(agent.dropped)
        report("settings", False, f"the model doesn't take {names}; leave that out")


async def _examine_pictures(
    agent: Agent, history: int, report: Callable[[str, bool, str], None]
) -> None:
    """Show single pictures, then several at once."""
    where = agent.settings.get("base_url") or "the provider's own"
    replies: dict[str, Reply] = {}
    for name in COLOURS:
        replies[name] = await _ask(agent.act, _question(name))
        if len(replies) == 1:
            report("endpoint", True, f"{where} answered in {replies[name].seconds:.1f} s")
            report("model", True, str(agent.settings.get("model", agent.name)))
    alone = await _ask(agent.act, {"text": QUESTION}) if agent.answers_text else Reply("")
    counts = PictureTokens(alone.prompt_tokens, replies["red"].prompt_tokens)
    arrives, message = _picture(replies, counts)
    report("picture", arrives, message)
    if arrives and (history or agent.answers_text):
        result, message = await _history(agent, history or 1, counts)
        if history or not result:
            limit = "" if history else "; that matters for --history only"
            report("history", result or not history, f"{message}{limit}")
    if thoughts := next(filter(None, (reply.reasoning for reply in replies.values())), ""):
        report("reasoning", True, f"comes apart from the reply and isn't read: {thoughts[:60]!r}")


def _question(colour: str) -> dict[str, Any]:
    return {"image": np.full((300, 300, 3), COLOURS[colour], np.uint8), "text": QUESTION}


async def _ask(call: Callable[..., Any], *arguments: Any) -> Reply:
    return await RetryingCaller(PATIENCE).ask(lambda: call(*arguments))


@dataclass(frozen=True, slots=True)
class PictureTokens:
    """Prompt tokens of the question; None where they are unknown."""

    without: int | None
    """Without a picture."""
    with_one: int | None
    """With one picture."""

    @property
    def of_a_picture(self) -> int | None:
        """Tokens of a picture."""
        known = self.without is not None and self.with_one is not None
        return self.with_one - self.without if known else None  # type: ignore[operator]


def _picture(replies: dict[str, Reply], counts: PictureTokens) -> tuple[bool, str]:
    """Decide whether the picture reached the model."""
    red, blue = (_written(replies[name]).strip() for name in COLOURS)
    said = f"red: {red[:40]!r}, blue: {blue[:40]!r}"
    tokens = ""
    if counts.of_a_picture is not None:
        tokens = f", {counts.with_one} prompt tokens with it and {counts.without} without"
        if counts.of_a_picture <= 0:
            return False, (
                f"didn't arrive: no more tokens than without it{tokens}; {said}; the model doesn't "
                "see, its chat template has no slot for a picture, or the gateway drops pictures"
            )
    if red == blue:
        message = (
            f"red and blue get the same reply ({red[:40]!r}){tokens}; is it a model that sees?"
        )
        return False, message
    texts = {name: _written(reply).casefold() for name, reply in replies.items()}
    right = all(name in texts[name] for name in COLOURS)
    result = "the colours are named" if right else "the replies differ, without naming the colours"
    return True, f"arrives: {result} ({said}){tokens}"


def _written(reply: Reply) -> str:
    """Return what the model wrote, wherever the server has put it."""
    return reply.text if reply.text.strip() else reply.reasoning


async def _history(agent: Agent, turns: int, counts: PictureTokens) -> tuple[bool, str]:
    """Decide whether several pictures in one request reach the model."""
    pictures = f"{turns + 1} pictures in a request"
    advice = (
        f"let the server take {turns + 1} "
        f"""(vLLM: --limit-mm-per-prompt '{{"image": {turns + 1}}}'), or leave --history out"""
    )
    past = (Exchange(_question("red"), "red"),) * turns
    try:
        reply = await _ask(agent.act, _question("blue") | {"history": past})
    except ProviderError as error:
        if error.stops or error.status in (None, 429):
            raise
        return False, f"one picture is taken, {pictures} are refused: {error}; {advice}"
    size, total = counts.of_a_picture, reply.prompt_tokens
    if size and total is not None and counts.with_one is not None:
        if total < counts.with_one + turns * size // 2:
            return False, f"{pictures} don't arrive: {total} prompt tokens; {advice}"
        return True, f"{pictures} arrive: {total} prompt tokens"
    return True, f"{pictures} are taken"


async def _reply(agent: Agent) -> tuple[bool, str]:
    """Play a turn of NumberLine and read the reply."""
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
    advice = reply_advice(parsed.status, reply.stop_reason, reply.reasoning)
    end = f", ended by {reply.stop_reason}" if reply.stop_reason != "stop" else ""
    end += f" ({reply.provider_message[:100]})" if reply.provider_message else ""
    thoughts = f"; its reasoning: {reply.reasoning[:60]!r}" if reply.reasoning else ""
    task = ""
    if parsed.status == "unknown":
        task = f", NumberLine's {' and '.join(map(repr, inner.game.vocabulary))}"
    return False, f"{parsed.status}{end}: {reply.text[:60]!r}; {advice}{task}{thoughts}"


async def _trouble(agent: Agent, error: ProviderError) -> tuple[str, bool, str]:
    """Return the finding for a call that gave no reply."""
    if not error.stops and error.status not in (None, 429) and await _answers_text(agent):
        advice = (
            "the question alone is answered, so it is the picture: the model's chat template has "
            "no slot for one, or the model doesn't see"
        )
        return "picture", False, f"{error}; {advice}"
    check, advice = ADVICE.get(
        error.status or 0, ("endpoint", "is the server up, and its URL right?")
    )
    return check, False, f"{error}; {advice}"


async def _answers_text(agent: Agent) -> bool:
    if not agent.answers_text:
        return False
    try:
        await _ask(agent.act, {"text": QUESTION})
    except ProviderError:
        return False
    return True


@dataclass(frozen=True, kw_only=True)
class Config(AgentSettings):
    """Options of `doctor`."""

    agent: str | None = option(None, AGENT_HELP)
    env: str | None = option(
        None, "id or short name of an environment, instead of an agent", metavar="ENV"
    )
    history: int = option(
        0, "past turns, each with its picture, that a run shows the agent", ge=0, metavar="K"
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
    return 0 if examine(agent, _print, config.history) else 1


def _print(finding: Finding) -> None:
    print(finding.line(), flush=True)


if __name__ == "__main__":
    sys.exit(main())
