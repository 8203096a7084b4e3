"""`evaluate --sweep`, and the curve over runs that differ in one thing."""

import csv
import re

import pytest

from agents.compare import main as compare
from agents.evaluate import main
from agents.results.__main__ import main as table
from agents.results.plots import curve
from agents.results.run import Run, open_runs
from agents.sweep.__main__ import main as sweep
from agents.sweep.plan import Sweep, parse_sweep
from agents.sweep.points import points
from vlbench.intervals import Interval
from vlbench.replay import main as replay

CALL = ["--agent", "heuristic", "--env", "NumberLine", "--episodes", "3"]


@pytest.fixture(scope="module")
def swept(tmp_path_factory):
    """Folder of a sweep of a rule."""
    out = tmp_path_factory.mktemp("sweep") / "swept"
    assert main([*CALL, "--sweep", "max_position=5,20", "--bounds", "--out", str(out)]) == 0
    return out


def test_values_are_json_where_possible():
    assert parse_sweep("max_position=5, 10") == Sweep("max_position", (5, 10))
    assert parse_sweep("ring=true,false") == Sweep("ring", (True, False))
    assert parse_sweep("theme=classic,slate") == Sweep("theme", ("classic", "slate"))
    assert parse_sweep("ladder") == Sweep("ladder", ())


def test_a_run_for_each_value_lies_in_a_folder_of_its_own(swept):
    runs = [Run.open(swept / f"max_position-{value}") for value in (5, 20)]
    assert [run.header.env_kwargs for run in runs] == [{"max_position": v} for v in (5, 20)]
    assert {run.header.suite for run in runs} == {"seeds"}
    assert all(len(run.episodes) == 3 for run in runs)


def test_the_curve_s_table_has_a_row_for_each_value(swept):
    with (swept / "curve" / "curve.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [(row["axis"], row["value"], row["success"]) for row in rows] == [
        ("max_position", "5", "1.0"),
        ("max_position", "20", "1.0"),
    ]
    assert all(0 < float(row["floor"]) < 1 == float(row["ceiling"]) for row in rows)


def test_the_curve_is_a_picture(swept):
    pytest.importorskip("matplotlib")
    assert (swept / "curve" / "curve.png").read_bytes().startswith(b"\x89PNG")


def test_a_table_of_a_sweep_says_which_row_has_which_rules(swept, capsys):
    assert table([str(swept), "--format", "markdown"]) == 0
    out = capsys.readouterr().out
    assert "| suite | rules | episodes |" in out
    assert "| seeds | max_position=5 | 3 |" in out and "| max_position=20 |" in out


def test_a_sweep_goes_on_where_it_stopped(swept, capsys):
    before = (swept / "max_position-5" / "episodes.jsonl").read_bytes()
    assert main([*CALL, "--sweep", "max_position=5,20", "--bounds", "--out", str(swept)]) == 0
    assert (swept / "max_position-5" / "episodes.jsonl").read_bytes() == before


def test_rungs_of_a_ladder_are_swept_by_name(tmp_path):
    out = tmp_path / "ladder"
    assert main([*CALL, "--sweep", "ladder=50,10", "--out", str(out)]) == 0
    found = points(open_runs([out]))
    assert [(point.axis, point.value, point.suite) for point in found] == [
        ("ladder", 10, "ladder-10"),
        ("ladder", 50, "ladder-50"),
    ]


def test_a_theme_is_swept_on_the_same_frozen_rows(tmp_path):
    out = tmp_path / "themes"
    assert main([*CALL, "--sweep", "theme=classic,slate", "--out", str(out)]) == 0
    one, other = open_runs([out])
    assert (one.header.suite, one.header.theme, other.header.theme) == ("test", "classic", "slate")
    assert [e.instance for e in one.episodes] == [e.instance for e in other.episodes]


def test_sizes_of_pictures_are_swept_on_the_same_frozen_rows_and_compared(tmp_path, capsys):
    out = tmp_path / "sizes"
    assert main([*CALL, "--sweep", "picture_size=300,448", "--out", str(out)]) == 0
    one, other = open_runs([out])
    assert (one.header.suite, other.header.env_kwargs) == ("test", {"picture_size": 448})
    assert [e.instance for e in one.episodes] == [e.instance for e in other.episodes]
    assert replay([str(out / "picture_size-448")]) == 0
    capsys.readouterr()
    assert compare([str(one.folder), str(other.folder)]) == 0
    assert re.search(r"^picture size +300 +448", capsys.readouterr().out, re.MULTILINE)


AGENT = """
class Guesser:
    name, privileged = "guesser", False

    def __init__(self, temperature: float = 1.0, plus: float = 0.5, records: bool = True):
        if not 0 <= plus <= 1:
            raise ValueError(f"plus must be a chance, got {plus}")
        self.settings = {"temperature": temperature, "plus": plus} if records else {}
        self.plus = plus

    def act(self, observation):
        return '{"action": "%s"}' % ("+" if self.plus > 0.5 else "-")
"""


def test_a_setting_of_the_agent_is_swept_on_the_same_frozen_rows(tmp_path, capsys):
    file = tmp_path / "guesser.py"
    file.write_text(AGENT)
    call = ["--agent", f"{file}:Guesser", *CALL[2:]]
    for sweep_text in ("plus=0.2,0.8", "temperature=0,0.5"):
        out = tmp_path / sweep_text.partition("=")[0]
        assert main([*call, "--sweep", sweep_text, "--out", str(out)]) == 0
        one, other = open_runs([out])
        assert one.header.suite == other.header.suite == "test"
        assert [e.instance for e in one.episodes] == [e.instance for e in other.episodes]
        found = points([one, other])
        name, _, values = sweep_text.partition("=")
        assert [(p.axis, str(p.value)) for p in found] == [(name, v) for v in values.split(",")]
        assert (out / "curve" / "curve.csv").exists()
    capsys.readouterr()
    wrong = {
        ("--sweep", "plus=0.2,2"): "plus must be a chance, got 2",
        ("--sweep", "temperature=0,-1"): "temperature must be at least 0, got -1",
        ("--sweep", "plus=0,1", "--set", "plus=1"): "--sweep and --plus both set plus",
        ("--sweep", "pluss=0,1"): 'unknown keyword argument "pluss"',
    }
    for arguments, message in wrong.items():
        assert main([*call, *arguments, "--out", str(tmp_path / "wrong")]) == 2
        err = capsys.readouterr().err
        assert message in err and err.count("\n") == 1 and not (tmp_path / "wrong").exists()
    unrecorded = [*call, "--set", "records=false", "--sweep", "plus=0,1"]
    assert main([*unrecorded, "--out", str(tmp_path / "unrecorded")]) == 0
    assert "no curve" in capsys.readouterr().err


def test_curves_of_two_agents_are_drawn_together(swept, tmp_path, capsys):
    pytest.importorskip("matplotlib")
    call = ["--agent", "random", *CALL[2:], "--sweep", "max_position=5,20"]
    assert main([*call, "--out", str(tmp_path / "random")]) == 0
    figure = tmp_path / "both.svg"
    folders = [str(swept), str(tmp_path / "random")]
    assert sweep([*folders, "--out", str(figure), "--csv", str(tmp_path / "both.csv")]) == 0
    assert len((tmp_path / "both.csv").read_text().splitlines()) == 5
    assert figure.read_text().startswith("<?xml")
    table = capsys.readouterr().out
    assert table.count("heuristic") >= 2 and "max_position" in table
    assert "100.0 % (43.9–100.0 %)" in table, "success as in `agents.results`"


def test_whiskers_of_two_curves_stand_side_by_side_around_their_place():
    pytest.importorskip("matplotlib")
    same = Interval(0.5, 0.2, 0.8)
    values = [(5, same), (10, same), (50, same)]
    (axes,) = curve({"one": values, "other": values}, "x", "success").axes
    places = [list(bars.lines[0].get_xdata()) for bars in axes.containers]
    assert places == [[4.55, 9.55, 49.55], [5.45, 10.45, 50.45]], "2 % of the axis apart"
    assert list(axes.get_xticks()) == [5, 10, 50]
    (alone,) = curve({"one": values}, "x", "success").axes
    assert list(alone.containers[0].lines[0].get_xdata()) == [5, 10, 50]
    crowd = curve({str(n): [("a", same), ("b", same)] for n in range(50)}, "x", "success").axes[0]
    ends = [bars.lines[0].get_xdata() for bars in crowd.containers]
    assert max(first for first, _ in ends) < 0.25 < 0.75 < min(last for _, last in ends)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("max_position", "must be NAME=V1,V2"),
        ("max_position=5", "needs two values or more"),
        ("max_position=5,5", "needs two values or more, each once"),
        ("max_position=5,0", "max_position must be an integer of at least 1, got 0"),
        ("maxposition=5,6", 'unknown keyword argument "maxposition"'),
        ("temperature=0,1", 'agent "heuristic" takes no settings, got "temperature"'),
        ("picture_size=300,301", "picture_size must be one of 224, 300, 448, 672, got 301"),
        ("history=0,-1", "history must be from 0 to 1000, got -1"),
        ("history=0,x", 'history must be from 0 to 1000, got "x"'),
        ("theme=1,2", "theme must be a name, got 1"),
        ("theme=classic,clasic", 'unknown theme "clasic"; did you mean "classic"?'),
        ("ladder=10,11", 'unknown suite "ladder-11"; did you mean "ladder-'),
    ],
)
def test_a_wrong_sweep_is_one_line_and_plays_nothing(tmp_path, capsys, value, message):
    assert main([*CALL, "--sweep", value, "--out", str(tmp_path / "run")]) == 2
    err = capsys.readouterr().err
    assert message in err and err.count("\n") == 1 and not (tmp_path / "run").exists()


def test_a_sweep_sets_nothing_twice(tmp_path, capsys):
    both = ["--sweep", "max_position=5,6", "--env-kwargs", "max_position=7"]
    assert main([*CALL, *both, "--out", str(tmp_path / "run")]) == 2
    assert "--sweep and --env-kwargs both set max_position" in capsys.readouterr().err
    suite = ["--sweep", "max_position=5,6", "--suite", "paper"]
    assert main([*CALL, *suite, "--out", str(tmp_path / "run")]) == 2
    assert "chooses the rows itself; leave --suite out" in capsys.readouterr().err


def test_runs_that_differ_in_nothing_or_in_much_have_no_axis(swept, tmp_path, capsys):
    assert sweep([str(swept / "max_position-5")]) == 2
    assert "runs of one agent that differ" in capsys.readouterr().err
    assert main([*CALL, "--theme", "slate", "--out", str(tmp_path / "x")]) == 0
    capsys.readouterr()
    assert sweep([str(swept), str(tmp_path / "x")]) == 2
    assert "differ in max_position, theme, suite; choose one with --axis" in capsys.readouterr().err
    assert sweep([str(swept), "--axis", "max_positon"]) == 2
    assert 'unknown axis "max_positon"; did you mean "max_position"?' in capsys.readouterr().err
    assert sweep([str(swept), "--out", str(tmp_path / "x.gif")]) == 2
    assert "must end in .png, .pdf, .svg" in capsys.readouterr().err
