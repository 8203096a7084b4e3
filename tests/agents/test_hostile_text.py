"""Control sequences in runs, entries, names and providers' errors, through the commands."""

import json
import shutil
from importlib import import_module

import pytest

from agents.agent import ProviderError
from agents.evaluate import evaluate
from vlbench.records import Reply

HOSTILE = "\x1b]0;owned\x07\x1b[2J\r\x9b31m"
"""Sets a terminal's title, clears it, and recolours what follows."""


class Hostile:
    """Writes control sequences wherever it can."""

    name, privileged = "hostile", False
    settings = {"stop": HOSTILE}

    def __init__(self):
        self.calls = 0

    async def act(self, observation, env=None):
        self.calls += 1
        if self.calls == 2:
            raise ProviderError(f"status 400: {HOSTILE}", status=400)
        return Reply('{"action": "+"}' + HOSTILE, finish_reason=HOSTILE, provider_message=HOSTILE)


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder whose runs hold control sequences in records, damaged lines and file names."""
    folder = tmp_path_factory.mktemp("hostile") / f"runs {HOSTILE}"
    evaluate(Hostile(), "NumberLine", suite="paper", concurrency=1, out=folder / "run")
    run = folder / f"changed {HOSTILE}"
    shutil.copytree(folder / "run", run)
    lines = (run / "episodes.jsonl").read_text("utf-8").splitlines()
    first = json.loads(lines[0])
    first["turns"][0] |= {"action": HOSTILE, "status": HOSTILE}
    second = json.loads(lines[1]) | {"instance": HOSTILE}
    lines[:2] = [json.dumps(first), json.dumps(second)]
    (run / "episodes.jsonl").write_text("\n".join([*lines, f'{{"{HOSTILE}"', ""]), "utf-8")
    header = json.loads((run / "run.json").read_text("utf-8"))
    header["parser"] = "vlact-9"
    header["env_ids"] = [*header["env_ids"], "vlbench/None-v0"]
    (run / "run.json").write_text(json.dumps(header), "utf-8")
    (folder / f"entry {HOSTILE}.tar.gz").write_bytes(b"no entry")
    (folder / f"agent {HOSTILE}.py").write_text(
        f"raise RuntimeError({HOSTILE!r})\n", encoding="utf-8"
    )
    return folder


LEADERBOARD = pytest.mark.extra
COMMANDS = [
    ("vlbench.replay", ["{changed}"]),
    ("vlbench.replay", ["{folder}"]),
    ("agents.compare", ["{run}", "{changed}"]),
    ("agents.report", ["{folder}", "page.html"]),
    ("agents.evaluate", ["--agent", HOSTILE]),
    ("agents.evaluate", ["--agent", "{agent}:Agent"]),
    ("agents.evaluate", ["--agent", "expert", "--env", HOSTILE]),
    ("agents.evaluate", ["--agent", "expert", "--env", "NumberLine", "--out", "{changed}"]),
    ("agents.doctor", ["--agent", "random", "--set", f"{HOSTILE}=1"]),
    ("agents.cli", [HOSTILE]),
    ("agents.rerun.__main__", ["{entry}"]),
    pytest.param("leaderboard.pack", ["{changed}", "--out", "e.tar.gz"], marks=LEADERBOARD),
    pytest.param("leaderboard.verify", ["{entry}"], marks=LEADERBOARD),
    pytest.param("leaderboard.site", ["{entry}", "--out", "site"], marks=LEADERBOARD),
    pytest.param("leaderboard.convert", ["{entry}", "--out", "new"], marks=LEADERBOARD),
]


@pytest.mark.slow
@pytest.mark.parametrize("module, argv", COMMANDS)
def test_no_control_sequence_reaches_the_terminal(
    place, tmp_path, monkeypatch, capsys, module, argv
):
    monkeypatch.chdir(tmp_path)
    names = {
        "folder": place,
        "run": place / "run",
        "changed": place / f"changed {HOSTILE}",
        "entry": place / f"entry {HOSTILE}.tar.gz",
        "agent": place / f"agent {HOSTILE}.py",
    }
    filled = [word.format(**names) if word.startswith("{") else word for word in argv]
    import_module(module).main(filled)
    printed = capsys.readouterr()
    text = printed.out + printed.err
    assert "\\u001b" in text or "owned" not in text, text
    assert text and not [c for c in text if not c.isprintable() and c != "\n"]
