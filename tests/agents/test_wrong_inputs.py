"""The script that plays wrong inputs finds nothing wrong, and would find it."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from scripts.wrong_inputs.__main__ import LETTERS, main
from scripts.wrong_inputs.case import Case, Output, find_faults

ROOT = Path(__file__).parents[2]
REFUSAL = Case(letter="E", name="lr", action="ppo --lr -1", pieces=("--lr must be",))
LINE = "ppo: --lr must be > 0, got -1\n"
FILES = {Path("file"): b"mine"}

pytestmark = pytest.mark.extra


@pytest.mark.slow
def test_every_wrong_input_gives_what_it_must():
    ended = subprocess.run(
        [sys.executable, "-m", "scripts.wrong_inputs", "--json"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    verdicts = json.loads(ended.stdout)
    assert [v for v in verdicts if v["faults"] or v["skipped"]] == []
    assert ended.returncode == 0, ended.stderr
    assert {v["letter"] for v in verdicts} == set(LETTERS)
    assert f"gives {len(verdicts)} known wrong inputs" in (ROOT / "CONTRIBUTING.md").read_text()


@pytest.mark.parametrize(
    ("output", "after", "fault"),
    [
        (Output(2, "", LINE), FILES, None),
        (Output(1, "", LINE), FILES, "wanted exit code 2"),
        (Output(2, "", "ppo: no\n"), FILES, "lacks '--lr must be'"),
        (Output(2, "", f"a warning\n{LINE}"), FILES, "wanted one line on stderr"),
        (Output(2, "step 1\n", LINE), FILES, "wanted nothing on stdout"),
        (Output(2, "", LINE), FILES | {Path("new/x"): b""}, "changed new/x"),
        (Output(2, "", LINE), {Path("file"): b""}, "changed file"),
        (Output(2, "", LINE), {}, "changed file"),
        (Output(2, "", LINE), FILES | {Path("model/ran"): b""}, "foreign code ran"),
        (
            Output(2, "", f"Traceback (most recent call last):\n{LINE}"),
            FILES,
            "a traceback",
        ),
    ],
)
def test_what_is_wrong_is_named(output, after, fault):
    faults = find_faults(REFUSAL, output, FILES, after)
    assert (fault in faults) if fault else faults == ()


def test_an_unknown_letter_is_one_line(capsys):
    assert main(["--only", "A,Q"]) == 2
    assert capsys.readouterr().err.startswith('wrong_inputs: --only: unknown letter "Q" (known: A')
