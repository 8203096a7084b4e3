"""Any exception of a user's environment or agent becomes one line with its place."""

import textwrap

import pytest
from support.cli_process import call

from vlbench.errors import user_code

ENVS = """
import gymnasium
class Blind(gymnasium.Env):
    def __init__(self, prompt="cot"):
        raise RuntimeError("no camera")
class Lame(gymnasium.Env):
    observation_space = action_space = gymnasium.spaces.Discrete(2)
    def reset(self, seed=None, options=None):
        self.nothing
gymnasium.register("mine/Blind-v0", Blind)
gymnasium.register("mine/Lame-v0", Lame)
gymnasium.register("mine/Gone-v0", "mine:Gone")
gymnasium.register("mine/Lost-v0", "no_such_module.envs:Env")
"""
BROKEN = {
    "mine:mine/Blind-v0": (ENVS, "RuntimeError: no camera (", ":5)"),
    "mine:mine/Lame-v0": (ENVS, "AttributeError: 'Lame' object has no attribute", ":9)"),
    "mine:mine/Gone-v0": (ENVS, "AttributeError", "no attribute 'Gone'"),
    "mine:mine/Lost-v0": (ENVS, "can't be played", "No module named 'no_such_module'"),
    "mine:mine/X-v0": ("import =", "SyntaxError: invalid syntax", "line 1"),
    "mine:mine/Y-v0": ("1 / 0", "ZeroDivisionError: division by zero (", "mine.py:1)"),
    "mine:mine/Z-v0": ("raise SystemExit(5)", "SystemExit: 5 (", "mine.py:1)"),
    "mine:mine/V-v0": ("raise ValueError('bad')", "ValueError: bad (", "mine.py:1)"),
}


@pytest.mark.parametrize("env", BROKEN)
@pytest.mark.parametrize(
    "command", [("agents.evaluate", "--agent", "expert", "--env"), ("vlbench.play",)]
)
def test_an_environment_that_breaks_is_one_line(tmp_path, command, env):
    code, *parts = BROKEN[env]
    (tmp_path / "mine.py").write_text(textwrap.dedent(code))
    exit_code, out, err = call(tmp_path, *command, env, path=[tmp_path])
    if "Lame" in env and command == ("vlbench.play",):
        parts = ['has no observations with "image" and "text"']
    assert exit_code == 2 and out == "" and all(part in err for part in parts), err
    assert err.strip().count("\n") == 0 and not (tmp_path / "runs").exists()


def test_the_doctor_reports_a_broken_environment_in_one_line(tmp_path):
    (tmp_path / "mine.py").write_text(ENVS)
    for env, expected in (("mine:mine/Gone-v0", 2), ("mine:mine/Blind-v0", 1)):
        code, out, err = call(tmp_path, "agents.doctor", "--env", env, path=[tmp_path])
        assert code == expected and (out + err).strip().count("\n") == 0, (out, err)


def test_a_value_error_passes_and_other_errors_get_type_and_place():
    with pytest.raises(ValueError, match="^wanted a number$"), user_code("x"):
        raise ValueError("wanted a number")
    with pytest.raises(ValueError, match=r"^x: KeyError: 'a' \(.*test_errors.py:\d+\)$"):
        with user_code("x"):
            {}["a"]
    with pytest.raises(ValueError, match=r"^x: OSError \(.*test_errors.py:\d+\)$"):
        with user_code("x"):
            raise OSError
    with pytest.raises(KeyboardInterrupt), user_code():
        raise KeyboardInterrupt
