"""`vlbench new-task` writes a task that works, and that the user's own tools accept."""

import subprocess
import sys
from pathlib import Path

import pytest

from vlbench.new_task import check_name, class_name, write_task
from vlbench.new_task.__main__ import main
from vlbench.registry import resolve_env_id

ROOT = Path(__file__).parents[2]


def test_the_written_task_names_itself_and_nothing_of_the_template(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["count_dots"]) == 0
    assert "--env count_dots:my/CountDots-v0" in capsys.readouterr().out
    files = {path.relative_to("count_dots").as_posix(): path for path in Path().rglob("*.*")}
    assert {"count_dots/__init__.py", "count_dots/prompt.txt", "tests/test_count_dots.py"} <= {
        *files
    }
    for name, path in files.items():
        text = path.read_text("utf-8")
        assert not any(word in name + text for word in ("my_task", "MyTask", "my-task"))
        assert max(map(len, text.splitlines())) <= 100 or not name.endswith(".py")


@pytest.mark.parametrize("name", ["Count", "count-dots", "1dots", "", "class", "a__b", "../x"])
def test_a_name_that_no_package_can_have_is_refused(name):
    with pytest.raises(ValueError, match="like count_dots"):
        check_name(name)


def test_a_name_that_is_taken_is_refused():
    with pytest.raises(ValueError, match='"json" is an installed module'):
        check_name("json")
    assert class_name("count_dots_2") == "CountDots2"


def test_a_folder_above_the_package_is_told_from_it(tmp_path, monkeypatch):
    (tmp_path / "own_above" / "own_above").mkdir(parents=True)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ValueError, match="run the command there: cd own_above"):
        resolve_env_id("own_above:my/OwnAbove-v0")


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize("name", ["sort_bars", "count_dots"])
def test_the_tests_of_the_example_and_of_a_new_task_pass(tmp_path, name):
    folder = tmp_path / name
    if name == "count_dots":
        write_task(name, folder)
    elif not (folder := ROOT / "examples" / name).is_dir():
        pytest.skip("needs a checkout")
    call = [sys.executable, "-m", "pytest", "-q", "-n0", "-p", "no:cacheprovider"]
    done = subprocess.run(call, cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0 and " passed" in done.stdout, done.stdout
