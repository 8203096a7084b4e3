"""Options are declared once and checked the same way on a command line and in Python."""

import dataclasses
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from vlbench.cli import (
    Options,
    existing_file,
    existing_folder,
    option,
    parse_options,
    required,
    run_main,
    writable_file,
    writable_folder,
)


@dataclass(frozen=True, kw_only=True)
class Optimizer(Options):
    """How weights change. This sentence is not in the help."""

    lr: float = option(1e-3, "learning rate", gt=0)
    clip: float | None = option(None, "largest norm; 50 % of it on Sundays", gt=0)


@dataclass(frozen=True, kw_only=True)
class Config(Optimizer):
    """Options of `fit`."""

    data: tuple[Path, ...] = option((), "files to read", positional=True, check=existing_file)
    model: str = required("checkpoint")
    steps: int = option(10, "optimizer steps", ge=1)
    share: float = option(0.5, "of the data", ge=0, lt=1)
    kind: str = option("linear", "what is fitted", choices=("linear", "cubic"))
    weights: dict[str, float] = option({}, "of the terms")
    fast: bool = option(True, "skip what may be skipped", old_name="--quick")
    tags: tuple[str, ...] = option((), "names; may be given again")

    def check(self):
        if self.kind == "cubic" and self.steps < 3:
            raise ValueError("--kind cubic needs at least 3 --steps")


PRESETS = {"long": {"steps": 1000, "model": "big"}, "wide": {"share": 0.9}}


def read(*argv):
    return parse_options(Config, argv, prog="fit", description="Fit.", presets=PRESETS)


def test_a_command_line_and_python_give_the_same_options(tmp_path):
    file = tmp_path / "a"
    file.touch()
    argv = ["--model", "m", "--steps", "7", "--lr", "2e-3", "--no-fast", "--weights", '{"l2": 1}']
    options = read(str(file), *argv, "--tags", "x", "--tags", "y")
    assert options == Config(
        data=(file,), model="m", steps=7, lr=2e-3, fast=False, weights={"l2": 1}, tags=("x", "y")
    )
    assert read("--model", "m") == Config(model="m")


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        ("", "the following arguments are required: --model (see fit --help)"),
        ("--model", "--model: expected one argument (see fit --help)"),
        ("--model m --steps 0", "--steps must be at least 1, got 0"),
        ("--model m --steps=-3", "--steps must be at least 1, got -3"),
        ("--model m --steps 2.5", '--steps must be a whole number, got "2.5"'),
        ("--model m --lr -1e-4", "--lr must be > 0, got -1e-4"),
        ("--model m --lr -inf", "--lr must be > 0, got -inf"),
        ("--model m --lr nan", "--lr must be > 0, got nan"),
        ("--model m --lr fast", '--lr must be a number, got "fast"'),
        ("--model m --share 1", "--share must be at least 0 and < 1, got 1"),
        ("--model m --kind qubic", 'must be linear or cubic, got "qubic"; did you mean "cubic"?'),
        ("--model m --kind cubic --steps 2", "--kind cubic needs at least 3 --steps"),
        ("--model m --weights 3", '--weights must be NAME=VALUE, got "3"'),
        ("--model m --weights {", '--weights must be NAME=VALUE or a JSON object, got "{"'),
        ("--model m --stps 3", 'unknown option "--stps"; did you mean "--steps"? (see fit --help)'),
        ("--modl m", 'unknown option "--modl"; did you mean "--model"? (see fit --help)'),
        ("--model m --step 3", 'unknown option "--step"; did you mean "--steps"? (see fit --help)'),
        ("--model m --preset lnog", 'must be one of long, wide; got "lnog"; did you mean "long"?'),
        ("--model m nowhere", "data: no file nowhere"),
    ],
)
def test_a_wrong_command_line_is_one_line_and_code_2(argv, message, capsys):
    assert run_main("fit", lambda: read(*argv.split()) and None) == 2
    out, err = capsys.readouterr()
    assert out == "" and err.startswith("fit: ") and err.endswith(f"{message}\n")
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"steps": 0}, "steps must be at least 1, got 0"),
        ({"steps": 2.5}, 'steps must be a whole number, got "2.5"'),
        ({"steps": True}, 'steps must be a whole number, got "True"'),
        ({"steps": None}, 'steps must be a whole number, got "None"'),
        ({"lr": float("inf")}, "lr must be > 0, got inf"),
        ({"clip": -1.0}, "clip must be > 0, got -1.0"),
        ({"kind": "qubic"}, "kind must be linear or cubic"),
        ({"kind": "cubic", "steps": 2}, "--kind cubic needs at least 3 --steps"),
        ({"fast": 1}, 'fast must be true or false, got "1"'),
        ({"data": ("a",)}, 'data must be a path, got "a"'),
        ({"tags": "abc"}, 'tags must be a tuple, got "abc"'),
    ],
)
def test_a_wrong_value_in_python_is_a_value_error(values, message):
    with pytest.raises(ValueError) as error:
        Config(model="m", **values)
    assert message in str(error.value)
    with pytest.raises(ValueError):
        dataclasses.replace(Config(model="m"), **values)


def test_whole_numbers_are_numbers_and_none_is_a_value_where_it_is_the_default():
    assert Config(model="m", lr=1, clip=None).lr == 1
    assert Config(model="m", steps=10**400).steps == 10**400


def test_a_field_without_option_is_a_bug_of_the_declaration():
    @dataclass(frozen=True)
    class Bare(Options):
        steps: int = 3

    with pytest.raises(TypeError, match="Bare.steps is declared by neither option nor required"):
        Bare()


def test_a_preset_gives_values_that_options_override():
    assert read("--preset", "long") == Config(model="big", steps=1000)
    assert read("--preset", "long", "--steps", "3") == Config(model="big", steps=3)


def test_help_states_range_and_default_and_groups_inherited_options(capsys):
    with pytest.raises(SystemExit) as exit:
        read("--preset", "long", "--help")
    assert exit.value.code == 0
    lines = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    assert "--steps INT optimizer steps (at least 1; default: 1000)" in lines
    assert "--share FLOAT of the data (at least 0 and < 1; default: 0.5)" in lines
    assert "--fast, --no-fast skip what may be skipped (on by default)" in lines
    assert "--clip FLOAT largest norm; 50 % of it on Sundays (> 0)" in lines
    assert lines.index("How weights change:") > lines.index("options:")
    assert not any("--quick" in line for line in lines)


@pytest.mark.parametrize(("old", "new"), [("--quick", "--fast"), ("--no-quick", "--no-fast")])
def test_an_old_name_works_and_one_line_gives_the_new_one(old, new, capsys):
    assert read("--model", "m", old) == read("--model", "m", new)
    assert capsys.readouterr().err == (
        f"fit: {old} is now {new}; the next version drops the old name\n"
    )


def test_paths_are_checked_before_anything_is_written(tmp_path):
    file = tmp_path / "file"
    file.write_text("text")
    existing_file(file)
    existing_folder(tmp_path)
    for path in (tmp_path, tmp_path / "new", tmp_path / "a" / "b"):
        writable_folder(path)
    for path in (file, tmp_path / "new", tmp_path / "a" / "b"):
        writable_file(path)
    for check, path, message in (
        (existing_file, tmp_path, "no file"),
        (existing_folder, file, "no folder"),
        (writable_folder, file, "is a file, not a folder"),
        (writable_folder, file / "a", "is a file, not a folder"),
        (writable_file, tmp_path, "is a folder, not a file"),
        (writable_file, Path("/proc/x"), "can't write to /proc"),
    ):
        with pytest.raises(ValueError, match=message):
            check(path)
    assert [path.name for path in tmp_path.iterdir()] == ["file"] and file.read_text() == "text"


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (ValueError("two\nlines"), 2, "fit: two lines\n"),
        (OSError("disk full"), 1, "fit: disk full\n"),
        (FloatingPointError("nan"), 1, "fit: nan\n"),
        (KeyboardInterrupt(), 130, "fit: stopped; go on\n"),
    ],
)
def test_an_exception_of_a_run_becomes_a_line_and_an_exit_code(error, code, line, capsys):
    def fail():
        raise error

    assert run_main("fit", fail, stopped="stopped; go on", failure=1) == code
    assert capsys.readouterr().err == line
    assert run_main("fit", fail, quiet=True) in (2, 130)
    assert capsys.readouterr().err == ("" if code == 130 else line)
    assert run_main("fit", lambda: 3) == 3 and run_main("fit", lambda: None) == 0


def test_reading_options_loads_nothing_heavy():
    program = "import vlbench.cli, sys; print({'torch', 'pydantic', 'rich'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout == "set()\n"
