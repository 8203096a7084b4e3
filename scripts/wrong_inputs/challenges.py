"""H: a challenge plays new rows, and a rerun asks the published weights again."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from scripts.wrong_inputs.case import Case
from scripts.wrong_inputs.cheats import case
from scripts.wrong_inputs.files import Step, edit, edit_entry, spread, write
from scripts.wrong_inputs.process import python_m


def other_nonce() -> None:
    """Seal the challenge anew with another nonce."""

    def change(manifest: dict[str, Any], lines: list[Any]) -> None:
        manifest["suites"][0]["run"]["challenge"].update(nonce="m")

    edit_entry(change, "entry.challenge.tar.gz")


def edit_report(change: Callable[[dict[str, Any]], object]) -> None:
    """Change the report of a rerun."""
    report = json.loads(Path("again.json").read_text())
    change(report)
    Path("again.json").write_text(json.dumps(report))


def rerun(more: str = "") -> Step:
    """Return a step that asks the entry's model again."""
    command = "agents.rerun entry.tar.gz --agent model.py:Model --out again.json"
    return python_m(f"{command} {more}")


VERIFY_RERUN = "leaderboard.verify entry.tar.gz --rerun again.json"
VERIFY_CHALLENGE = "leaderboard.verify entry.tar.gz entry.challenge.tar.gz --nonces nonces.json"


def challenged(
    name: str,
    *pieces: str,
    steps: tuple[Step, ...] = (),
    action: str = VERIFY_CHALLENGE,
    **rest: object,
) -> Case:
    """A verification of an entry with its challenge."""
    setup = (spread("memory"), *steps)
    return case(name, action, *pieces, fixtures=("memory",), setup=setup, **rest)


def reran(
    name: str, *pieces: str, steps: tuple[Step, ...] = (), more: str = "-k 40", **rest: object
) -> Case:
    """A verification with a report of a rerun."""
    setup = (spread("published"), rerun(more), *steps)
    return case(name, VERIFY_RERUN, *pieces, fixtures=("published",), setup=setup, **rest)


def wrong_challenge(arguments: str, piece: str) -> Case:
    return case(
        f"evaluate {arguments}",
        f"agents.evaluate --agent expert --env NumberLine {arguments}",
        piece,
        code=2,
    )


CASES = (
    challenged(
        "a model that knew the rows, and its challenge",
        "replayed, challenge: ",
        "flagged: falls short of its challenge",
    ),
    challenged(
        "a nonce that nobody published",
        "not published by the maintainers: no mark",
        steps=(write("nonces.json", {}),),
        forbidden=("replayed, challenge",),
    ),
    challenged(
        "a challenge with a nonce of its own",
        "refused: entry.challenge.tar.gz: ",
        steps=(other_nonce,),
        code=1,
    ),
    challenged(
        "a challenge without its entry",
        "wanted its entry ",
        action="leaderboard.verify entry.challenge.tar.gz",
        code=1,
    ),
    wrong_challenge(f"--challenge {'1' * 64}", "--challenge and --nonce belong together"),
    wrong_challenge("--challenge abc --nonce x", "--challenge must be like"),
    wrong_challenge(f"--challenge {'1' * 64} --nonce ''", "--nonce must"),
    wrong_challenge(
        f"--challenge {'1' * 64} --nonce x --episodes 3", "a challenge plays all its rows"
    ),
    reran("a rerun of the same model", "replayed, reproduced"),
    reran(
        "a rerun of a model with another wording",
        "entry.tar.gz: replayed: Cheat",
        more="-k 40 --set extra=!",
        forbidden=("replayed, reproduced",),
    ),
    reran(
        "a rerun of 29 turns",
        "entry.tar.gz: replayed: Cheat",
        more="-k 29",
        forbidden=("replayed, reproduced",),
    ),
    reran(
        "a report with a changed turn",
        "refused: again.json: wanted the turn ",
        steps=(lambda: edit_report(lambda report: report["turns"].reverse()),),
        code=1,
    ),
    reran(
        "a report of another entry",
        "refused: again.json: ",
        steps=(edit("again.json", digest="0" * 64),),
        code=1,
    ),
    reran(
        "a report that claims its mark",
        "refused: again.json: ",
        steps=(edit("again.json", mark="reproduced"),),
        code=1,
    ),
    case(
        "a rerun over an older file",
        "agents.rerun entry.tar.gz --agent model.py:Model --out mine.json",
        "is there already; choose another --out",
        code=2,
        fixtures=("published",),
        setup=(spread("published"), write("mine.json", "mine")),
    ),
    case(
        "a rerun of the expert",
        "agents.rerun entry.tar.gz --agent expert --out again.json",
        "rerun: ",
        code=2,
        fixtures=("published",),
        setup=(spread("published"),),
    ),
)
