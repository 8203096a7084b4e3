"""`python -m agents.evaluate` and its Python form; `agents.compare`."""

import json
import sys
from contextlib import contextmanager

import gymnasium
import pytest
from support.cli_process import OUTSIDE, call

import agents.progress
import vlbench
from agents import compare
from agents.evaluate import evaluate, main
from agents.players.scripted import Expert
from agents.progress import Progress
from vlbench.contract import CHECKS
from vlbench.replay import divergences
from vlbench.run_folder import EPISODES, HEADER
from vlbench.scoring import Scorecard
from vlbench.spaces import ReplySpace, observation_space
from vlbench.suites import frozen_rows

TOY = "toy_task:toy/Lamps-v0"
NUMBER_LINES = len(frozen_rows("vlbench/NumberLine-v0", "paper"))
SCORECARD = (
    "env agent suite prompt theme episodes distinct errored success success_low success_high "
    "paper_success mean_return normalized regret illegal_rate unknown_rate malformed_rate "
    "truncated_rate attribution tokens usd seconds"
).split()


@pytest.fixture
def toy(monkeypatch):
    monkeypatch.syspath_prepend(OUTSIDE)


@pytest.fixture
def run(tmp_path, capsys):
    """Evaluate in this process; returns the exit code, stdout and stderr."""

    def run(*arguments, out="run"):
        place = ("--out", tmp_path / out) if out else ()
        code = main([str(argument) for argument in (*arguments, *place)])
        return code, *capsys.readouterr()

    return run


def test_the_main_job_plays_every_task_and_prints_a_table(run, tmp_path):
    code, out, err = run("--agent", "expert", "--episodes", 3)
    assert code == 0
    assert "expert (privileged: it is handed the environment), suite test, prompt cot" in out
    for env_id in vlbench.ENV_IDS:
        assert env_id in out or f"skipped {env_id}: ALFWorld needs its engine" in err
    assert "cards: mean normalized success" in out
    resume = f"python -m agents.evaluate --agent expert --episodes 3 --out {tmp_path}"
    assert f"to go on if stopped: {resume}" in err


def test_json_has_the_fields_of_the_contract_and_nothing_else_is_on_stdout(run):
    code, out, _ = run("--agent", "random", "--episodes", 3, "--json")
    data = json.loads(out)
    assert code == 0 and set(data) == {"run", "scorecards", "headlines", "skipped"}
    played, skipped = ([item["env"] for item in data[k]] for k in ("scorecards", "skipped"))
    assert [*played, *skipped] == list(vlbench.ENV_IDS) and set(vlbench.CARD_IDS) <= set(played)
    for card in data["scorecards"]:
        assert set(SCORECARD) <= set(card)
    assert data["run"]["agent"] == "random" and data["run"]["privileged"] is True
    assert all(len(digest) == 64 for digest in data["run"]["frozen_hashes"].values())
    assert all(len(digest) == 64 for digest in data["run"]["prompt_hashes"].values())
    tables = ["cards"] if skipped else ["vlbench", "cards"]
    assert [headline["table"] for headline in data["headlines"]] == tables


def test_a_second_call_with_more_episodes_goes_on_with_the_run(run, tmp_path):
    assert run("--agent", "expert", "--env", "NumberLine", "--episodes", 2)[0] == 0
    before = (tmp_path / "run" / EPISODES).read_text()
    assert run("--agent", "expert", "--env", "NumberLine", "--episodes", 5)[0] == 0
    after = (tmp_path / "run" / EPISODES).read_text()
    assert after.startswith(before) and after.count("\n") == 5
    code, out, err = run("--agent", "expert", "--env", "NumberLine", "--episodes", 5)
    assert code == 0 and "vlbench/NumberLine-v0" in out
    assert f"nothing new is played: all 5 episodes are in {tmp_path / 'run'}\n" in err


def test_more_episodes_than_a_suite_has_are_told(run):
    arguments = ("--agent", "expert", "--env", "NumberLine", "--suite", "paper")
    code, out, err = run(*arguments, "--episodes", NUMBER_LINES + 1)
    assert code == 0 and f" {NUMBER_LINES} " in out
    wanted = f"vlbench/NumberLine-v0: suite paper has {NUMBER_LINES} rows, not {NUMBER_LINES + 1}\n"
    assert wanted in err


def test_a_folder_of_another_run_is_refused(run):
    assert run("--agent", "expert", "--env", "NumberLine", "--episodes", 1)[0] == 0
    code, out, err = run("--agent", "random", "--env", "NumberLine", "--episodes", 1)
    assert code == 2 and not out and "holds another run: agent is 'expert' there" in err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--agent", "exprt"], 'unknown agent "exprt"; did you mean "expert"?'),
        (["--agent", "expert", "--env", "Points42"], 'did you mean "Points24"?'),
        (
            ["--agent", "expert", "--env", "vlbench/NumberLines-v0"],
            'unknown env id "vlbench/NumberLines-v0"; did you mean "vlbench/NumberLine-v0"?',
        ),
        (["--agent", "expert", "--env", "Poker*"], 'no env id matches "Poker*"'),
        (["--agent", "expert", "--env", ","], "nothing to play"),
        (["--agent", "expert", "--env", "no_such_module:x/Y-v0"], 'module "no_such_module"'),
        (["--agent", "expert", "--env", "CartPole-v1"], 'have no "image" and "text"'),
        (["--agent", "expert", "--suite", "tset"], 'unknown suite "tset"; did you mean "test"?'),
        (["--agent", "expert", "--theme", "clasic"], 'did you mean "classic"?'),
        (["--agent", "expert", "--env", "Points24", "--theme", ""], 'unknown theme ""'),
        (["--agent", "expert", "--prompt", "cots"], 'unknown prompt "cots"; did you mean "cot"?'),
        (["--agent", "expert", "--set", "depth=3"], "takes no settings"),
        (["--agent", "expert", "--set", "depth"], "--set must be NAME=VALUE"),
        (["--agent", "expert", "--episodes", "0"], "episodes must be at least 1, got 0"),
        (
            ["--agent", "expert", "--episodes", "few"],
            '--episodes must be a whole number, got "few"',
        ),
        (["--agent", "expert", "--history", "-1"], "history must be at least 0, got -1"),
        (
            ["--agent", "expert", "--epsiodes", "3"],
            'unknown option "--epsiodes"; did you mean "--episodes"?',
        ),
        (["--env", "Points24"], "the following arguments are required: --agent"),
        (["--agent", "expert", "--html", "/proc/x/y.html"], "can't write to /proc"),
        (["--agent", "expert", "--html", "."], "--html: . is a folder, not a file"),
    ],
)
def test_a_wrong_call_exits_2_with_one_line_and_leaves_nothing(run, tmp_path, arguments, message):
    code, out, err = run(*arguments)
    assert code == 2 and out == "" and err.count("\n") == 1
    assert err.startswith("evaluate: ") and message in err
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_written_is_one_line(run, tmp_path):
    (tmp_path / "file").write_text("mine")
    for out, reason in (
        ("file", "is a file, not a folder"),
        ("file/below", "is a file, not a folder"),
        ("/proc/vlbench", "can't write to /proc"),
    ):
        code, stdout, err = run("--agent", "expert", "--env", "NumberLine", out=out)
        assert code == 2 and stdout == "" and err.count("\n") == 1
        assert err.startswith("evaluate: --out: ") and reason in err
        with pytest.raises(ValueError, match="can't write to"):
            evaluate("expert", "NumberLine", out=tmp_path / out)
    assert (tmp_path / "file").read_text() == "mine"


def test_a_damaged_header_is_named_and_nothing_is_lost(run, tmp_path):
    assert run("--agent", "expert", "--env", "NumberLine", "--episodes", 2)[0] == 0
    (tmp_path / "run" / HEADER).write_text("{")
    before = (tmp_path / "run" / EPISODES).read_bytes()
    code, _, err = run("--agent", "expert", "--env", "NumberLine", "--episodes", 2)
    assert code == 2 and "run.json is damaged" in err and err.count("\n") == 1
    assert (tmp_path / "run" / EPISODES).read_bytes() == before


def test_a_run_whose_episodes_all_errored_exits_1_with_the_first_error(run, tmp_path):
    (tmp_path / "broken.py").write_text(
        "def broken(observation):\n    raise RuntimeError('gone')\n"
    )
    arguments = ("--env", "NumberLine", "--suite", "paper")
    code, out, err = run("--agent", f"{tmp_path}/broken.py:broken", *arguments)
    assert code == 1 and "Traceback" not in err
    assert f"{NUMBER_LINES} of {NUMBER_LINES} episodes errored; the first: " in err
    first = f"vlbench/NumberLine-v0#0/0: RuntimeError: gone ({tmp_path}/broken.py:2)"
    assert f"{first}; to try them again: python -m" in err
    assert f" {NUMBER_LINES}  " in out and "0.0 % (0.0–" in out


def test_all_skips_what_an_agent_does_not_play_and_a_named_one_is_an_error(run, tmp_path):
    (tmp_path / "picky.py").write_text(
        "from agents.players.scripted import Expert\n"
        "class Picky(Expert):\n    env_ids = ('vlbench/NumberLine-v0',)\n"
    )
    agent = ("--agent", f"{tmp_path}/picky.py:Picky", "--episodes", 1)
    code, out, err = run(*agent, "--json")
    skipped = json.loads(out)["skipped"]
    assert code == 0 and [skip["env"] for skip in skipped] == list(vlbench.ENV_IDS[1:])
    assert all("picky plays only" in skip["reason"] for skip in skipped)
    assert "skipped vlbench/Points24-v0: picky plays only vlbench/NumberLine-v0" in err
    code, _, err = run(*agent, "--env", "Points24")
    assert code == 2 and "vlbench/Points24-v0 can't be played: picky plays only" in err


@pytest.mark.parametrize(
    ("named", "meant"),
    [
        ("points_24", ["vlbench/Points24-v0"]),
        ("*Points,blackjack", ["vlbench/EZPoints-v0", "vlbench/Blackjack-v0"]),
        ("vlbench/N*", ["vlbench/NumberLine-v0"]),
        ("vlbench:vlbench/NumberLine-v0", ["vlbench/NumberLine-v0"]),
    ],
)
def test_environments_are_named_by_id_short_name_glob_or_list(named, meant, tmp_path):
    assert evaluate("expert", named, episodes=1, out=tmp_path).header.env_ids == meant


def test_prompt_theme_and_repeats_reach_the_record(tmp_path):
    plain = evaluate("expert", "Points24", episodes=2, out=tmp_path / "plain")
    run = evaluate(
        "expert",
        "Points24",
        episodes=2,
        prompt="cot_facts",
        theme="comic",
        repeats=2,
        out=tmp_path / "run",
    )
    assert [(e.row, e.repeat) for e in run.episodes] == [(0, 0), (0, 1), (1, 0), (1, 1)]
    assert run.header.prompt_hashes != plain.header.prompt_hashes
    assert run.episodes[0].kwargs["theme"] == "comic"
    assert run.episodes[0].turns[0].frame_hash != plain.episodes[0].turns[0].frame_hash
    assert run.scorecards[0].theme == "comic" and run.scorecards[0].prompt == "cot_facts"
    assert divergences(run.episodes) == []


@pytest.mark.parametrize("suite", ["ood-rules", "memory"])
def test_a_suite_may_change_the_rules(suite, tmp_path):
    run = evaluate("expert", "EZPoints", suite=suite, episodes=5, out=tmp_path)
    rows = frozen_rows("vlbench/EZPoints-v0", suite)[:5]
    assert [e.kwargs for e in run.episodes] == [row.kwargs for row in rows]
    assert run.scorecards[0].success == 1


def test_a_ten_line_agent_and_a_task_outside_the_package_go_through_evaluate(tmp_path):
    for name in ("ten_line_agent.py", "toy_task.py"):
        (tmp_path / name).write_text((OUTSIDE / name).read_text())
    code, out, err = call(
        tmp_path,
        "vlbench",
        "evaluate",
        "--agent",
        "ten_line_agent.py:Mine",
        "--env",
        "NumberLine",
        "--suite",
        "paper",
        "--out",
        "run",
    )
    assert code == 0 and out.startswith("mine, suite paper") and "50.0 %" in out, err
    code, out, err = call(
        tmp_path, "agents.evaluate", "--agent", "expert", "--env", TOY, "--out", "toy", "--json"
    )
    (card,) = json.loads(out)["scorecards"]
    assert code == 0 and (card["success"], card["episodes"], card["suite"]) == (1.0, 50, "seeds"), (
        err
    )
    assert card["normalized"] is None
    replay = ("vlbench.replay", "toy", "--env", TOY)
    assert call(tmp_path, *replay)[:2] == (0, "50 episodes replayed, 0 differ\n")


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_a_task_outside_the_package_goes_through_the_contract_suite(check, toy, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(OUTSIDE), prepend=":")
    check(TOY)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({}, None),
        ({"prompt_hashes": {TOY: "0" * 64}}, f"prompt_hashes of {TOY}"),
        ({"suite": "tset"}, f"suite of {TOY} is 'tset'"),
        ({"theme": "comic"}, f"{TOY}#0/0: seed is"),
    ],
)
def test_a_users_run_on_seeds_is_held_against_its_header(tmp_path, change, told):
    arguments = ("--agent", "expert", "--env", TOY, "--episodes", 2, "--out", "toy")
    assert call(tmp_path, "agents.evaluate", *arguments, path=[OUTSIDE])[0] == 0
    header = tmp_path / "toy" / HEADER
    header.write_text(json.dumps(json.loads(header.read_text()) | change))
    code, out, _ = call(tmp_path, "vlbench.replay", "toy", "--env", TOY, path=[OUTSIDE])
    assert code == (told is not None) and (told or "0 differ") in out


def test_a_task_without_frozen_sets_is_played_from_seeds_and_alone(toy, run):
    code, _, err = run("--agent", "expert", "--env", f"{TOY},NumberLine")
    assert code == 2 and f"{TOY}: no frozen sets there, only seeds" in err
    code, out, _ = run("--agent", "random", "--env", TOY, "--episodes", 4, "--json")
    data = json.loads(out)
    assert code == 0 and data["run"]["suite"] == "seeds" and data["scorecards"][0]["episodes"] == 4


def test_random_plays_each_repetition_of_a_seed_anew(toy, tmp_path):
    played = evaluate("random", TOY, episodes=4, repeats=5, out=tmp_path).episodes
    assert {episode.seed for episode in played} == set(range(4))
    for seed in range(4):
        games = {tuple(t.action for t in e.turns) for e in played if e.seed == seed}
        assert len(games) > 2


@contextmanager
def registered(env_id, entry_point):
    gymnasium.register(env_id, entry_point)
    try:
        yield
    finally:
        del gymnasium.registry[env_id]


def test_an_environment_that_keeps_half_of_the_contract_is_told_so(run):
    class Half(gymnasium.Env):
        observation_space = observation_space()
        action_space = ReplySpace(("+",))

        def reset(self, *, seed=None, options=None):
            return self.observation_space.sample(), {"instance": ""}

    with registered("half/Half-v0", Half):
        code, _, err = run("--agent", "expert", "--env", "half/Half-v0")
    assert code == 2 and "its info has no presentation, legal_actions" in err


def test_a_player_that_lacks_what_it_needs_is_refused_before_the_run(toy, run, tmp_path):
    class Wordless(type(gymnasium.make(TOY).unwrapped)):
        @property
        def expert(self):
            raise AttributeError("nobody knows")

    with registered("half/Wordless-v0", Wordless):
        code, _, err = run("--agent", "expert", "--env", "half/Wordless-v0")
    assert code == 2 and "can't be played: expert needs an environment with expert" in err
    assert list(tmp_path.iterdir()) == []


def test_a_glob_passes_by_what_cannot_be_made_here(run):
    with registered("half/Lost-v0", "no_such_module.envs:Env"):
        code, _, err = run("--agent", "expert", "--env", "half/*,NumberLine", "--episodes", 1)
    assert code == 0 and "skipped half/Lost-v0: ModuleNotFoundError: No module named" in err


def test_a_terminal_that_knows_no_dashes_gets_the_table(tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONIOENCODING", "latin-1")
    arguments = ("--agent", "expert", "--env", "NumberLine", "--episodes", 2)
    code, out, _ = call(tmp_path, "agents.evaluate", *arguments)
    assert code == 0 and "100.0 % (34.2?100.0 %)" in out


def test_python_takes_a_function_and_gives_a_run(tmp_path):
    def always_plus(observation):
        return vlbench.reply("+")

    run = evaluate(always_plus, ["vlbench/NumberLine-v0"], episodes=10, out=tmp_path / "run")
    assert run.header.agent == "always_plus" and len(run.episodes) == 10
    assert isinstance(run.scorecards[0], Scorecard) and 0 < run.scorecards[0].success < 1
    assert run.headlines == () and run.skipped == () and run.folder == tmp_path / "run"


def test_a_run_without_a_folder_makes_a_new_one_each_time(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folders = {evaluate("expert", "NumberLine", episodes=1).folder for _ in range(3)}
    assert len(folders) == 3 and all(str(folder).startswith("runs/expert-") for folder in folders)


def test_settings_that_are_no_plain_data_are_refused(tmp_path):
    agent = Expert()
    agent.settings = {"model": object()}
    with pytest.raises(ValueError, match="the settings of agent expert aren't plain data"):
        evaluate(agent, "NumberLine", out=tmp_path)


class Terminal(list):
    """A stream that is a terminal, or isn't."""

    def __init__(self, terminal):
        super().__init__()
        self.write, self.flush, self.isatty = self.append, lambda: None, lambda: terminal


@pytest.mark.parametrize("terminal", [True, False])
def test_progress_is_one_refreshed_line_on_a_terminal_and_lines_elsewhere(
    terminal, monkeypatch, tmp_path
):
    monkeypatch.setattr(agents.progress, "SECONDS_BETWEEN_LINES", 0)
    monkeypatch.setattr(agents.progress, "SECONDS_BETWEEN_REFRESHES", 0)
    stream = Terminal(terminal)
    evaluate("expert", "NumberLine", episodes=3, out=tmp_path, progress=Progress(stream))
    told = "".join(stream)
    assert "3/3 episodes" in told and ("\r" in told) == terminal
    if terminal:
        assert told.endswith(" \r")


def test_the_remaining_time_is_estimated_once_as_many_episodes_are_done_as_are_played_at_once(
    monkeypatch, tmp_path
):
    monkeypatch.setattr(agents.progress, "SECONDS_BETWEEN_LINES", 0)
    stream, options = Terminal(False), {"episodes": 8, "concurrency": 4, "out": tmp_path}
    evaluate("expert", "NumberLine", **options, progress=Progress(stream))
    lines = [line for line in "".join(stream).splitlines() if "/8 episodes" in line]
    assert [" left" in line for line in lines] == [False] * 3 + [True] * 5


def test_compare_pairs_the_rows_of_two_runs(tmp_path, capsys):
    for agent in ("random", "expert"):
        evaluate(agent, "NumberLine", suite="paper", out=tmp_path / agent)
    assert compare.main([str(tmp_path / "random"), str(tmp_path / "expert")]) == 0
    out = capsys.readouterr().out
    assert "second less first: expert less random" in out and "  yes\n" in out
    note = "17 of 30 instances occur in training, in other presentations"
    assert out.endswith(f"{note}: vlbench/NumberLine-v0\n")
    assert compare.main([str(tmp_path / "random"), str(tmp_path / "expert"), "--json"]) == 0
    (row,) = json.loads(capsys.readouterr().out)["envs"]
    assert row["rows"] == NUMBER_LINES and row["separated"]
    assert row["notes"] == [note]
    assert row["only_first"] == 0 < row["only_second"]


def test_the_visual_gain_follows_from_a_run_and_its_blind_run(tmp_path, capsys):
    call = ["--agent", "expert-by-picture", "--env", "EZPoints", "--episodes", "20"]
    blind, true = str(tmp_path / "blind"), str(tmp_path / "true")
    assert main([*call, "--picture", "blank", "--out", blind]) == 0
    page = tmp_path / "page.html"
    assert main([*call, "--blind", blind, "--out", true, "--html", str(page)]) == 0
    assert "+100.0 (" in capsys.readouterr().out
    assert "visual gain, points</dt><dd>+100.0 (" in page.read_text("utf-8")
    for runs in ((true, blind), (blind, true)):
        assert compare.main([*runs]) == 0
        assert "vlbench/EZPoints-v0 visual gain, points: +100.0 (" in capsys.readouterr().out
    other = ["--agent", "expert", "--env", "EZPoints", "--episodes", "20"]
    assert main([*other, "--blind", blind, "--out", str(tmp_path / "expert")]) == 2
    assert "evaluate: the blind run is of another agent" in capsys.readouterr().err
    assert not (tmp_path / "expert").exists()


def test_compare_refuses_what_has_nothing_in_common(tmp_path, capsys):
    for env in ("NumberLine", "EZPoints"):
        evaluate("expert", env, episodes=1, out=tmp_path / env)
    for second, message in (
        ("EZPoints", "EZPoints: the two runs have no row in common"),
        ("nothing", "is no run folder"),
    ):
        assert compare.main([str(tmp_path / "NumberLine"), str(tmp_path / second)]) == 2
        err = capsys.readouterr().err
        assert message in err and err.startswith("compare: ") and err.count("\n") == 1


def test_evaluating_loads_nothing_that_only_other_agents_need(run):
    before = set(sys.modules)  # other tests may have loaded them
    assert run("--agent", "expert", "--env", "NumberLine", "--episodes", 1)[0] == 0
    assert not {"torch", "openai"} & (set(sys.modules) - before)


def test_answers_that_went_into_the_reasoning_are_told(tmp_path, capsys):
    agent = tmp_path / "thinker.py"
    agent.write_text(
        "from vlbench.records import Reply\n"
        "def think(observation):\n"
        "    return Reply('', reasoning='the action is +')\n"
    )
    arguments = ["--agent", f"{agent}:think", "--env", "NumberLine", "--episodes", "1"]
    arguments += ["--suite", "paper"]
    assert main([*arguments, "--out", str(tmp_path / "run")]) == 0
    err = capsys.readouterr().err
    assert "10 of 10 replies are empty: the answer went into the reasoning" in err


def test_several_suites_are_played_each_in_a_folder_of_its_own(run, tmp_path):
    arguments = ("--agent", "expert", "--env", "NumberLine", "--episodes", 2, "--json")
    code, out, _ = run(*arguments, "--suite", "paper,ladder")
    runs = json.loads(out)["runs"]
    names = [run["run"]["suite"] for run in runs]
    assert code == 0 and names[0] == "paper" and "ladder-20" in names[1:]
    assert all(name.startswith("ladder-") for name in names[1:])
    for data, name in zip(runs, names, strict=True):
        assert data["run"]["folder"] == str(tmp_path / "run" / name)
        assert data["scorecards"][0]["episodes"] == 2


@pytest.mark.parametrize(
    ("suites", "part"),
    [
        ("paper,ladr", 'unknown suite "ladr"'),
        ("paper,,test", "suite must be a name or several with commas between"),
        ("ladder", "no ladder for rl4vlm/NumberLine-v0"),
        ("paper,test --html x.html", "--html is about one suite"),
    ],
)
def test_a_wrong_list_of_suites_plays_nothing(run, tmp_path, suites, part):
    env = "rl4vlm/NumberLine-v0" if suites == "ladder" else "NumberLine"
    code, out, err = run("--agent", "expert", "--env", env, "--suite", *suites.split())
    assert code == 2 and out == "" and part in err and err.count("\n") == 1
    assert not (tmp_path / "run").exists()
