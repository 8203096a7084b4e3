"""Pages of results are rendered from templates, and their figures from lines."""

import json
import re

import pytest

from agents.results.study_lines import read_lines
from agents.results.study_page import PLACEHOLDER, render
from scripts import make_result_pages

pytestmark = pytest.mark.extra

CODE = re.compile(r"```.*?```|^ {4}.*?$|`[^`]*`|\]\([^)]*\)", re.DOTALL | re.MULTILINE)
FIGURE = re.compile(
    r"\d[\d.,]* ?%|\d+ of (?:the )?\d|\d\.\d|[+−±]\d"
    r"|\d (?:points|times|minutes|hours|seconds|s|MB)\b"
)
"""A typed result: a share, a count of a total, a decimal, a difference, a time or a size."""
CONFIDENCE = "95 %"
WITHOUT_TEMPLATE = "checkpoints.md"  # goes when the shipped checkpoints are retrained


@pytest.fixture
def results(tmp_path):
    """Three lines of two runs."""
    lines = [
        {"run": "a", "step": 1, "success": 0.25, "interval": {"low": 0.125}, "sizes": [3, 5]},
        {"run": "a", "step": 2, "success": 0.5, "eval/loss": 0.12345, "plans": {"0.3M.b": 7}},
        {"run": "b", "step": 1, "success": None, "done": True, "name": "two words"},
    ]
    path = tmp_path / "lines.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), "utf-8")
    (tmp_path / "other.jsonl").write_text('{"n": 4}\n', "utf-8")
    return path


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ("It wins {{run=a step=1: [success %1]}}.", "It wins 25.0 %."),
        ("{{run=a step=2: [eval/loss .3f] in [run]}}", "0.123 in a"),
        ("From {{run=a step=1: [interval.low p0] to [sizes.1]}}", "From +12 to 5"),
        ("{{step=2: [plans.0.3M.b]}}", "7"),
        ("{{done=true: [success %1], [name]}}", "–, two words"),
        ("Of {{other.jsonl n=4: [n 03d]}}", "Of 004"),
        ("a\n{{run=a: | [step] | [success %] |}}\nb", "a\n| 1 | 25 % |\n| 2 | 50 % |\nb"),
        ("See {{run=a: | [step] |}}", "See | 1 |\n| 2 |"),
        ("{{run=a step=1: [interval.low p1]}}", "+12.5"),
        ("{{tables}} and {{ tables }}", "T and T"),
        ("no braces {a}", "no braces {a}"),
    ],
)
def test_a_template_looks_at_lines(template, text, results):
    assert render(template, {"tables": "T"}, results) == text


@pytest.mark.parametrize(
    ("template", "message"),
    [
        ("{{figures}}", "no value is called 'figures'"),
        ("{{run=a [step]}}", "a look at lines has a colon"),
        ("{{run: [step]}}", "wanted field=value before the colon, got 'run'"),
        ("{{none.jsonl: [step]}}", "there is no "),
        ("{{run=a step=1: [interval]}}", '{"low": 0.125} can\'t be written as text'),
        ("{{run=a: [step]}}", "selects 2 lines of lines.jsonl; wanted one"),
        ("{{run=c: [step]}}", "selects 0 lines of lines.jsonl; wanted one"),
        ("{{run=c: | [step] |}}", "selects 0 lines of lines.jsonl; wanted at least one"),
        ("{{run=b: [loss]}}", "no field 'loss'"),
        ("{{run=a step=1: [sizes.2]}}", "no field 'sizes.2'"),
        ("{{run=b: [success.low]}}", "no field 'success.low'"),
        ("{{run=b: [name .2f]}}", '"two words" can\'t be written as .2f'),
    ],
)
def test_what_a_template_cant_have_is_refused(template, message, results):
    with pytest.raises(ValueError, match=re.escape(message)):
        render(template, {}, results)


def test_the_pages_are_up_to_date():
    for page, text in make_result_pages.pages().items():
        same = page.read_text("utf-8") == text  # so that a failure doesn't print a page
        assert same, f"{page.name} is out of date: run python -m scripts.make_result_pages"


def test_every_page_of_results_has_a_template():
    pages = set(make_result_pages.RESULTS.glob("*.md"))
    exempt = {make_result_pages.RESULTS / WITHOUT_TEMPLATE}
    assert exempt < pages and pages - exempt == set(make_result_pages.pages())


def test_readme_says_what_its_training_commands_gave():
    lines = read_lines(make_result_pages.RESULTS / "readme-training.jsonl")
    readme = " ".join((make_result_pages.RESULTS.parents[1] / "README.md").read_text().split())
    wall = {line["command"].split()[2]: line["wall"] for line in lines}
    won = {line["model"]: {k: 100 * v for k, v in line["success"].items()} for line in lines[-2:]}
    ppo, sft = (wall[f"agents.train.{name}"] for name in ("ppo", "sft"))
    times = f"PPO took {ppo:.0f} s and fine-tuning {sft:.0f} s"
    start, end = (
        "{value:.1f} % ({low:.1f} to {high:.1f})".format(**won[f"runs/{name}/latest"])
        for name in ("weak", "ppo")
    )
    loads = [line["load"] for line in lines]
    assert f"{times} on two cores with a load of {min(loads)} to {max(loads)}" in readme
    assert f"from {start} to {end}" in readme


def test_a_figure_comes_through_a_placeholder_alone():
    for template in make_result_pages.RESULTS.glob("*.md.in"):
        text = CODE.sub("", PLACEHOLDER.sub("", template.read_text("utf-8")))
        typed = FIGURE.findall(text.replace(CONFIDENCE, ""))
        assert not typed, f"{template.name} has typed figures: {typed}"
