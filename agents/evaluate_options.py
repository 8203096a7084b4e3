"""The options of `python -m agents.evaluate`."""

from dataclasses import dataclass
from pathlib import Path

from agents.agent_options import AGENT_HELP, AgentSettings
from agents.cost import Price
from agents.retry import RetryPolicy
from vlbench.cli import (
    option,
    required,
    writable_file,
    writable_folder,
)
from vlbench.records import from_json
from vlbench.suites import Challenge

REMOTE = RetryPolicy(timeout=120.0)
"""Default policy for agents that call a provider."""

MAX_USD = 5.0
"""Default cost limit of a run, in USD."""


CHALLENGE_IS_WHOLE = (
    "a challenge plays all its rows once under the rules of test; leave out suite, theme, episodes "
    "and repeats"
)


def usd(text: str) -> float | None:
    """Parse an amount in USD; "none" is no limit."""
    if text.casefold() == "none":
        return None
    try:
        return float(text)
    except ValueError as error:
        raise ValueError(f'must be a sum in USD, or none; got "{text}"') from error


@dataclass(frozen=True, kw_only=True)
class Config(AgentSettings):
    """Options of `evaluate`."""

    agent: str = required(AGENT_HELP)
    env: str = option(
        "all",
        "id, short name (Points24), glob, several with commas, or module:namespace/Name-v0",
        metavar="ENV",
    )
    episodes: int | None = option(
        None, "rows of each suite, from its beginning; all by default", ge=1
    )
    suite: str = option("test", "test, ood, or a set of your own", metavar="SUITE")
    prompt: str = option("cot", "cot, action_only or cot_facts", metavar="PROMPT")
    theme: str | None = option(
        None, "theme or group of themes instead of the suite's own", metavar="THEME"
    )
    repeats: int = option(1, "times each row is played", ge=1)
    history: int = option(0, "past turns that the agent is shown", ge=0, metavar="K")
    concurrency: int = option(8, "episodes at once", ge=1)
    timeout: float | None = option(
        None,
        f"longest time for a call to a provider; {REMOTE.timeout:g} by default",
        gt=0,
        metavar="SECONDS",
    )
    retries: int = option(
        REMOTE.retries, "times a call is made again after a transient fault", ge=0
    )
    rpm: float | None = option(
        None, "calls a minute, retries included; as many as come by default", gt=0
    )
    price: Price | None = option(
        None,
        "USD per million prompt and completion tokens; the list price by default, if known",
        parse=Price.parse,
        metavar="IN,OUT",
    )
    max_usd: float | None = option(
        MAX_USD,
        "stop, resumably, before the run has cost more; none for any sum",
        ge=0,
        parse=usd,
        metavar="USD",
    )
    out: Path | None = option(
        None,
        "the run's folder; a run that is there goes on; a new one under runs/ by default",
        check=writable_folder,
    )
    challenge: str | None = option(
        None, "digest of an entry whose challenge is played; needs --nonce", metavar="DIGEST"
    )
    nonce: str | None = option(
        None, "nonce that the maintainers published for that entry", metavar="NONCE"
    )
    json: bool = option(False, "print one JSON object instead of the table")
    html: Path | None = option(
        None, "also write a page with the episodes", check=writable_file, metavar="REPORT"
    )

    def check(self) -> None:
        """Check that a challenge is complete."""
        super().check()
        if (self.challenge is None) != (self.nonce is None):
            raise ValueError("--challenge and --nonce belong together")
        whole = self.suite, self.theme, self.episodes, self.repeats
        if self.challenge_source() and whole != ("test", None, None, 1):
            raise ValueError(CHALLENGE_IS_WHOLE)

    def challenge_source(self) -> Challenge | None:
        """Return the source of a challenge's rows; None without --challenge.

        Raises:
            ValueError: The digest or the nonce is malformed.
        """
        if self.challenge is None:
            return None
        try:
            return from_json(Challenge, {"digest": self.challenge, "nonce": self.nonce})
        except ValueError as error:
            names = {"Challenge.digest": "--challenge", "Challenge.nonce": "--nonce"}
            field, _, reason = str(error).partition(" ")
            raise ValueError(f"{names[field]} {reason}") from error

    def patience(self, remote: bool) -> RetryPolicy:
        """Return the retry policy for the agent.

        Args:
            remote: Whether the agent calls a provider.
        """
        default = REMOTE.timeout if remote else None
        timeout = default if self.timeout is None else self.timeout
        return RetryPolicy(timeout, self.retries, self.rpm)
