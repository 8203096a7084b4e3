"""Play a task yourself; the run is recorded like an agent's.

`python -m vlbench.play TASK` opens a window with the picture, the prompt and the actions. To act,
press a key, click an action, or press Tab and type a whole reply as a model would. F1 or H shows
the expert's action and marks the turn in the record. F2 or N starts the next episode and gives up
an unfinished one. Esc quits. If an action begins with H or N, the letter plays that action instead.

With --fair the window tells no more than a model is told: no action is grey, no reward and no
result is shown, and the expert is silent. Such a run is a human baseline.
"""

import dataclasses
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
    EVALUATION,
    MAX_SEED,
    Options,
    option,
    output_folder,
    parse_options,
    required,
    run_main,
)
from vlbench.display.formatting import number, percent, percent_interval
from vlbench.errors import user_code
from vlbench.play.session import EXPERT_SHOWN, PlaySession
from vlbench.prompts import VARIANTS
from vlbench.records import RunHeader
from vlbench.records.run_spec import RunSpec
from vlbench.registry import resolve_env_id, short_name
from vlbench.run_folder import RunFolder, run_header
from vlbench.scoring import score
from vlbench.suites import (
    SEEDS,
    Row,
    suites,
)
from vlbench.themes import check_open

if TYPE_CHECKING:
    from vlbench.play.screen import Screen, View

AGENT = "human"
GREETING = "Press a key, click an action, or press Tab and type a whole reply as a model would."


@dataclass(frozen=True, kw_only=True)
class Config(Options):
    """Options of `play`."""

    task: str = required(
        "a task such as Points24, an id, or module:namespace/Name-v0",
        positional=True,
        metavar="TASK",
    )
    episodes: int = option(10, "number of episodes", ge=1)
    suite: str | None = option(
        None,
        "frozen set: test, ood, or one of your own; default: test if the task has it, else seeds",
        metavar="SUITE",
    )
    seed: int | None = option(
        None, "play this seed and the following ones instead of a frozen set", ge=0, le=MAX_SEED
    )
    prompt: str = option(VARIANTS[0], f"prompt variant: {', '.join(VARIANTS)}", metavar="PROMPT")
    fair: bool = option(
        False, "for a human baseline: show what a model is shown, and neither results nor hints"
    )
    theme: str | None = option(
        None, "theme or group of themes instead of the suite's own", metavar="THEME"
    )
    out: Path | None = option(
        None,
        "folder of the run; an existing run is resumed; default: a new folder under runs/",
        check=output_folder(EVALUATION),
    )

    def check(self) -> None:
        """Check that suite and seed aren't both set, and that nothing sealed is played."""
        if self.seed is not None and self.suite:
            raise ValueError("--seed can't be combined with --suite")
        for name in (self.theme, self.suite):
            check_open(name or "", "play")


class Human:
    """The person who plays, for the header of the run."""

    name = AGENT
    privileged = False

    def __init__(self, settings: dict[str, Any]) -> None:
        self.settings = settings


def spec_of(config: Config, env_id: str) -> RunSpec:
    """Return the specification of the run."""
    suite = config.suite or next(iter(suites(env_id)), SEEDS)
    if config.seed is not None:
        suite = SEEDS
    return RunSpec(suite, config.prompt, config.theme or "", config.episodes)


def rows_of(spec: RunSpec, env_id: str, seed: int) -> tuple[Row, ...]:
    """Return the rows to play; for the suite "seeds", the seeds from `seed` on.

    Raises:
        ValueError: The environment has no such suite.
    """
    if spec.suite != SEEDS:
        return spec.rows(env_id)[: spec.episodes]
    return spec.seed_rows(env_id, range(seed, seed + (spec.episodes or 0)))


def check_playable(row: Row) -> None:
    """Make a row's environment to check that a person can play it.

    Raises:
        ValueError: It can't be made, or its observations have no "image" or no "text".
    """
    with user_code(f"{row.env_id} can't be played"):
        env = gymnasium.make(row.env_id, **row.kwargs)
    with closing(env):
        keys = set(getattr(env.observation_space, "spaces", ()))
    if not {"image", "text"} <= keys:
        raise ValueError(
            f'{row.env_id} has no observations with "image" and "text"; see vlbench.contract'
        )


def play(session: PlaySession, screen: "Screen", fair: bool) -> None:
    """Let a person play until no row remains or the window is closed.

    Args:
        session: The run.
        screen: The window.
        fair: Whether it shows only what a model is shown.
    """
    from vlbench.play.keyboard import Command, InputHandler

    player = InputHandler()
    while session.rows_left:
        player.vocabulary, player.over = session.vocabulary, session.over
        screen.draw(fair_view_of(session) if fair else view_of(session), player)
        meaning = player.handle(screen.wait())
        if meaning is Command.QUIT:
            return
        if meaning is Command.NEXT:
            session.next()
        elif meaning is Command.EXPERT and fair:
            player.note = "--fair: a model can't ask the expert"
        elif meaning is Command.EXPERT:
            player.note = "" if session.ask_expert() else "there is no expert here"
        elif isinstance(meaning, str):
            session.say(meaning)


def view_of(session: PlaySession) -> "View":
    """Return the view of a session's current state."""
    from vlbench.play.screen import View

    observation, turns = session.recording.observation, session.recording.turns
    message, is_good = _last_result(session)
    return View(
        frame=observation["image"],
        title=short_name(session.recording.row.env_id),
        progress=f"episode {session.number + 1} of {len(session.rows)}, "
        f"turn {len(turns) + (not session.over)}, return {sum(t.reward for t in turns):g}",
        prompt=observation["text"],
        legal=session.legal,
        message=message,
        is_good=is_good,
        next_label="next episode" if session.rows_left > 1 else "finish",
    )


def fair_view_of(session: PlaySession) -> "View":
    """Return the view of the current state that shows no more than a model is shown."""
    turns = session.recording.turns
    message = f"You played {_shown(turns[-1].action)}." if turns else GREETING
    return dataclasses.replace(
        view_of(session),
        progress=f"episode {session.number + 1} of {len(session.rows)}, fair",
        legal=session.vocabulary,
        message="The episode is over." if session.over else message,
        is_good=None,
    )


def _shown(action: str) -> str:
    """Return an action as messages quote it."""
    return f'"{action}"' if action else "no action"


def _last_result(session: PlaySession) -> tuple[str, bool | None]:
    """Return a message on the last reply, and whether it is good news (None for neither)."""
    turns = session.recording.turns
    if session.advice and session.lost:
        advice = f'The best that is left is "{session.advice}", which loses the least.'
        return f"This position is lost: nothing reaches the goal any more. {advice}", False
    if session.advice:
        return f'The expert plays "{session.advice}". The record marks this turn.', None
    if not turns:
        return GREETING, None
    turn = turns[-1]
    status = "illegal" if turn.illegal else turn.status
    result = f"{_shown(turn.action)} ({status}): reward {turn.reward:g}"
    if session.over:
        outcome = "Success" if session.recording.success else "No success"
        total = sum(turn.reward for turn in turns)
        return f"{outcome}, return {total:g}.\n{result}", session.recording.success
    is_good = turn.reward > 0 if turn.reward else None
    return f"{result}\n{session.hint}".rstrip(), is_good


def summary(run: RunFolder) -> str:
    """Return the results of a run, in a few lines."""
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
    marks = [turn.reply.provider_id == EXPERT_SHOWN for e in episodes for turn in e.turns]
    if any(marks):
        lines.append(f"the expert was asked on {sum(marks)} of {len(marks)} turns")
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
    settings = {"seed": seed} if spec.suite == SEEDS else {}
    human = Human(settings | ({"fair": True} if config.fair else {}))
    header = run_header(human, spec, [env_id])
    name = f"{AGENT}-{short_name(env_id)}-{time.strftime('%Y%m%d-%H%M%S')}"
    session = _play_rows(config.out or Path("runs", name), header, rows, config.fair)
    print(summary(session.run))
    if rest := session.rows_left - (session.rows_left > 0 and session.over):
        place = [] if config.out else ["--out", str(session.run.path)]
        command = shlex.join(["python", "-m", "vlbench.play", *argv, *place])
        print(f"play: episodes left: {rest}; resume with: {command}", file=sys.stderr)


def _play_rows(path: Path, header: RunHeader, rows: Sequence[Row], fair: bool) -> PlaySession:
    """Open the window, let a person play, and return the closed session.

    Raises:
        ValueError: The folder can't be used, there is no screen, or pygame isn't installed.
    """
    try:
        from vlbench.play.screen import Screen
    except ImportError as error:
        raise ValueError(str(error)) from error

    # Opened first, so that no folder is created if there is no screen.
    screen = Screen(f"vlbench: {short_name(header.env_ids[0])}")
    try:
        session = PlaySession(RunFolder.start(path, header), rows)
        for line in session.run.damaged:
            print(f"play: damaged line left out: {line}", file=sys.stderr)
        try:
            play(session, screen, fair)
        except KeyboardInterrupt:
            pass  # every reply is in the journal already
        finally:
            session.close()
    finally:
        screen.close()
    return session


if __name__ == "__main__":
    sys.exit(main())
