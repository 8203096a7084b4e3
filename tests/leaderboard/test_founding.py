"""Cells that only others can fill: the script that fills them, and the site's open calls."""

import dataclasses
import html
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from support.fault_server import FaultServer
from support.page_commands import DOCS, commands, main_of
from support.sample_entries import packed, run

import vlbench
from agents.registry import AGENTS, load_agent
from leaderboard import cells, site
from leaderboard.verify import verify
from vlbench.cli import Options
from vlbench.run_folder import RunFolder

ROOT = Path(vlbench.__file__).parent.parent
SCRIPT = ROOT / "scripts" / "founding.sh"
KEY = "sk-founding-0123456789"
FOUNDING = {"ENVS": "EZPoints", "SUITES": "test"}

pytestmark = pytest.mark.extra
in_a_checkout = pytest.mark.skipif(not SCRIPT.exists(), reason="the script isn't in the wheel")


def founding(*arguments, **variables):
    """Call the script; return the exit code, stdout and stderr."""
    keep = ("PATH", "HOME", "LANG", "OMP_NUM_THREADS")
    environment = {name: os.environ[name] for name in keep if name in os.environ}
    environment |= {"PYTHON": sys.executable, "PYTHONPATH": str(ROOT), **variables}
    done = subprocess.run(
        ["bash", str(SCRIPT), *map(str, arguments)],
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=900,
    )
    return done.returncode, done.stdout, done.stderr


def replies_of(run):
    """Return how many replies a run has."""
    return sum(map(len, RunFolder.open(run).replies().values()))


def dry(cell, *arguments, **variables):
    """Return the Python commands that the script would run, as words after `python -m`."""
    code, out, err = founding(cell, *arguments, DRY="1", **variables)
    assert (code, err) == (0, "")
    lines = [shlex.split(line) for line in out.splitlines() if line.startswith(sys.executable)]
    assert all(words[1] == "-m" for words in lines)
    return [words[2:] for words in lines]


@in_a_checkout
def test_a_wrong_cell_is_one_line_that_names_the_cells():
    code, out, err = founding("gtp")
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert err.startswith('cells: unknown cell "gtp"; did you mean "gpt"? (known: gpt, gemini, ')


@in_a_checkout
def test_without_a_cell_all_are_listed_with_what_they_need():
    code, out, err = founding()
    assert (code, err) == (0, "")
    assert [line.split()[2] for line in out.splitlines()] == [c.name for c in cells.read_cells()]
    assert all("; needs " in line for line in out.splitlines())


def test_every_cell_is_filled_by_the_model_of_its_own_agent_alone():
    for cell in cells.read_cells():
        name, _, model = cell.agent.partition(":")
        assert name in AGENTS and model
        model = re.split("[:/]", model)[-1]
        assert [c.name for c in cells.read_cells() if c.holds(model)] == [cell.name]
    gpt = cells.read_cells()[0]
    assert gpt.holds("openai/GPT-6") and not gpt.holds("my-gpt-4o")


@pytest.mark.slow
def test_the_price_of_a_provider_s_model_is_known(monkeypatch):
    pytest.importorskip("openai")
    for cell in cells.read_cells():
        if cell.stages == ("zero-shot",):
            for name in ("OPENAI_API_KEY", "GEMINI_API_KEY", "ANTHROPIC_API_KEY"):
                monkeypatch.setenv(name, KEY)
            assert load_agent(cell.agent).list_price, cell.name


@in_a_checkout
def test_a_cell_of_three_stages_skips_none_and_packs_each_with_its_card():
    made = dry("qwen2.5-vl-7b", "runs/x", "--organisation", "An X", ENVS="NumberLine,Points24")
    packs = [words for words in made if words[0] == "leaderboard.pack"]
    tracks = [words[words.index("--track") + 1] for words in packs]
    assert tracks == ["zero-shot", "sft", "rl", "sft", "rl"]
    assert all(words[-2:] == ["--organisation", "An X"] for words in packs)
    models = {words[words.index("--model") + 1] for words in packs}
    (cell,) = [cell for cell in cells.read_cells() if cell.name == "qwen2.5-vl-7b"]
    assert len(models) == 1 and cell.holds(*models)
    estimated = [words for words in made if words[-2] == "--estimate-memory"]
    assert [words[2] for words in estimated] == ["rl4vlm-numberline", "rl4vlm-points24"]
    assert made.index(estimated[-1]) < made.index(packs[0])
    assert [words[0] for words in made].count("leaderboard.verify") == 5


@in_a_checkout
@pytest.mark.skipif(not DOCS.is_dir(), reason="the pages aren't in the wheel")
def test_training_has_the_options_of_the_page_about_7b_models():
    model = "hf:Qwen/Qwen2.5-VL-3B-Instruct"
    made = {words[0]: words for words in dry("qwen2.5-vl-3b", "runs/x", ENVS="NumberLine")}
    for command in ("sft_data", "sft", "ppo"):
        name = f"agents.train.{command}"
        lines = [line for line in commands("train-7b.md") if line.startswith(f"python -m {name} ")]
        line = next(line for line in lines if "--out runs/7b/" in line)
        line = line.replace("hf:llava-hf/llava-v1.6-mistral-7b-hf", model)
        line = line.replace("runs/7b", "runs/x/NumberLine")
        assert shlex.split(line)[2:] == made[name], command


@pytest.mark.slow
@in_a_checkout
@pytest.mark.parametrize("cell", [cell.name for cell in cells.read_cells()])
def test_every_command_is_understood_by_its_own_parser(cell, monkeypatch):
    class Read(Exception):
        """The command line was understood."""

    def stop(options):
        raise Read

    pytest.importorskip("peft")
    variables = {"AGENT": "openai:m", "PRICE": "1,2", "MAX_USD": "9"} if cell == "gpt" else {}
    made = dry(cell, "runs/x", **variables)
    assert len(made) >= 5
    for words in made:
        with monkeypatch.context() as patched:
            patched.setattr(Options, "preflight", stop)
            with pytest.raises(Read):
                assert main_of(words[0])(words[1:]) is None, words


@pytest.mark.slow
@in_a_checkout
def test_a_provider_s_model_is_played_packed_and_verified_and_a_second_call_goes_on(tmp_path):
    pytest.importorskip("openai")
    out = tmp_path / "gpt"
    with FaultServer() as server:
        asked = {**FOUNDING, "OPENAI_BASE_URL": server.v1, "OPENAI_API_KEY": KEY, "PRICE": "1,1"}
        code, told, err = founding("gpt", out, **asked)
        assert code == 2 and server.log() == [] and not out.exists()
        assert err == "founding: nothing was started; answer yes, or set YES=1\n"
        assert re.search(r"^test: estimate: \d+ to \d+ calls, .* USD at 1 in, 1 out", told, re.M)
        assert re.search(
            r"^in all: \d+ .* USD, .* h; the run stops, resumably, at 5 USD", told, re.M
        )
        asked |= {"YES": "1"}
        code, told, err = founding("gpt", out, **asked, MAX_USD="0.02")
        assert code == 3 and "stopped at 0.0" in err
        assert err.splitlines()[-1].startswith("founding: no entry yet; the same command goes on")
        asked_before, played_before = len(server.log()), replies_of(out / "zero-shot")
        assert played_before and not (out / "zero-shot.tar.gz").exists()
        code, told, err = founding("gpt", out, "--organisation", "An X", **asked, MAX_USD="none")
        assert code == 0, err
        played = replies_of(out / "zero-shot") - played_before
        assert len(server.log()) - asked_before == played, "no reply is asked for again"
        code, again, _ = founding("gpt", out, **asked)
        assert code == 0 and "zero-shot.tar.gz is there" in again and "estimate" not in again
    assert KEY not in told + err + again
    entry = verify(out / "zero-shot.tar.gz")
    card = entry.manifest.card
    assert (card.model, card.track, card.weights) == ("gpt-4o-2024-11-20", "zero-shot", "closed")
    assert card.organisation == "An X"
    (call,) = [call for call in cells.open_calls([entry]) if call.cell.name == "gpt"]
    assert [stage.tasks for stage in call.stages] == [("NumberLine", "Points24", "Blackjack")]


@pytest.mark.slow
@in_a_checkout
def test_a_missing_key_is_one_line_before_anything_is_played(tmp_path):
    pytest.importorskip("openai")
    for cell, variable in (("gpt", "OPENAI_API_KEY"), ("claude", "ANTHROPIC_API_KEY")):
        code, out, err = founding(cell, tmp_path / cell, YES="1", **FOUNDING)
        assert code == 2 and out.count("\n") == 1 and out.rstrip().endswith("--estimate")
        assert err.startswith(f"evaluate: no key: set {variable}") and err.count("\n") == 1


@pytest.mark.slow
@in_a_checkout
def test_memory_and_hours_are_printed_before_a_model_is_trained(tmp_path):
    pytest.importorskip("peft")
    code, out, err = founding("qwen2.5-vl-3b", tmp_path / "x", **FOUNDING)
    assert code == 2 and err == "founding: nothing was started; answer yes, or set YES=1\n"
    assert re.search(r"^in all: \d+ to \d+ calls$", out, re.M)
    assert "3,754,622,976" in out and "GiB  total" in out and "hours of the run" in out
    assert not (tmp_path / "x").exists()


def calls_of(page):
    """Return the open calls of the site's first page, as texts."""
    text = page.partition('<h2 id="calls">')[2].partition("</section>")[0]
    items = re.findall(r"<li>(.*?)</li>", text, re.DOTALL)
    return [html.unescape(re.sub(r"<[^>]+>", "", item)) for item in items]


def test_the_site_calls_for_every_cell_that_is_open_and_for_no_other(tmp_path):
    site.build([], tmp_path / "empty")
    shown = calls_of((tmp_path / "empty" / "index.html").read_text("utf-8"))
    assert len(shown) == len(cells.read_cells())
    assert shown[-1] == (
        "Qwen2.5-VL-7B zero-shot → sft → rl; needs a GPU: bash scripts/founding.sh qwen2.5-vl-7b"
    )
    played = run(tmp_path / "run", "EZPoints", "test", agent=lambda observation: '{"action": "="}')
    card = {"model": "Qwen2.5-VL-7B-Instruct", "track": "sft", "chosen": "last"}
    entry = verify(packed(played, tmp_path / "qwen.tar.gz", **card))
    site.build([entry], tmp_path / "part")
    assert calls_of((tmp_path / "part" / "index.html").read_text("utf-8"))[-1].startswith(
        "Qwen2.5-VL-7B zero-shot → sft (on NumberLine, Points24, Blackjack) → rl; needs "
    )
    (one,) = entry.scores["test"].scorecards
    every = tuple(dataclasses.replace(one, env=env_id) for env_id in vlbench.CARD_IDS)
    scores = {"test": dataclasses.replace(entry.scores["test"], scorecards=every)}
    whole = dataclasses.replace(entry, scores=scores)
    (call,) = [call for call in cells.open_calls([whole]) if call.cell.name == "qwen2.5-vl-7b"]
    assert [stage.track for stage in call.stages] == ["zero-shot", "rl"]
    played = [
        dataclasses.replace(
            whole,
            manifest=whole.manifest.model_copy(
                update={"card": whole.manifest.card.model_copy(update={"track": track})}
            ),
        )
        for track in ("zero-shot", "sft", "rl")
    ]
    assert "qwen2.5-vl-7b" not in [call.cell.name for call in cells.open_calls(played)]
