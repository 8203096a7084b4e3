"""The `vlbench` command."""

import signal
from concurrent.futures import ThreadPoolExecutor

import pytest
from support.cli_process import call, start

import vlbench
from agents import cli
from vlbench.cli import run_main


def test_help_names_every_subcommand_in_a_line(capsys):
    assert cli.main(["--help"]) == 0
    lines = capsys.readouterr().out.splitlines()
    for name, (_, help) in cli.SUBCOMMANDS.items():
        assert any(line.startswith(f"  {name}  ") and line.endswith(help) for line in lines)


def test_train_alone_lists_the_trainers(capsys):
    assert cli.main(["train"]) == 2
    printed = capsys.readouterr().out
    assert cli.main(["train", "--help"]) == 0
    assert printed == capsys.readouterr().out
    lines = [line.split()[1] for line in printed.splitlines() if line.startswith("  train ")]
    assert lines == ["tiny", "sft-data", "sft", "ppo", "cnn", "reproduce"]
    assert cli.main(["train", "pop"]) == 2
    assert 'unknown subcommand "train pop"; did you mean "train ppo"?' in capsys.readouterr().err


def test_version(capsys):
    assert cli.main(["--version"]) == 0
    assert capsys.readouterr().out == f"vlbench {vlbench.__version__}\n"


def test_an_unknown_subcommand_suggests_the_nearest(capsys):
    assert cli.main(["evalute"]) == 2
    err = capsys.readouterr().err
    assert 'unknown subcommand "evalute"; did you mean "evaluate"?' in err and err.count("\n") == 1


NEED_AN_EXTRA = ("play", "pack", "verify", "site")
NEED_TORCH = ("thoughts", "merge-adapter", "train tiny", "train sft", "train ppo") + (
    "train reproduce",
)


def marks(name):
    if name in NEED_TORCH:
        return [pytest.mark.slow, pytest.mark.filterwarnings("default")]
    return [pytest.mark.extra] if name in NEED_AN_EXTRA else []


@pytest.mark.parametrize("name", [pytest.param(n, marks=marks(n)) for n in cli.SUBCOMMANDS])
def test_a_subcommand_takes_the_arguments_of_its_module(name, capsys):
    if name in NEED_TORCH:
        pytest.importorskip("transformers")
    with pytest.raises(SystemExit) as exit:
        cli.main([*name.split(), "--help"])
    assert exit.value.code == 0
    module = cli.SUBCOMMANDS[name][0].partition(":")[0].removesuffix(".__main__")
    assert f"usage: python -m {module}" in capsys.readouterr().out


def test_the_command_runs_as_a_module(tmp_path):
    code, out, _ = call(tmp_path, "vlbench", "--version")
    assert (code, out) == (0, f"vlbench {vlbench.__version__}\n")


def test_another_package_named_agents_gives_a_one_line_error(tmp_path):
    (tmp_path / "agents").mkdir()
    (tmp_path / "agents" / "__init__.py").write_text('"""Another one."""\nraise SystemExit(7)\n')
    code, out, err = call(tmp_path, "vlbench", "--version", path=[tmp_path])
    assert code == 2 and out == "" and err.count("\n") == 1
    assert (
        f"found {tmp_path / 'agents'} first" in err
        and "openai-agents installs one of that name" in err
    )


COMMAND = """
import signal, sys, time
from vlbench.cli import run_main

def work():
    try:
        print("started", flush=True)
        time.sleep(60)
    finally:
        print("tidied", flush=True)

if "deaf" in sys.argv:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
before = signal.getsignal(signal.SIGTERM)
code = run_main("work", work, stopped="stopped; run it again to go on")
assert signal.getsignal(signal.SIGTERM) == before
sys.exit(code)
"""


@pytest.mark.parametrize("arguments", [(), ("deaf",)], ids=["foreground", "background"])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_and_sigterm_end_a_command_in_the_same_way(tmp_path, number, arguments):
    if arguments and number == signal.SIGINT:
        return  # a shell's background job ignores it
    (tmp_path / "work.py").write_text(COMMAND)
    process = start(tmp_path, "work", *arguments)
    assert process.stdout.readline() == "started\n"
    process.send_signal(number)
    out, err = process.communicate(timeout=30)
    assert process.returncode == 130 and out == "tidied\n"
    assert err == "work: stopped; run it again to go on\n"


def test_a_command_runs_outside_the_main_thread_too():
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(run_main, "work", lambda: 5).result() == 5
