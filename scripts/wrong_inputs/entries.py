"""G: entries that no run can produce are refused, and no input reaches a terminal as a command."""

import gzip
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from scripts.wrong_inputs.case import Case
from scripts.wrong_inputs.files import (
    Change,
    Step,
    compress_again,
    edit,
    edit_bytes,
    edit_entry,
    edit_lines,
    write,
)
from scripts.wrong_inputs.foreign_code import TURN
from scripts.wrong_inputs.process import python_m, without

VERIFY = "leaderboard.verify entry.tar.gz"
ESCAPE = "\x1b]0;owned\x07\x1b[2J\r\x9b31m"
"""Sets a terminal's title, clears it, and recolours what follows."""
SHELL_ESCAPE = f"'{ESCAPE}'"
RAISES_ESCAPES = f"""
from agents.agent import ProviderError

def own(observation):
    raise ProviderError("status 400: " + {ESCAPE!r}, status=400)
"""


def sealed(name: str, change: Change, *pieces: str) -> Case:
    """An entry with one change and right digests."""
    return Case(
        letter="G",
        name=f"an entry with {name}",
        action=VERIFY,
        pieces=("refused: entry.tar.gz: ", *pieces),
        code=1,
        fixtures=("entry.tar.gz",),
        setup=(lambda: edit_entry(change),),
        forbidden=("replayed:",),
    )


def in_header(**values: Any) -> Change:
    return lambda manifest, lines: manifest["suites"][0]["run"].update(values)


def in_card(**values: Any) -> Change:
    return lambda manifest, lines: manifest["card"].update(values)


def in_reply(**values: Any) -> Change:
    return lambda manifest, lines: lines[3]["turns"][0]["reply"].update(values)


def in_turn(**values: Any) -> Change:
    return lambda manifest, lines: lines[3]["turns"][0].update(values)


def in_episode(**values: Any) -> Change:
    return lambda manifest, lines: lines[3].update(values)


def archive(
    name: str, change: Callable[[bytes], bytes], piece: str = "refused: entry.tar.gz: "
) -> Case:
    """An entry whose bytes differ from what `pack` writes."""
    return Case(
        letter="G",
        name=f"an archive with {name}",
        action=VERIFY,
        pieces=(piece,),
        code=1,
        fixtures=("entry.tar.gz",),
        setup=(lambda: edit_bytes(change),),
        forbidden=("replayed:",),
    )


def with_flag(flag: int, field: bytes) -> Callable[[bytes], bytes]:
    """Return a change of a gzip header: a flag, and the field that it announces."""
    return lambda data: data[:3] + bytes([flag]) + data[4:10] + field + data[10:]


def terminal(
    name: str, action: str, *setup: Step, piece: str = "owned", code: int = 2, run: bool = False
) -> Case:
    """A command that meets control sequences, of which none may reach the terminal."""
    return Case(
        letter="G",
        name=f"control sequences in {name}",
        action=action,
        pieces=(piece,),
        code=code,
        fixtures=("run",) if run else (),
        setup=setup,
        forbidden=("\x1b", "\x07", "\x9b", "\r"),
    )


def copies() -> None:
    """Lay a copy, a namesake and a broken entry beside the entry."""
    shutil.copy("entry.tar.gz", "copy.tar.gz")
    namesake = in_card(model="another-1")
    edit_entry(namesake, out="namesake.tar.gz")
    Path("bad.tar.gz").write_bytes(b"bad")


def list_pages() -> None:
    """Build the site of four archives, and print the names of its pages."""
    names = " ".join(f"{name}.tar.gz" for name in ("entry", "copy", "namesake", "bad"))
    python_m(f"leaderboard.site {names} --out site", code=1)()
    pages = [path.name for path in Path("site/entries").iterdir()]
    print(f"{len(pages)} pages, digests of {min(map(len, pages)) - len('stands-.html')} digits")


CASES = (
    sealed("negative money", in_reply(usd=-1.0), "usd"),
    sealed("negative tokens", in_reply(prompt_tokens=-5), "prompt_tokens"),
    sealed("negative tokens of a completion", in_reply(completion_tokens=-1), "completion_tokens"),
    sealed("negative seconds", in_reply(seconds=-2.0), "seconds"),
    sealed("negative retries", in_reply(retries=-1), "retries"),
    sealed("an unknown stop_reason", in_reply(stop_reason="banana"), "stop_reason"),
    sealed("episodes: -3", in_header(episodes=-3), "episodes"),
    sealed("fewer episodes asked for than played", in_header(episodes=99), "episodes"),
    sealed("a price of ten numbers", in_header(price=[0.5] * 10), "price"),
    sealed("a negative price", in_header(price=[-1.0, 1.0]), "price"),
    sealed("a name that turns its direction", in_card(name="gpt\u202e4"), "card.name"),
    sealed("a name with an invisible letter", in_card(name="gpt\u200b4"), "card.name"),
    sealed("a name of blanks", in_card(name="   "), "card.name"),
    sealed("a control sequence in its notes", in_card(notes=ESCAPE), "card.notes"),
    sealed("an agent that turns its direction", in_header(agent="gpt\u202e4"), "agent"),
    sealed("a date in the future", in_card(date="2999-01-01"), "card.date"),
    sealed("a start in the future", in_header(started="2999-01-01T00:00:00Z"), "started"),
    sealed("an errored episode without error", in_episode(end="errored"), "error"),
    sealed("an error in an episode that ended", in_episode(error="no"), "error"),
    sealed("another reward", in_turn(reward=10.0), "reward"),
    sealed("another success", in_episode(success="yes"), "success"),
    sealed("another text", in_reply(text='{"action": "hit"}'), "turn 0"),
    sealed("a field that there is not", in_episode(mark="replayed"), 'no field "mark"'),
    sealed("a row left out", lambda manifest, lines: lines.pop(), "wanted vlbench/Blackjack-v0#99"),
    sealed("a row twice", lambda manifest, lines: lines.insert(0, lines[0]), "wanted"),
    sealed("another parser", in_header(parser="vlact-9"), "parser"),
    sealed(
        "weights whose hash is none",
        in_header(models={"": {"weights_hash": "abc"}}),
        "weights_hash",
    ),
    archive("a name in the gzip header", lambda data: compress_again(gzip.decompress(data), "x")),
    archive("a time in the gzip header", lambda data: data[:4] + b"\1\2\3\4" + data[8:]),
    archive("a comment in the gzip header", with_flag(16, b"\x1b[2J\0")),
    archive("an extra field in the gzip header", with_flag(4, b"\4\0abcd")),
    archive("a second gzip member", lambda data: data + gzip.compress(b"x", mtime=0)),
    archive("bytes behind its end", lambda data: data + b"\0" * 64),
    archive("no gzip at all", lambda data: b"PK\3\4 no entry"),
    archive("half of its bytes", lambda data: data[: len(data) // 2]),
    archive("256 MiB of zeros", lambda data: gzip.compress(bytes(256 << 20), 1, mtime=0)),
    Case(
        letter="G",
        name="a good entry, verified without torch and SDKs",
        action=without(VERIFY, "torch", "transformers", "openai", "google"),
        pieces=("entry.tar.gz: replayed: Stands",),
        code=0,
        fixtures=("entry.tar.gz",),
    ),
    Case(
        letter="G",
        name="a site of an entry, its copy, its namesake and a broken one",
        action=list_pages,
        pieces=(
            "refused: bad.tar.gz: ",
            "left out: copy.tar.gz: the same entry as entry.tar.gz",
            "2 pages, digests of 64 digits",
        ),
        code=0,
        fixtures=("entry.tar.gz",),
        setup=(copies,),
    ),
    terminal("an agent's name", f"agents.evaluate --agent {SHELL_ESCAPE}"),
    terminal("an environment's name", f"agents.evaluate --agent expert --env {SHELL_ESCAPE}"),
    terminal("an option", f"agents.doctor --agent random --set {SHELL_ESCAPE}=1"),
    terminal(
        "a file's name",
        f"leaderboard.verify {SHELL_ESCAPE}.tar.gz",
        write(f"{ESCAPE}.tar.gz", b"no entry"),
        code=1,
    ),
    terminal(
        "a provider's error",
        "agents.evaluate --agent own.py:own --env NumberLine --episodes 1 --out new",
        write("own.py", RAISES_ESCAPES),
        code=1,
    ),
    terminal(
        "a record's action",
        "vlbench.replay run",
        edit_lines("run/episodes.jsonl", lambda lines: lines[0]["turns"][0].update(action=ESCAPE)),
        code=1,
        run=True,
    ),
    terminal(
        "a record's instance",
        "vlbench.replay run",
        edit_lines("run/episodes.jsonl", lambda lines: lines[0].update(instance=ESCAPE)),
        code=1,
        run=True,
    ),
    terminal(
        "a header",
        "vlbench.replay run",
        edit("run/run.json", parser=ESCAPE),
        piece="U+001B",
        run=True,
    ),
    terminal(
        "a file of turns",
        "vlbench.diagnose turns.jsonl",
        write("turns.jsonl", json.dumps(TURN | {"env_id": ESCAPE}) + "\n"),
    ),
)
