"""A person plays, and the run is recorded like any agent's.

`python -m vlbench.play TASK` opens a window with the picture, the prompt and the actions. An action
is a key, a click, or, after Tab, a whole reply typed as a model would write it. F1 or H shows what
the expert would do, and marks the turn in the record; F2 or N goes on to the next episode, and
gives up one that isn't over; Esc quits. H and N are actions where an action begins with them.
"""

import shlex
import sys
import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gymnasium

from vlbench.cli import (
    MAX_SEED,
    Options,
    option,
    parse_options,
    required,
    run_main,
    writable_folder,
)
from vlbench.display.formatting import number, percent, percent_interval
from vlbench.errors import user_code
from vlbench.play.session import EXPERT_SHOWN, PlaySession
from vlbench.prompts import VARIANTS
from vlbench.records import RunHeader
from vlbench.registry import resolve_env_id, short_name
from vlbench.run_folder import RunFolder, run_header
from vlbench.scoring import score
from vlbench.suites import SEEDS, Row, RunSpec, suites

if TYPE_CHECKING:
    from vlbench.play.screen import Screen, View

AGENT = "human"
GREETING = "Press a key, click an action, or type a whole reply as a model would (Tab)."


@dataclass(frozen=True, kw_only=True)
class Config(Options):
    """Options of `play`."""

    task: str = required(
        "Points24 or another task, an id, or module:namespace/Name-v0",
        positional=True,
        metavar="TASK",
    )
    episodes: int = option(10, "how many are played", ge=1)
    suite: str | None = option(
        None,
        "frozen set: test, ood, or one of your own; test by default, where there is one",
        metavar="SUITE",
    )
    seed: int | None = option(
        None, "play the episodes of this seed and the next ones instead", ge=0, le=MAX_SEED
    )
    prompt: str = option(VARIANTS[0], ", ".join(VARIANTS), metavar="PROMPT")
    theme: str | None = option(
        None, "theme or group of themes instead of the suite's own", metavar="THEME"
    )
    out: Path | None = option(
        None,
        "the run's folder; a run that is there goes on; a new one under runs/ by default",
        check=writable_folder,
    )

    def check(self) -> None:
        """Check that either a suite or a seed is named."""
        if self.seed is not None and self.suite:
            raise ValueError("--seed goes without --suite")


class Human:
    """The person who plays, as the header of the run says it."""

    name = AGENT
    privileged = False

    def __init__(self, settings: dict[str, Any]) -> None:
        self.settings = settings


def spec_of(config: Config, env_id: str) -> RunSpec:
    """Return what is to be played."""
    suite = config.suite or next(iter(suites(env_id)), SEEDS)
    if config.seed is not None:
        suite = SEEDS
    return RunSpec(suite, config.prompt, config.theme or "", config.episodes)


def rows_of(spec: RunSpec, env_id: str, seed: int) -> tuple[Row, ...]:
    """Return the rows to play; where the environment has no sets, seeds from this one on.

    Raises:
        ValueError: The environment has no such suite.
    """
    if spec.suite != SEEDS:
        return spec.rows(env_id)[: spec.episodes]
    seeds = range(seed, seed + (spec.episodes or 0))
    return tuple(Row(env_id, spec.kwargs, "", 0, seed=number) for number in seeds)


def check_playable(row: Row) -> None:
    """Make a row's environment, to see whether a person can play it.

    Raises:
        ValueError: It can't be made, or shows something else than picture and text.
    """
    with user_code(f"{row.env_id} can't be played"):
        env = gymnasium.make(row.env_id, **row.kwargs)
    with closing(env):
        shown = set(getattr(env.observation_space, "spaces", ()))
    if not {"image", "text"} <= shown:
        raise ValueError(f'{row.env_id} shows no "image" and "text"; see vlbench.contract')


def play(sitting: PlaySession, desk: "Screen") -> None:
    """Let a person play until no row is left or the window is closed."""
    from vlbench.play.keyboard import Command, InputHandler

    player = InputHandler()
    while sitting.rows_left:
        player.vocabulary, player.over = sitting.vocabulary, sitting.over
        desk.draw(view_of(sitting), player)
        meaning = player.handle(desk.wait())
        if meaning is Command.QUIT:
            return
        if meaning is Command.NEXT:
            sitting.next()
        elif meaning is Command.EXPERT:
            player.note = "" if sitting.ask_expert() else "there is no expert here"
        elif isinstance(meaning, str):
            sitting.say(meaning)


def view_of(sitting: PlaySession) -> "View":
    """Return what the desk is to show."""
    from vlbench.play.screen import View

    observation, turns = sitting.recording.observation, sitting.recording.turns
    told, good = _told(sitting)
    return View(
        frame=observation["image"],
        title=short_name(sitting.recording.row.env_id),
        progress=f"episode {sitting.number + 1} of {len(sitting.rows)}, "
        f"turn {len(turns) + (not sitting.over)}, return {sum(t.reward for t in turns):g}",
        prompt=observation["text"],
        legal=sitting.legal,
        told=told,
        good=good,
        onward="next episode" if sitting.rows_left > 1 else "finish",
    )


def _told(sitting: PlaySession) -> tuple[str, bool | None]:
    """Say what came of the last reply, and whether that is good news (None for neither)."""
    turns = sitting.recording.turns
    if sitting.advice:
        return f'The expert plays "{sitting.advice}". The record marks this turn.', None
    if not turns:
        return GREETING, None
    turn = turns[-1]
    heard = f'"{turn.action}"' if turn.action else "no action"
    what = f"{heard} ({'illegal' if turn.illegal else turn.status}): reward {turn.reward:g}"
    if sitting.over:
        outcome = "Success" if sitting.recording.success else "No success"
        total = sum(turn.reward for turn in turns)
        return f"{outcome}, return {total:g}.\n{what}", sitting.recording.success
    good = turn.reward > 0 if turn.reward else None
    return f"{what}\n{sitting.hint}".rstrip(), good


def summary(run: RunFolder) -> str:
    """Return what a person wants to know of a run, in a few lines."""
    episodes = run.episodes()
    lines = []
    for card in score(run.header, episodes):
        lines.append(f"{card.env}, {card.suite}: episodes {card.episodes}, given up {card.errored}")
        if card.episodes:
            success = percent_interval(card.success, card.success_low, card.success_high)
            lines += [
                f"success {success}, normalized {number(card.normalized)}",
                f"return {number(card.mean_return)}, regret {number(card.regret)} a turn",
                f"{card.turns} turns of {number(card.seconds, 1)} s, "
                f"{percent(card.illegal_rate)} illegal",
            ]
    helped = [turn.reply.provider_id == EXPERT_SHOWN for e in episodes for turn in e.turns]
    if any(helped):
        lines.append(f"the expert was asked on {sum(helped)} of {len(helped)} turns")
    return "\n".join([*lines, f"run: {run.path}"])


def main(argv: Sequence[str] | None = None) -> int:
    """Play; exit 0 when the person stops, 2 on a wrong call."""
    argv = sys.argv[1:] if argv is None else list(argv)
    return run_main("play", lambda: _play(argv))


def _play(argv: Sequence[str]) -> None:
    config = parse_options(Config, argv, prog="python -m vlbench.play", description=__doc__)
    env_id = resolve_env_id(config.task)
    spec, seed = spec_of(config, env_id), config.seed or 0
    rows = rows_of(spec, env_id, seed)
    check_playable(rows[0])
    human = Human({"seed": seed} if spec.suite == SEEDS else {})
    header = run_header(human, spec, [env_id])
    name = f"{AGENT}-{short_name(env_id)}-{time.strftime('%Y%m%d-%H%M%S')}"
    sitting = _sit(config.out or Path("runs", name), header, rows)
    print(summary(sitting.run))
    if left := sitting.rows_left - (sitting.rows_left > 0 and sitting.over):
        place = [] if config.out else ["--out", str(sitting.run.path)]
        command = shlex.join(["python", "-m", "vlbench.play", *argv, *place])
        print(f"play: episodes left: {left}; go on with: {command}", file=sys.stderr)


def _sit(path: Path, header: RunHeader, rows: Sequence[Row]) -> PlaySession:
    """Let a person play; return what came of it.

    Raises:
        ValueError: The folder can't be used, there is no screen, or pygame isn't installed.
    """
    try:
        from vlbench.play.screen import Screen
    except ImportError as error:
        raise ValueError(str(error)) from error

    desk = Screen(f"vlbench: {short_name(header.env_ids[0])}")  # first: no screen, no folder
    try:
        sitting = PlaySession(RunFolder.start(path, header), rows)
        for line in sitting.run.damaged:
            print(f"play: damaged line left out: {line}", file=sys.stderr)
        try:
            play(sitting, desk)
        except KeyboardInterrupt:
            pass  # every reply is in the journal already
        finally:
            sitting.close()
    finally:
        desk.close()
    return sitting


if __name__ == "__main__":
    sys.exit(main())
