"""A run as an object: what it prints, and its numbers as rows, data frames and files."""

import csv

import pytest

import vlbench
from agents.evaluate import evaluate, main
from agents.results.__main__ import main as table
from agents.results.formats import latex, markdown
from agents.results.plots import bars
from agents.results.rows import write_csv
from agents.results.run import Run
from vlbench.intervals import Interval
from vlbench.records import Reply

PAPER = {"suite": "paper", "episodes": 6, "max_usd": None}


def plus(observation):
    return Reply(vlbench.reply("+"), prompt_tokens=10, completion_tokens=2, usd=0.5)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return evaluate(plus, "NumberLine", out=tmp_path_factory.mktemp("results") / "run", **PAPER)


def test_a_run_prints_its_table_and_its_repr_is_a_line(run):
    assert repr(run) == f"Run({str(run.folder)!r}, agent='plus', suite='paper', episodes=6)"
    lines = str(run).splitlines()
    assert lines[0] == "plus, suite paper, prompt cot" and lines[1].split()[:2] == [
        "env",
        "episodes",
    ]
    turns = sum(len(episode.turns) for episode in run.episodes)
    assert lines[-1] == f"{12 * turns} tokens, {turns / 2:.2f} USD"


def test_a_notebook_shows_the_same_table_and_no_markup_of_an_agent(run):
    page = run._repr_html_()
    assert "<td>vlbench/NumberLine-v0</td>" in page and page.count("<tr>") == 2
    agent = lambda observation: vlbench.reply("+")  # noqa: E731
    agent.__name__ = "<b>x</b>"
    other = evaluate(agent, "NumberLine", out=run.folder.parent / "other", **PAPER)
    assert "<b>x</b>" not in other._repr_html_()


def test_a_run_opened_from_its_folder_has_the_same_scores(run):
    again = Run.open(run.folder)
    assert (again.scorecards, again.episodes, again.header) == (
        run.scorecards,
        run.episodes,
        run.header,
    )


def test_rows_count_scorecards_episodes_and_turns(run):
    (card,) = run.rows()
    assert card["env"] == "vlbench/NumberLine-v0" and card["success"] == run.scorecards[0].success
    assert card["attribution.decision.turns"] == run.scorecards[0].attribution["decision"].turns
    assert card["notes"] == "; ".join(run.scorecards[0].notes)
    episodes, turns = run.rows("episodes"), run.rows("turns")
    assert [row["turns"] for row in episodes] == [len(e.turns) for e in run.episodes]
    assert sum(row["usd"] for row in episodes) == 0.5 * len(turns)
    assert {row["action"] for row in turns} == {"+"}
    with pytest.raises(ValueError, match='unknown level "turn"; did you mean "turns"'):
        run.rows("turn")


def test_a_data_frame_has_the_rows_or_says_what_is_missing(run, monkeypatch):
    pandas = pytest.importorskip("pandas")
    frame = run.to_dataframe("episodes")
    assert isinstance(frame, pandas.DataFrame) and len(frame) == 6
    assert frame["success"].mean() == pytest.approx(run.scorecards[0].success)
    monkeypatch.setitem(__import__("sys").modules, "pandas", None)
    with pytest.raises(ValueError, match=r'pip install "vlbench\[paper\]"'):
        run.to_dataframe()


def test_evaluate_writes_a_row_for_each_task_and_suite(tmp_path, capsys):
    call = ["--agent", "random", "--env", "NumberLine,EZPoints", "--episodes", "2"]
    out = ["--out", str(tmp_path / "run"), "--csv", str(tmp_path / "t.csv")]
    assert main([*call, "--suite", "test,paper", *out]) == 0
    with (tmp_path / "t.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [(row["env"][8:-3], row["suite"]) for row in rows] == [
        ("NumberLine", "test"),
        ("EZPoints", "test"),
        ("NumberLine", "paper"),
        ("EZPoints", "paper"),
    ]
    assert all(0 <= float(row["success"]) <= 1 for row in rows)
    (tmp_path / "thesis.csv").write_text("years of work\n")
    assert main([*call, "--csv", str(tmp_path / "thesis.csv")]) == 2
    assert "exists and isn't a table of ours" in capsys.readouterr().err


def test_a_reply_in_a_csv_file_is_no_formula_of_a_spreadsheet(tmp_path):
    rows = [{"env": "x", "action": "+", "reply": '=HYPERLINK("http://x")', "regret": -1.0}]
    write_csv(tmp_path / "t.csv", rows)
    text = (tmp_path / "t.csv").read_bytes().decode()
    assert text == 'env,action,reply,regret\nx,+,"\'=HYPERLINK(""http://x"")",-1.0\n'


def test_a_paper_s_table_as_text_markdown_and_latex(run, capsys):
    call = [str(run.folder), "--columns", "agent,task,success,errored"]
    card = run.scorecards[0]
    rate, low, high = (
        f"{100 * x:.1f}" for x in (card.success, card.success_low, card.success_high)
    )
    assert table([*call, "--format", "markdown"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "| agent | task | success | errored |",
        "| --- | --- | ---: | ---: |",
        f"| plus | NumberLine | {rate} % ({low}–{high} %) | 0 |",
    ]
    assert table([*call, "--format", "latex"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[1] == r"\begin{tabular}{llrr}" and lines[-1] == r"\end{tabular}"
    assert lines[5] == rf"plus & NumberLine & {rate} \% ({low}--{high} \%) & 0 \\"
    assert table(call) == 0
    assert capsys.readouterr().out.splitlines()[0].split() == [
        "agent",
        "task",
        "success",
        "errored",
    ]


def test_the_usual_table_tells_runs_of_one_agent_apart(run, tmp_path, capsys):
    """By what differs between them: the preamble, then a setting, else by their folders."""

    def columns(*runs):
        assert table([str(run.folder) for run in runs]) == 0
        head, *rows = capsys.readouterr().out.splitlines()
        return head.split()[:4], rows

    system = evaluate(
        plus, "NumberLine", out=tmp_path / "system", system_prompt="Be\nbrief.", **PAPER
    )
    head, rows = columns(run, system)
    assert head == ["agent", "task", "suite", "preamble"]
    assert "none" in rows[0] and "a system prompt (sha256 " in rows[1]
    assert "a system prompt" in str(system) and "a system prompt" not in str(run)
    assert columns(run, run)[0] == ["run", "agent", "task", "suite"]
    past = evaluate(plus, "NumberLine", out=tmp_path / "past", history=2, **PAPER)
    assert columns(run, past)[0] == ["agent", "task", "suite", "history"]
    limits = []
    for limit in (1, 2):
        agent = Limited(limit)
        limits.append(evaluate(agent, "NumberLine", out=tmp_path / f"{limit}", **PAPER))
    head, rows = columns(*limits)
    assert head == ["agent", "task", "suite", "settings"]
    assert "limit=1" in rows[0] and "limit=2" in rows[1] and "note" not in rows[0]


class Limited:
    """An agent with settings."""

    name, privileged = "limited", False

    def __init__(self, limit):
        self.settings = {"limit": limit, "note": "the same"}

    def act(self, observation):
        return vlbench.reply("+")


def test_what_an_agent_is_called_breaks_no_table():
    assert "& $-$1.5 ($-$2.0 to 3.0) to-day" in latex(
        ["a", "b"], [["x", "-1.5 (-2.0 to 3.0) to-day"]]
    )
    assert latex(["agent"], [[r"a_b & 50% \x{}"]]).splitlines()[5] == (
        r"a\_b \& 50\% \textbackslash{}x\{\} \\"
    )
    assert markdown(["agent"], [["a|b\nc"]]).splitlines()[2] == r"| a\|b c |"


def test_bars_are_drawn_as_picture_and_as_vectors(run, tmp_path):
    pytest.importorskip("matplotlib")
    for kind, start in ((".png", b"\x89PNG"), (".pdf", b"%PDF"), (".svg", b"<?xml")):
        figure = tmp_path / f"bars{kind}"
        assert table([str(run.folder), "--figure", str(figure), "--out", str(tmp_path / "t")]) == 0
        assert figure.read_bytes().startswith(start)
    assert "NumberLine" in (tmp_path / "t").read_text("utf-8")


def test_a_floor_of_0_is_drawn_above_the_axis():
    pytest.importorskip("matplotlib")
    series = {"one": [Interval(0.5, 0.2, 0.8)]}
    for floor, lower in ((0.0, True), (0.001, True), (0.3, False)):
        (axes,) = bars(["x"], series, "success", {"floor": [floor]}).axes
        low, high = axes.get_ylim()
        assert list(axes.lines[-1].get_ydata()) == [floor, floor]
        assert (low < 0) == lower and floor - low > 0.025 * high
    assert bars(["x"], series, "success").axes[0].get_ylim()[0] == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--columns", "agent,sucess"], 'unknown column "sucess"; did you mean "success"?'),
        (["--format", "html"], "--format must be text, markdown, latex or csv"),
        (["--figure", "x.gif"], "x.gif must end in .png, .pdf, .svg"),
        (["--level", "turn"], 'did you mean "turns"?'),
    ],
)
def test_a_wrong_table_is_one_line(run, capsys, arguments, message):
    assert table([str(run.folder), *arguments]) == 2
    err = capsys.readouterr().err
    assert message in err and err.count("\n") == 1
