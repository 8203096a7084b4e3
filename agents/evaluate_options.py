"""The options of `python -m agents.evaluate`."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agents.agent_options import AGENT_HELP, AgentSettings
from agents.pricing.cost import MAX_USD, Price
from agents.retry import RetryPolicy
from agents.shards import parse_shard
from agents.sweep.plan import Sweep, parse_sweep
from vlbench.cli import (
    EVALUATION,
    existing_file,
    option,
    output_file,
    output_folder,
    required,
)
from vlbench.cli.options import keyword_arguments
from vlbench.observation import PICTURES
from vlbench.preamble import MOST_SHOTS
from vlbench.records import Shard, from_json
from vlbench.records.run_spec import Challenge
from vlbench.themes import THEME_GROUPS, THEMES, VARIED

REMOTE = RetryPolicy(timeout=120.0)
"""Default policy for agents that call a provider."""


CHALLENGE_IS_WHOLE = (
    "a challenge plays all its rows once under the rules of test; leave out suite, theme, picture, "
    "episodes and repeats"
)
WHOLE: tuple[Any, ...] = ("test", None, PICTURES[0], None, 1, {})
"""Suite, theme, picture, episodes, repeats and keyword arguments of a challenge."""


def usd(text: str) -> float | None:
    """Parse an amount in USD; "none" is no limit."""
    if text.casefold() == "none":
        return None
    try:
        return float(text)
    except ValueError as error:
        raise ValueError(f'must be a sum in USD, or none; got "{text}"') from error


def text_or_file(text: str) -> str:
    """Return a text, or that of the file after "@"."""
    if not text.startswith("@"):
        return text
    try:
        return Path(text[1:]).read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f'can\'t read the text of "{text}": {error}') from error


@dataclass(frozen=True, kw_only=True)
class Config(AgentSettings):
    """Options of `evaluate`."""

    agent: str = required(AGENT_HELP)
    env: str = option(
        "all",
        "id, short name (Points24), glob, several with commas, or module:namespace/Name-v0; all: "
        "every task that is installed and that the agent can play",
        metavar="ENV",
    )
    episodes: int | None = option(
        None, "rows of each task and suite, from the first; all by default", ge=1
    )
    suite: str = option(
        "test",
        "a frozen set (test, ood-looks, …), seeds (rows dealt from the test split), ladder (all "
        "its rungs), or several with commas, each in a folder of its own",
        metavar="SUITE",
    )
    env_kwargs: tuple[dict[str, Any], ...] = option(
        (),
        "a keyword argument of the environments, as NAME=VALUE or a JSON object; may be given "
        "again; changed rules play dealt rows of the test split",
        parse=keyword_arguments,
        metavar="NAME=VALUE",
    )
    sweep: Sweep | None = option(
        None,
        "a run for each value of a rule (max_position=5,10,20,50), of a setting of the agent "
        "(temperature=0,0.5,1), of theme, prompt, history, jitter or picture_size, or of a "
        "ladder's rungs (ladder=10,50, or ladder for all); then the curve as PNG and CSV",
        parse=parse_sweep,
        metavar="NAME=V1,V2,…",
    )
    bounds: bool = option(
        False, "compute floor and ceiling for rows that have none, for a normalized score"
    )
    prompt: str = option(
        "cot",
        "cot (the model writes what it sees and thinks before it acts), action_only, or cot_facts "
        "(cot, with the picture's facts in the text)",
        metavar="PROMPT",
    )
    prompt_file: Path | None = option(
        None,
        "your own prompt instead of the task's: a file in the form of a task's prompt.txt, which "
        "may name its rules and facts ($target); no leaderboard takes it",
        check=existing_file,
        metavar="FILE",
    )
    system_prompt: str = option(
        "", "text of a system message, or @FILE that holds it", parse=text_or_file, metavar="TEXT"
    )
    shots: int = option(
        0,
        "examples before each prompt: turns of the task's expert on frozen rows of the split train",
        ge=0,
        limit=MOST_SHOTS,
        metavar="N",
    )
    theme: str | None = option(
        None,
        f"looks instead of the suite's own: {', '.join(THEMES)}, or a group: "
        f"{', '.join((*THEME_GROUPS, VARIED))}",
        metavar="THEME",
    )
    picture: str = option(
        PICTURES[0],
        "what the agent's pictures show: the state (true), or, in a control, one grey (blank), "
        "another episode (shuffled), or the state one turn ago (stale)",
        choices=PICTURES,
    )
    blind: Path | None = option(
        None,
        "folder of the same run with --picture blank, to show the visual gain",
        metavar="RUN",
    )
    repeats: int = option(1, "times each row is played", ge=1, limit=10_000)
    history: int = option(0, "past turns that the agent is shown", ge=0, limit=1000, metavar="K")
    concurrency: int = option(8, "episodes at once", ge=1, limit=10_000)
    timeout: float | None = option(
        None,
        "longest time for a reply, tries of a call one by one; by default "
        f"{REMOTE.timeout:g} for a provider, and no limit for an agent of your own",
        gt=0,
        limit=1e6,
        metavar="SECONDS",
    )
    retries: int = option(
        REMOTE.retries,
        "times a call is made again after a transient fault, also of an agent of your own that "
        "raises an error of its connection",
        ge=0,
        limit=1000,
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
    estimate: bool = option(
        False, "print what is left to play, its price and its hours, and play nothing"
    )
    shard: Shard | None = option(
        None,
        "play part I of N of the episodes, or with `slurm` the part of this task of an array job; "
        "agents.merge joins the parts; --max-usd holds for each part",
        parse=parse_shard,
        metavar="I/N",
    )
    out: Path | None = option(
        None,
        "the run's folder; a run that is there goes on; a new one under runs/ by default",
        check=output_folder(EVALUATION),
    )
    challenge: str | None = option(
        None, "digest of an entry whose challenge is played; needs --nonce", metavar="DIGEST"
    )
    nonce: str | None = option(
        None, "nonce that the maintainers published for that entry", metavar="NONCE"
    )
    json: bool = option(False, "print one JSON object instead of the table")
    csv: Path | None = option(
        None,
        "also write the scorecards as a CSV file, a row for each task and suite",
        check=output_file("a table of ours", b"env,"),
        metavar="TABLE",
    )
    html: Path | None = option(
        None,
        "also write a page with the episodes",
        check=output_file("an HTML page", b"<!doctype html"),
        metavar="REPORT",
    )

    def check(self) -> None:
        """Check that nothing is given twice, and that a challenge is complete."""
        super().check()
        kwargs = self.all_env_kwargs()
        if (self.challenge is None) != (self.nonce is None):
            raise ValueError("--challenge and --nonce belong together")
        rows = self.suite, self.theme, self.picture, self.episodes, self.repeats, kwargs
        if self.challenge_source() and rows != WHOLE:
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

    def all_env_kwargs(self) -> dict[str, Any]:
        """Return the keyword arguments of environments.

        Raises:
            ValueError: One is given twice.
        """
        merged: dict[str, Any] = {}
        for values in self.env_kwargs:
            for name in values.keys() & merged.keys():
                raise ValueError(f"--env-kwargs gives {name} twice")
            merged |= values
        return merged

    def patience(self, remote: bool) -> RetryPolicy:
        """Return the retry policy for the agent.

        Args:
            remote: Whether the agent calls a provider.
        """
        default = REMOTE.timeout if remote else None
        timeout = default if self.timeout is None else self.timeout
        return RetryPolicy(timeout, self.retries, self.rpm)
