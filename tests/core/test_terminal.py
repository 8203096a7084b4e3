"""No control sequence from any input reaches a terminal."""

import io
import json
import logging
import sys
import warnings

import pytest

from vlbench.cli import erase_line, is_terminal, plain_output, printable, run_main

HOSTILE = "\x1b]0;owned\x07\x1b[2J\x9b31m\r\u202egpt\u200b\x08"


def test_printable_text_stays_and_the_rest_becomes_json_s_escapes():
    assert printable("naïve 模型 🙂\tone\ntwo") == "naïve 模型 🙂\tone\ntwo"
    assert printable("\x1b[2J\r\u202e") == "\\u001b[2J\\u000d\\u202e"
    assert json.loads(f'"{printable(HOSTILE)}"') == HOSTILE
    assert json.loads(f'"{printable(chr(0xE0041))}"') == chr(0xE0041)


def test_whatever_a_command_prints_is_printable(capsys):
    def command():
        print("model", HOSTILE)
        print(HOSTILE, file=sys.stderr)
        logging.getLogger("hostile").warning(HOSTILE)
        warnings.warn(HOSTILE, stacklevel=1)
        raise ValueError(f"no file {HOSTILE}")

    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.showwarning = lambda message, *rest: print(message, file=sys.stderr)
        assert run_main("test", command) == 2
    printed = capsys.readouterr()
    text = printed.out + printed.err
    assert text.count("gpt") >= 4
    assert not [c for c in text if not c.isprintable() and c != "\n"]


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_only_erase_line_moves_the_cursor(monkeypatch):
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    with plain_output(), plain_output():
        assert not sys.stderr.isatty() and is_terminal(sys.stderr)
        print("12 episodes\r", end="", file=sys.stderr)
        erase_line(sys.stderr, 3)
    assert terminal.getvalue() == "12 episodes\\u000d\r   \r"
    assert sys.stderr is terminal


@pytest.mark.parametrize("stream", [None, io.StringIO()])
def test_a_file_is_no_terminal(stream):
    assert not is_terminal(stream)
